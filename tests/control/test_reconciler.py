"""The reconciler with real binds and a channel that records."""

import errno
import logging
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from proxy.capture.bind_capture import BindCapture
from proxy.capture.drop_meter import DropCause
from proxy.capture.listening_group import ListeningGroup
from proxy.capture.listening_socket import open_listening_socket
from proxy.control.reconciler import Reconciler
from proxy.plan.frontend import Delta, Frontend, FrontendKey, Pool, Target
from tests.lane import free_port
from tests.system.harness.eventually import eventually

ONE = Target("127.0.0.1", 9)


class Recorder:
    """A data plane of one worker that does with sockets what a worker does: keeps them until their frontend goes.

    While `slow`, it has not yet applied what it was told."""

    def __init__(self) -> None:
        self.width = 1
        self.messages: list[Delta] = []
        self.sockets: dict[FrontendKey, socket.socket] = {}
        self.slow = False
        self._closing: list[socket.socket] = []
        self._waiting: list[Callable[[], None]] = []

    def close(self, sockets: Iterable[socket.socket]) -> None:
        self._closing += sockets
        if not self.slow:
            self.catch_up()

    def when_applied(self, callback: Callable[[], None]) -> None:
        self._waiting.append(callback)
        if not self.slow:
            self.catch_up()

    def catch_up(self) -> None:
        """Have applied everything."""
        for sock in self._closing:
            sock.close()
        self._closing.clear()
        while self._waiting:
            self._waiting.pop(0)()

    def send(self, delta: Delta, sockets: Mapping[FrontendKey, Sequence[socket.socket]]) -> None:
        self.messages.append(delta)
        assert not set(sockets) & set(self.sockets)
        assert set(sockets) <= {frontend.key for frontend in delta.frontends}
        self.sockets.update((key, sock) for key, (sock,) in sockets.items())
        assert {frontend.key for frontend in delta.frontends} <= set(self.sockets)
        for key in delta.removed_frontends:
            self._closing.append(self.sockets.pop(key))


@pytest.fixture
def channel() -> Iterator[Recorder]:
    made = Recorder()
    yield made
    for sock in made.sockets.values():
        sock.close()


@pytest.fixture
def reconciler(channel: Recorder) -> Reconciler:
    return Reconciler(channel, BindCapture(channel.width, 10_000), lambda address: False)


def pool(*targets: Target, key: str = "web", **changes: Any) -> Pool:
    return Pool(key, f"default/{key}", "", "TCP", "rr", key, 0, 5.0, 0.0, targets, **changes)


def frontend(key: FrontendKey, of: str = "web", **changes: Any) -> Frontend:
    return Frontend(key, of, f"default/{of}", "NodePort", **changes)


@contextmanager
def holder(key: FrontendKey, shared: bool = False) -> Iterator[socket.socket]:
    """Somebody else's socket."""
    with open_listening_socket(key, shared=shared) as sock:
        yield sock


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno == logging.ERROR]


def test_a_new_frontend_gets_a_socket_with_the_message(reconciler: Reconciler, channel: Recorder) -> None:
    key = FrontendKey("TCP", "127.0.0.1", free_port())
    reconciler.apply(Delta(pools=(pool(ONE),), frontends=(frontend(key),)))
    assert channel.sockets[key].getsockname() == ("127.0.0.1", key.port)
    assert reconciler.is_listening(key)


def test_a_frontend_that_stays_keeps_its_socket(reconciler: Reconciler, channel: Recorder) -> None:
    key = FrontendKey("TCP", "127.0.0.1", free_port())
    reconciler.apply(Delta(pools=(pool(ONE),), frontends=(frontend(key),)))
    descriptor = channel.sockets[key].fileno()
    reconciler.apply(Delta(pools=(pool(), pool(ONE, key="other")), frontends=(frontend(key, "other"),)))
    reconciler.apply(Delta(removed_pools=("web",)))
    assert channel.sockets[key].fileno() == descriptor
    assert channel.messages[-1] == Delta(removed_pools=("web",))


def test_a_removed_frontend_is_closed_before_its_pool_goes(reconciler: Reconciler, channel: Recorder) -> None:
    key = FrontendKey("TCP", "127.0.0.1", free_port())
    reconciler.apply(Delta(pools=(pool(ONE),), frontends=(frontend(key),)))
    reconciler.apply(Delta(removed_frontends=(key,), removed_pools=("web",)))
    assert channel.messages[-2:] == [Delta(removed_frontends=(key,)), Delta(removed_pools=("web",))]
    assert not reconciler.is_listening(key)


