"""The proxy's live picture, put together from the stream's frames.

Pure. Invariant: after every frame it holds what a new snapshot would say.
"""

from proxy.reports.live_frame import EndpointCounts, Frame, PoolCounts, ProxyView, ServiceView

NOTHING = EndpointCounts()


class LivePicture:
    """`services` are by namespace/name; `proxy` is None before the first frame."""

    def __init__(self) -> None:
        self.services: dict[str, ServiceView] = {}
        self.proxy: ProxyView | None = None
        self.problems = 0
        self._counts: dict[str, PoolCounts] = {}
        self._service_of: dict[str, str] = {}
        self._touched: set[str] = set()

    def take(self, frame: Frame, whole: bool) -> None:
        """Take a snapshot (`whole`) or what changed since the frame before."""
        for name in list(self.services) if whole else ():
            self._replace(name, None)
        for name, service in frame.services.items():
            self._replace(name, service)
        for pool, counts in frame.counts.items():
            if pool in self._service_of:
                self._counts[pool] = self._counts.get(pool, {}) | counts
                self._touched.add(self._service_of[pool])
        if frame.proxy is not None:
            self.proxy = frame.proxy
        if frame.problems is not None:
            self.problems = len(frame.problems)

    def touched(self) -> set[str]:
        """The Services that are new, other, counted otherwise or gone since the last call."""
        touched, self._touched = self._touched, set()
        return touched

    def _replace(self, name: str, service: ServiceView | None) -> None:
        """One that is told anew comes with all its counts."""
        before = self.services.pop(name, None)
        for pool in before.pools if before is not None else ():
            self._counts.pop(pool.key, None)
            self._service_of.pop(pool.key, None)
        if service is not None:
            self.services[name] = service
            self._service_of.update((pool.key, name) for pool in service.pools)
        self._touched.add(name)

    def counts(self, pool: str, place: int) -> EndpointCounts:
        """The counts of the endpoint at a place of a pool."""
        return self._counts.get(pool, {}).get(place, NOTHING)
