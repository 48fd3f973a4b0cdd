"""Renews the API's certificate while it runs, so that an API that runs for years, or whose clock was set, is trusted.

Invariant: connections that are open stay as they are, and whoever connects next meets the new certificate; where the
files cannot be written the old one serves on, and the next look tries again.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

from proxy.apiserver.http.certificate import ServingCertificate

LOOKS = 60.0
"""Seconds between two looks at the certificate's validity."""

_log = logging.getLogger(__name__)


def _now() -> datetime:
    return datetime.now(UTC)


@contextlib.asynccontextmanager
async def kept_valid(
    certificate: ServingCertificate,
    on_authority: Callable[[bytes], None],
    now: Callable[[], datetime] = _now,
    pause: float = LOOKS,
) -> AsyncIterator[None]:
    """Keep the certificate valid while the block lasts. `on_authority` gets the PEM of an authority that took the place
    of one that was no longer valid; it may raise OSError."""
    keeping = asyncio.create_task(_keep_valid(certificate, on_authority, now, pause), name="renew the certificate")
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


async def _keep_valid(
    certificate: ServingCertificate,
    on_authority: Callable[[bytes], None],
    now: Callable[[], datetime],
    pause: float,
) -> None:
    while True:
        await asyncio.sleep(pause)
        if not certificate.is_due(now()):
            continue
        authority = certificate.authority
        try:
            await asyncio.to_thread(certificate.renew, now())
            # On the loop, which makes the handshakes: OpenSSL does not guard a context that others read.
            certificate.load()
            if certificate.authority != authority:
                on_authority(certificate.authority)
        except OSError as error:
            _log.error(f"the API's certificate cannot be renewed: {error.strerror or error}: trying again")
        else:
            _log.info(f"the API's certificate is renewed, valid until {certificate.valid_until}")
