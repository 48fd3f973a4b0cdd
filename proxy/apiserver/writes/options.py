"""Options of a write: the query parameters and body fields that every write may carry.

Imports this room's errors. Invariant: a value that the API server refuses is refused with its Status.
"""

from collections.abc import Mapping

import msgspec

from proxy.apiserver import status
from proxy.apiserver.document import Document
from proxy.apiserver.http.query_flag import query_flag
from proxy.apiserver.writes.strictness import IGNORE, STRICT, WARN

_DEFAULT_MANAGER = "unknown"


class WriteOptions(msgspec.Struct, frozen=True):
    """`force` belongs to server-side apply: take fields from other managers. `duplicates` are the paths of members
    that the body sets more than once."""

    field_manager: str = _DEFAULT_MANAGER
    dry_run: bool = False
    field_validation: str = WARN
    force: bool = False
    duplicates: tuple[str, ...] = ()


class DeleteOptions(msgspec.Struct, frozen=True):
    """Empty preconditions always hold. `grace_seconds` is None where the object itself says how many it has."""

    uid: str = ""
    version: str = ""
    dry_run: bool = False
    grace_seconds: int | None = None


def write_options(query: Mapping[str, str], user_agent: str, duplicates: tuple[str, ...] = ()) -> WriteOptions:
    """The options in a query; a client that names no manager is known by the first word of its user agent."""
    validation = query.get("fieldValidation") or WARN
    if validation not in (STRICT, WARN, IGNORE):
        raise status.bad_request(
            f'fieldValidation: Unsupported value: "{validation}": supported values: "", "Ignore", "Strict", "Warn"'
        )
    return WriteOptions(
        field_manager=query.get("fieldManager") or user_agent.partition("/")[0] or _DEFAULT_MANAGER,
        dry_run=_is_dry_run(query.get("dryRun")),
        field_validation=validation,
        force=query_flag(query, "force"),
        duplicates=duplicates,
    )


def delete_options(query: Mapping[str, str], body: Document | None) -> DeleteOptions:
    """The options in a query and a DeleteOptions body. How dependents are deleted makes no difference here."""
    body = body or {}
    preconditions = body.get("preconditions")
    if not isinstance(preconditions, dict):
        preconditions = {}
    asked = body.get("dryRun")
    in_body = asked[0] if isinstance(asked, list) and asked else None
    return DeleteOptions(
        uid=str(preconditions.get("uid") or ""),
        version=str(preconditions.get("resourceVersion") or ""),
        dry_run=_is_dry_run(query.get("dryRun") or in_body),
        grace_seconds=_grace_seconds(query.get("gracePeriodSeconds"), body.get("gracePeriodSeconds")),
    )


def _grace_seconds(in_query: str | None, in_body: object) -> int | None:
    if in_query:
        try:
            return int(in_query)
        except ValueError:
            raise status.bad_request(f'gracePeriodSeconds: "{in_query}" is no number of seconds') from None
    return in_body if isinstance(in_body, int) else None


def _is_dry_run(value: object) -> bool:
    if value not in (None, "", "All"):
        raise status.bad_request(f'dryRun: Unsupported value: "{value}": supported values: "All"')
    return value == "All"
