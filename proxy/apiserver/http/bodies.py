"""Bodies: the object that a request carries.

Invariant: JSON, YAML and protobuf give the same document; any other media type is refused with the API server's 415. A
large body is decoded in a thread, one at a time: the thread gives way to the loop every few milliseconds, since what
is decoded in one go is bounded (`bounded_text`).
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

from proxy.apiserver import status
from proxy.apiserver.bounded_text import TextError, json_value, yaml_value
from proxy.apiserver.document import Document
from proxy.apiserver.http.negotiation import JSON, PROTOBUF, YAML
from proxy.apiserver.schema.protobuf_object import protobuf_object
from proxy.apiserver.schema.schema_types import Record

_SMALL = 8 * 1024
"""Bytes; less takes a millisecond at most, in YAML five."""

Value = TypeVar("Value")


async def decoded_aside(executor: Executor, body: bytes, decode: Callable[[], Value]) -> Value:
    """What `decode`, which reads `body`, returns or raises; by `executor` where that may take long."""
    if len(body) <= _SMALL:
        return decode()
    return await asyncio.get_running_loop().run_in_executor(executor, decode)


def parsed_body(body: bytes, content_type: str, expected: Record) -> tuple[Document, tuple[str, ...]]:
    """The object in a body: of the type `expected` where it is protobuf, of any where it is JSON or YAML; and the
    paths of members that are set more than once.

    Raises StatusError: 415 for other media types, 400 for what is no such object, 413 for too large a one.
    """
    media_type = content_type.partition(";")[0].strip().lower() or JSON
    if media_type == PROTOBUF:
        return protobuf_object(body, expected), ()
    if media_type not in (JSON, YAML):
        raise status.unsupported_media_type((JSON, YAML, PROTOBUF))
    try:
        decoded = yaml_value(body) if media_type == YAML else json_value(body)
    except TextError as error:
        raise status.bad_request(f"couldn't get version/kind; json parse error: {error}") from error
    if not isinstance(decoded.value, dict):
        raise status.bad_request("couldn't get version/kind; json parse error: the body must be one object")
    return decoded.value, decoded.duplicates
