"""List-watch: what to ask the API server next about one resource, and what its answers mean.

No socket, the clock is an argument. Invariant: what is served stays until a complete list replaces it; a watch goes on
from the last version seen, and from a new list wherever that could have missed something; a streaming list that did
not come to its end is followed by one in pages, whatever the reason. After client-go/tools/cache/reflector.go and
KEP-3157 (streaming lists).
"""

import enum
from collections.abc import Iterable
from random import Random
from typing import Generic, TypeVar

import msgspec

from proxy.model.source_statistics import ResourceStatistics
from proxy.sources.kubernetes_api.object_store import ObjectStore, is_newer
from proxy.sources.kubernetes_api.payloads import Bookmark, Failure, ListPage, Put, Removed, WatchEvent
from proxy.sources.kubernetes_api.resource import Query, Resource
from proxy.sources.kubernetes_api.timing import Timing

T = TypeVar("T")

_VERSION_AHEAD = "Too large resource version"


class Phase(enum.Enum):
    """What the next or current request is."""

    LIST = "list"
    STREAMING_LIST = "streaming list"
    WATCH = "watch"


class Request(msgspec.Struct, frozen=True):
    """One GET; the answer to a `stream` is read line by line as it comes."""

    path: str
    query: Query
    accept: str
    stream: bool


