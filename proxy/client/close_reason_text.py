"""What to do about a flow's end, for a person or as data.

Pure. Invariant: the words are the list's own.
"""

from collections.abc import Iterable

import msgspec

from proxy.dataplane.close_reason import CloseReason
from proxy.reports.table import render_table


class ReasonReport(msgspec.Struct, frozen=True):
    """One reason with its advice."""

    reason: str
    advice: str


def reason_reports(reasons: Iterable[CloseReason]) -> tuple[ReasonReport, ...]:
    """The reasons as data."""
    return tuple(ReasonReport(each.value, each.advice) for each in reasons)


def reason_table(reports: Iterable[ReasonReport]) -> str:
    """The reasons as a table."""
    return render_table(("REASON", "WHAT TO DO"), [(each.reason, each.advice) for each in reports])
