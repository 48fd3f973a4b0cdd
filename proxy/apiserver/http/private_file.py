"""Private files: keys, tokens and what holds them.

Invariant: only the owner can read such a file, at any moment, and it is always whole.
"""

from proxy.replacement import Replacement


def write_private(path: str, content: bytes) -> None:
    """Replace the file at `path`, which only its owner may read."""
    with Replacement(path) as replacement:
        replacement.file.write(content)
        replacement.finish()
