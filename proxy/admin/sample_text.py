"""The text of samples of one family, as the Prometheus text format 0.0.4 has it.

Pure. What is the same in every sample is made once, so that one costs a microsecond and a histogram some ten. Labels
are bytes of the form `name="value",...`, not empty, and their values need no escape but that of the percent sign, which
is done here.
"""

from collections.abc import Sequence
from itertools import accumulate


class CounterText:
    """A family of counters or gauges whose samples differ in their labels."""

    __slots__ = ("_template", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._template = f"{name}{{%b}} %d\n".encode()

    def of(self, labels: bytes, value: int) -> bytes:
        """One sample."""
        return self._template % (labels, value)


class ReasonText:
    """A family of counters with a label `reason` after the others."""

    __slots__ = ("_template", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._template = f'{name}{{%b,reason="%b"}} %d\n'.encode()

    def of(self, labels: bytes, reason: bytes, value: int) -> bytes:
        """One sample."""
        return self._template % (labels, reason, value)


class HistogramText:
    """A family of histograms with these upper bounds, and one bucket for what is above."""

    __slots__ = ("_between_labels", "buckets", "name")

    def __init__(self, name: str, bounds: Sequence[float]) -> None:
        self.name = name
        self.buckets = len(bounds) + 1
        below = "".join(f'{name}_bucket{{\0,le="{bound}"}} %d\n' for bound in (*bounds, "+Inf"))
        text = f"{below}{name}_sum{{\0}} %a\n{name}_count{{\0}} %d\n"
        self._between_labels = text.encode().split(b"\0")

    def of(self, labels: bytes, counts: Sequence[int], total: float) -> bytes:
        """All samples of one histogram: `counts` by bucket, and what was observed, added up."""
        cumulative = tuple(accumulate(counts))
        template = labels.replace(b"%", b"%%").join(self._between_labels)
        return template % (*cumulative, total, cumulative[-1])
