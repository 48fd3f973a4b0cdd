"""What a list-watch asks for, by hand: no socket, and a clock that only the test moves."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.metadata import ObjectMeta
from proxy.model.service import Service
from proxy.sources.kubernetes_api.list_watch import Backoff, ListWatch, Phase
from proxy.sources.kubernetes_api.object_store import Observed
from proxy.sources.kubernetes_api.payloads import Bookmark, Failure, ListPage, Put, Removed, WatchEvent
from proxy.sources.kubernetes_api.resource import Scope, services
from proxy.sources.kubernetes_api.timing import Timing

TIMING = Timing()
LONG = 1000.0


def observed(name: str, version: int) -> Observed[Service]:
    metadata = ObjectMeta(name=name, namespace="default", resource_version=str(version))
    return Observed(("default", name), str(version), Service(metadata))


def removed(name: str, version: int) -> Removed[Service]:
    return Removed(Observed(("default", name), str(version), None))


def end_of_list(version: int) -> Bookmark:
    return Bookmark(str(version), initial_events_end=True)


def names(list_watch: ListWatch[Service]) -> list[str]:
    return sorted(each.metadata.name for each in list_watch.store.items)


def asked(list_watch: ListWatch[Service]) -> dict[str, str]:
    query = dict(list_watch.request().query)
    assert query.pop("labelSelector") == "!service.kubernetes.io/service-proxy-name"
    return query


def fresh(*, namespace: str = "") -> ListWatch[Service]:
    return ListWatch(services(Scope("node", namespace)), TIMING, Random(1))


def paging() -> ListWatch[Service]:
    """One whose server knows no streaming lists."""
    list_watch = fresh()
    list_watch.on_refused(422, "sendInitialEvents is forbidden", 0.0)
    return list_watch


def watching(*known: str, now: float = 0.0) -> ListWatch[Service]:
    """One that has a list at version 100, and watches since `now`."""
    list_watch = fresh()
    list_watch.on_accepted(now)
    list_watch.on_events([*(Put(observed(name, 50)) for name in known), end_of_list(100)], now)
    list_watch.store.drain()
    return list_watch


def test_the_first_request_is_a_streaming_list_at_once() -> None:
    list_watch = fresh()
    query = asked(list_watch)
    assert 300 <= int(query.pop("timeoutSeconds")) <= 600
    assert query == {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
    }
    assert list_watch.ready_at == 0.0
    assert list_watch.patience == TIMING.initial_events_patience


def test_a_streaming_list_is_nothing_until_its_last_bookmark_and_then_the_same_stream_is_a_watch() -> None:
    list_watch = fresh()
    list_watch.on_accepted(0.0)
    assert list_watch.on_events([Put(observed("a", 1)), Put(observed("b", 2)), Bookmark("2", False)], 0.0)
    assert list_watch.store.drain() == {}
    assert list_watch.on_events([end_of_list(2), Put(observed("c", 3)), removed("a", 4)], 0.0)
    assert list_watch.synced
    assert names(list_watch) == ["b", "c"]
    assert list_watch.patience == 630.0


NO_PROGRESS = (
    "a watch stream was requested by the client but the required storage feature RequestWatchProgress is disabled"
)


@pytest.mark.parametrize(
    "end",
    [
        lambda each: each.on_events([Failure(500, NO_PROGRESS)], 1.0),
        lambda each: each.on_events([Failure(410, "too old")], 1.0),
        lambda each: each.on_end(1.0, orderly=False),
        lambda each: each.on_end(1.0, orderly=True),
        lambda each: each.on_refused(500, "internal", 1.0),
        lambda each: each.on_refused(403, "forbidden", 1.0),
        lambda each: each.on_refused(410, "too old", 1.0),
        lambda each: each.on_garbled("nonsense", 1.0),
        lambda each: each.on_silence(1.0),
    ],
)
def test_whatever_ends_a_streaming_list_it_is_followed_by_pages(end: "object") -> None:
    list_watch = fresh()
    list_watch.on_accepted(0.0)
    list_watch.on_events([Put(observed("gone-since", 1))], 0.0)
    assert callable(end)
    end(list_watch)
    assert asked(list_watch) == {"limit": "500"}
    list_watch.on_accepted(2.0)
    list_watch.on_page(ListPage((observed("a", 2),), "3"), 2.0)
    assert names(list_watch) == ["a"]
    assert list_watch.fault == ""


def test_an_error_of_a_streaming_list_is_told_until_one_works() -> None:
    list_watch = fresh()
    list_watch.on_accepted(0.0)
    list_watch.on_events([Failure(500, NO_PROGRESS)], 1.0)
    assert list_watch.ready_at == 1.0
    told = f"lists come in pages, since a streaming list was answered with: {NO_PROGRESS} (500)"
    assert list_watch.notice == told
    list_watch.on_page(ListPage((), "3"), 2.0)
    assert list_watch.notice == told
    assert list_watch.statistics(2.0).errors == 1
    list_watch.on_events([Failure(410, "too old")], 3.0)
    assert asked(list_watch)["sendInitialEvents"] == "true"
    list_watch.on_events([end_of_list(5)], 4.0)
    assert list_watch.notice == ""
    assert list_watch.statistics(4.0).errors == 1


def test_an_error_of_a_watch_is_told_until_the_server_answers_again() -> None:
    list_watch = watching("a")
    list_watch.on_events([Failure(500, "etcdserver: leader changed")], 1.0)
    assert list_watch.fault == "cannot watch services in the cluster: etcdserver: leader changed (500)"
    assert (list_watch.statistics(1.0).errors, names(list_watch)) == (1, ["a"])
    list_watch.on_accepted(2.0)
    assert list_watch.fault == ""


@pytest.mark.parametrize("code", [400, 422])
def test_a_server_without_streaming_lists_is_asked_for_pages_at_once_and_from_then_on(code: int) -> None:
    list_watch = fresh()
    list_watch.on_refused(code, "unknown", 5.0)
    assert (list_watch.ready_at, list_watch.fault) == (5.0, "")
    assert asked(list_watch) == {"limit": "500"}
    list_watch.on_page(ListPage((), "1"), 5.0)
    list_watch.on_events([Failure(410, "too old")], 5.0)
    assert asked(list_watch) == {"limit": "500"}


def test_a_streaming_list_without_its_last_bookmark_is_given_up_for_pages() -> None:
    list_watch = fresh()
    list_watch.on_accepted(0.0)
    list_watch.on_events([Put(observed("a", 1))], 0.0)
    list_watch.on_silence(15.0)
    assert asked(list_watch) == {"limit": "500"}
    assert (list_watch.ready_at, list_watch.fault) == (15.0, "")


def test_a_list_is_complete_with_its_last_page() -> None:
    list_watch = paging()
    list_watch.on_page(ListPage((observed("a", 1),), "7", "token"), 0.0)
    assert not list_watch.synced
    assert asked(list_watch) == {"limit": "500", "continue": "token"}
    list_watch.on_page(ListPage((observed("b", 2),), "7"), 0.0)
    assert names(list_watch) == ["a", "b"]
    query = asked(list_watch)
    assert (query["watch"], query["resourceVersion"]) == ("true", "7")
    assert list_watch.ready_at == 0.0


def test_an_expired_token_leads_to_a_list_in_one_page() -> None:
    list_watch = paging()
    list_watch.on_page(ListPage((observed("a", 1),), "7", "token"), 0.0)
    list_watch.on_refused(410, "expired", 0.0)
    assert asked(list_watch) == {}
    list_watch.on_page(ListPage((observed("b", 2),), "9"), 1.0)
    assert names(list_watch) == ["b"]
    list_watch.on_garbled("nonsense", 2.0)
    assert asked(list_watch) == {"limit": "500"}


def test_a_failed_page_is_asked_for_again() -> None:
    list_watch = paging()
    list_watch.on_page(ListPage((observed("a", 1),), "7", "token"), 0.0)
    list_watch.on_unreachable("refused", 0.0)
    assert list_watch.fault == "cannot be reached: refused"
    assert asked(list_watch)["continue"] == "token"


def test_a_watch_that_ends_goes_on_from_the_last_version() -> None:
    list_watch = watching("a")
    list_watch.on_events([Put(observed("b", 105)), Bookmark("120", False)], 1.0)
    list_watch.on_end(2.0, orderly=False)
    assert asked(list_watch)["resourceVersion"] == "120"
    assert list_watch.phase is Phase.WATCH


@pytest.mark.parametrize(
    "end",
    [
        lambda each: each.on_events([Failure(410, "too old"), Put(observed("never", 999))], 1.0),
        lambda each: each.on_events([Failure(500, "internal")], 1.0),
        lambda each: each.on_refused(410, "too old", 1.0),
        lambda each: each.on_refused(400, "bad", 1.0),
        lambda each: each.on_refused(504, "Too large resource version: 100, current: 7", 1.0),
        lambda each: each.on_garbled("nonsense", 1.0),
        lambda each: each.relist(1.0),
    ],
)
def test_where_a_watch_cannot_go_on_a_new_list_replaces_what_is_served_and_nothing_is_dropped_before(
    end: "object",
) -> None:
    list_watch = watching("a", "b")
    assert callable(end)
    assert not end(list_watch)
    assert "resourceVersion" not in asked(list_watch)
    assert names(list_watch) == ["a", "b"]
    assert list_watch.store.drain() == {}
    list_watch.on_accepted(2.0)
    list_watch.on_events([Put(observed("b", 3)), Put(observed("c", 4)), end_of_list(5)], 2.0)
    assert {key[1]: item is not None for key, item in list_watch.store.drain().items()} == {
        "a": False,
        "b": True,
        "c": True,
    }


def test_an_event_out_of_order_counts_and_the_next_stream_begins_with_a_list() -> None:
    list_watch = watching()
    list_watch.on_events([Put(observed("b", 106)), Put(observed("a", 105))], 0.0)
    assert names(list_watch) == ["a", "b"]
    list_watch.on_end(1.0, orderly=True)
    assert "resourceVersion" not in asked(list_watch)


def test_the_same_event_twice_is_one() -> None:
    list_watch = watching()
    list_watch.on_events([Put(observed("a", 105)), Put(observed("a", 105))], 0.0)
    list_watch.on_end(1.0, orderly=True)
    assert asked(list_watch)["resourceVersion"] == "105"


@pytest.mark.parametrize("code", [401, 403, 429, 500, 503])
def test_a_refused_watch_is_reported_and_asked_for_again_from_where_it_was(code: int) -> None:
    list_watch = watching("a")
    list_watch.on_refused(code, "no", 10.0)
    assert list_watch.fault.startswith(("cannot watch services", "may not watch services"))
    assert f"no ({code})" in list_watch.fault
    assert 10.5 <= list_watch.ready_at <= 40.0
    assert asked(list_watch)["resourceVersion"] == "100"
    list_watch.on_accepted(50.0)
    assert list_watch.fault == ""


def test_a_missing_right_is_named_with_verb_resource_and_namespace() -> None:
    list_watch = fresh(namespace="team")
    list_watch.on_refused(403, "", 0.0)
    assert list_watch.fault == (
        "may not watch services in namespace team: status 403: grant the verbs list and watch "
        "(config/kubernetes/rbac.yaml)"
    )
    listing = paging()
    listing.on_refused(401, "who?", 0.0)
    assert listing.fault == "may not list services in the cluster: the credentials are not accepted: who? (401)"


def test_a_watch_that_lived_and_was_ended_in_order_goes_on_at_once() -> None:
    list_watch = watching()
    list_watch.on_end(LONG, orderly=True)
    assert list_watch.ready_at == LONG
    assert list_watch.fault == ""


@pytest.mark.parametrize(("lived", "orderly"), [(LONG, False), (1.0, True), (1.0, False)])
def test_a_watch_that_was_cut_or_ended_early_goes_on_after_a_pause(lived: float, orderly: bool) -> None:
    list_watch = watching()
    list_watch.on_end(lived, orderly=orderly)
    assert lived + 0.5 <= list_watch.ready_at <= lived + 30.0
    assert list_watch.fault == ""


def test_streams_that_end_at_once_are_asked_for_less_and_less_often() -> None:
    list_watch = watching()
    pauses = []
    now = 0.0
    for _ in range(30):
        list_watch.on_accepted(now)
        list_watch.on_end(now, orderly=True)
        pauses.append(list_watch.ready_at - now)
        now = list_watch.ready_at
    assert min(pauses) >= 0.5
    assert max(pauses[10:]) > 10.0
    list_watch.on_accepted(now)
    list_watch.on_end(now + LONG, orderly=False)
    assert list_watch.ready_at - now - LONG <= 1.5


def test_a_watch_that_was_worth_its_pause_is_asked_for_soon() -> None:
    list_watch = watching()
    now = 0.0
    for _ in range(20):
        list_watch.on_unreachable("refused", now)
        now = list_watch.ready_at
    for _ in range(5):
        list_watch.on_accepted(now)
        list_watch.on_end(now + 31.0, orderly=False)
        now = list_watch.ready_at
        list_watch.on_accepted(now)
        list_watch.on_end(now + 5.0, orderly=False)
        assert list_watch.ready_at - now - 5.0 <= 1.5
        now = list_watch.ready_at


def test_a_silent_watch_is_replaced() -> None:
    list_watch = watching()
    assert (list_watch.answer_patience, list_watch.patience) == (60.0, 630.0)
    list_watch.on_silence(LONG)
    assert asked(list_watch)["resourceVersion"] == "100"
    assert "nothing came for 630 s" in list_watch.fault


class Server:
    """An API server in a few lines, which answers as `request` asks: the truth that a list-watch has to arrive at."""

    def __init__(self, list_watch: ListWatch[Service], random: Random, *, streaming: bool) -> None:
        self.objects: dict[str, int] = {}
        self.streaming = streaming
        self.list_watch = list_watch
        self._random = random
        self._log: list[tuple[int, WatchEvent[Service]]] = []
        self._version = 10
        self._told = 0
        self._open = False

    def change(self, step: str, name: str) -> None:
        if step == "remove" and name not in self.objects:
            return
        self._version += 1
        if step == "put":
            self.objects[name] = self._version
            self._log.append((self._version, Put(observed(name, self._version))))
        else:
            del self.objects[name]
            self._log.append((self._version, removed(name, self._version)))

    def disturb(self, step: str) -> None:
        """One step of the stream, or a new request where there is none."""
        if not self._open:
            self.answer()
        elif step == "tell":
            self.tell()
        elif step == "duplicate":
            again = [event for at, event in self._log if at <= self._told]
            self._random.shuffle(again)
            self.list_watch.on_events(again, 0.0)
        else:
            self._open = False
            self._break_off(step)

    def settle(self) -> None:
        """Answer until a stream is open, and tell everything."""
        for _ in range(3):
            if not self._open:
                self.answer()
        self.tell()

    def answer(self) -> None:
        request = dict(self.list_watch.request().query)
        if "sendInitialEvents" in request and not self.streaming:
            self.list_watch.on_refused(422, "forbidden", 0.0)
            return
        self.list_watch.on_accepted(0.0)
        now = tuple(observed(name, at) for name, at in self.objects.items())
        if "watch" not in request:
            self.list_watch.on_page(ListPage(now, str(self._version)), 0.0)
            return
        self._open, self._told = True, int(request.get("resourceVersion", self._version))
        if "sendInitialEvents" in request:
            self.list_watch.on_events([*map(Put, now), end_of_list(self._version)], 0.0)

    def tell(self) -> None:
        self.list_watch.on_events([event for at, event in self._log if at > self._told], 0.0)
        self._told = self._version

    def _break_off(self, step: str) -> None:
        match step:
            case "cut":
                self.list_watch.on_end(0.0, orderly=False)
            case "expire":
                self.list_watch.on_events([Failure(410, "too old")], 0.0)
            case "refuse":
                self.list_watch.on_end(0.0, orderly=True)
                self.list_watch.on_refused(410, "too old", 0.0)
            case "garble":
                self.list_watch.on_garbled("nonsense", 0.0)
            case "silence":
                self.list_watch.on_silence(0.0)
            case "relist":
                self.list_watch.relist(0.0)


CHANGES = st.tuples(st.sampled_from(["put", "remove"]), st.sampled_from("abcd"))
DISTURBANCES = st.sampled_from(["tell", "cut", "expire", "refuse", "garble", "silence", "relist", "duplicate"])


@given(st.lists(CHANGES | DISTURBANCES, max_size=40), st.booleans(), st.randoms())
def test_whatever_happens_the_store_ends_as_the_server_has_it(
    steps: list[tuple[str, str] | str], streaming: bool, random: Random
) -> None:
    list_watch = fresh()
    server = Server(list_watch, random, streaming=streaming)
    present: dict[str, bool] = {}
    for step in steps:
        if isinstance(step, str):
            server.disturb(step)
        else:
            server.change(*step)
        present |= {key[1]: item is not None for key, item in list_watch.store.drain().items()}
    server.settle()
    present |= {key[1]: item is not None for key, item in list_watch.store.drain().items()}
    versions = {each.metadata.name: each.metadata.resource_version for each in list_watch.store.items}
    assert versions == {name: str(at) for name, at in server.objects.items()}
    assert {name for name, is_there in present.items() if is_there} == set(server.objects)


def test_statistics_say_what_is_known_what_is_coming_and_how_it_went() -> None:
    list_watch = fresh()
    assert list_watch.statistics(5.0).silent_seconds is None
    list_watch.on_unreachable("no route", 1.0)
    list_watch.on_accepted(2.0)
    list_watch.on_events([Put(observed("a", 1)), Put(observed("b", 2))], 3.0)
    coming = list_watch.statistics(4.0)
    assert (coming.resource, coming.objects, coming.receiving, coming.silent_seconds) == ("services", 0, 2, 1.0)
    list_watch.on_events([end_of_list(2)], 5.0)
    list_watch.on_garbled("not JSON", 6.0)
    there = list_watch.statistics(7.0)
    assert (there.objects, there.receiving, there.lists, there.failures, there.unreadable) == (2, 0, 1, 2, 1)


@given(st.integers(), st.integers(1, 60))
def test_every_delay_is_within_the_bounds(seed: int, failures: int) -> None:
    backoff = Backoff(0.5, 30.0, Random(seed))
    assert all(0.5 <= backoff.next() <= 30.0 for _ in range(failures))


def test_the_delays_grow_to_the_longest_and_start_again_after_a_reset() -> None:
    def averages(after_reset: bool) -> list[float]:
        series = [Backoff(0.5, 30.0, Random(seed)) for seed in range(200)]
        first = [sum(each.next() for each in series) / len(series) for _ in range(12)]
        if not after_reset:
            return first
        for each in series:
            each.reset()
        return [sum(each.next() for each in series) / len(series)]

    growing = averages(after_reset=False)
    assert growing[0] < growing[2] < growing[5]
    assert max(growing) > 15
    assert averages(after_reset=True)[0] < 1.5


def test_two_that_failed_together_do_not_come_back_together() -> None:
    assert Backoff(0.5, 30.0, Random(1)).next() != Backoff(0.5, 30.0, Random(2)).next()
