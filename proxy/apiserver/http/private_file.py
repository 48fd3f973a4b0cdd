"""Private files: keys, tokens and what holds them.

Imports nothing of ours. Invariant: only the owner can read such a file, at any moment, and it is always whole.
"""

import os


def write_private(path: str, content: bytes) -> None:
    """Replace the file at `path`, which only its owner may read."""
    temporary = f"{path}.new"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
