"""Certificates: an authority of this installation's own, and one for the API that it signs.

Invariant: keys are readable by their owner alone; files are replaced whole; a certificate is made anew before it ends
or where it is not valid yet, and clients that trust the authority need not notice.
"""

import ipaddress
import os
import ssl
from datetime import datetime, timedelta
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from proxy.apiserver.http.private_file import write_private

_AUTHORITY_LIFE = timedelta(days=3650)
_SERVING_LIFE = timedelta(days=365)
_RENEWED_BEFORE = timedelta(days=30)
_CLOCK_SKEW = timedelta(minutes=5)
_HOSTS = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
_ADDRESSES = ("127.0.0.1", "::1")


class _Pair(NamedTuple):
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


class ServingCertificate:
    """The certificate in `directory`, good for this machine's loopback and for `address`. `context` serves TLS,
    `authority` is the PEM that clients trust."""

    def __init__(self, directory: str, address: str, now: datetime) -> None:
        """Use what is there, made or renewed where need be. Raises OSError."""
        self._directory = directory
        self._addresses = tuple(dict.fromkeys((*_ADDRESSES, address)))
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.renew(now)
        self.load()

    @property
    def authority(self) -> bytes:
        return self._pairs[0].certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def valid_until(self) -> str:
        """RFC 3339."""
        return self._pairs[1].certificate.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ")

    def is_due(self, now: datetime) -> bool:
        """Whether it, or the authority, is to be made anew by now."""
        return not all(_is_valid(pair, now) for pair in self._pairs)

    def renew(self, now: datetime) -> None:
        """Make anew what is not valid or will soon not be; `load` puts it to use. Raises OSError."""
        authority = _loaded(self._directory, "ca")
        if authority is None or not _is_valid(authority, now):
            authority = _authority(now)
            _save(self._directory, "ca", authority)
        serving = _loaded(self._directory, "serving")
        if serving is None or not _is_valid(serving, now) or not _is_good_for(serving, authority, self._addresses):
            serving = _serving(authority, self._addresses, now)
            _save(self._directory, "serving", serving)
        self._pairs = authority, serving

    def load(self) -> None:
        """Serve those who connect from now on with the certificate on disk. Raises OSError."""
        self.context.load_cert_chain(_path(self._directory, "serving.crt"), _path(self._directory, "serving.key"))


def _authority(now: datetime) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "svcproxy")])
    builder = _builder(name, name, key, now, _AUTHORITY_LIFE)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    return _Pair(builder.sign(key, hashes.SHA256()), key)


def _serving(authority: _Pair, addresses: tuple[str, ...], now: datetime) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "svcproxy-api")])
    names: list[x509.GeneralName] = [x509.DNSName(host) for host in _HOSTS]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
    builder = _builder(name, authority.certificate.subject, key, now, _SERVING_LIFE)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    builder = builder.add_extension(issuer, critical=False)
    return _Pair(builder.sign(authority.key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _is_valid(pair: _Pair, now: datetime) -> bool:
    """Whether it is valid already, and for a while to come: a clock that was wrong may have put it in the future."""
    certificate = pair.certificate
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc - _RENEWED_BEFORE


def _is_good_for(pair: _Pair, authority: _Pair, addresses: tuple[str, ...]) -> bool:
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    extensions = pair.certificate.extensions
    issuer = extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    covered = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    return issuer == identifier and covered.issuperset(addresses)


def _loaded(directory: str, name: str) -> _Pair | None:
    """The pair in the files of that name, or None if it is not there or is no pair any more."""
    try:
        with open(_path(directory, f"{name}.crt"), "rb") as file:
            certificate = x509.load_pem_x509_certificate(file.read())
        with open(_path(directory, f"{name}.key"), "rb") as file:
            key = serialization.load_pem_private_key(file.read(), None)
    except (FileNotFoundError, ValueError):
        return None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        return None
    return _Pair(certificate, key)


def _save(directory: str, name: str, pair: _Pair) -> None:
    encoding, shape = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    write_private(
        _path(directory, f"{name}.key"), pair.key.private_bytes(encoding, shape, serialization.NoEncryption())
    )
    write_private(_path(directory, f"{name}.crt"), pair.certificate.public_bytes(encoding))


def _path(directory: str, name: str) -> str:
    return os.path.join(directory, name)
