"""The renewal of the API's certificate while it serves, on real handshakes."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from proxy.apiserver.http.certificate import ServingCertificate
from proxy.apiserver.http.certificate_renewal import kept_valid

NOW = datetime(2030, 1, 1, tzinfo=UTC)
ALMOST_A_YEAR = timedelta(days=350)
PAUSE = 0.01


class Clock:
    """Shows what the test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def served(tmp_path: Path) -> ServingCertificate:
    return ServingCertificate(str(tmp_path), "127.0.0.1", NOW)


@pytest.fixture
async def port(served: ServingCertificate) -> AsyncIterator[int]:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=served.context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def shown(port: int) -> x509.Certificate:
    """The certificate that a client meets now."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    encoded = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    return x509.load_der_x509_certificate(encoded)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(PAUSE)


async def until_shown(port: int, now: datetime) -> x509.Certificate:
    """The certificate that clients meet, once it is one that was made about `now`."""
    async with asyncio.timeout(20):
        while True:
            certificate = await shown(port)
            if abs(certificate.not_valid_before_utc - now) < timedelta(days=1):
                return certificate
            await asyncio.sleep(PAUSE)


async def test_who_connects_after_the_renewal_meets_the_new_certificate(
    served: ServingCertificate, port: int, clock: Clock, tmp_path: Path
) -> None:
    context = ssl.create_default_context(cadata=served.authority.decode())
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=_of_any_time(context))
    told: list[bytes] = []
    async with kept_valid(served, told.append, clock, PAUSE):
        clock.now += ALMOST_A_YEAR
        renewed = await until_shown(port, clock.now)
    authority = x509.load_pem_x509_certificate((tmp_path / "ca.crt").read_bytes())
    renewed.verify_directly_issued_by(authority)
    assert told == []
    writer.write(b"still here")
    assert await reader.readexactly(10) == b"still here"
    writer.close()
    await writer.wait_closed()


def _of_any_time(context: ssl.SSLContext) -> ssl.SSLContext:
    """The clock of these tests is not the one that OpenSSL looks at."""
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def test_a_new_authority_is_told(served: ServingCertificate, port: int, clock: Clock) -> None:
    told: list[bytes] = []
    before = served.authority
    async with kept_valid(served, told.append, clock, PAUSE):
        clock.now += 10 * ALMOST_A_YEAR + timedelta(days=150)
        await until_shown(port, clock.now)
        await until(lambda: told)
    assert told == [served.authority] != [before]


async def test_a_clock_that_is_set_back_gets_a_certificate_that_is_valid_then(
    served: ServingCertificate, port: int, clock: Clock
) -> None:
    told: list[bytes] = []
    async with kept_valid(served, told.append, clock, PAUSE):
        clock.now -= 10 * ALMOST_A_YEAR
        certificate = await until_shown(port, clock.now)
        await until(lambda: told)
    assert certificate.not_valid_before_utc <= clock.now
    assert told == [served.authority]


async def test_files_that_cannot_be_written_leave_the_old_certificate_until_they_can(
    served: ServingCertificate, port: int, clock: Clock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # Whoever runs this may write anywhere, but not through a directory that is none.
    away = tmp_path.with_name("away")
    os.rename(tmp_path, away)
    os.symlink("/dev/null", tmp_path)
    before = await shown(port)
    async with kept_valid(served, lambda _: None, clock, PAUSE):
        clock.now += ALMOST_A_YEAR
        await until(lambda: "cannot be renewed" in caplog.text)
        assert await shown(port) == before
        os.unlink(tmp_path)
        os.rename(away, tmp_path)
        await until_shown(port, clock.now)
