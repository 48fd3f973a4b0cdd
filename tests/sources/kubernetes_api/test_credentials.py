"""Credentials from files that rotate, and what is said where there are none."""

import base64
import json
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.sources.kubernetes_api.credentials import CredentialsError, Kubeconfig, ServiceAccount
from proxy.startup_error import StartupError

IN_CLUSTER = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}


def write_kubeconfig(path: Path, user: dict[str, Any], **cluster: object) -> Kubeconfig:
    document = {
        "current-context": "one",
        "contexts": [
            {"name": "one", "context": {"cluster": "c", "user": "u"}},
            {"name": "two", "context": {"cluster": "other", "user": "u"}},
        ],
        "clusters": [
            {"name": "c", "cluster": {"server": "https://one:6443", **cluster}},
            {"name": "other", "cluster": {"server": "https://two:6443"}},
        ],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(yaml.safe_dump(document))
    return Kubeconfig(str(path))


async def token_of(credentials: Kubeconfig | ServiceAccount) -> str:
    configuration = await credentials.load()
    return str(configuration.api_key["BearerToken"]).strip()


async def test_the_current_context_or_another_one_is_used(tmp_path: Path) -> None:
    one = write_kubeconfig(tmp_path / "kubeconfig", {"token": "secret"})
    one.check()
    assert (await one.load()).host == "https://one:6443"
    two = Kubeconfig(str(tmp_path / "kubeconfig"), "two")
    two.check()
    assert (await two.load()).host == "https://two:6443"


async def test_a_client_certificate_and_an_authority_in_the_file_are_used(tmp_path: Path) -> None:
    data = {name: base64.b64encode(name.encode()).decode() for name in ("cert", "key", "ca")}
    user = {"client-certificate-data": data["cert"], "client-key-data": data["key"]}
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", user, **{"certificate-authority-data": data["ca"]})
    configuration = await kubeconfig.load()
    assert _content(configuration.cert_file) == "cert"
    assert _content(configuration.key_file) == "key"
    assert _content(configuration.ssl_ca_cert) == "ca"


def _content(path: str | None) -> str:
    assert path is not None
    return Path(path).read_text()


async def test_an_exec_plugin_is_asked_for_a_token(tmp_path: Path) -> None:
    plugin = tmp_path / "plugin"
    command = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin)}
    status = {"apiVersion": command["apiVersion"], "kind": "ExecCredential", "status": {"token": "from-plugin"}}
    _write_plugin(plugin, json.dumps(status))
    assert await token_of(write_kubeconfig(tmp_path / "kubeconfig", {"exec": command})) == "Bearer from-plugin"
    _write_plugin(plugin, "nonsense")
    with pytest.raises(CredentialsError, match="kubeconfig"):
        await Kubeconfig(str(tmp_path / "kubeconfig")).load()


def _write_plugin(path: Path, output: str) -> None:
    path.write_text(f"#!/bin/sh\nexec cat <<'END'\n{output}\nEND\n")
    path.chmod(stat.S_IRWXU)


async def test_a_token_file_is_read_again_with_every_load(tmp_path: Path) -> None:
    token = tmp_path / "token"
    _write(token, "first\n")
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", {"tokenFile": str(token)})
    assert await token_of(kubeconfig) == "Bearer first"
    _write(token, "second\n")
    assert await token_of(kubeconfig) == "Bearer second"


async def test_a_service_account_s_token_is_read_again_with_every_load(tmp_path: Path) -> None:
    _write(tmp_path / "token", "first")
    _write(tmp_path / "ca.crt", "authority")
    account = ServiceAccount(IN_CLUSTER, str(tmp_path))
    account.check()
    assert (await account.load()).host == "https://10.96.0.1:443"
    assert await token_of(account) == "Bearer first"
    _write(tmp_path / "token", "second")
    assert await token_of(account) == "Bearer second"
    _write(tmp_path / "token", "")
    with pytest.raises(CredentialsError, match="service account: Token file exists but empty"):
        await account.load()


def _write(path: Path, text: str) -> None:
    path.write_text(text)


def test_a_context_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    write_kubeconfig(tmp_path / "kubeconfig", {"token": "secret"})
    with pytest.raises(StartupError, match='has no context "three": it has one, two'):
        Kubeconfig(str(tmp_path / "kubeconfig"), "three").check()


@pytest.mark.parametrize("missing", ["KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"])
def test_outside_a_pod_there_is_no_service_account(tmp_path: Path, missing: str) -> None:
    environment = {name: value for name, value in IN_CLUSTER.items() if name != missing}
    with pytest.raises(StartupError, match=f"--in-cluster: {missing} is not set"):
        ServiceAccount(environment, str(tmp_path)).check()


@pytest.mark.parametrize("missing", ["token", "ca.crt"])
def test_a_pod_without_a_mounted_token_is_told_so(tmp_path: Path, missing: str) -> None:
    for name in {"token", "ca.crt"} - {missing}:
        (tmp_path / name).write_text("x")
    with pytest.raises(StartupError, match=f"{missing} does not exist: let the Pod mount its service account token"):
        ServiceAccount(IN_CLUSTER, str(tmp_path)).check()
