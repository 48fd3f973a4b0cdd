"""Listing: which objects a list gives, page by page.

The rules of the parameters are ValidateListOptions of k8s.io/apimachinery. Invariant: no I/O; a list is one moment's
state in the order of keys, also when it is given in pages: a page that can no longer be had as of that moment is
refused with 410, and the client begins again.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from proxy.apiserver import status
from proxy.apiserver.document import Key, Stored, Version
from proxy.apiserver.http.new_events import stored_selector
from proxy.apiserver.http.selectors import Selection, field_selector, label_selector
from proxy.apiserver.http.target import Target
from proxy.apiserver.kinds import NEW_EVENTS
from proxy.apiserver.storage.store import Store
from proxy.model.field_errors import forbidden, not_supported
from proxy.model.problem import FieldError

EXACT, NOT_OLDER_THAN = "Exact", "NotOlderThan"
_NUMBER = re.compile(r"[-+]?[0-9]{1,18}")
_VERSION = re.compile(r"[0-9]{1,19}")


class ListPage(NamedTuple):
    """`rest` is the token for the next page, or empty; `remaining` how many objects follow, if that is known."""

    items: list[Stored | Version]
    version: int
    rest: str = ""
    remaining: int | None = None


class _Continue(msgspec.Struct, frozen=True):
    """What a page leaves for the next: the list's resourceVersion and the last key given."""

    version: int
    after: Key


def listed(store: Store, target: Target, query: Mapping[str, str]) -> ListPage:
    """The page that `query` asks for. Raises StatusError."""
    limit = whole_number(query, "limit") if query.get("resourceVersion") != "0" else 0
    version, after = _start(store, query)
    objects = store.objects_at(target.kind, version)
    if objects is None:
        raise status.continue_expired() if after else status.expired(store.version, version)
    matches = selection(target, query).matches
    keys = sorted(key for key in objects if target.namespace in ("", key[0]) and (after is None or key > after))
    items = [objects[key] for key in keys if matches(objects[key].document)]
    if limit <= 0 or len(items) <= limit:
        return ListPage(items, version)
    rest = _token(_Continue(version, items[limit - 1].key))
    selective = query.get("labelSelector") or query.get("fieldSelector")
    return ListPage(items[:limit], version, rest, None if selective else len(items) - limit)


def selection(target: Target, query: Mapping[str, str]) -> Selection:
    """What the selectors in `query`, and the name in the target, select. Raises StatusError (400)."""
    try:
        labels = label_selector(query.get("labelSelector", ""))
        wanted = query.get("fieldSelector", "")
        fields = field_selector(target.kind, stored_selector(wanted) if target.shown is NEW_EVENTS else wanted)
    except ValueError as error:
        raise status.bad_request(str(error)) from error
    return Selection(target.name, labels, fields)


def version_of(text: str) -> int:
    """The resourceVersion in a query. Raises StatusError (500, as the API server has it)."""
    if not _VERSION.fullmatch(text):
        raise status.bad_resource_version(text)
    return int(text)


def whole_number(query: Mapping[str, str], name: str) -> int:
    """The parameter of that name, 0 where there is none. Raises StatusError (400)."""
    text = query.get(name, "0")
    if not _NUMBER.fullmatch(text):
        raise status.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return int(text)


def check_known(store: Store, query: Mapping[str, str]) -> None:
    """Raise StatusError (504) for a resourceVersion of the future, (500) for what is none."""
    wanted = version_of(query.get("resourceVersion") or "0")
    if wanted > store.version:
        raise status.too_large_resource_version(wanted, store.version)


def _start(store: Store, query: Mapping[str, str]) -> tuple[int, Key | None]:
    """The moment of the list, and the key that it begins after."""
    asked, match = query.get("resourceVersion", ""), query.get("resourceVersionMatch", "")
    errors = tuple(_match_errors(query, asked, match))
    if errors:
        raise status.invalid_options("ListOptions", errors)
    if query.get("continue"):
        if asked not in ("", "0"):
            raise status.bad_request("specifying resource version is not allowed when using continue")
        page = _page(query["continue"])
        return page.version, page.after
    check_known(store, query)
    return version_of(asked) if match == EXACT else store.version, None


def _match_errors(query: Mapping[str, str], asked: str, match: str) -> Iterator[FieldError]:
    field = "resourceVersionMatch"
    if match and not asked:
        yield forbidden(field, f"{field} is forbidden unless resourceVersion is provided")
    if match and query.get("continue"):
        yield forbidden(field, f"{field} is forbidden when continue is provided")
    if match not in ("", EXACT, NOT_OLDER_THAN):
        yield not_supported(field, match, (EXACT, NOT_OLDER_THAN, ""))
    if match == EXACT and asked == "0":
        yield forbidden(field, f'{field} "exact" is forbidden for resourceVersion "0"')
    if "sendInitialEvents" in query:
        yield forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list")


def _token(page: _Continue) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(page)).decode().rstrip("=")


def _page(token: str) -> _Continue:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)), type=_Continue)
    except (binascii.Error, ValueError) as error:
        raise status.bad_request(f"continue key is not valid: {error}") from error
