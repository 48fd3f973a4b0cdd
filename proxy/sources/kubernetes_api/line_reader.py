"""Line reader: cuts a stream of bytes into lines, however the network cut it into chunks.

Invariant: the work is linear in the bytes fed, and what is held is at most one line of bounded length. The last line
of a stream counts only once its newline has come: a cut line is not half an event.
"""

LONGEST_LINE = 64 * 1024 * 1024


class LineTooLongError(Exception):
    """A line exceeds the limit; the stream is of no more use."""


class LineReader:
    """Feed chunks, get whole lines."""

    def __init__(self, limit: int = LONGEST_LINE) -> None:
        self._limit = limit
        self._pieces: list[bytes] = []
        self._held = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that `chunk` completes, without newlines, blank ones left out. Raises LineTooLongError."""
        first, newline, rest = chunk.partition(b"\n")
        self._hold(first)
        if not newline:
            return []
        *others, last = rest.split(b"\n")
        lines = [b"".join(self._pieces), *others]
        self._pieces, self._held = [], 0
        self._hold(last)
        if any(len(line) > self._limit for line in others):
            raise self._too_long()
        return [line for line in lines if line.strip()]

    def _hold(self, piece: bytes) -> None:
        if not piece:
            return
        self._pieces.append(piece)
        self._held += len(piece)
        if self._held > self._limit:
            raise self._too_long()

    def _too_long(self) -> LineTooLongError:
        return LineTooLongError(f"a line is longer than {self._limit} bytes")
