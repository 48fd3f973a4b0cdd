"""Answers in JSON, errors among them.

Invariant: an error is one line under the key `error`, whoever
asked for what.
"""

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    """What went wrong, and where there is one the way out; `reason` is for programs."""

    error: str
    reason: str = ""


def json_answer(body: object, status: int = 200) -> web.Response:
    """`body` as JSON."""
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")


def failure(status: int, message: str) -> web.Response:
    """An error with its one line."""
    return json_answer(Failure(message), status)


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What aiohttp refuses by itself (no such path, no such method) is said in this room's form."""
    try:
        return await handler(request)
    except web.HTTPException as refused:
        if refused.status < 400:
            raise
        answer = failure(refused.status, _line(request, refused))
        if "Allow" in refused.headers:
            answer.headers["Allow"] = refused.headers["Allow"]
        return answer


def _line(request: web.Request, refused: web.HTTPException) -> str:
    if refused.status == 404:
        return f"nothing is at {request.path}"
    if refused.status == 405:
        return f"{request.method} is not answered at {request.path}: everything here is read with GET"
    return refused.reason
