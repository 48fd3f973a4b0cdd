"""A number of bytes, the way people read it.

Invariant: at most six characters up to an exbibyte, in the binary units that Kubernetes writes quantities in (Ki, Mi,
Gi).
"""

_UNITS = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_TOO_LONG = 1000


def human_bytes(number: float) -> str:
    """`number` as text, for example 0, 999, 1.0Ki, 15Ki, 2.5Gi."""
    value, unit = float(number), 0
    while value >= _TOO_LONG and unit < len(_UNITS) - 1:
        value /= 1024
        unit += 1
    if unit and value < 9.95:
        return f"{value:.1f}{_UNITS[unit]}"
    return f"{value:.0f}{_UNITS[unit]}"
