"""Tables: objects as kubectl prints them.

Invariant: cells and columns are those of kubernetes pkg/printers/internalversion, in
its wide form: kubectl leaves out the columns of priority 1 by itself.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from proxy.apiserver.document import Document
from proxy.apiserver.kinds import (
    CUSTOM_RESOURCE_DEFINITIONS,
    ENDPOINT_SLICES,
    ENDPOINTS,
    EVENTS,
    IP_ADDRESSES,
    NAMESPACES,
    NODES,
    PODS,
    SERVICE_CIDRS,
    SERVICES,
    Kind,
)
from proxy.apiserver.status import bad_request
from proxy.apiserver.tables.address import any_row, created_row, ip_address_row, service_cidr_row
from proxy.apiserver.tables.columns import (
    ANY_COLUMNS,
    DEFINITION_COLUMNS,
    ENDPOINT_SLICE_COLUMNS,
    ENDPOINTS_COLUMNS,
    EVENT_COLUMNS,
    IP_ADDRESS_COLUMNS,
    NAMESPACE_COLUMNS,
    NODE_COLUMNS,
    POD_COLUMNS,
    SERVICE_CIDR_COLUMNS,
    SERVICE_COLUMNS,
    Column,
    Row,
)
from proxy.apiserver.tables.event import event_row
from proxy.apiserver.tables.node import namespace_row, node_row
from proxy.apiserver.tables.pod import pod_row
from proxy.apiserver.tables.service import endpoint_slice_row, endpoints_row, service_row

METADATA, OBJECT, NONE = "Metadata", "Object", "None"
INCLUDED = (METADATA, OBJECT, NONE)
"""Values of the query parameter `includeObject`; `Metadata` where it is not given."""

_FORMS: Mapping[str, tuple[tuple[Column, ...], Callable[[Document, float], Row]]] = MappingProxyType(
    {
        SERVICES.plural: (SERVICE_COLUMNS, service_row),
        ENDPOINTS.plural: (ENDPOINTS_COLUMNS, endpoints_row),
        ENDPOINT_SLICES.plural: (ENDPOINT_SLICE_COLUMNS, endpoint_slice_row),
        PODS.plural: (POD_COLUMNS, pod_row),
        NODES.plural: (NODE_COLUMNS, node_row),
        NAMESPACES.plural: (NAMESPACE_COLUMNS, namespace_row),
        EVENTS.plural: (EVENT_COLUMNS, event_row),
        SERVICE_CIDRS.plural: (SERVICE_CIDR_COLUMNS, service_cidr_row),
        IP_ADDRESSES.plural: (IP_ADDRESS_COLUMNS, ip_address_row),
        CUSTOM_RESOURCE_DEFINITIONS.plural: (DEFINITION_COLUMNS, created_row),
    }
)


def table(
    kind: Kind,
    objects: Iterable[Document],
    now: datetime,
    include_object: str,
    list_metadata: Mapping[str, Any],
    with_columns: bool = True,
    version: str = "v1",
) -> Document:
    """A Table of `objects`, of meta.k8s.io in `version`.

    `list_metadata` holds the resourceVersion of the list or of the single object, and what a page of a list adds.
    Of a watch only the first table comes `with_columns`. Raises StatusError 400 for another `include_object`.
    """
    if include_object not in INCLUDED:
        raise bad_request(f'unrecognized includeObject value: "{include_object}"')
    columns, row = _FORMS.get(kind.plural, (ANY_COLUMNS, any_row))
    rows = [{"cells": row(each, now.timestamp()), **_included(each, include_object, version)} for each in objects]
    head = {"kind": "Table", "apiVersion": f"meta.k8s.io/{version}", "metadata": dict(list_metadata)}
    definitions = {"columnDefinitions": [column.definition() for column in columns]} if with_columns else {}
    return {**head, **definitions, "rows": rows}


def _included(document: Document, include_object: str, version: str) -> Document:
    if include_object == NONE:
        return {}
    if include_object == OBJECT:
        return {"object": document}
    title = {"kind": "PartialObjectMetadata", "apiVersion": f"meta.k8s.io/{version}"}
    return {"object": {**title, "metadata": document["metadata"]}}
