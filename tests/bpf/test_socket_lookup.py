"""The program in the kernel: who is served, refused and ignored, in both families and protocols."""

import os
import select
import signal
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import proxy
from proxy.bpf.namespace_link import linked_programs
from proxy.bpf.socket_lookup import CAPACITY, Entry, SocketLookup
from proxy.bpf.verdict import Verdict
from tests.bpf.conftest import Listen, deafen
from tests.system.harness.eventually import eventually

FOUR, SIX = socket.AF_INET, socket.AF_INET6
VIPS = {FOUR: "10.96.0.10", SIX: "fd00:96::10"}
OTHERS = {FOUR: "10.96.0.11", SIX: "fd00:96::11"}
WILDCARDS = {FOUR: "0.0.0.0", SIX: "::"}
EVERY_FAMILY = pytest.mark.parametrize("family", [FOUR, SIX], ids=["IPv4", "IPv6"])
PROTOCOLS = ("TCP", "UDP")
EVERY_PROTOCOL = pytest.mark.parametrize("protocol", PROTOCOLS)

pytestmark = pytest.mark.requires("ip")


def connect(address: str, port: int, source: str = "", wait: float = 5) -> socket.socket:
    return socket.create_connection((address, port), wait, (source, 0) if source else None)


def is_refused(protocol: str, family: socket.AddressFamily, address: str, port: int) -> bool:
    if protocol == "TCP":
        try:
            connect(address, port).close()
        except ConnectionRefusedError:
            return True
        return False
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.connect((address, port))
        client.settimeout(5)
        client.send(b"anybody?")
        ready, _, _ = select.select([client], [], [], 0.5)
        return bool(ready) and client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0


def reaches(protocol: str, family: socket.AddressFamily, address: str, port: int, listener: socket.socket) -> bool:
    """Whether a client of that place meets `listener`, and whether that sees which place it was."""
    if protocol == "TCP":
        with connect(address, port):
            accepted, _ = listener.accept()
            with accepted:
                return bool(accepted.getsockname()[:2] == (address, port))
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.connect((address, port))
        client.send(b"hello")
        return listener.recv(100) == b"hello"


