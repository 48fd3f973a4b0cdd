"""What the API server warns of when a Service is written, in its words (k8s.io/kubernetes/pkg/api/service). Pure."""

from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address, IPv6Address, IPv6Network

from proxy.apiserver.document import Document, metadata_of

_HINTS = "service.kubernetes.io/topology-aware-hints"
_MODE = "service.kubernetes.io/topology-mode"


def service_warnings(document: Document) -> Iterator[str]:
    """Warnings of a Service as the client sent it."""
    spec = document.get("spec") or {}
    if _HINTS in (metadata_of(document).get("annotations") or {}):
        yield f"annotation {_HINTS} is deprecated, please use {_MODE} instead"
    if spec.get("type") != "ExternalName":
        for index, text in enumerate(spec.get("clusterIPs") or ()):
            if text != "None":
                yield from _address_warnings(f"spec.clusterIPs[{index}]", text)
    if spec.get("externalIPs"):
        yield "spec.externalIPs is deprecated and may no longer be implemented in some clusters"
    for index, text in enumerate(spec.get("externalIPs") or ()):
        yield from _address_warnings(f"spec.externalIPs[{index}]", text)
    if spec.get("loadBalancerIP"):
        yield from _address_warnings("spec.loadBalancerIP", spec["loadBalancerIP"])
    for index, text in enumerate(spec.get("loadBalancerSourceRanges") or ()):
        yield from _range_warnings(f"spec.loadBalancerSourceRanges[{index}]", text.strip())
    yield from _ignored(spec)
    if spec.get("trafficDistribution") == "PreferClose":
        yield 'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"'


def _ignored(spec: Document) -> Iterator[str]:
    if spec.get("type") == "ExternalName":
        if spec.get("externalIPs"):
            yield 'spec.externalIPs is ignored when spec.type is "ExternalName"'
    elif spec.get("externalName"):
        yield 'spec.externalName is ignored when spec.type is not "ExternalName"'
    if spec.get("type") in (None, "", "ClusterIP") and spec.get("clusterIP") == "None":
        if spec.get("externalIPs"):
            yield "spec.externalIPs is ignored for headless services"
        if spec.get("loadBalancerIP"):
            yield "spec.loadBalancerIP is ignored for headless services"
        if spec.get("sessionAffinity") not in (None, "", "None"):
            yield "spec.SessionAffinity is ignored for headless services"


def _address_warnings(field: str, text: str) -> Iterator[str]:
    octets = text.split(".")
    if len(octets) == 4 and all(octet.isascii() and octet.isdecimal() for octet in octets):
        standard = ".".join(str(int(octet)) for octet in octets)
        if standard != text and all(int(octet) < 256 for octet in octets):
            yield f'{field}: non-standard IP address "{text}" is invalid: use "{IPv4Address(standard)}"'
    elif ":" in text:
        try:
            standard = str(IPv6Address(text))
        except AddressValueError:
            return
        if standard != text:
            yield f'{field}: IPv6 address "{text}" should be in RFC 5952 canonical format ("{standard}")'


def _range_warnings(field: str, text: str) -> Iterator[str]:
    if ":" not in text:
        return
    try:
        standard = str(IPv6Network(text, strict=False))
    except ValueError:
        return
    if standard != text:
        yield f'{field}: IPv6 CIDR value "{text}" should be in RFC 5952 canonical format ("{standard}")'
