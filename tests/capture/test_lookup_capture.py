"""Frontends as entries of the kernel's map: when clients are let in, kept out, and whose port is whose."""

import errno
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest

from proxy.bpf.bpf_error import BpfError
from proxy.bpf.verdict import Verdict
from proxy.capture import lookup_capture
from proxy.capture.capture import Captured
from proxy.capture.drop_meter import DropCause
from proxy.capture.lookup_capture import LookupCapture, LookupPlace, verdict_of
from proxy.plan.frontend import Delta, Frontend, FrontendKey, Pool, Target
from proxy.workers.data_plane import Sockets
from tests.system.harness.eventually import eventually

pytestmark = pytest.mark.requires("ip")

ONE = Target("127.0.0.1", 8080)
WEB = FrontendKey("TCP", "10.96.0.10", 80)
WEB6 = FrontendKey("TCP", "fd00:96::10", 80)
EITHER = pytest.mark.parametrize("key", [WEB, WEB6], ids=["IPv4", "IPv6"])


class Workers:
    """A data plane whose workers apply what they were told when the test says so."""

    width = 2

    def __init__(self) -> None:
        self._waiting: list[Callable[[], None]] = []

    def send(self, delta: Delta, sockets: Sockets) -> None:
        raise AssertionError("a capture tells nothing")

    def close(self, sockets: Iterable[socket.socket]) -> None:
        raise AssertionError("a capture closes nothing of the workers'")

    def when_applied(self, callback: Callable[[], None]) -> None:
        self._waiting.append(callback)

    def apply(self) -> None:
        waiting, self._waiting = self._waiting, []
        for callback in waiting:
            callback()


@pytest.fixture
def workers() -> Workers:
    return Workers()


@pytest.fixture
def capture(network_namespace: None) -> Iterator[LookupCapture]:
    capture = made_capture()
    yield capture
    capture.close()


def made_capture() -> LookupCapture:
    try:
        return LookupCapture(2)
    except BpfError as error:
        pytest.skip(f"not permitted: {error}")


def pool(*targets: Target, affinity: int = 0) -> Pool:
    return Pool("web", "default/web", "", "TCP", "rr", "web", affinity, 5.0, 0.0, targets)


def frontend(key: FrontendKey = WEB, **changes: Any) -> Frontend:
    return Frontend(key, "web", "default/web", "ClusterIP", **changes)


def put_in_force(capture: LookupCapture, workers: Workers, place: Captured, key: FrontendKey, of: Pool) -> None:
    place.settle(frontend(key), of)
    capture.told(workers, lambda: None)
    workers.apply()


def begin(key: FrontendKey) -> None:
    """The first packet of a client, which gives up at once."""
    with socket.socket(socket.AF_INET6 if ":" in key.address else socket.AF_INET) as client:
        client.setblocking(False)
        client.connect_ex((key.address, key.port))


def forbid_binds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may be bound any more: what opens is taken to be free without a try."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(lookup_capture, "bind_only", refuse)


def connects(key: FrontendKey, wait: float = 5) -> bool:
    try:
        socket.create_connection((key.address, key.port), wait).close()
    except ConnectionRefusedError:
        return False
    return True


@EITHER
def test_clients_are_let_in_once_the_workers_know_the_frontend(
    capture: LookupCapture, workers: Workers, key: FrontendKey
) -> None:
    said: list[str] = []
    capture.open(key, shared=False, routed=True).settle(frontend(key), pool(ONE))
    capture.told(workers, lambda: said.append("in force"))
    assert not connects(key)
    assert said == []
    workers.apply()
    assert connects(key)
    assert said == ["in force"]


@EITHER
def test_an_emptied_pool_refuses_at_once_and_a_filled_one_serves_when_the_workers_know(
    capture: LookupCapture, workers: Workers, key: FrontendKey
) -> None:
    place = capture.open(key, shared=False, routed=True)
    put_in_force(capture, workers, place, key, pool(ONE))
    place.settle(frontend(key), pool())
    assert not connects(key)
    put_in_force(capture, workers, place, key, pool(ONE))
    assert connects(key)


def test_a_frontend_that_goes_before_the_workers_know_it_is_never_let_in(
    capture: LookupCapture, workers: Workers
) -> None:
    place = capture.open(WEB, shared=False, routed=True)
    place.settle(frontend(), pool(ONE))
    capture.told(workers, lambda: None)
    place.leave()
    workers.apply()
    assert not connects(WEB)


