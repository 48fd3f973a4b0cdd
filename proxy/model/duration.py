"""Durations as people write them in annotations, configuration and flags: Go's syntax.

Invariant: what is accepted is what Go's time.ParseDuration accepts, less the negative values, which nothing here can
use.
"""

import re

_UNIT_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?P<unit>ns|us|µs|μs|ms|s|m|h)")
_WHOLE = re.compile(rf"\+?(?:{_PART.pattern.replace('?P<number>', '?:').replace('?P<unit>', '?:')})+")
_LONGEST_SECONDS = 2**63 / 1e9
"""Go holds a duration as int64 nanoseconds."""


def parse_duration(text: str) -> float:
    """Seconds in `text`, for example "300ms", "1h30m" or "0".

    Raises ValueError with a text for the user. Follows https://pkg.go.dev/time#ParseDuration.
    """
    if text in {"0", "+0"}:
        return 0.0
    if not _WHOLE.fullmatch(text):
        raise ValueError(_refusal(text))
    seconds = sum(float(part["number"]) * _UNIT_SECONDS[part["unit"]] for part in _PART.finditer(text))
    if seconds >= _LONGEST_SECONDS:
        raise ValueError(_refusal(text))
    return seconds


def _refusal(text: str) -> str:
    return f'invalid duration "{text}": use for example 30s, 5m or 1h30m'
