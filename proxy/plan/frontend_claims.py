"""Frontend claims: which Service has an address and port that several Services ask for.

Imports only the frontends of this room. Invariant: whoever claimed first and still claims is the owner; a Service
that only changes its claim keeps its place.
"""

from collections.abc import Iterable, Iterator

from proxy.plan.frontend import Frontend, FrontendKey


class FrontendClaims:
    """Every claim to every frontend, by the name (`namespace/name`) of the Service."""

    def __init__(self) -> None:
        self._claims: dict[FrontendKey, tuple[Frontend, ...]] = {}

    def replace(self, service: str, before: Iterable[Frontend], after: Iterable[Frontend]) -> None:
        """Turn the claims `before` of one Service, exactly as it made them, into `after`."""
        wanted = {frontend.key: frontend for frontend in after}
        for key in [frontend.key for frontend in before if frontend.key not in wanted]:
            self._release(key, service)
        for frontend in wanted.values():
            self._claim(frontend)

    def owner(self, key: FrontendKey) -> Frontend | None:
        """The frontend of the Service that claimed first, or None where nobody does."""
        claims = self._claims.get(key)
        return claims[0] if claims else None

    def refused(self) -> Iterator[tuple[Frontend, Frontend]]:
        """Every claim that another one keeps waiting, with the owner's frontend."""
        for claims in self._claims.values():
            for claim in claims[1:]:
                yield claim, claims[0]

    def _claim(self, frontend: Frontend) -> None:
        claims = self._claims.get(frontend.key, ())
        kept = tuple(frontend if each.service == frontend.service else each for each in claims)
        self._claims[frontend.key] = kept if frontend in kept else (*claims, frontend)

    def _release(self, key: FrontendKey, service: str) -> None:
        remaining = tuple(each for each in self._claims[key] if each.service != service)
        if remaining:
            self._claims[key] = remaining
        else:
            del self._claims[key]