def test_what_was_waiting_is_put_in_force_in_its_newest_form(capture: LookupCapture, workers: Workers) -> None:
    place = capture.open(WEB, shared=False, routed=True)
    place.settle(frontend(), pool(ONE))
    capture.told(workers, lambda: None)
    place.settle(frontend(), pool())
    workers.apply()
    assert not connects(WEB)


def test_a_frontend_that_leaves_is_refused(capture: LookupCapture, workers: Workers) -> None:
    place = capture.open(WEB, shared=False, routed=True)
    put_in_force(capture, workers, place, WEB, pool(ONE))
    place.leave()
    place.close()
    assert not connects(WEB)


def test_silence_is_silence(capture: LookupCapture) -> None:
    capture.open(WEB, shared=False, routed=True).settle(frontend(when_empty="drop"), pool())
    with pytest.raises(TimeoutError):
        connects(WEB, wait=0.3)


def test_clients_from_outside_the_source_ranges_meet_silence(capture: LookupCapture, workers: Workers) -> None:
    place = capture.open(WEB, shared=False, routed=True)
    place.settle(frontend(source_ranges=("192.0.2.0/24",)), pool(ONE))
    capture.told(workers, lambda: None)
    workers.apply()
    with pytest.raises(TimeoutError):
        connects(WEB, wait=0.3)


@EITHER
def test_other_ranges_are_in_force_before_the_slowest_worker_hears_of_them(
    capture: LookupCapture, workers: Workers, key: FrontendKey
) -> None:
    place = capture.open(key, shared=False, routed=True)
    put_in_force(capture, workers, place, key, pool(ONE))
    place.settle(frontend(key, source_ranges=("192.0.2.0/24", "2001:db8::/32")), pool(ONE))
    with pytest.raises(TimeoutError):
        connects(key, wait=0.3)
    place.settle(frontend(key), pool(ONE))
    assert connects(key)


@EITHER
def test_an_entry_that_the_kernel_refuses_is_that_frontends_fault_and_lets_nobody_in(
    network_namespace: None, workers: Workers, monkeypatch: pytest.MonkeyPatch, key: FrontendKey
) -> None:
    # The capture's own entries and one more.
    monkeypatch.setattr("proxy.bpf.socket_lookup.CAPACITY", 13)
    capture = made_capture()
    other = key._replace(port=81)
    places = {each: capture.open(each, shared=False, routed=True) for each in (key, other)}
    for each, place in places.items():
        place.settle(frontend(each), pool(ONE))
    capture.told(workers, lambda: None)
    workers.apply()
    faults = {each: place.fault for each, place in places.items()}
    (served,) = (each for each, fault in faults.items() if fault is None)
    (refused,) = places.keys() - {served}
    assert str(faults[refused]).startswith("cannot change the BPF map svc_entries: it is full")
    assert connects(served)
    assert not connects(refused)
    # Ranges that find no room leave nobody in, whoever was before.
    ranges = tuple(f"192.0.{number}.0/24" for number in range(14)) + tuple(f"2001:{n}::/32" for n in range(14))
    places[served].settle(frontend(served, source_ranges=ranges), pool(ONE))
    assert str(places[served].fault).startswith("cannot change the BPF map svc_ranges: it is full")
    assert not connects(served)
    put_in_force(capture, workers, places[refused], refused, pool(ONE))
    assert places[refused].fault is None
    assert connects(refused)
    capture.close()


@EITHER
def test_packets_that_meet_silence_are_counted_for_the_reason_of_that_moment(
    capture: LookupCapture, workers: Workers, key: FrontendKey
) -> None:
    place = capture.open(key, shared=False, routed=True)
    place.settle(frontend(key, when_empty="drop"), pool())
    assert place.drops
    taken = place.take_drops()
    begin(key)
    eventually(lambda: taken.update(place.take_drops()) or taken.total() == 1, "a packet")
    elsewhere = ("192.0.2.0/24", "2001:db8::/32")
    place.settle(frontend(key, when_empty="drop", source_ranges=elsewhere), pool(ONE))
    capture.told(workers, lambda: None)
    workers.apply()
    begin(key)
    begin(key)
    eventually(lambda: taken.update(place.take_drops()) or taken.total() == 3, "two more")
    assert taken == {DropCause.NO_LOCAL_ENDPOINTS: 1, DropCause.SOURCE_RANGES: 2}
    assert place.take_drops() == {}
    put_in_force(capture, workers, place, key, pool(ONE))
    assert connects(key)
    assert place.take_drops() == {}


