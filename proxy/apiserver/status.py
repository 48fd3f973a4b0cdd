"""Status: how the API says no.

Invariant: every text is the API server's (k8s.io/apimachinery/pkg/api/errors), because
kubectl and its users read them; kubectl rebuilds the text of an invalid object from `details.causes`.
"""

from collections.abc import Iterable, Sequence

import msgspec

from proxy.apiserver.kinds import Kind
from proxy.model.problem import FieldError


class Cause(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of details.causes."""

    reason: str = ""
    message: str = ""
    field: str = ""


class Details(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """`kind` is a resource (`services`) or, in an invalid object, a kind (`Service`), as the API mixes them."""

    name: str = ""
    group: str = ""
    kind: str = ""
    uid: str = ""
    causes: tuple[Cause, ...] = ()
    retry_after_seconds: int = 0


class Status(msgspec.Struct, frozen=True, omit_defaults=True):
    """meta/v1 Status."""

    status: str
    message: str = ""
    reason: str = ""
    details: Details | None = None
    code: int = 0

    def document(self) -> dict[str, object]:
        """As it goes over the wire."""
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, **msgspec.to_builtins(self)}


class StatusError(Exception):
    """A request that ends in `status`, whose code is the HTTP status."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.message)
        self.status = status


def failure(code: int, reason: str, message: str, details: Details | None = None) -> StatusError:
    """Any failure; `reason` is one of the API's StatusReasons."""
    return StatusError(Status("Failure", message, reason, details, code))


def not_found(kind: Kind, name: str) -> StatusError:
    """404: no such object."""
    return failure(404, "NotFound", f'{kind.resource} "{name}" not found', _resource(kind, name))


def path_not_found() -> StatusError:
    """404: the URL is none of this API."""
    return failure(404, "NotFound", "the server could not find the requested resource", Details())


def already_exists(kind: Kind, name: str) -> StatusError:
    """409: a create of what is there."""
    return failure(409, "AlreadyExists", f'{kind.resource} "{name}" already exists', _resource(kind, name))


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def conflict(kind: Kind, name: str, detail: str = MODIFIED, causes: Sequence[Cause] = ()) -> StatusError:
    """409: somebody else was faster, or a precondition does not hold."""
    message = f'Operation cannot be fulfilled on {kind.resource} "{name}": {detail}'
    return failure(409, "Conflict", message, msgspec.structs.replace(_resource(kind, name), causes=tuple(causes)))


def deletion_conflict(kind: Kind, name: str, detail: str) -> StatusError:
    """409: a deletion's precondition does not hold. The API server names the kind, not the resource."""
    message = f'Operation cannot be fulfilled on {kind.kind}{f".{kind.group}" if kind.group else ""} "{name}": {detail}'
    return failure(409, "Conflict", message, Details(name=name, group=kind.group, kind=kind.kind))


def apply_conflict(message: str, causes: Sequence[Cause]) -> StatusError:
    """409 of a server-side apply: fields that other managers own."""
    return failure(409, "Conflict", message, Details(causes=tuple(causes)))


def invalid(kind: Kind, name: str, errors: Iterable[FieldError]) -> StatusError:
    """422: the object breaks rules; one cause for each error."""
    together, causes = _together(tuple(errors))
    title = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
    details = Details(name=name, group=kind.group, kind=kind.kind, causes=causes)
    return failure(422, "Invalid", f'{title} "{name}" is invalid: {together}', details)


def bad_request(message: str) -> StatusError:
    """400."""
    return failure(400, "BadRequest", message)


def other_type(what: str, found: object, expected: str) -> StatusError:
    """400: the body says that it is something else; `what` is `kind` or `API version`."""
    return bad_request(f"the {what} in the data ({found}) does not match the expected {what} ({expected})")


def invalid_options(options: str, errors: Iterable[FieldError]) -> StatusError:
    """422: query parameters of `options` (ListOptions, ...) that are wrong, or do not go together."""
    text, causes = _together(tuple(errors))
    details = Details(group="meta.k8s.io", kind=options, causes=causes)
    return failure(422, "Invalid", f'{options}.meta.k8s.io "" is invalid: {text}', details)


def unauthorized() -> StatusError:
    """401."""
    return failure(401, "Unauthorized", "Unauthorized")


def forbidden(kind: Kind, name: str, detail: str) -> StatusError:
    """403."""
    return failure(403, "Forbidden", f'{kind.resource} "{name}" is forbidden: {detail}', _resource(kind, name))


def method_not_allowed(kind: Kind | None = None) -> StatusError:
    """405."""
    details = Details(group=kind.group, kind=kind.plural) if kind else None
    message = "the server does not allow this method on the requested resource"
    return failure(405, "MethodNotAllowed", message, details)


def no_kubelet(subresource: str) -> StatusError:
    """501: what a kubelet would do."""
    return failure(501, "NotImplemented", f"{subresource} needs a kubelet, and there is none behind this API")


def unsupported_media_type(accepted: Sequence[str]) -> StatusError:
    """415: the body's Content-Type is none of `accepted`."""
    message = f"the body of the request was in an unknown format - accepted media types include: {', '.join(accepted)}"
    return failure(415, "UnsupportedMediaType", message)


def not_acceptable_shape(message: str) -> StatusError:
    """406: the client asks for a list where there is one object, or the other way round."""
    return failure(406, "NotAcceptable", message)


def not_acceptable(accepted: Sequence[str]) -> StatusError:
    """406: no form of the answer is one that the client takes."""
    message = f"only the following media types are accepted: {', '.join(accepted)}"
    return failure(406, "NotAcceptable", message)


def too_large(limit: int) -> StatusError:
    """413: the body has more than `limit` bytes."""
    return failure(413, "RequestEntityTooLarge", f"Request entity too large: limit is {limit}")


def body_timeout(seconds: float) -> StatusError:
    """408: the body did not come in time."""
    return failure(408, "Timeout", f"the body was not complete after {seconds:g} s")


def service_unavailable(message: str) -> StatusError:
    """503: what is to answer behind this API does not."""
    return failure(503, "ServiceUnavailable", message)


def too_many_requests(message: str) -> StatusError:
    """429: the client tries again in a second."""
    return failure(429, "TooManyRequests", message, Details(retry_after_seconds=1))


def expired(oldest: int, wanted: int) -> StatusError:
    """410: the history from `wanted` on is no longer there; the client lists again."""
    return failure(410, "Expired", f"too old resource version: {wanted} ({oldest})")


def continue_expired() -> StatusError:
    """410: the rest of a list was asked for too late."""
    message = (
        "The provided continue parameter is too old to display a consistent list result. "
        "You must start a new list without the continue parameter."
    )
    return failure(410, "Expired", message)


def too_large_resource_version(wanted: int, newest: int) -> StatusError:
    """504: the client knows a version that this server has not reached, as after a restore; it lists anew."""
    cause = Cause("ResourceVersionTooLarge", "Too large resource version")
    message = f"Timeout: Too large resource version: {wanted}, current: {newest}"
    return failure(504, "Timeout", message, Details(causes=(cause,), retry_after_seconds=1))


def internal(message: str) -> StatusError:
    """500."""
    return failure(
        500, "InternalError", f"Internal error occurred: {message}", Details(causes=(Cause(message=message),))
    )


def bad_resource_version(text: str) -> StatusError:
    """500, as the API server has it: a resourceVersion that is no number."""
    detail = f'strconv.ParseUint: parsing "{text}": invalid syntax'
    return failure(500, "", f'resourceVersion: Invalid value: "{text}": {detail}')


def _together(errors: tuple[FieldError, ...]) -> tuple[str, tuple[Cause, ...]]:
    """All errors in one text, and a cause for each."""
    texts = [str(error) for error in errors]
    causes = tuple(Cause(error.reason, str(error).removeprefix(f"{error.field}: "), error.field) for error in errors)
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]", causes


def _resource(kind: Kind, name: str) -> Details:
    return Details(name=name, group=kind.group, kind=kind.plural)
