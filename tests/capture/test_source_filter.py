"""Source filters: the programs in an interpreter of classic BPF, and in the kernel under real sockets."""

import ipaddress
import select
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.capture.source_filter import MAX_INSTRUCTIONS, admit_only, attach, detach, drop_everything

ALL = 0xFFFFFFFF
V4, V6 = socket.AF_INET, socket.AF_INET6
LOOPBACK = {V4: "127.0.0.1", V6: "::1"}
STREAM, DATAGRAM = socket.SOCK_STREAM, socket.SOCK_DGRAM


def verdict(program: bytes, source: str) -> int:
    """What the kernel would return for a packet from `source`: the instructions used here, read from filter.rst."""
    address = ipaddress.ip_address(source)
    header = bytes(12 if address.version == 4 else 8) + address.packed
    instructions = list(struct.iter_unpack("HBBI", program))
    accumulator = at = 0
    while True:
        code, if_true, if_false, operand = instructions[at]
        at += 1
        if code == 0x20:
            start = operand - 0xFFF00000
            assert 0 <= start <= len(header) - 4
            accumulator = int.from_bytes(header[start : start + 4], "big")
        elif code == 0x54:
            accumulator &= operand
        elif code == 0x15:
            at += if_true if accumulator == operand else if_false
        else:
            assert code == 0x06
            return int(operand)


def test_everything_is_dropped() -> None:
    assert verdict(drop_everything(), "127.0.0.1") == verdict(drop_everything(), "::1") == 0


@pytest.mark.parametrize(
    ("cidrs", "family", "source", "admitted"),
    [
        ([], V4, "10.0.0.1", False),
        (["10.0.0.0/8"], V4, "10.255.255.255", True),
        (["10.0.0.0/8"], V4, "11.0.0.0", False),
        (["10.0.0.1/32", "10.0.0.3/32"], V4, "10.0.0.3", True),
        (["10.0.0.1/32", "10.0.0.3/32"], V4, "10.0.0.2", False),
        ([" 10.0.0.0/8\t"], V4, "10.1.2.3", True),
        (["10.1.2.3/8"], V4, "10.9.9.9", True),
        (["192.0.2.0/24", "0.0.0.0/0"], V4, "203.0.113.1", True),
        (["::/0"], V4, "10.0.0.1", False),
        (["::/0"], V6, "2001:db8::1", True),
        (["0.0.0.0/0"], V6, "2001:db8::1", False),
        (["2001:db8::/33", "10.0.0.0/8"], V6, "2001:db8:7fff::1", True),
        (["2001:db8::/33", "10.0.0.0/8"], V6, "2001:db8:8000::1", False),
        (["2001:db8::/64"], V6, "2001:db8::ffff:0:0:1", True),
        (["2001:db8::/64"], V6, "2001:db8:0:1::1", False),
        (["2001:db8::1/128"], V6, "2001:db8::1", True),
        (["2001:db8::1/128"], V6, "2001:db8::2", False),
    ],
)
def test_a_source_is_admitted_from_within_the_ranges(
    cidrs: list[str], family: socket.AddressFamily, source: str, admitted: bool
) -> None:
    assert verdict(admit_only(cidrs, family), source) == (ALL if admitted else 0)


@st.composite
def ranges_and_source(draw: st.DrawFn, bits: int) -> tuple[list[str], str]:
    """CIDRs of one family, and a source that agrees with one of them in all bits but a few or in none."""
    cidrs = draw(st.lists(st.tuples(st.integers(0, 2**bits - 1), st.integers(0, bits)), max_size=8))
    source = draw(st.sampled_from([number for number, _ in cidrs] or [0]))
    for flipped in draw(st.lists(st.integers(0, bits - 1), max_size=2)):
        source ^= 1 << flipped
    address = ipaddress.IPv4Address if bits == 32 else ipaddress.IPv6Address
    return [f"{address(number)}/{length}" for number, length in cidrs], str(address(source))


def contained(cidrs: list[str], source: str) -> bool:
    return any(ipaddress.ip_address(source) in ipaddress.ip_network(cidr, strict=False) for cidr in cidrs)


@given(ranges_and_source(bits=32))
def test_any_ipv4_ranges_admit_what_they_contain(case: tuple[list[str], str]) -> None:
    cidrs, source = case
    assert verdict(admit_only([*cidrs, "::/0"], V4), source) == (ALL if contained(cidrs, source) else 0)


@given(ranges_and_source(bits=128))
def test_any_ipv6_ranges_admit_what_they_contain(case: tuple[list[str], str]) -> None:
    cidrs, source = case
    assert verdict(admit_only([*cidrs, "0.0.0.0/0"], V6), source) == (ALL if contained(cidrs, source) else 0)


def every_other_network(count: int) -> list[str]:
    return [f"10.{index >> 7}.{(index & 0x7F) * 2}.0/24" for index in range(count)]


def test_a_long_list_fits() -> None:
    program = admit_only(every_other_network(1000), V4)
    assert len(program) // 8 <= MAX_INSTRUCTIONS
    assert verdict(program, "10.7.206.1") == ALL
    assert verdict(program, "10.7.207.1") == verdict(program, "10.7.208.1") == 0


def test_neighbours_take_the_room_of_one() -> None:
    halves = ["192.0.2.0/25", "192.0.2.128/25", "192.0.2.7/32"]
    assert admit_only(halves, V4) == admit_only(["192.0.2.0/24"], V4)


