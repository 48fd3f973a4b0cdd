"""Whether nftables is used, as the configuration asks and the kernel permits.

Invariant: where it cannot be had, one line says why, and the relay serves everybody.
"""

import logging
from time import monotonic
from types import MappingProxyType

from proxy.configuration.config import Configuration
from proxy.nftables.chains import Masquerading
from proxy.nftables.eligibility import Circumstances
from proxy.nftables.family import FAMILIES
from proxy.nftables.foreign_changes import ForeignChanges
from proxy.nftables.netfilter_socket import NetfilterSocket
from proxy.nftables.nftables_path import NftablesPath
from proxy.nftables.rule_table import TABLE, RuleTable, supported_families

USERSPACE = "userspace"
_AUTO = "auto"
_TAKEN_AS_NFTABLES = MappingProxyType(
    {
        "iptables": "mode iptables is taken as nftables, which does the same",
        "ipvs": "mode ipvs is not there, so svcproxy falls back to nftables",
    }
)

_log = logging.getLogger(__name__)


def choose_nftables(configuration: Configuration) -> NftablesPath | None:
    """The path, ready for the first delta. None where it is not asked for or cannot be had; the log says why."""
    mode = configuration.mode
    if mode == USERSPACE:
        return None
    if mode in _TAKEN_AS_NFTABLES:
        _log.warning(_TAKEN_AS_NFTABLES[mode])
    try:
        return _make(configuration)
    except OSError as error:
        level = logging.INFO if mode == _AUTO else logging.WARNING
        way_out = " (it takes root or CAP_NET_ADMIN)" if isinstance(error, PermissionError) else ""
        words = f"nftables cannot be had: {error.strerror}{way_out}; svcproxy falls back to the relay"
        _log.log(level, words)
        return None


def why_not() -> str:
    """Why nftables cannot be had here, found out by writing a table and removing it; empty where it can."""
    try:
        socket = NetfilterSocket()
        try:
            supported_families(socket, dict.fromkeys(FAMILIES, Masquerading()))
        finally:
            socket.close()
    except PermissionError:
        return "it needs CAP_NET_ADMIN: run as root, or grant it"
    except OSError as error:
        return f"the kernel refuses: {error.strerror}: take a kernel with nf_tables and its NAT"
    return ""


def remove_tables() -> bool:
    """Delete our tables, whatever state they are in. Gives whether there were any. Raises OSError."""
    socket = NetfilterSocket()
    table = RuleTable(socket, dict.fromkeys(FAMILIES, Masquerading()))
    try:
        found = table.exists()
        if found:
            table.remove()
        return found
    finally:
        table.close()


def _make(configuration: Configuration) -> NftablesPath:
    socket = NetfilterSocket()
    try:
        masquerading = dict.fromkeys(FAMILIES, Masquerading())
        families = supported_families(socket, masquerading)
        return NftablesPath(
            RuleTable(socket, masquerading, families),
            ForeignChanges(socket.port, TABLE),
            Circumstances(families, access_log=bool(configuration.access_log)),
            monotonic,
            keep_rules=configuration.keep_rules,
        )
    except BaseException:
        socket.close()
        raise