def test_a_port_moves_between_addresses_within_one_delta(reconciler: Reconciler, channel: Recorder) -> None:
    port = free_port()
    wildcard, specific = FrontendKey("TCP", "0.0.0.0", port), FrontendKey("TCP", "127.0.0.1", port)
    reconciler.apply(Delta(pools=(pool(ONE),), frontends=(frontend(wildcard),)))
    reconciler.apply(Delta(frontends=(frontend(specific),), removed_frontends=(wildcard,)))
    assert list(channel.sockets) == [specific]
    reconciler.apply(Delta(frontends=(frontend(wildcard),), removed_frontends=(specific,)))
    assert list(channel.sockets) == [wildcard]
    assert not reconciler.failures


@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_one_port_is_served_on_the_wildcard_and_on_an_address(
    reconciler: Reconciler, channel: Recorder, protocol: str, order: tuple[int, int]
) -> None:
    port = free_port()
    keys = [FrontendKey(protocol, "0.0.0.0", port), FrontendKey(protocol, "127.0.0.9", port)]
    reconciler.apply(Delta(pools=(pool(ONE),)))
    for index in order:
        reconciler.apply(Delta(frontends=(frontend(keys[index]),)))
    assert set(channel.sockets) == set(keys)
    assert not reconciler.failures


