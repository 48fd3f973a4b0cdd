"""The report: medians over rounds, ratios between subjects, and the tables that show both.

Imports msgspec and the vocabulary of samples. Invariant: pure; a ratio above 1 means that svcproxy is ahead, whichever
way the figure points, and it is taken against the best peer setting of that very figure.
"""

import statistics
from collections.abc import Iterable, Mapping, Sequence

import msgspec
from sample import DISTURBED, Better, Figure, Sample

OURS = "svcproxy"
UNCOMPARED = (OURS, f"{OURS} compiled", f"{OURS} shortcut", "direct", "bare loop")
BOUND_MARK = "†"
BOUND_LEGEND = (
    f"{BOUND_MARK} generator-bound: the load's core was full before the proxy's; rely on the CPU figures there."
)

Columns = Mapping[str, tuple[Figure, ...]]
"""The figures of each row by the row's name, in the order of the report."""


class Spread(msgspec.Struct, frozen=True):
    """One figure of one subject over all rounds."""

    median: float
    low: float
    high: float
    generator_bound: bool

    def __str__(self) -> str:
        text = readable(self.median)
        if self.low != self.high:
            text += f" ({readable(self.low)}–{readable(self.high)})"
        return f"{text}{BOUND_MARK}" if self.generator_bound else text


class Comparison(msgspec.Struct, frozen=True):
    """svcproxy against the best peer of one figure."""

    row: str
    figure: str
    peer: str
    ratio: float
    generator_bound: bool


Table = dict[tuple[str, str], dict[str, Spread]]
"""(row, figure) -> subject -> spread."""


def summarize(samples: Iterable[Sample], columns: Columns) -> Table:
    """Medians with their range. A figure is generator-bound if any round of it was."""
    collected: dict[tuple[str, str], dict[str, list[Sample]]] = {}
    for sample in samples:
        for name in sample.figures:
            collected.setdefault((sample.row, name), {}).setdefault(sample.subject, []).append(sample)
    return {
        (row, figure.name): {
            subject: _spread(rounds, figure) for subject, rounds in collected.get((row, figure.name), {}).items()
        }
        for row, figures in columns.items()
        for figure in figures
    }


def compare(table: Table, columns: Columns) -> list[Comparison]:
    """One comparison for every compared figure that svcproxy and at least one peer have."""
    found = []
    for row, figures in columns.items():
        for figure in figures:
            spreads = table[row, figure.name]
            peers = {name: spread for name, spread in spreads.items() if name not in UNCOMPARED}
            if figure.compared and OURS in spreads and peers:
                found.append(_comparison(row, figure, spreads[OURS], peers))
    return found


def _spread(rounds: Sequence[Sample], figure: Figure) -> Spread:
    values = [sample.figures[figure.name] for sample in rounds]
    bound = figure.limited_by_load and any(sample.is_generator_bound for sample in rounds)
    return Spread(statistics.median(values), min(values), max(values), bound and rounds[0].subject != "direct")


def _comparison(row: str, figure: Figure, ours: Spread, peers: Mapping[str, Spread]) -> Comparison:
    choose = max if figure.better is Better.MORE else min
    peer = choose(peers, key=lambda name: peers[name].median)
    better, worse = ours.median, peers[peer].median
    if figure.better is Better.LESS:
        better, worse = worse, better
    ratio = better / worse if worse > 0 else float("inf")
    return Comparison(row, figure.name, peer, ratio, ours.generator_bound or peers[peer].generator_bound)


def disturbances(samples: Sequence[Sample]) -> str:
    """A warning that counts the measurements which had to share the machine, empty if none had."""
    shares = [each.others_share for each in samples if each.is_disturbed]
    if not shares:
        return ""
    return (
        f"WARNING: other processes used over {DISTURBED:.0%} of a core in {len(shares)} of {len(samples)} measurements "
        f"(up to {max(shares):.0%}): rates and latencies are not to be trusted, measure again on a quiet machine"
    )


def readable(value: float) -> str:
    """Three significant digits and more, with thousands separated."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table as Markdown, its columns padded to read well in a terminal too."""
    lines = [list(header), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    )


def render(table: Table, columns: Columns, titles: Mapping[str, str], subjects: Sequence[str]) -> str:
    """Both tables: ratios first, every figure of every subject below."""
    parts = []
    comparisons = compare(table, columns)
    figures = {(row, figure.name): figure for row, row_figures in columns.items() for figure in row_figures}
    if comparisons:
        rows = [_ratio_cells(each, table, figures[each.row, each.figure], titles) for each in comparisons]
        parts.append(markdown(("row", "figure", OURS, "best peer", "its figure", "ratio (>1: ahead)"), rows))
    raw = [
        (titles[row], f"{name}, {figures[row, name].unit}", *(str(spreads.get(each, "–")) for each in subjects))
        for (row, name), spreads in table.items()
    ]
    parts.append(markdown(("row", "figure, median (min–max)", *subjects), raw))
    if any(spread.generator_bound for spreads in table.values() for spread in spreads.values()):
        parts.append(BOUND_LEGEND)
    return "\n\n".join(parts)


def _ratio_cells(each: Comparison, table: Table, figure: Figure, titles: Mapping[str, str]) -> tuple[str, ...]:
    spreads = table[each.row, each.figure]
    mark = BOUND_MARK if each.generator_bound else ""
    return (
        titles[each.row],
        f"{figure.name}, {figure.unit}",
        readable(spreads[OURS].median),
        each.peer,
        readable(spreads[each.peer].median),
        f"{each.ratio:.2f}{mark}",
    )
