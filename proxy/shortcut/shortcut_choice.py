"""Whether the shortcut is used, and on which cgroup, as the configuration asks and the machine permits.

Invariant: where it cannot be had, one line says why and what to do, and the relay serves everybody.
"""

import errno
import logging
import os
import socket
import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from time import monotonic

from proxy.bpf.bpf_error import BpfError
from proxy.configuration.config import Configuration
from proxy.shared_counts.column import Column
from proxy.shared_counts.table import SharedTable
from proxy.shortcut.attachment import Attachment
from proxy.shortcut.cgroups import UnavailableError, candidates, check_machine
from proxy.shortcut.eligibility import Circumstances
from proxy.shortcut.layout import ConfigField
from proxy.shortcut.maps import Capacities, Maps
from proxy.shortcut.programs import programs
from proxy.shortcut.socket_shortcut import SocketShortcut
from proxy.workers.row_ledger import RowLedger

OFF = "off"

_BEAT_LIMIT = 60.0
"""Seconds. Pinned programs let clients through to the listeners when nobody has tended the tables for so long."""

_SO_NETNS_COOKIE = 71  # include/uapi/asm-generic/socket.h, Linux 5.14

_log = logging.getLogger(__name__)


def choose_shortcut(
    configuration: Configuration, local_addresses: Callable[[], Iterable[str]], ledger: RowLedger, table: SharedTable
) -> SocketShortcut | None:
    """The shortcut, ready for the first delta. None where it is off or cannot be had; the log says why."""
    if configuration.shortcut == OFF:
        return None
    try:
        check_machine()
        maps, attachment = _make(configuration)
        column = Column(table, table.columns - 1)
        circumstances = Circumstances(access_log=bool(configuration.access_log))
        return SocketShortcut(maps, attachment, circumstances, monotonic, local_addresses, ledger, column)
    except (BpfError, UnavailableError) as error:
        text = str(error) if isinstance(error, UnavailableError) else f"shortcut: {error}"
        _log.warning(f"{text}; the relay serves everybody")
        return None


def _make(configuration: Configuration) -> tuple[Maps, Attachment]:
    cgroups = candidates(configuration.shortcut)
    pins = _pin_directory(configuration.shortcut_pins)
    maps = Maps(Capacities(), pins)
    try:
        config = maps.config
        config.words[config.word(0, ConfigField.OWN_NAMESPACE)] = namespace_cookie()
        config.words[config.word(0, ConfigField.BEAT)] = int(monotonic() * 1e9)
        config.words[config.word(0, ConfigField.BEAT_LIMIT)] = int(_BEAT_LIMIT * 1e9) if pins else 0
        attachment = Attachment(programs(maps, configuration.udp_idle_timeout), cgroups, pins)
    except BaseException:
        maps.close()
        raise
    return maps, attachment


def namespace_cookie() -> int:
    """The number by which programs know this process's network namespace. Raises BpfError before Linux 5.14."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            return int(struct.unpack("=Q", probe.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, 8))[0])
        except OSError as error:
            raise BpfError("tell the network namespace", error.errno or errno.ENOPROTOOPT) from error


def _pin_directory(path: str) -> Path | None:
    """Raises UnavailableError for a directory that is on no bpffs."""
    if not path:
        return None
    directory = Path(path)
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise UnavailableError(f"shortcutPins: {path}: {os.strerror(error.errno or 0)}") from error
    if not _is_on_bpffs(directory):
        raise UnavailableError(f"shortcutPins: {path}: is on no bpffs (mount -t bpf bpf /sys/fs/bpf)")
    return directory


def _is_on_bpffs(directory: Path) -> bool:
    device = directory.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        if fields.split()[2] == wanted:
            return rest.startswith("bpf ")
    return False