def test_a_taken_port_is_reported_once_with_its_holder_and_retried(
    reconciler: Reconciler, channel: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    taken = FrontendKey("TCP", "127.0.0.1", free_port())
    other = FrontendKey("TCP", "127.0.0.2", taken.port)
    with holder(taken):
        reconciler.apply(Delta(pools=(pool(ONE),), frontends=(frontend(taken), frontend(other))))
        for _ in range(3):
            reconciler.retry()
        assert set(channel.sockets) == {other}
        (error,) = errors(caplog)
        assert f"(pid {os.getpid()})" in error
        assert f"cannot listen on 127.0.0.1:{taken.port}/TCP" in error
        assert str(reconciler.failures[taken]) == error
    reconciler.retry()
    assert set(channel.sockets) == {taken, other}
    assert not reconciler.failures


def test_the_holder_is_looked_for_once(reconciler: Reconciler, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr("proxy.capture.bind_failure.holder_of", lambda *place: asked.append(place))
    taken = FrontendKey("TCP", "127.0.0.1", free_port())
    with holder(taken):
        reconciler.apply(Delta(pools=(pool(ONE),), frontends=(frontend(taken),)))
        for _ in range(3):
            reconciler.retry()
    assert len(asked) == 1


def test_a_port_is_not_shared_with_another_proxy_because_of_a_neighbour_of_ours(
    reconciler: Reconciler, channel: Recorder
) -> None:
    # Another svcproxy of the same user allows sharing once it has bound.
    taken = FrontendKey("TCP", "127.0.0.1", free_port())
    ours = FrontendKey("TCP", "127.0.0.2", taken.port)
    with holder(taken):
        reconciler.apply(Delta(pools=(pool(ONE),), frontends=(frontend(ours),)))
        reconciler.apply(Delta(frontends=(frontend(taken),)))
        assert set(channel.sockets) == {ours}
        assert set(reconciler.failures) == {taken}


def test_a_frontend_that_is_not_wanted_any_more_has_not_failed(reconciler: Reconciler, channel: Recorder) -> None:
    taken = FrontendKey("TCP", "127.0.0.1", free_port())
    with holder(taken):
        reconciler.apply(Delta(pools=(pool(ONE),), frontends=(frontend(taken),)))
        reconciler.apply(Delta(removed_frontends=(taken,)))
    assert not reconciler.failures
    reconciler.retry()
    assert not channel.sockets


def test_a_udp_frontend_has_a_socket_while_it_has_a_usable_endpoint(reconciler: Reconciler, channel: Recorder) -> None:
    key = FrontendKey("UDP", "127.0.0.1", free_port())
    reconciler.apply(Delta(pools=(pool(),), frontends=(frontend(key),)))
    assert not channel.sockets
    assert not reconciler.is_listening(key)
    for _ in range(2):
        reconciler.apply(Delta(pools=(pool(ONE),)))
        assert set(channel.sockets) == {key}
        reconciler.apply(Delta(pools=(pool(Target("127.0.0.1", 9, 0)),)))
        assert set(channel.sockets) == {key}, "flows to a drained endpoint go on"
        reconciler.apply(Delta(pools=(pool(),)))
        assert not channel.sockets
        reconciler.apply(Delta(pools=(pool(Target("127.0.0.1", 9, 0)),)))
        assert not channel.sockets


def test_a_udp_frontend_that_drops_has_its_socket_always(reconciler: Reconciler, channel: Recorder) -> None:
    key = FrontendKey("UDP", "127.0.0.1", free_port())
    reconciler.apply(Delta(pools=(pool(),), frontends=(frontend(key, when_empty="drop"),)))
    assert set(channel.sockets) == {key}
    reconciler.apply(Delta(frontends=(frontend(key),)))
    assert not channel.sockets


def test_a_udp_frontend_without_endpoints_does_not_fail_for_a_taken_port(
    reconciler: Reconciler, channel: Recorder
) -> None:
    key = FrontendKey("UDP", "127.0.0.1", free_port())
    with holder(key):
        reconciler.apply(Delta(pools=(pool(ONE),), frontends=(frontend(key),)))
        assert set(reconciler.failures) == {key}
        reconciler.apply(Delta(pools=(pool(),)))
        assert not reconciler.failures
    reconciler.apply(Delta(pools=(pool(ONE),)))
    assert set(channel.sockets) == {key}


def test_an_address_of_another_machine_fails_alone_and_is_explained(reconciler: Reconciler, channel: Recorder) -> None:
    here, elsewhere = FrontendKey("TCP", "127.0.0.1", free_port()), FrontendKey("TCP", "192.0.2.1", free_port())
    reconciler.apply(Delta(pools=(pool(ONE),), frontends=(frontend(elsewhere), frontend(here))))
    assert set(channel.sockets) == {here}
    assert "the address is not on this machine" in str(reconciler.failures[elsewhere])


def test_an_address_in_a_routed_range_is_bound_freely(channel: Recorder) -> None:
    reconciler = Reconciler(channel, BindCapture(channel.width, 10_000), lambda routed: routed.address == "192.0.2.1")
    key = FrontendKey("TCP", "192.0.2.1", free_port())
    reconciler.apply(Delta(pools=(pool(ONE),), frontends=(frontend(key),)))
    assert set(channel.sockets) == {key}


def begin(key: FrontendKey) -> None:
    """The first packet of a client, which gives up at once."""
    family = socket.AF_INET6 if ":" in key.address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM if key.protocol == "TCP" else socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        client.connect_ex((key.address, key.port))
        if key.protocol == "UDP":
            client.send(b"anybody?")


def until_dropped(reconciler: Reconciler, key: str, counts: Mapping[DropCause, int]) -> None:
    eventually(lambda: reconciler.drops.of(key) == counts, f"{counts} of {key}")


@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"], ids=["IPv4", "IPv6"])
def test_what_is_dropped_is_counted_by_pool_and_cause_whatever_becomes_of_the_sockets(
    reconciler: Reconciler, protocol: str, address: str
) -> None:
    key = FrontendKey(protocol, address, free_port())
    ranged = frontend(key, when_empty="drop", source_ranges=("192.0.2.0/24", "2001:db8::/32"))
    reconciler.apply(Delta(pools=(pool(ONE),), frontends=(ranged,)))
    begin(key)
    begin(key)
    until_dropped(reconciler, "web", {DropCause.SOURCE_RANGES: 2})
    reconciler.apply(Delta(pools=(pool(),)))
    begin(key)
    until_dropped(reconciler, "web", {DropCause.SOURCE_RANGES: 2, DropCause.NO_LOCAL_ENDPOINTS: 1})
    reconciler.apply(Delta(removed_frontends=(key,)))
    reconciler.apply(Delta(pools=(pool(ONE),), frontends=(ranged,)))
    begin(key)
    until_dropped(reconciler, "web", {DropCause.SOURCE_RANGES: 3, DropCause.NO_LOCAL_ENDPOINTS: 1})
    # The address becomes another Service's.
    reconciler.apply(Delta(pools=(pool(ONE, key="other"),), frontends=(msgspec.structs.replace(ranged, pool="other"),)))
    begin(key)
    until_dropped(reconciler, "web", {DropCause.SOURCE_RANGES: 3, DropCause.NO_LOCAL_ENDPOINTS: 1})
    until_dropped(reconciler, "other", {DropCause.SOURCE_RANGES: 1})
    reconciler.apply(Delta(removed_pools=("web",)))
    reconciler.give_up(protocol)
    reconciler.close()
    assert {key: reconciler.drops.of(key) for key in reconciler.drops.pools()} == {
        "other": {DropCause.SOURCE_RANGES: 1}
    }


def test_a_frontend_that_lets_everybody_in_is_not_looked_at(reconciler: Reconciler) -> None:
    key = FrontendKey("TCP", "127.0.0.1", free_port())
    reconciler.apply(Delta(pools=(pool(ONE),), frontends=(frontend(key),)))
    assert list(reconciler.drops.pools()) == []


def test_nothing_is_remembered_of_what_is_gone(reconciler: Reconciler, channel: Recorder) -> None:
    key = FrontendKey("TCP", "127.0.0.1", free_port())
    reconciler.apply(Delta(pools=(pool(ONE),), frontends=(frontend(key),)))
    reconciler.apply(Delta(pools=(pool(ONE, key="new"),), frontends=(frontend(key, "new"),), removed_pools=("web",)))
    reconciler.apply(Delta(removed_frontends=(key,), removed_pools=("new",)))
    assert not any((reconciler._pools, reconciler._frontends, reconciler._by_pool, reconciler._groups))
    assert not reconciler._ports


def test_too_few_descriptors_are_one_line_and_what_fits_is_served(
    channel: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    room = 3

    class Narrow(BindCapture):
        def open(self, key: FrontendKey, shared: bool, routed: bool) -> ListeningGroup:
            if len(made._groups) >= room:
                raise OSError(errno.EMFILE, "Too many open files")
            return super().open(key, shared, routed)

    made = Reconciler(channel, Narrow(1, 10_000), lambda address: False)
    keys = [FrontendKey("TCP", f"127.0.0.{number}", free_port()) for number in range(1, 9)]
    made.apply(Delta(pools=(pool(ONE),), frontends=tuple(frontend(key) for key in keys)))
    assert len(channel.sockets) == room
    (line,) = errors(caplog)
    assert line.startswith("out of file descriptors: 5 of 8 frontends do not listen; all together need 8 sockets")
    assert {failure.number for failure in made.failures.values()} == {errno.EMFILE}
    made.retry()
    assert len(errors(caplog)) == 1
    room = 100
    made.retry()
    assert not made.failures
    made.close()


@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
def test_a_port_that_somebody_takes_during_a_hand_over_is_told_and_retried(channel: Recorder, protocol: str) -> None:
    told: list[str] = []

    def tell() -> None:
        told.append("; ".join(map(str, made.failures.values())))

    made = Reconciler(channel, BindCapture(channel.width, 10_000), lambda address: False, tell)
    port = free_port()
    wildcard, specific = FrontendKey(protocol, "0.0.0.0", port), FrontendKey(protocol, "127.0.0.1", port)
    made.apply(Delta(pools=(pool(ONE),), frontends=(frontend(wildcard),)))
    channel.slow = True
    made.apply(Delta(frontends=(frontend(specific),), removed_frontends=(wildcard,)))
    assert not made.failures
    for sock in channel._closing:
        sock.close()
    channel._closing.clear()
    told.clear()
    with holder(specific):
        channel.catch_up()
        assert [text.partition(" is taken by")[0] for text in told] == [
            f"cannot listen on 127.0.0.1:{port}/{protocol}: port {port}"
        ]
        made.retry()
        assert len(told) == 1
    made.retry()
    assert told[1:] == [""]
    assert made.is_listening(specific)


@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"], ids=["IPv4", "IPv6"])
def test_ranges_that_the_kernel_does_not_take_are_a_failure_until_they_are_others(
    reconciler: Reconciler, caplog: pytest.LogCaptureFixture, protocol: str, address: str
) -> None:
    key = FrontendKey(protocol, address, free_port())
    prefix = "2001:db8:{:x}::/48" if ":" in address else "10.{0}.{1}.0/25"
    many = tuple(prefix.format(2 * number if ":" in address else number // 256, number % 256) for number in range(2048))
    reconciler.apply(Delta(pools=(pool(ONE),), frontends=(frontend(key, source_ranges=many),)))
    reconciler.retry()
    (failure,) = map(str, reconciler.failures.values())
    assert failure.startswith("cannot serve ")
    assert "nobody is let in" in failure
    assert errors(caplog) == [failure]
    assert reconciler.is_listening(key)
    reconciler.apply(Delta(frontends=(frontend(key, source_ranges=many[:9]),)))
    assert not reconciler.failures


def test_an_error_of_one_frontends_socket_is_that_frontends_failure(
    reconciler: Reconciler, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = (FrontendKey("TCP", f"127.0.0.{number}", free_port()) for number in (1, 2))
    reconciler.apply(
        Delta(
            pools=(pool(ONE, key="one"), pool(ONE, key="other")),
            frontends=(frontend(one, "one"), frontend(other, "other")),
        )
    )
    refuse = ListeningGroup._refuse

    def fail(self: ListeningGroup) -> None:
        if self.sockets[0].getsockname()[0] == one.address:
            raise OSError(errno.ENOBUFS, "No buffer space available")
        refuse(self)

    with monkeypatch.context() as broken:
        broken.setattr(ListeningGroup, "_refuse", fail)
        reconciler.apply(Delta(pools=(pool(key="one"), pool(key="other"))))
    place = f"127.0.0.1:{one.port}/TCP"
    assert [str(each) for each in reconciler.failures.values()] == [f"cannot serve {place}: No buffer space available"]
    reconciler.retry()
    assert not reconciler.failures
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(one[1:])
