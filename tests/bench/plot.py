"""The plot: one small bar chart for every compared figure, all subjects side by side.

Imports matplotlib, which is an optional dependency: `pip install .[bench]`. Invariant: bars are medians, whiskers the
range over the rounds, and an arrow in each title says which way is better.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.axes import Axes
from report import BOUND_LEGEND, BOUND_MARK, OURS, Columns, Spread, Table
from sample import Better, Figure

ACROSS = 3
OURS_COLOUR = "#1f77b4"
PEER_COLOUR = "#b0b0b0"


def draw(
    table: Table, columns: Columns, titles: Mapping[str, str], subjects: Sequence[str], caption: str, path: Path
) -> None:
    """Write the chart to `path` as PNG."""
    figures = [(row, figure) for row, of_row in columns.items() for figure in of_row if figure.compared]
    down = -(-len(figures) // ACROSS)
    canvas, axes = pyplot.subplots(down, ACROSS, figsize=(5 * ACROSS, 0.6 + 2.4 * down), squeeze=False)
    for (row, figure), chart in zip(figures, axes.flat, strict=False):
        _chart(chart, f"{titles[row]}: {figure.name}", figure, table[row, figure.name], subjects)
    for unused in axes.flat[len(figures) :]:
        unused.set_axis_off()
    canvas.text(0.01, 0.005, f"{caption}\n{BOUND_LEGEND}", fontsize=7)
    canvas.tight_layout(rect=(0, 0.04, 1, 1))
    canvas.savefig(path, dpi=110, format="png")
    pyplot.close(canvas)


def _chart(chart: Axes, title: str, figure: Figure, spreads: Mapping[str, Spread], subjects: Sequence[str]) -> None:
    shown = [subject for subject in subjects if subject in spreads][::-1]
    medians = [spreads[subject].median for subject in shown]
    below = [spreads[subject].median - spreads[subject].low for subject in shown]
    above = [spreads[subject].high - spreads[subject].median for subject in shown]
    labels = [subject + (BOUND_MARK if spreads[subject].generator_bound else "") for subject in shown]
    colours = [OURS_COLOUR if subject.startswith(OURS) else PEER_COLOUR for subject in shown]
    chart.barh(labels, medians, xerr=[below, above], color=colours, ecolor="#404040")
    chart.set_title(f"{title}, {figure.unit} {'→' if figure.better is Better.MORE else '←'}", fontsize=9)
    chart.tick_params(labelsize=8)
