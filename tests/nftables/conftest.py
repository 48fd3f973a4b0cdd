"""Fixtures of nftables: a path in a network namespace of the test's own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from proxy.nftables.chains import Masquerading
from proxy.nftables.eligibility import Circumstances
from proxy.nftables.family import FAMILIES
from proxy.nftables.foreign_changes import ForeignChanges
from proxy.nftables.netfilter_socket import NetfilterSocket
from proxy.nftables.nftables_path import NftablesPath
from proxy.nftables.rule_table import TABLE, RuleTable, supported_families

MASQUERADING = dict.fromkeys(FAMILIES, Masquerading())
MakePath = Callable[..., NftablesPath]


@pytest.fixture
def rules(network_namespace: None) -> Iterator[RuleTable]:
    """Access to the tables of the namespace; skipped where the kernel lacks what they need."""
    try:
        socket = NetfilterSocket()
        families = supported_families(socket, MASQUERADING)
    except OSError as error:
        pytest.skip(f"not permitted: nftables ({error.strerror})")
    if families != FAMILIES:
        pytest.skip("the kernel has no nftables of both families")
    table = RuleTable(socket, MASQUERADING)
    yield table
    table.close()


@pytest.fixture
def make_path(rules: RuleTable) -> Iterator[MakePath]:
    """Makes paths over sockets of their own, as processes do."""
    with ExitStack() as stack:

        def make(*, keep_rules: bool = False, clock: Callable[[], float] = lambda: 0.0) -> NftablesPath:
            socket = NetfilterSocket()
            stack.callback(socket.close)
            foreign = ForeignChanges(socket.port, TABLE)
            stack.callback(foreign.close)
            table = RuleTable(socket, MASQUERADING)
            return NftablesPath(table, foreign, Circumstances(FAMILIES), clock, keep_rules=keep_rules)

        yield make
