"""Admission: what the API makes of a new version of an object before it is stored, or why it will not have it.

Invariant: pure but for the numbers that `trial` chooses, of which nothing stays taken; an admitted document is
complete, valid and decodes into the model.
"""

from collections.abc import Callable, Iterator

import msgspec

from proxy.apiserver import status
from proxy.apiserver.document import Document, labels_of, metadata_of, with_metadata
from proxy.apiserver.kinds import ENDPOINT_SLICES, ENDPOINTS, EVENTS, NAMESPACES, NODES, PODS, SERVICES, Kind
from proxy.apiserver.writes.decoded import decoded
from proxy.apiserver.writes.metadata_rules import further_errors, generated_name_errors
from proxy.apiserver.writes.service_admission import Trial, admitted_service, defaulted_service
from proxy.model.endpoint_slice import EndpointSlice
from proxy.model.endpoint_validation import validate_endpoint_slice, validate_endpoints, validate_pod
from proxy.model.endpoints import Endpoints
from proxy.model.field_errors import invalid, required
from proxy.model.metadata import ObjectMeta
from proxy.model.metadata_validation import label_errors, metadata_errors
from proxy.model.names import dns_label_messages, dns_subdomain_messages
from proxy.model.node import Node
from proxy.model.pod import Pod
from proxy.model.problem import FieldError

NAME_LABEL = "kubernetes.io/metadata.name"
_NAME_RULES = {SERVICES: dns_label_messages, NAMESPACES: dns_label_messages}


def admitted(kind: Kind, document: Document, current: Document | None, trial: Trial) -> Document:
    """`document` as it is to be stored over the version `current`. Raises StatusError."""
    name_messages = _NAME_RULES.get(kind, dns_subdomain_messages)
    errors = (*generated_name_errors(document, name_messages), *further_errors(document))
    if kind is SERVICES:
        if errors:
            raise status.invalid(kind, metadata_of(document).get("name") or "", errors)
        return admitted_service(document, current, trial)
    complete = with_defaults(kind, document)
    errors = (*errors, *_errors(kind, complete, current))
    if errors:
        raise status.invalid(kind, metadata_of(complete).get("name") or "", errors)
    return complete


def observed_of_pod(observed: Document) -> Document:
    """A Pod's status in full: one with an address runs and is ready, unless it says otherwise, since no kubelet is
    there to say so."""
    has_address = bool(observed.get("podIP") or observed.get("podIPs"))
    complete = {"phase": "Running" if has_address else "Pending", **observed}
    if has_address and complete["phase"] == "Running" and not complete.get("conditions"):
        complete["conditions"] = [{"type": "Ready", "status": "True"}]
    return complete


def with_defaults(kind: Kind, document: Document) -> Document:
    """`document` with what is filled in without looking at anything else. Raises StatusError."""
    if kind is SERVICES:
        return defaulted_service(document)
    if kind is ENDPOINT_SLICES:
        ports = [{"name": "", **_with_protocol(port)} for port in _maps(document.get("ports"))]
        return {**document, "ports": ports, "endpoints": list(map(_endpoint, _maps(document.get("endpoints"))))}
    if kind is ENDPOINTS:
        subsets = [
            {**subset, "ports": [_with_protocol(port) for port in _maps(subset["ports"])]}
            if "ports" in subset
            else subset
            for subset in _maps(document.get("subsets"))
        ]
        return {**document, "subsets": subsets} if subsets else document
    if kind is PODS:
        return {**document, "status": observed_of_pod(document.get("status") or {})}
    if kind is NAMESPACES:
        labels = {**labels_of(document), NAME_LABEL: metadata_of(document).get("name") or ""}
        active = {"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}
        return with_metadata({**document, **active}, labels=labels)
    return document


def _endpoint(endpoint: Document) -> Document:
    """Shown with its conditions, if they are none, and without what v1beta1 had instead of a zone."""
    kept = {name: member for name, member in endpoint.items() if name != "deprecatedTopology"}
    return {**kept, "conditions": endpoint.get("conditions") or {}}


def _with_protocol(port: Document) -> Document:
    return {**port, "protocol": port.get("protocol") or "TCP"}


def _maps(value: object) -> list[Document]:
    """The entries of a list of maps; what is something else is left to the decoder."""
    return value if isinstance(value, list) and all(isinstance(entry, dict) for entry in value) else []


def _errors(kind: Kind, document: Document, current: Document | None) -> Iterator[FieldError]:
    if kind is ENDPOINT_SLICES:
        yield from validate_endpoint_slice(decoded(kind, document, EndpointSlice), allow_loopback=True)
        if current is not None and document.get("addressType") != current.get("addressType"):
            yield invalid("addressType", document.get("addressType"), "field is immutable")
    elif kind is ENDPOINTS:
        yield from validate_endpoints(decoded(kind, document, Endpoints), allow_loopback=True)
    elif kind is PODS:
        yield from validate_pod(decoded(kind, document, Pod), allow_loopback=True)
    elif kind is EVENTS:
        yield from metadata_errors(_metadata(document), dns_subdomain_messages)
    else:
        if kind is NODES:
            decoded(kind, document, Node)
        yield from _cluster_wide_errors(_metadata(document), _NAME_RULES.get(kind, dns_subdomain_messages))


def _cluster_wide_errors(metadata: ObjectMeta, name_messages: Callable[[str], list[str]]) -> Iterator[FieldError]:
    if not metadata.name:
        yield required("metadata.name", "name or generateName is required")
    for message in name_messages(metadata.name) if metadata.name else ():
        yield invalid("metadata.name", metadata.name, message)
    yield from label_errors("metadata.labels", metadata.labels)


def _metadata(document: Document) -> ObjectMeta:
    return msgspec.convert(metadata_of(document), ObjectMeta)
