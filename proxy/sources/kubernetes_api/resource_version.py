"""Resource versions: which of two is the newer one.

Imports nothing of ours. Invariant: what cannot be compared counts as newer, as it was heard later.
"""


def is_newer(version: str, than: str) -> bool:
    """Whether `version` is later than `than`. Versions are decimal numbers that grow (KEP-5504)."""
    if version.isdecimal() and than.isdecimal():
        return int(version) > int(than)
    return version != than