def begin(protocol: str, family: socket.AddressFamily, address: str, port: int) -> None:
    """One packet of a client, which gives up at once."""
    with socket.socket(family, socket.SOCK_STREAM if protocol == "TCP" else socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        client.connect_ex((address, port))
        if protocol == "UDP":
            client.send(b"anybody?")


@EVERY_FAMILY
@EVERY_PROTOCOL
def test_a_client_of_an_entry_meets_the_socket_and_the_socket_sees_what_was_asked(
    lookup: SocketLookup, listen: Listen, protocol: str, family: socket.AddressFamily
) -> None:
    (listener,) = listen(protocol, family)
    lookup.assign(protocol, Verdict.SPREAD, listener)
    lookup.put([Entry(protocol, VIPS[family], 80, Verdict.SPREAD)])
    assert reaches(protocol, family, VIPS[family], 80, listener)
    assert is_refused(protocol, family, VIPS[family], 81)
    assert is_refused(protocol, family, OTHERS[family], 80)


@EVERY_FAMILY
@EVERY_PROTOCOL
def test_an_entry_is_of_one_protocol_and_family(
    lookup: SocketLookup, listen: Listen, protocol: str, family: socket.AddressFamily
) -> None:
    for each in PROTOCOLS:
        for listened in (FOUR, SIX):
            lookup.assign(each, Verdict.SPREAD, listen(each, listened)[0])
    lookup.put([Entry(protocol, WILDCARDS[family], 80, Verdict.SPREAD)])
    elsewhere = [(p, f) for p in PROTOCOLS for f in (FOUR, SIX) if (p, f) != (protocol, family)]
    assert all(is_refused(p, f, VIPS[f], 80) for p, f in elsewhere)


@EVERY_FAMILY
@EVERY_PROTOCOL
def test_a_wildcard_takes_every_address_and_one_of_its_own_goes_first(
    lookup: SocketLookup, listen: Listen, protocol: str, family: socket.AddressFamily
) -> None:
    (spread,), (steered,) = listen(protocol, family), listen(protocol, family)
    lookup.assign(protocol, Verdict.SPREAD, spread)
    lookup.assign(protocol, Verdict.STEERED, steered)
    lookup.put([Entry(protocol, WILDCARDS[family], 30080, Verdict.SPREAD)])
    lookup.put([Entry(protocol, VIPS[family], 30080, Verdict.STEERED)])
    assert reaches(protocol, family, OTHERS[family], 30080, spread)
    assert reaches(protocol, family, VIPS[family], 30080, steered)


@EVERY_FAMILY
@EVERY_PROTOCOL
def test_what_is_removed_is_refused_and_may_come_back(
    lookup: SocketLookup, listen: Listen, protocol: str, family: socket.AddressFamily
) -> None:
    (listener,) = listen(protocol, family)
    lookup.assign(protocol, Verdict.SPREAD, listener)
    for _ in range(2):
        lookup.put([Entry(protocol, VIPS[family], 80, Verdict.SPREAD)])
        assert reaches(protocol, family, VIPS[family], 80, listener)
        lookup.remove(protocol, VIPS[family], 80)
        assert is_refused(protocol, family, VIPS[family], 80)
    lookup.remove(protocol, VIPS[family], 80)


@EVERY_FAMILY
@EVERY_PROTOCOL
def test_a_refused_place_refuses_although_somebody_listens_there(
    lookup: SocketLookup, listen: Listen, protocol: str, family: socket.AddressFamily
) -> None:
    (listener,) = listen(protocol, family)
    address, port = listener.getsockname()[:2]
    assert reaches(protocol, family, address, port, listener)
    lookup.put([Entry(protocol, address, port, Verdict.REFUSED)])
    assert is_refused(protocol, family, address, port)


@EVERY_FAMILY
def test_an_ignored_client_waits_and_is_served_when_the_verdict_changes(
    lookup: SocketLookup, listen: Listen, family: socket.AddressFamily
) -> None:
    (listener,), (deaf,) = listen("TCP", family), listen("TCP", family)
    deafen(deaf)
    lookup.assign("TCP", Verdict.SPREAD, listener)
    lookup.assign("TCP", Verdict.IGNORED, deaf)
    lookup.put([Entry("TCP", VIPS[family], 80, Verdict.IGNORED)])
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.setblocking(False)
        assert client.connect_ex((VIPS[family], 80)) != 0
        assert select.select([], [client], [], 0.3)[1] == []
        lookup.put([Entry("TCP", VIPS[family], 80, Verdict.SPREAD)])
        # The client asks again after a second, as TCP does.
        accepted, _ = listener.accept()
        accepted.close()


@EVERY_FAMILY
def test_an_ignored_datagram_is_neither_received_nor_refused(
    lookup: SocketLookup, listen: Listen, family: socket.AddressFamily
) -> None:
    (deaf,) = listen("UDP", family)
    deafen(deaf)
    lookup.assign("UDP", Verdict.IGNORED, deaf)
    lookup.put([Entry("UDP", VIPS[family], 80, Verdict.IGNORED)])
    assert not is_refused("UDP", family, VIPS[family], 80)
    assert select.select([deaf], [], [], 0)[0] == []


@pytest.mark.parametrize(
    ("family", "inside", "outside"),
    [(FOUR, ("10.96.7.0/24", "127.0.0.9/32"), "10.96.8.1"), (SIX, ("fd00:96::70/124", "::/127"), "fd00:96::80")],
    ids=["IPv4", "IPv6"],
)
def test_source_ranges_let_their_own_in_and_ignore_the_others(
    lookup: SocketLookup, listen: Listen, family: socket.AddressFamily, inside: tuple[str, ...], outside: str
) -> None:
    (listener,), (deaf,) = listen("TCP", family), listen("TCP", family)
    deafen(deaf)
    lookup.assign("TCP", Verdict.SPREAD, listener)
    lookup.assign("TCP", Verdict.IGNORED, deaf)
    lookup.put([Entry("TCP", VIPS[family], 80, Verdict.SPREAD, inside)])
    source = "10.96.7.3" if family is FOUR else "fd00:96::73"
    connect(VIPS[family], 80, source).close()
    with pytest.raises(TimeoutError):
        connect(VIPS[family], 80, outside, wait=0.3)
    # The ranges are one frontend's own.
    lookup.put([Entry("TCP", OTHERS[family], 80, Verdict.SPREAD, (f"{outside}/{32 if family is FOUR else 128}",))])
    connect(OTHERS[family], 80, outside).close()
    with pytest.raises(TimeoutError):
        connect(OTHERS[family], 80, source, wait=0.3)
    lookup.put([Entry("TCP", VIPS[family], 80, Verdict.SPREAD)])
    connect(VIPS[family], 80, outside).close()


@EVERY_FAMILY
@EVERY_PROTOCOL
def test_packets_of_ignored_clients_are_counted_by_entry(
    lookup: SocketLookup, listen: Listen, protocol: str, family: socket.AddressFamily
) -> None:
    (listener,), (deaf,) = listen(protocol, family), listen(protocol, family)
    deafen(deaf)
    lookup.assign(protocol, Verdict.SPREAD, listener)
    lookup.assign(protocol, Verdict.IGNORED, deaf)
    elsewhere = ("192.0.2.0/24",) if family is FOUR else ("2001:db8::/32",)
    ranged, silent = (protocol, VIPS[family], 80), (protocol, WILDCARDS[family], 81)
    lookup.put([Entry(*ranged, Verdict.SPREAD, elsewhere), Entry(*silent, Verdict.IGNORED)])
    begin(protocol, family, VIPS[family], 80)
    for _ in range(2):
        begin(protocol, family, OTHERS[family], 81)
    eventually(lambda: (lookup.dropped(*ranged), lookup.dropped(*silent)) == (1, 2), "three packets")
    # An entry that becomes another one goes on counting.
    lookup.put([Entry(*ranged, Verdict.IGNORED), Entry(*silent, Verdict.SPREAD)])
    begin(protocol, family, VIPS[family], 80)
    assert reaches(protocol, family, OTHERS[family], 81, listener)
    eventually(lambda: (lookup.dropped(*ranged), lookup.dropped(*silent)) == (2, 2), "one more")
    lookup.remove(*ranged)
    assert lookup.dropped(*ranged) == 0
    assert lookup.dropped(protocol, OTHERS[family], 80) == 0


def test_ranges_that_are_ignored_as_a_whole_let_nobody_in_and_count_everybody(
    lookup: SocketLookup, listen: Listen
) -> None:
    (deaf,) = listen("UDP", FOUR)
    deafen(deaf)
    lookup.assign("UDP", Verdict.IGNORED, deaf)
    lookup.put([Entry("UDP", VIPS[FOUR], 80, Verdict.IGNORED, ("0.0.0.0/0",))])
    begin("UDP", FOUR, VIPS[FOUR], 80)
    eventually(lambda: lookup.dropped("UDP", VIPS[FOUR], 80) == 1, "a packet")


def test_entries_beyond_those_that_count_ignore_all_the_same(
    lookup: SocketLookup, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.bpf.socket_lookup.COUNTED", 1)
    (deaf,) = listen("UDP", FOUR)
    deafen(deaf)
    lookup.assign("UDP", Verdict.IGNORED, deaf)
    lookup.put([Entry("UDP", VIPS[FOUR], number, Verdict.IGNORED) for number in (80, 81)])
    for number in (80, 81):
        begin("UDP", FOUR, VIPS[FOUR], number)
    eventually(lambda: lookup.dropped("UDP", VIPS[FOUR], 80) == 1, "a packet of the one that counts")
    assert lookup.dropped("UDP", VIPS[FOUR], 81) == 0
    lookup.remove("UDP", VIPS[FOUR], 80)
    lookup.put([Entry("UDP", VIPS[FOUR], 81, Verdict.IGNORED)])
    begin("UDP", FOUR, VIPS[FOUR], 81)
    eventually(lambda: lookup.dropped("UDP", VIPS[FOUR], 81) == 1, "a packet of the other")


def test_source_ranges_of_the_other_family_let_nobody_in(lookup: SocketLookup, listen: Listen) -> None:
    (listener,) = listen("TCP", FOUR)
    lookup.assign("TCP", Verdict.SPREAD, listener)
    lookup.put([Entry("TCP", VIPS[FOUR], 80, Verdict.SPREAD, ("fd00::/8",))])
    assert is_refused("TCP", FOUR, VIPS[FOUR], 80)


def test_an_empty_pool_refuses_from_inside_its_ranges(lookup: SocketLookup) -> None:
    lookup.put([Entry("TCP", VIPS[FOUR], 80, Verdict.REFUSED, ("0.0.0.0/0",))])
    assert is_refused("TCP", FOUR, VIPS[FOUR], 80)


@EVERY_FAMILY
@EVERY_PROTOCOL
def test_a_group_shares_its_clients(
    lookup: SocketLookup, listen: Listen, protocol: str, family: socket.AddressFamily
) -> None:
    group = listen(protocol, family, 2)
    lookup.assign(protocol, Verdict.SPREAD, group[0])
    lookup.put([Entry(protocol, VIPS[family], 80, Verdict.SPREAD)])
    met: Counter[int] = Counter()
    for _ in range(40):
        kind = socket.SOCK_STREAM if protocol == "TCP" else socket.SOCK_DGRAM
        with socket.socket(family, kind) as client:
            client.connect((VIPS[family], 80))
            client.send(b"hello")
            ready, _, _ = select.select(group, [], [], 5)
            met[group.index(ready[0])] += 1
            if protocol == "TCP":
                ready[0].accept()[0].close()
            else:
                ready[0].recv(100)
    assert sorted(met) == [0, 1]


def test_withdrawing_the_socket_refuses_new_clients_and_keeps_connections(lookup: SocketLookup, listen: Listen) -> None:
    (listener,) = listen("TCP", FOUR)
    lookup.assign("TCP", Verdict.SPREAD, listener)
    lookup.put([Entry("TCP", VIPS[FOUR], 80, Verdict.SPREAD)])
    with connect(VIPS[FOUR], 80) as client:
        accepted, _ = listener.accept()
        lookup.withdraw("TCP", FOUR, Verdict.SPREAD)
        lookup.withdraw("TCP", FOUR, Verdict.SPREAD)
        assert is_refused("TCP", FOUR, VIPS[FOUR], 80)
        accepted.send(b"still here")
        assert client.recv(100) == b"still here"
        accepted.close()
    lookup.assign("TCP", Verdict.SPREAD, listener)
    assert reaches("TCP", FOUR, VIPS[FOUR], 80, listener)


def test_somebody_elses_port_is_left_alone(lookup: SocketLookup, listen: Listen) -> None:
    (listener,), (other,) = listen("TCP", FOUR), listen("TCP", FOUR)
    lookup.assign("TCP", Verdict.SPREAD, listener)
    lookup.put([Entry("TCP", VIPS[FOUR], 80, Verdict.SPREAD)])
    address, port = other.getsockname()
    assert reaches("TCP", FOUR, address, port, other)


def test_twenty_thousand_entries_are_served_by_one_socket(lookup: SocketLookup, listen: Listen) -> None:
    (listener,) = listen("TCP", FOUR)
    lookup.assign("TCP", Verdict.SPREAD, listener)
    addresses = [f"10.96.{number // 250}.{number % 250}" for number in range(10_000)]
    lookup.put(Entry("TCP", address, port, Verdict.SPREAD) for address in addresses for port in (80, 443))
    for address in (addresses[0], addresses[4_999], addresses[-1]):
        assert reaches("TCP", FOUR, address, 80, listener)
        assert reaches("TCP", FOUR, address, 443, listener)
    assert is_refused("TCP", FOUR, "10.96.200.1", 80)


def test_there_is_room_for_every_frontend_of_a_large_cluster() -> None:
    services, ports, kinds, families = 10_000, 2, 2, 2
    assert services * ports * kinds * families < CAPACITY


def test_closing_detaches(lookup: SocketLookup, listen: Listen) -> None:
    (listener,) = listen("TCP", FOUR)
    lookup.assign("TCP", Verdict.SPREAD, listener)
    lookup.put([Entry("TCP", VIPS[FOUR], 80, Verdict.SPREAD)])
    assert linked_programs() == 1
    lookup.close()
    lookup.close()
    assert linked_programs() == 0
    assert is_refused("TCP", FOUR, VIPS[FOUR], 80)


def test_a_killed_process_leaves_nothing_attached(lookup: SocketLookup) -> None:
    code = "import proxy.bpf.socket_lookup as s; kept = s.SocketLookup(); print('attached', flush=True); input()"
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(proxy.__file__).parents[1],
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"attached\n"
        assert linked_programs() == 2
        os.kill(child.pid, signal.SIGKILL)
    eventually(lambda: linked_programs() == 1, "the killed process's program gone")