@EITHER
@pytest.mark.parametrize("expected", [1, 1000])
def test_a_port_that_somebody_listens_on_is_taken(capture: LookupCapture, key: FrontendKey, expected: int) -> None:
    family = socket.AF_INET6 if ":" in key.address else socket.AF_INET
    anywhere = "::" if family == socket.AF_INET6 else "0.0.0.0"
    node_port = FrontendKey("TCP", anywhere, 30080)
    with socket.create_server((anywhere, 30080), family=family):
        capture.expect(expected)
        for taken in (node_port, key._replace(port=30080)):
            with pytest.raises(OSError, match="Address already in use"):
                capture.open(taken, shared=False, routed=True)
    capture.expect(expected)
    assert isinstance(capture.open(node_port, shared=False, routed=True), LookupPlace)


@pytest.mark.parametrize("expected", [1, 1000])
def test_an_address_that_is_not_here_is_an_error(capture: LookupCapture, expected: int) -> None:
    capture.expect(expected)
    with pytest.raises(OSError, match="Cannot assign"):
        capture.open(FrontendKey("TCP", "203.0.113.1", 80), shared=False, routed=False)


def test_a_frontend_takes_no_descriptor_and_the_shared_sockets_are_one_a_worker(capture: LookupCapture) -> None:
    assert capture.open(WEB, shared=False, routed=True).sockets == ()
    assert {len(sockets) for sockets in capture.shared.values()} == {2}
    assert all(sock.getsockname()[:2] == key[1:] for key, sockets in capture.shared.items() for sock in sockets)


def test_nobody_reaches_a_shared_socket_by_its_own_port(capture: LookupCapture) -> None:
    assert [key for key in capture.shared if connects(key)] == []


def test_udp_frontends_take_no_descriptor_either(capture: LookupCapture) -> None:
    assert not capture.open(FrontendKey("UDP", "10.96.0.10", 53), shared=False, routed=True).sockets


@pytest.mark.parametrize("expected", [1, 1000])
@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
def test_a_low_port_that_may_not_be_bound_is_an_error_where_answers_leave_from_it(
    capture: LookupCapture, monkeypatch: pytest.MonkeyPatch, protocol: str, expected: int
) -> None:
    capture.expect(expected)
    forbid_binds(monkeypatch)
    with pytest.raises(PermissionError) if protocol == "UDP" else nullcontext():
        capture.open(FrontendKey(protocol, "10.96.0.10", 53), shared=False, routed=True)


@EITHER
@pytest.mark.parametrize(("start", "is_free"), [(1501, False), (1500, True), (0, True)])
def test_which_ports_are_low_is_the_namespaces_own_business(
    capture: LookupCapture,
    unprivileged_from: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
    key: FrontendKey,
    start: int,
    is_free: bool,
) -> None:
    unprivileged_from(start)
    capture.expect(1000)
    forbid_binds(monkeypatch)
    with nullcontext() if is_free else pytest.raises(PermissionError):
        capture.open(FrontendKey("UDP", key.address, 1500), shared=False, routed=True)


def test_stopping_refuses_everybody_new(capture: LookupCapture, workers: Workers) -> None:
    place = capture.open(WEB, shared=False, routed=True)
    put_in_force(capture, workers, place, WEB, pool(ONE))
    capture.stop("UDP")
    assert connects(WEB)
    capture.stop("TCP")
    assert not connects(WEB)


def test_what_is_applied_after_the_end_is_nobodys_trouble(
    capture: LookupCapture, workers: Workers, caplog: pytest.LogCaptureFixture
) -> None:
    capture.open(WEB, shared=False, routed=True).settle(frontend(), pool(ONE))
    capture.told(workers, lambda: None)
    capture.close()
    workers.apply()
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("changes", "targets", "affinity", "width", "verdict"),
    [
        ({}, (ONE,), 0, 2, Verdict.SPREAD),
        ({}, (ONE,), 60, 2, Verdict.STEERED),
        ({}, (ONE,), 60, 1, Verdict.SPREAD),
        ({}, (), 60, 2, Verdict.REFUSED),
        ({"when_empty": "drop"}, (), 0, 2, Verdict.IGNORED),
        ({"when_empty": "drop"}, (ONE,), 0, 2, Verdict.SPREAD),
        ({}, (Target("127.0.0.1", 8080, 0),), 0, 2, Verdict.REFUSED),
    ],
)
def test_the_verdict_follows_the_pool(
    changes: dict[str, Any], targets: tuple[Target, ...], affinity: int, width: int, verdict: Verdict
) -> None:
    assert verdict_of(frontend(**changes), pool(*targets, affinity=affinity), width) is verdict
