"""Manifests as text, and a fake API server on loopback with a kubeconfig for it."""

import ipaddress
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.sources.fake_api import FakeAPI
from tests.sources.followed_cluster import fill


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty directory for manifests."""
    root = tmp_path / "manifests"
    root.mkdir()
    return root


@pytest.fixture
def told_by_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is found by looking anyway, except where that is the test's subject."""
    for name in ("_LOOK_ANYWAY_SECONDS", "_LOOK_UNWATCHED_SECONDS"):
        monkeypatch.setattr(f"proxy.sources.directory_watch.{name}", 3600)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a self-signed certificate for 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "fake-api")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("certificate") / "server.pem"
    no_password = serialization.NoEncryption()
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, no_password)
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
async def api(certificate: Path) -> AsyncIterator[FakeAPI]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    fake = FakeAPI(context)
    await fake.start()
    try:
        yield fake
    finally:
        await fake.stop()


@pytest.fixture
def kubeconfig(certificate: Path, tmp_path: Path, api: FakeAPI) -> Path:
    """A kubeconfig for `api`, whose token is read from the file `token` beside it."""
    (tmp_path / "token").write_text(api.token)
    user = {"tokenFile": str(tmp_path / "token")}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "fake",
        "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "someone"}}],
        "clusters": [{"name": "fake", "cluster": {"server": api.url, "certificate-authority": str(certificate)}}],
        "users": [{"name": "someone", "user": user}],
    }
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.fixture
def service() -> Callable[..., str]:
    """One document: a Service `name`; `note` is an annotation, to make another version of it."""

    def text(name: str, note: str = "", *, affinity: str = "None", extra: str = "") -> str:
        return (
            "---\napiVersion: v1\nkind: Service\n"
            f"metadata: {{name: '{name}', annotations: {{note: '{note}'}}}}\n"
            f"spec: {{selector: {{app: '{name}'}}, sessionAffinity: {affinity}, ports: [{{port: 80}}]{extra}}}\n"
        )

    return text


@pytest.fixture
def cluster(api: FakeAPI) -> FakeAPI:
    """An API with four Services, a slice each, a weighted Pod and this node."""
    fill(api)
    return api


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"
