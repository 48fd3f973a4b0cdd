"""What the demo's pods served, counted for the last words.

Invariant: a pod is counted from its start on, so that one that nobody asked shows as 0.
"""

from collections import Counter
from collections.abc import Callable, Iterator

_NOUNS = {"myapp": "requests", "redis": "connections", "echo": "connections and datagrams"}


class Served:
    """Counts by role and pod."""

    def __init__(self) -> None:
        self._by_role: dict[str, Counter[str]] = {}

    def counter(self, role: str, pod: str) -> Callable[[], None]:
        """What a server calls for each client that it served."""
        counts = self._by_role.setdefault(role, Counter())
        counts[pod] += 0

        def count() -> None:
            counts[pod] += 1

        return count

    def summary(self) -> str:
        """One line a role, the pods from the busiest down."""
        return "Served:\n\n" + "".join(f"  {line}\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        for role, counts in self._by_role.items():
            total, shares = counts.total(), ", ".join(str(count) for _, count in counts.most_common())
            spread = f", by pod: {shares}" if total and len(counts) > 1 else ""
            yield f"{role}: {total} {_NOUNS.get(role, 'clients')}{spread}"
