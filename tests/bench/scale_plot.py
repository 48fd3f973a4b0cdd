"""The chart of scale: what one change takes, and what the start takes, over the number of Services.

Imports matplotlib, which is an optional dependency: `pip install .[bench]`. Invariant: both axes are logarithmic, so a
flat line is a cost that does not grow.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot


def draw(services: Sequence[int], changes: Mapping[str, Sequence[float]], starts: Sequence[float], path: Path) -> None:
    """Write the chart to `path` as PNG; `changes` in milliseconds by name of the percentile, `starts` in seconds."""
    canvas, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4))
    for name, values in changes.items():
        left.plot(services, values, marker="o", label=name)
    left.legend(fontsize=8)
    left.set_title("one changed slice: written by the API server → met by a connection, ms", fontsize=9)
    right.plot(services, starts, marker="o", color="#1f77b4")
    right.set_title("start of the process → every Service listens, s", fontsize=9)
    for chart in (left, right):
        chart.set_xscale("log")
        chart.set_yscale("log")
        chart.set_xlabel("Services (× 2 ports × 10 endpoints)", fontsize=8)
        for axis in (chart.xaxis, chart.yaxis):
            axis.set_major_formatter("{x:,.10g}")
        chart.yaxis.set_minor_formatter("{x:,.10g}")
        chart.tick_params(labelsize=8, which="both")
        chart.grid(alpha=0.3, which="both")
    canvas.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.savefig(path, dpi=110, format="png")
    pyplot.close(canvas)
