"""How long ago, the way kubectl's AGE column says it.

Invariant: the text is that of k8s.io/apimachinery/pkg/util/duration HumanDuration, whose units grow with the age:
seconds below two minutes, years from two years on.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType

_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86400, 365 * 86400
_LETTERS: Mapping[int, str] = MappingProxyType({1: "s", _MINUTE: "m", _HOUR: "h", _DAY: "d", _YEAR: "y"})

_STEPS = (
    (2 * _MINUTE, 1, 0),
    (10 * _MINUTE, _MINUTE, 1),
    (3 * _HOUR, _MINUTE, 0),
    (8 * _HOUR, _HOUR, _MINUTE),
    (2 * _DAY, _HOUR, 0),
    (8 * _DAY, _DAY, _HOUR),
    (2 * _YEAR, _DAY, 0),
    (8 * _YEAR, _YEAR, _DAY),
)
"""(below this age, the unit, the smaller unit that is added when it is not zero), all in seconds."""


def human_duration(seconds: float) -> str:
    """`seconds` as text, for example 119s, 2m5s, 10m, 3h20m, 8h, 2d3h, 8d, 3y10d.

    Up to one second before now counts as now, for clocks that differ a little; earlier is `<invalid>`.
    """
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    whole = max(whole, 0)
    for below, unit, smaller in _STEPS:
        if whole < below:
            return _in_units(whole, unit, smaller)
    return _in_units(whole, _YEAR, 0)


def age(timestamp: str, now: float) -> str:
    """The time from `timestamp` (RFC 3339) to `now`, in seconds since the epoch; `<unknown>` where there is none."""
    try:
        moment = datetime.fromisoformat(timestamp)
    except ValueError:
        return "<unknown>"
    return human_duration(now - moment.replace(tzinfo=moment.tzinfo or UTC).timestamp())


def _in_units(seconds: int, unit: int, smaller: int) -> str:
    text = f"{seconds // unit}{_LETTERS[unit]}"
    rest = seconds % unit // smaller if smaller else 0
    return f"{text}{rest}{_LETTERS[smaller]}" if rest else text
