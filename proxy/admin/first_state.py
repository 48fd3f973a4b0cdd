"""What is answered before there is a first state: that it is not there, instead of empty lists.

Invariant: what is no list of objects (problems, recent changes, the page's stream) is answered all the same.
"""

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from proxy.admin.api_answers import NO_FIRST_STATE
from proxy.admin.inspected import Inspected
from proxy.admin.json_answer import Failure, json_answer

_API = "/api/v1/"
_ALWAYS = ("problems", "changes", "stream")


def first_state_required(inspected: Inspected) -> Middleware:
    """Answers 503 with the reason while `inspected` waits for its first state."""

    @web.middleware
    async def required(request: web.Request, handler: Handler) -> web.StreamResponse:
        name = request.path.removeprefix(_API)
        if name == request.path or name in _ALWAYS or not (reason := inspected.waiting_for):
            return await handler(request)
        return json_answer(Failure(reason, NO_FIRST_STATE), 503)

    return required
