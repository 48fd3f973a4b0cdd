"""Options of a write: the query parameters and body fields that every write may carry.

Invariant: a value that the API server refuses is refused with its Status.
"""

from collections.abc import Iterator, Mapping

import msgspec

from proxy.apiserver import status
from proxy.apiserver.document import Document
from proxy.apiserver.http.query_flag import query_flag
from proxy.apiserver.writes.strictness import IGNORE, STRICT, WARN
from proxy.model.field_errors import invalid, not_supported
from proxy.model.problem import FieldError

_DEFAULT_MANAGER = "unknown"
_VALIDATIONS = ("", IGNORE, STRICT, WARN)
_PROPAGATIONS = ("Foreground", "Background", "Orphan", "nil")
_LONGEST_MANAGER = 128


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


def write_options(
    query: Mapping[str, str], user_agent: str, duplicates: tuple[str, ...] = (), kind: str = "UpdateOptions"
) -> WriteOptions:
    """The options in a query, which are CreateOptions, UpdateOptions or PatchOptions. A client that names no manager is
    known by the first word of its user agent. Raises StatusError (422)."""
    validation, manager = query.get("fieldValidation") or "", query.get("fieldManager") or ""
    errors = [*_dry_run_errors(query.get("dryRun")), *_manager_errors(manager)]
    if validation not in _VALIDATIONS:
        errors.append(not_supported("fieldValidation", validation, _VALIDATIONS))
    if errors:
        raise status.invalid_options(kind, errors)
    return WriteOptions(
        field_manager=manager or user_agent.partition("/")[0] or _DEFAULT_MANAGER,
        dry_run="dryRun" in query,
        field_validation=validation or WARN,
        force=query_flag(query, "force"),
        duplicates=duplicates,
    )


def delete_options(query: Mapping[str, str], body: Document | None) -> DeleteOptions:
    """The options in a query and a DeleteOptions body. How dependents are deleted makes no difference here.

    Raises StatusError: 400 for a body of another kind, 422 for options that are wrong.
    """
    body = body or {}
    if body.get("kind") not in (None, "", "DeleteOptions"):
        raise status.bad_request(
            f"the object provided is unrecognized (must be of type DeleteOptions): it is of kind {body['kind']}"
        )
    preconditions = body.get("preconditions")
    if not isinstance(preconditions, dict):
        preconditions = {}
    asked = query.get("dryRun", body.get("dryRun"))
    propagation = query.get("propagationPolicy", body.get("propagationPolicy"))
    errors = list(_dry_run_errors(asked))
    if propagation is not None and propagation not in _PROPAGATIONS:
        errors.append(not_supported("propagationPolicy", propagation, _PROPAGATIONS))
    if errors:
        raise status.invalid_options("DeleteOptions", errors)
    return DeleteOptions(
        uid=str(preconditions.get("uid") or ""),
        version=str(preconditions.get("resourceVersion") or ""),
        dry_run=bool(asked),
        grace_seconds=_grace_seconds(query.get("gracePeriodSeconds"), body.get("gracePeriodSeconds")),
    )


def _grace_seconds(in_query: str | None, in_body: object) -> int | None:
    if in_query:
        try:
            return int(in_query)
        except ValueError:
            raise status.bad_request(f'gracePeriodSeconds: "{in_query}" is no number of seconds') from None
    return in_body if isinstance(in_body, int) else None


def _dry_run_errors(asked: object) -> Iterator[FieldError]:
    """`asked` is the query's text, or the list of a body."""
    values = [] if asked is None else asked if isinstance(asked, list) else [asked]
    if any(value != "All" for value in values):
        yield not_supported("dryRun", values, ("All",))


def _manager_errors(manager: str) -> Iterator[FieldError]:
    if len(manager.encode(errors="replace")) > _LONGEST_MANAGER:
        text = f"Too long: may not be more than {_LONGEST_MANAGER} bytes"
        yield FieldError("fieldManager", "FieldValueTooLong", text)
    if not manager.isprintable():
        yield invalid("fieldManager", manager, "should only contain printable characters")
