"""The proxy's live picture, put together from the stream's frames.

Imports `admin`'s frames. Pure. Invariant: after every frame it holds what a new snapshot would say.
"""

from proxy.admin.live_frame import EndpointCounts, Frame, PoolCounts, ProxyView, ServiceView

NOTHING = EndpointCounts()


class LivePicture:
    """`services` are by namespace/name; `proxy` is None before the first frame."""

    def __init__(self) -> None:
        self.services: dict[str, ServiceView] = {}
        self.proxy: ProxyView | None = None
        self.problems = 0
        self._counts: dict[str, PoolCounts] = {}

    def take(self, frame: Frame, whole: bool) -> None:
        """Take a snapshot (`whole`) or what changed since the frame before."""
        if whole:
            self.services, self._counts = {}, {}
        for name, service in frame.services.items():
            if service is None:
                self.services.pop(name, None)
            else:
                self.services[name] = service
        for pool, counts in frame.counts.items():
            self._counts[pool] = self._counts.get(pool, {}) | counts
        if frame.proxy is not None:
            self.proxy = frame.proxy
        if frame.problems is not None:
            self.problems = len(frame.problems)

    def counts(self, pool: str, place: int) -> EndpointCounts:
        """The counts of the endpoint at a place of a pool."""
        return self._counts.get(pool, {}).get(place, NOTHING)
