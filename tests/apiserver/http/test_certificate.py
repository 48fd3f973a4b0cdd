"""Certificates: made once, kept, renewed in time, and good for TLS on this machine."""

import os
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from proxy.apiserver.http.certificate import ServingCertificate

NOW = datetime(2030, 1, 1, tzinfo=UTC)
FILES = ("ca.crt", "ca.key", "serving.crt", "serving.key")


def contents(directory: Path) -> dict[str, bytes]:
    return {name: (directory / name).read_bytes() for name in FILES}


def certificate(directory: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((directory / name).read_bytes())


def test_a_second_start_uses_what_the_first_made(tmp_path: Path) -> None:
    first = ServingCertificate(str(tmp_path), "127.0.0.1", NOW)
    before = contents(tmp_path)
    second = ServingCertificate(str(tmp_path), "127.0.0.1", NOW + timedelta(days=300))
    assert contents(tmp_path) == before
    assert first.authority == second.authority == before["ca.crt"]


def test_only_the_owner_can_read_the_keys(tmp_path: Path) -> None:
    ServingCertificate(str(tmp_path), "127.0.0.1", NOW)
    assert {stat.S_IMODE(os.stat(tmp_path / name).st_mode) for name in FILES} == {0o600}


def test_a_certificate_near_its_end_is_renewed_under_the_same_authority(tmp_path: Path) -> None:
    ServingCertificate(str(tmp_path), "127.0.0.1", NOW)
    before = contents(tmp_path)
    later = NOW + timedelta(days=340)
    ServingCertificate(str(tmp_path), "127.0.0.1", later)
    assert contents(tmp_path)["ca.crt"] == before["ca.crt"]
    renewed = certificate(tmp_path, "serving.crt")
    assert renewed.not_valid_after_utc - later > timedelta(days=300)
    renewed.verify_directly_issued_by(certificate(tmp_path, "ca.crt"))


def test_a_new_authority_signs_a_new_certificate(tmp_path: Path) -> None:
    ServingCertificate(str(tmp_path), "127.0.0.1", NOW)
    before = contents(tmp_path)
    (tmp_path / "ca.key").write_bytes(b"damaged")
    ServingCertificate(str(tmp_path), "127.0.0.1", NOW)
    assert not set(contents(tmp_path).values()) & set(before.values())
    certificate(tmp_path, "serving.crt").verify_directly_issued_by(certificate(tmp_path, "ca.crt"))


def test_another_address_to_listen_on_is_named_in_a_new_certificate(tmp_path: Path) -> None:
    ServingCertificate(str(tmp_path), "127.0.0.1", NOW)
    ServingCertificate(str(tmp_path), "127.0.0.2", NOW)
    names = certificate(tmp_path, "serving.crt").extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    assert addresses == {"127.0.0.1", "127.0.0.2", "::1"}
    assert "localhost" in names.get_values_for_type(x509.DNSName)


def test_tls_older_than_1_2_is_not_spoken(tmp_path: Path) -> None:
    context = ServingCertificate(str(tmp_path), "127.0.0.1", NOW).context
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_a_certificate_that_is_not_valid_yet_is_made_anew(tmp_path: Path) -> None:
    """The clock was ahead when it was made, and was set back."""
    ServingCertificate(str(tmp_path), "127.0.0.1", NOW)
    earlier = NOW - timedelta(days=20 * 365)
    again = ServingCertificate(str(tmp_path), "127.0.0.1", earlier)
    assert not again.is_due(earlier)
    for name in ("ca.crt", "serving.crt"):
        assert certificate(tmp_path, name).not_valid_before_utc <= earlier
    certificate(tmp_path, "serving.crt").verify_directly_issued_by(certificate(tmp_path, "ca.crt"))


def test_an_authority_near_its_end_is_made_anew(tmp_path: Path) -> None:
    first = ServingCertificate(str(tmp_path), "127.0.0.1", NOW)
    later = NOW + timedelta(days=3640)
    assert first.is_due(later)
    assert ServingCertificate(str(tmp_path), "127.0.0.1", later).authority != first.authority
