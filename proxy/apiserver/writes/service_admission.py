"""Admission of Services: defaults, what is kept of the last version, validation, addresses and ports.

Invariant: as the API server, allocation speaks before
validation; nothing is allocated here: `trial` says what the Service would get.
"""

from collections.abc import Callable

from proxy.apiserver import status
from proxy.apiserver.document import Document, document_of, metadata_of, with_metadata
from proxy.apiserver.kinds import SERVICES
from proxy.apiserver.writes.decoded import decoded
from proxy.cluster.not_admitted import NotAdmittedError
from proxy.model.defaults import default_service
from proxy.model.field_errors import invalid
from proxy.model.problem import FieldError
from proxy.model.service import Service
from proxy.model.service_update import carry_over
from proxy.model.service_validation import validate_service

Trial = Callable[[Service], Service]
"""What a Service would be in force; raises NotAdmittedError."""

_ADDRESS_FIELDS = ("spec.clusterIP", "spec.ipFamil")


def defaulted_service(document: Document) -> Document:
    """A Service with what is filled in when it is decoded, before anything is allocated. Raises StatusError."""
    given = document.get("spec")
    service = decoded(SERVICES, with_metadata(document, name=metadata_of(document).get("name") or "generated"), Service)
    spec = document_of(default_service(service).spec)
    # These are filled in from each other later, and belong to nobody.
    alone = [name for name in ("clusterIP", "clusterIPs") if name not in (given or {})]
    return {**document, "spec": {name: member for name, member in spec.items() if name not in alone}}


def admitted_service(document: Document, current: Document | None, trial: Trial) -> Document:
    """The Service with everything filled in, over the version `current`. Raises StatusError."""
    spec = document.get("spec") or {}
    if current is None and spec.get("clusterIPs") and not spec.get("clusterIP"):
        error = invalid("spec.clusterIPs", spec["clusterIPs"], "must be empty when `clusterIP` is not specified")
        raise status.invalid(SERVICES, metadata_of(document).get("name") or "", (error,))
    service = default_service(decoded(SERVICES, document, Service))
    if current is not None:
        service = carry_over(decoded(SERVICES, current, Service), service)
    admitted = _allocated(service, trial)
    balancer = document_of(admitted.status.load_balancer)
    kept = document.get("status") if balancer else None
    return {
        **document,
        "spec": document_of(admitted.spec),
        "status": {**(document.get("status") or {}), "loadBalancer": (kept or {}).get("loadBalancer", {})},
    }


def _allocated(service: Service, trial: Trial) -> Service:
    errors = validate_service(service)
    # Allocators understand only addresses that are addresses.
    if any(error.field.startswith(_ADDRESS_FIELDS) for error in errors):
        raise status.invalid(SERVICES, service.metadata.name, errors)
    try:
        admitted = trial(service)
    except NotAdmittedError as error:
        raise _refusal(service, error.errors) from error
    if errors:
        raise status.invalid(SERVICES, service.metadata.name, errors)
    return admitted


def _refusal(service: Service, errors: tuple[FieldError, ...]) -> status.StatusError:
    exhausted = next((error for error in errors if error.reason == "InternalError"), None)
    if exhausted is not None:
        return status.internal(exhausted.text)
    return status.invalid(SERVICES, service.metadata.name, errors)
