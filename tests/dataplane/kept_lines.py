"""An output for lines of the access log that keeps them for the test."""

from collections.abc import Sequence


class KeptLines:
    """Loses lines while there is an `error`."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.dropped = 0
        self.error: str | None = None
        self.closed = False

    @property
    def text(self) -> str:
        return b"".join(self.lines).decode()

    def write(self, lines: Sequence[bytes]) -> None:
        if self.error is None:
            self.lines += lines
        else:
            self.dropped += len(lines)

    def close(self) -> None:
        self.closed = True
