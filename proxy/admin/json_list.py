"""A long list as JSON, made and sent in pieces.

The list of a large proxy takes longer than the loop may be held, and is megabytes. Invariants: one turn of the loop
makes no more than `TURN` seconds of it, or one thing; of what the reader has not read, no more than a piece and the
socket's buffers are held; who leaves it unread for too long is let go.
"""

import asyncio
from collections.abc import Iterable, Iterator
from time import perf_counter

import msgspec
from aiohttp import web

from proxy.admin.turns import TURN

LARGEST_PIECE = 64 << 10
"""Bytes after which it is, too."""
PATIENCE = 30.0
"""Seconds that a reader may leave a piece unread."""


async def json_list(
    request: web.Request, name: str, things: Iterable[object], after: Iterable[tuple[str, object]] = ()
) -> web.StreamResponse:
    """`{"name": [things], ...}`, where what follows are the pairs `after`. `things` are made as they are sent, so that
    each is of a moment of its own."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    if request.method == "HEAD":
        return response
    for piece in _pieces(name, things, after):
        if not response.prepared:
            # After the first piece, so that what fails at once is still an error of its own.
            await response.prepare(request)
        await write(request, response, piece)
        await asyncio.sleep(0)
    return response


async def write(request: web.Request, response: web.StreamResponse, piece: bytes) -> None:
    """Send a piece. Raises ConnectionError where the reader is gone, or as good as gone and now let go."""
    try:
        async with asyncio.timeout(PATIENCE):
            await response.write(piece)
    except TimeoutError as error:
        if request.transport is not None:
            # A close would wait for the reader.
            request.transport.abort()
        raise ConnectionResetError("what was sent is not read") from error


def _pieces(name: str, things: Iterable[object], after: Iterable[tuple[str, object]]) -> Iterator[bytes]:
    encode = msgspec.json.Encoder().encode
    piece = bytearray(b"{" + encode(name) + b":[")
    begun, comma = perf_counter(), b""
    for thing in things:
        piece += comma + encode(thing)
        comma = b","
        if len(piece) >= LARGEST_PIECE or perf_counter() - begun >= TURN:
            yield bytes(piece)
            piece.clear()
            begun = perf_counter()
    piece += b"]"
    for key, value in after:
        piece += b"," + encode(key) + b":" + encode(value)
    yield bytes(piece + b"}")
