"""The page's picture of the proxy, kept up to date at little cost.

The clock is an argument. A Service is looked into only when what it was made of is another, and counts come as what
changed. Invariant: `advance` gives the difference between two pictures, `snapshot` the whole of the last one.
"""

from collections.abc import Generator
from typing import TypeVar

from proxy.admin.inspected import CountReader, Inspected
from proxy.admin.service_view import service_view
from proxy.model.changes import ObjectKey
from proxy.model.problem import Problem
from proxy.reports.live_frame import (
    EndpointCounts,
    Frame,
    PoolCounts,
    ProxyView,
    ServiceView,
)
from proxy.reports.recent_changes import Change
from proxy.reports.report import WorkerReport

CHANGES_SHOWN = 100
Result = TypeVar("Result")
Steps = Generator[None, None, Result]

_NOTHING = EndpointCounts()


class LiveView:
    """What the last frame showed."""

    def __init__(self, inspected: Inspected, version: str) -> None:
        self._inspected = inspected
        self._version = version
        self._reader: CountReader = inspected.count_reader()
        self._time = 0.0
        self._advanced_at: float | None = None
        self._revision = -1
        self._revisions: dict[ObjectKey, tuple[object, ...]] = {}
        self._services: dict[str, ServiceView | None] = {}
        self._counts: dict[str, PoolCounts] = {}
        self._proxy: ProxyView | None = None
        self._workers: tuple[WorkerReport, ...] = ()
        self._problems: tuple[Problem, ...] = ()
        self._last_change = 0

    def advance(self, now: float, time: float) -> Steps[Frame]:
        """What changed since the last call. `now` is monotonic seconds; `time` is seconds since the epoch, for people.
        In steps, between which others may have their turn; left unfinished, the view is of no more use."""
        is_first = self._advanced_at is None
        interval = 0.0 if self._advanced_at is None else now - self._advanced_at
        self._advanced_at, self._time = now, time
        services = yield from self._changed_services()
        # At first, all counts are changed ones.
        counts = yield from self._changed_counts({} if is_first else services)
        workers, problems, proxy = self._inspected.workers(), self._inspected.problems(), self._proxy_view()
        frame = Frame(
            time=time,
            interval=interval,
            services=services,
            counts=counts,
            proxy=proxy if proxy != self._proxy else None,
            workers=workers if workers != self._workers else None,
            problems=problems if problems != self._problems else None,
            changes=self._new_changes(),
        )
        self._workers, self._problems, self._proxy = workers, problems, proxy
        return frame

    def snapshot(self) -> Frame:
        """Everything as of the last `advance`, and good until the next."""
        return Frame(
            time=self._time,
            services=self._services,
            counts={key: counts for key, counts in self._counts.items() if counts},
            proxy=self._proxy,
            workers=self._workers,
            problems=self._problems,
            changes=self._inspected.recent_changes.since(max(0, self._last_change - CHANGES_SHOWN)),
        )

    def _changed_services(self) -> Steps[dict[str, ServiceView | None]]:
        """The Services that are new, other or gone, by namespace/name."""
        inspected, known, changed = self._inspected, self._revisions, dict[str, ServiceView | None]()
        revision = inspected.revision
        if revision == self._revision:
            return changed
        self._revision = revision
        keys = list(inspected.service_keys())
        for key in known.keys() - keys:
            changed["/".join(key)] = None
        revisions = {}
        for key in keys:
            # In one step with the report, so that it is the report's.
            revisions[key] = inspected.revision_of(key)
            if known.get(key) != revisions[key]:
                report = inspected.service_report(key)
                changed["/".join(key)] = service_view(report) if report is not None else None
            yield
        self._revisions = revisions
        for name, view in changed.items():
            self._replace(name, view)
            yield
        return changed

    def _replace(self, name: str, view: ServiceView | None) -> None:
        before = self._services.pop(name, None)
        for pool in before.pools if before is not None else ():
            self._counts.pop(pool.key, None)
        if view is not None:
            self._services[name] = view

    def _changed_counts(self, services: dict[str, ServiceView | None]) -> Steps[dict[str, PoolCounts]]:
        """The counts that changed, and all counts of these Services, which are told anew."""
        changed = yield from self._reader.changed()
        for key, counts in changed.items():
            self._counts.setdefault(key, {}).update(counts)
            yield
        for view in services.values():
            for pool in view.pools if view is not None else ():
                every = self._reader.all_of(pool.key).items()
                counts = {place: each for place, each in every if each != _NOTHING}
                self._counts[pool.key] = counts
                changed.pop(pool.key, None)
                if counts:
                    changed[pool.key] = dict(counts)
            yield
        return changed

    def _new_changes(self) -> tuple[Change, ...]:
        recent = self._inspected.recent_changes
        after, self._last_change = max(self._last_change, recent.last - CHANGES_SHOWN), recent.last
        return recent.since(after)

    def _proxy_view(self) -> ProxyView:
        statistics = self._inspected.statistics()
        return ProxyView(
            version=self._version,
            ready=self._inspected.ready,
            draining=self._inspected.draining,
            known_state_of=statistics.known_state_of,
            frontends=statistics.frontends,
            tcp_connections=statistics.tcp_connections,
            udp_flows=statistics.udp_flows,
            affinity_entries=statistics.affinity_entries,
        )
