"""Rows of ServiceCIDRs, IPAddresses, and whatever has no columns of its own.

Invariant: the words are those of printServiceCIDR and printIPAddress (kubernetes pkg/printers/internalversion).
"""

from proxy.apiserver.document import Document
from proxy.apiserver.tables.columns import Row
from proxy.reports.human_duration import age


def service_cidr_row(document: Document, now: float) -> Row:
    return [document["metadata"]["name"], ",".join(document.get("spec", {}).get("cidrs", [])), _age(document, now)]


def ip_address_row(document: Document, now: float) -> Row:
    parent = document.get("spec", {}).get("parentRef", {})
    words = (parent.get(name, "") for name in ("group", "resource", "namespace", "name"))
    return [document["metadata"]["name"], "/".join(filter(None, words)), _age(document, now)]


def any_row(document: Document, now: float) -> Row:
    return [document["metadata"].get("name", ""), _age(document, now)]


def created_row(document: Document, now: float) -> Row:
    return [document["metadata"]["name"], document["metadata"].get("creationTimestamp", "")]


def _age(document: Document, now: float) -> str:
    return age(document["metadata"].get("creationTimestamp", ""), now)
