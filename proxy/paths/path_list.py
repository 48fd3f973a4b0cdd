"""The paths that are in use beside the relay, in the order in which a packet meets them.

Invariant: each path is told every Delta exactly once, in order, and after the listeners that stand behind it.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from proxy.paths.path import KernelPath, Path
from proxy.plan.frontend import Delta, Frontend, Pool


class PathsOf(NamedTuple):
    """The paths of one frontend. `paths` has the one that local clients meet first and the one for everybody else
    last. `reasons` says for each path that does not serve the frontend why not, as `path: reason`."""

    paths: tuple[str, ...]
    reasons: tuple[str, ...]


RELAYED = PathsOf((Path.RELAY,), ())
"""The answer where the kernel has no part."""


class PathList:
    """Hands deltas on and answers which way a frontend's packets take."""

    def __init__(self, paths: Sequence[KernelPath] = ()) -> None:
        self._paths = list(paths)

    def add(self, path: KernelPath, pools: Mapping[str, Pool], frontends: Sequence[Frontend]) -> None:
        """Use one more path. It is told at once what the plan holds, if that is anything."""
        self._paths.append(path)
        if pools or frontends:
            path.apply(Delta(pools=tuple(pools.values()), frontends=tuple(frontends)))

    def apply(self, delta: Delta) -> None:
        """Tell every path. Call it after the reconciler."""
        for path in self._paths:
            path.apply(delta)

    def __bool__(self) -> bool:
        """Whether there is any path beside the relay."""
        return bool(self._paths)

    def tend(self) -> None:
        """Let every path do what is due."""
        for path in self._paths:
            path.tend()

    def of(self, frontend: Frontend, pool: Pool) -> PathsOf:
        """Which paths serve a frontend, and why the others do not."""
        answers = [(each.path, each.refusal(frontend, pool)) for each in self._paths]
        serving = [path for path, refusal in answers if not refusal]
        # NFTABLES and IPVS take every client before a listener sees it; a SHORTCUT takes local clients alone.
        if not serving or serving[-1] is Path.SHORTCUT:
            serving.append(Path.RELAY)
        reasons = tuple(f"{path}: {refusal}" for path, refusal in answers if refusal)
        return PathsOf(tuple(serving), reasons)

    def close(self) -> None:
        """Stop using the kernel's paths, the last first."""
        while self._paths:
            self._paths.pop().close()
