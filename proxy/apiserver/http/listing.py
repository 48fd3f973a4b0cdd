"""Listing: which objects a list gives, page by page.

Imports this room; no I/O. Invariant: a list is one moment's state in the order of keys, also when it is given in pages:
a page that can no longer be had as of that moment is refused with 410, and the client begins again.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from proxy.apiserver import status
from proxy.apiserver.document import Document, Key, Stored
from proxy.apiserver.http.selectors import Matches, field_selector, label_selector
from proxy.apiserver.http.target import Target
from proxy.apiserver.storage.store import Store


class ListPage(NamedTuple):
    """`rest` is the token for the next page, or empty; `remaining` how many objects follow, if that is known."""

    items: list[Stored]
    version: int
    rest: str = ""
    remaining: int | None = None


class _Continue(msgspec.Struct, frozen=True):
    """What a page leaves for the next: the list's resourceVersion and the last key given."""

    version: int
    after: Key


def listed(store: Store, target: Target, query: Mapping[str, str]) -> ListPage:
    """The page that `query` asks for. Raises StatusError."""
    limit = _limit(query.get("limit", ""))
    version, after = _start(store, query)
    objects = store.objects_at(target.kind, version)
    if objects is None:
        raise status.continue_expired() if after else status.expired(store.version, version)
    matches = selection(target, query)
    keys = sorted(key for key in objects if target.namespace in ("", key[0]) and (after is None or key > after))
    items = [objects[key] for key in keys if matches(objects[key].document)]
    if not limit or len(items) <= limit:
        return ListPage(items, version)
    rest = _token(_Continue(version, items[limit - 1].key))
    selective = query.get("labelSelector") or query.get("fieldSelector")
    return ListPage(items[:limit], version, rest, None if selective else len(items) - limit)


def selection(target: Target, query: Mapping[str, str]) -> Matches:
    """What the selectors in `query`, and the name in the target, select. Raises StatusError (400)."""
    try:
        labels = label_selector(query.get("labelSelector", ""))
        fields = field_selector(target.kind, query.get("fieldSelector", ""))
    except ValueError as error:
        raise status.bad_request(str(error)) from error

    def matches(document: Document) -> bool:
        return (
            (not target.name or document["metadata"]["name"] == target.name) and labels(document) and fields(document)
        )

    return matches


def version_of(text: str) -> int:
    """The resourceVersion in a query. Raises StatusError (400)."""
    if not text.isascii() or not text.isdecimal():
        raise status.bad_request(f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: invalid syntax')
    return int(text)


def _start(store: Store, query: Mapping[str, str]) -> tuple[int, Key | None]:
    """The moment of the list, and the key that it begins after."""
    asked, match = query.get("resourceVersion", ""), query.get("resourceVersionMatch", "")
    if query.get("continue"):
        if asked not in ("", "0"):
            raise status.bad_request("specifying resource version is not allowed when using continue")
        page = _page(query["continue"])
        return page.version, page.after
    if match not in ("", "Exact", "NotOlderThan") or (match and not asked) or (match == "Exact" and asked == "0"):
        raise status.bad_request(f'resourceVersionMatch: Forbidden: "{match}" does not go with "{asked}"')
    wanted = version_of(asked) if asked else 0
    if wanted > store.version:
        raise status.too_large_resource_version(wanted, store.version)
    return wanted if match == "Exact" else store.version, None


def _limit(text: str) -> int:
    if text and not (text.isascii() and text.isdecimal()):
        raise status.bad_request(f'limit: Invalid value: "{text}": must be a number')
    return int(text or 0)


def _token(page: _Continue) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(page)).decode().rstrip("=")


def _page(token: str) -> _Continue:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)), type=_Continue)
    except (binascii.Error, ValueError) as error:
        raise status.bad_request(f"continue key is not valid: {error}") from error
