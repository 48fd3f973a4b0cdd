"""An explanation as text: the question, a line for each step, and the answer.

Pure. Invariant: the answer is the last line.
"""

from collections.abc import Mapping
from types import MappingProxyType

from proxy.client.service_columns import endpoint_text
from proxy.plain_text import plain
from proxy.reports.explanation_report import EndpointChance, ExplanationReport, Verdict

_ANSWERS: Mapping[Verdict, str] = MappingProxyType(
    {
        Verdict.REFUSED: "refused at once",
        Verdict.DROPPED: "dropped: the client hears nothing",
        Verdict.RESET: "accepted and reset: no endpoint may take it",
        Verdict.UNDECIDED: "it depends on the client: name one with --from",
        Verdict.NOT_PROXIED: "not served by this proxy",
    }
)
_MOST_ENDPOINTS = 10


def explanation_text(report: ExplanationReport) -> str:
    """The lines, each ended by a newline."""
    client = f" from {report.client}" if report.client else ""
    lines = [f"{endpoint_text(report.address, report.port)}/{report.protocol}{client}"]
    width = max((len(step.name) for step in report.steps), default=0) + 2
    lines += [f"  {step.name.ljust(width)}{step.text}" for step in report.steps]
    lines += [f"=> {answer}" for answer in _answers(report)]
    return "".join(f"{plain(line)}\n" for line in lines)


def _answers(report: ExplanationReport) -> list[str]:
    if report.verdict is not Verdict.SERVED:
        return [_ANSWERS[report.verdict]]
    shown = report.endpoints[:_MOST_ENDPOINTS]
    left = len(report.endpoints) - len(shown)
    return [*map(_endpoint, shown), *([f"or one of {left} others"] if left else [])]


def _endpoint(each: EndpointChance) -> str:
    pod = f" ({each.pod})" if each.pod else ""
    chance = "" if each.chance == 1 else f", {max(1, round(each.chance * 100))} %"
    return f"{each.endpoint}{pod}{chance}"