class ListWatch(Generic[T]):
    """Ask for `request`, not before `ready_at`, and feed what comes of it to one of the `on_` methods.

    `store` holds the result. `synced` is whether a complete list was ever taken, `fault` what keeps the API server
    from being followed at this moment, or an empty string. `notice` is why lists come in pages, where the server says.
    """

    def __init__(self, resource: Resource[T], timing: Timing, random: Random) -> None:
        self.resource = resource
        self.store: ObjectStore[T] = ObjectStore()
        self.phase = Phase.STREAMING_LIST
        self.synced = False
        self.fault = ""
        self.notice = ""
        self.ready_at = 0.0
        self._timing = timing
        self._random = random
        self._backoff = Backoff(timing.first_delay, timing.longest_delay, random)
        self._streaming_lists = True
        self._incoming: ObjectStore[T] = ObjectStore()
        self._following = ""
        self._pages = True
        self._position = ""
        self._doubtful = False
        self._opened = 0.0
        self._heard: float | None = None
        self._lists = 0
        self._failures = 0
        self._unreadable = 0
        self._errors = 0

    def statistics(self, now: float) -> ResourceStatistics:
        """How the resource is kept up with."""
        return ResourceStatistics(
            resource=self.resource.title,
            objects=len(self.store),
            receiving=len(self._incoming),
            rejected=len(self.store.problems),
            lists=self._lists,
            failures=self._failures,
            unreadable=self._unreadable,
            silent_seconds=None if self._heard is None else max(0.0, now - self._heard),
            errors=self._errors,
        )

    @property
    def patience(self) -> float:
        """Seconds without a byte after which the current request is given up (`on_silence`)."""
        match self.phase:
            case Phase.LIST:
                return self._timing.list_patience
            case Phase.STREAMING_LIST:
                return self._timing.initial_events_patience
            case Phase.WATCH:
                return 2 * self._timing.watch + self._timing.watch_margin

    @property
    def answer_patience(self) -> float:
        """Seconds within which an answer has to begin."""
        return min(self.patience, self._timing.list_patience)

    def request(self) -> Request:
        """What to ask for now."""
        query, accept = self.resource.selectors + self._query(), self.resource.watch_accept
        if self.phase is Phase.LIST:
            accept = self.resource.list_accept
        return Request(self.resource.path, query, accept, self.phase is not Phase.LIST)

    def relist(self, now: float) -> None:
        """Forget the position, and list anew as soon as possible; only between requests."""
        self._begin_list()
        self.ready_at = now

    def on_accepted(self, now: float) -> None:
        """The server began to answer."""
        self.fault = ""
        self._opened = self._heard = now
        self.store.forget_deletions()

    def on_page(self, page: ListPage[T], now: float) -> None:
        """One page of a list, and maybe the last."""
        self.fault = ""
        self._heard = now
        for observed in page.objects:
            self._incoming.put(observed)
        self._following = page.following
        self.ready_at = now
        if not page.following:
            self._pages = True
            self._take(page.version)

    def on_events(self, events: Iterable[WatchEvent[T]], now: float) -> bool:
        """What a stream brought; False if the stream is of no more use."""
        self._heard = now
        for event in events:
            match event:
                case Put(observed):
                    self._advance(observed.version)
                    self._receiving.put(observed)
                case Removed(observed):
                    self._advance(observed.version)
                    self._receiving.remove(observed.key, observed.version)
                case Bookmark(version, initial_events_end):
                    self._advance(version)
                    if initial_events_end and self.phase is Phase.STREAMING_LIST:
                        self._take(version)
                case Failure(code, message):
                    self._on_error(code, message, now)
                    return False
        return True

    def on_end(self, now: float, *, orderly: bool) -> None:
        """The stream is over: the server closed it, or (not `orderly`) the connection broke."""
        lived = now - self._opened
        if lived >= self._backoff.last:
            # It was worth its pause: the server is there again, if not for long.
            self._backoff.reset()
        self._interrupted()
        if lived >= self._timing.longest_delay and orderly:
            self.ready_at = now
        else:
            self._retry(now)

    def on_silence(self, now: float) -> None:
        """Nothing came for `patience` seconds after the request was accepted."""
        if self.phase is Phase.STREAMING_LIST:
            self._streaming_lists = False
            self._begin_list()
            self.ready_at = now
        else:
            self.fault = f"cannot {self._doing(self.phase)}: nothing came for {self.patience:g} s"
            self._interrupted()
            self._retry(now)

    def on_refused(self, code: int, message: str, now: float) -> None:
        """An HTTP status that is not 200, and what the server said with it."""
        phase = self.phase
        if phase is Phase.STREAMING_LIST and code in (400, 422):
            self._streaming_lists = False
            self._begin_list()
            self.ready_at = now
            return
        if phase is Phase.STREAMING_LIST:
            self._begin_list()
        elif code == 410:
            self._pages = not self._following
            self._begin_list()
        elif phase is Phase.WATCH and (code in (400, 422) or _VERSION_AHEAD in message):
            self._begin_list()
        self.fault = "" if code == 410 else self._refusal(phase, code, message)
        self._retry(now)

    def on_unreachable(self, reason: str, now: float) -> None:
        """There was no answer at all, so a streaming list has not begun."""
        if self.phase is not Phase.STREAMING_LIST:
            self._interrupted()
        self.fault = f"cannot be reached: {reason}"
        self._retry(now)

    def on_garbled(self, reason: str, now: float) -> None:
        """The answer was not what the Kubernetes API sends, so nothing in it can be relied on."""
        self.fault = f"cannot {self._doing(self.phase)}: {reason}"
        self._unreadable += 1
        self._begin_list()
        self._retry(now)

    @property
    def _receiving(self) -> ObjectStore[T]:
        return self.store if self.phase is Phase.WATCH else self._incoming

    def _query(self) -> Query:
        timing = self._timing
        if self.phase is Phase.LIST:
            limit = (("limit", str(timing.page_size)),) if self._pages else ()
            return limit + ((("continue", self._following),) if self._following else ())
        ends = str(timing.watch + self._random.randrange(timing.watch + 1))
        watch = (("watch", "true"), ("allowWatchBookmarks", "true"), ("timeoutSeconds", ends))
        if self.phase is Phase.WATCH:
            return (*watch, ("resourceVersion", self._position))
        return (*watch, ("sendInitialEvents", "true"), ("resourceVersionMatch", "NotOlderThan"))

    def _on_error(self, code: int, message: str, now: float) -> None:
        """The stream ended with an ERROR; client-go lists in pages after any error of a streaming list."""
        phase = self.phase
        self._begin_list()
        if code != 410:
            self._errors += 1
        if phase is Phase.STREAMING_LIST:
            self.notice = f"lists come in pages, since a streaming list was answered with: {_said(code, message)}"
            self.ready_at = now
            self._failures += 1
            return
        if code != 410:
            self.fault = self._refusal(phase, code, message)
        self._retry(now)

    def _begin_list(self) -> None:
        streams = self._streaming_lists and self.phase is not Phase.STREAMING_LIST
        self.phase = Phase.STREAMING_LIST if streams else Phase.LIST
        self._incoming = ObjectStore()
        self._following, self._position, self._doubtful = "", "", False

    def _take(self, version: str) -> None:
        """The list is complete: it is what there is, as of `version`."""
        if self.phase is Phase.STREAMING_LIST:
            self.notice = ""
        self.store.replace_from(self._incoming)
        self._lists += 1
        self._begin_list()
        self.synced, self.phase, self._position = True, Phase.WATCH, version

    def _advance(self, version: str) -> None:
        if not version or version == self._position:
            return
        if not self._position or is_newer(version, self._position):
            self._position = version
        elif self.phase is Phase.WATCH:
            # Out of order: an event before this position may still be to come, and must not be skipped by resuming.
            self._doubtful = True

    def _interrupted(self) -> None:
        """A request ended early: pages and positions stay good, a half-received streaming list does not."""
        if self.phase is Phase.STREAMING_LIST or (self.phase is Phase.WATCH and self._doubtful):
            self._begin_list()

    def _retry(self, now: float) -> None:
        self._failures += 1
        self.ready_at = now + self._backoff.next()

    def _doing(self, phase: Phase) -> str:
        where = f"namespace {self.resource.namespace}" if self.resource.namespace else "the cluster"
        return f"{'list' if phase is Phase.LIST else 'watch'} {self.resource.title} in {where}"

    def _refusal(self, phase: Phase, code: int, message: str) -> str:
        said = _said(code, message)
        if code == 403:
            return f"may not {self._doing(phase)}: {said}: grant the verbs list and watch (config/kubernetes/rbac.yaml)"
        if code == 401:
            return f"may not {self._doing(phase)}: the credentials are not accepted: {said}"
        return f"cannot {self._doing(phase)}: {said}"


def _said(code: int, message: str) -> str:
    """What the server said, for a person."""
    return f"{message} ({code})" if message else f"status {code}"


class Backoff:
    """How long to wait before each attempt of one series of failures: from `first` to `longest` seconds.

    `last` is the delay that was given last. The jitter is decorrelated (Brooker, "Exponential Backoff and Jitter"):
    clients that failed together do not return together.
    """

    def __init__(self, first: float, longest: float, random: Random) -> None:
        self._first = first
        self._longest = longest
        self._random = random
        self.last = first

    def next(self) -> float:
        """Seconds to wait now; on average longer each time."""
        self.last = min(self._longest, self._random.uniform(self._first, 3 * self.last))
        return self.last

    def reset(self) -> None:
        """The next failure begins a new series."""
        self.last = self._first