@pytest.mark.parametrize(("cidr", "family"), [("0.0.0.0/0", V4), ("::/0", V6)])
def test_nothing_is_compared_where_everyone_is_admitted(cidr: str, family: socket.AddressFamily) -> None:
    assert next(struct.iter_unpack("HBBI", admit_only([cidr], family))) == (0x06, 0, 0, ALL)


def test_a_list_too_long_for_the_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match=r"1100 source ranges need a filter of 4401 instructions, .* kernel's 4096"):
        admit_only(every_other_network(1100), V4)


@pytest.mark.parametrize("text", ["", "everyone", "10.0.0.0/33", "10.0.0.0/8/8"])
def test_what_is_no_cidr_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"does not appear to be|must be|Only one"):
        admit_only([text], V4)


@contextmanager
def server(family: socket.AddressFamily, kind: socket.SocketKind, program: bytes) -> Iterator[socket.socket]:
    with socket.socket(family, kind) as served:
        served.bind((LOOPBACK[family], 0))
        attach(served, program)
        if kind == STREAM:
            served.listen()
        served.setblocking(False)
        yield served


@contextmanager
def client(served: socket.socket, source: str | None = None) -> Iterator[socket.socket]:
    """A socket that has begun to connect; on loopback, an answer would be there before connect returns."""
    with socket.socket(served.family, served.type) as connecting:
        connecting.setblocking(False)
        if source:
            connecting.bind((source, 0))
        connecting.connect_ex(served.getsockname())
        yield connecting


def is_writable(connecting: socket.socket, seconds: float = 0.0) -> bool:
    """Whether the connect has an outcome, good or bad, within `seconds`."""
    return bool(select.select([], [connecting], [], seconds)[1])


def is_connected(connecting: socket.socket, seconds: float = 5.0) -> bool:
    return is_writable(connecting, seconds) and not connecting.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


def received(served: socket.socket) -> list[bytes]:
    datagrams = []
    while select.select([served], [], [], 0)[0]:
        datagrams.append(served.recv(100))
    return datagrams


def test_a_tcp_client_outside_the_ranges_is_neither_accepted_nor_refused() -> None:
    with (
        server(V4, STREAM, admit_only(["127.0.0.2/32"], V4)) as served,
        client(served, "127.0.0.3") as outside,
        client(served, "127.0.0.2") as inside,
    ):
        assert is_connected(inside)
        assert not is_writable(outside)
        accepted, peer = served.accept()
        with accepted:
            assert peer == inside.getsockname()
            inside.send(b"hello")
            assert accepted.recv(100) == b"hello"
        with pytest.raises(BlockingIOError):
            served.accept()


def test_a_udp_client_outside_the_ranges_hears_nothing() -> None:
    with (
        server(V4, DATAGRAM, admit_only(["127.0.0.2/31"], V4)) as served,
        client(served, "127.0.0.4") as outside,
        client(served, "127.0.0.2") as inside,
    ):
        outside.send(b"from outside")
        outside.send(b"no error was waiting either")
        inside.send(b"from inside, whole")
        assert received(served) == [b"from inside, whole"]


@pytest.mark.parametrize(("cidr", "admitted"), [("::1/128", True), ("::/127", True), ("::2/127", False)])
def test_ipv6_clients_are_told_apart(cidr: str, admitted: bool) -> None:
    program = admit_only([cidr], V6)
    with server(V6, STREAM, program) as served, client(served) as connecting:
        assert is_writable(connecting) == admitted
    with server(V6, DATAGRAM, program) as served, client(served) as sending:
        sending.send(b"hello")
        assert received(served) == ([b"hello"] if admitted else [])


@pytest.mark.parametrize("family", [V4, V6])
def test_a_client_that_was_dropped_gets_through_once_the_filter_is_gone(family: socket.AddressFamily) -> None:
    with server(family, STREAM, drop_everything()) as served, client(served) as connecting:
        assert not is_writable(connecting)
        detach(served)
        assert is_connected(connecting)


@pytest.mark.parametrize("family", [V4, V6])
def test_datagrams_get_through_once_the_filter_is_gone(family: socket.AddressFamily) -> None:
    with server(family, DATAGRAM, drop_everything()) as served, client(served) as sending:
        sending.send(b"unheard")
        sending.send(b"no error was waiting either")
        detach(served)
        sending.send(b"heard")
        assert received(served) == [b"heard"]


def test_the_kernel_takes_a_long_list() -> None:
    with (
        server(V4, DATAGRAM, admit_only([*every_other_network(300), "127.0.0.2/32"], V4)) as served,
        client(served, "127.0.0.3") as outside,
        client(served, "127.0.0.2") as inside,
    ):
        outside.send(b"from outside")
        inside.send(b"from inside")
        assert received(served) == [b"from inside"]


def test_a_program_replaces_the_one_before() -> None:
    with server(V4, DATAGRAM, drop_everything()) as served, client(served) as sending:
        attach(served, admit_only(["127.0.0.0/8"], V4))
        sending.send(b"heard")
        assert received(served) == [b"heard"]


def test_there_must_be_a_filter_to_detach() -> None:
    with socket.socket() as bare, pytest.raises(FileNotFoundError):
        detach(bare)
