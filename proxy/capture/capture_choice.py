"""Which way clients come: what the configuration asks for, or what the machine allows and the size of the plan needs.

Invariant: what was asked for by name is done or is an error; only "auto" gives way.
"""

import logging

from proxy.bpf.bpf_error import BpfError
from proxy.capture.bind_capture import BindCapture
from proxy.capture.capture import Capture
from proxy.capture.lookup_capture import LookupCapture
from proxy.startup_error import StartupError

_log = logging.getLogger(__name__)


def required_lookup(width: int) -> LookupCapture:
    """`capture: sklookup`. Raises StartupError with what is missing and where to grant it."""
    try:
        return LookupCapture(width)
    except OSError as error:
        raise StartupError(f"capture: sklookup: {error}; or leave it at auto or bind") from error


def automatic_capture(bind: BindCapture, frontends: int) -> Capture:
    """`capture: auto`: `bind` as long as so many frontends fit into its descriptors or nothing else is permitted."""
    needed = frontends * bind.width
    if needed <= bind.most:
        return bind
    try:
        lookup = LookupCapture(bind.width)
    except BpfError as error:
        _log.warning(
            f"{frontends} frontends take {needed} file descriptors to bind, {bind.most} are to be had, and capture: "
            f"sklookup, which takes none, is not to be had: {error}"
        )
        return bind
    _log.info(f"capturing by sklookup: {frontends} frontends would take {needed} file descriptors to bind")
    return lookup
