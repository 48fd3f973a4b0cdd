"""Frontend claims: which Service has an address and port that several Services ask for.

Invariant: whoever claimed first and still claims is the owner; a Service that only changes its claim keeps its place.
"""

from collections.abc import Iterable, Iterator

from proxy.plan.frontend import Frontend, FrontendKey


class FrontendClaims:
    """Every claim to every frontend, by the name (`namespace/name`) of the Service."""

    def __init__(self) -> None:
        self._claims: dict[FrontendKey, tuple[Frontend, ...]] = {}
        self._contested: set[FrontendKey] = set()

    @property
    def contested(self) -> bool:
        """Whether any claim is kept waiting."""
        return bool(self._contested)

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
        for key in self._contested:
            owner, *waiting = self._claims[key]
            for claim in waiting:
                yield claim, owner

    def _claim(self, frontend: Frontend) -> None:
        claims = self._claims.get(frontend.key, ())
        kept = tuple(frontend if each.service == frontend.service else each for each in claims)
        self._set(frontend.key, kept if frontend in kept else (*claims, frontend))

    def _release(self, key: FrontendKey, service: str) -> None:
        self._set(key, tuple(each for each in self._claims[key] if each.service != service))

    def _set(self, key: FrontendKey, claims: tuple[Frontend, ...]) -> None:
        if claims:
            self._claims[key] = claims
        else:
            del self._claims[key]
        if len(claims) > 1:
            self._contested.add(key)
        else:
            self._contested.discard(key)
