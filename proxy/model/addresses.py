"""Addresses: the syntax of IP addresses and CIDRs, and the API server's words about them.

Invariant: strict as Kubernetes 1.36 is (StrictIPCIDRValidation): no leading zeros, no IPv4-mapped IPv6, no zone, no
bits beyond a prefix; so every library reads an accepted text the same way.
"""

import ipaddress
import re

from proxy.model.field_errors import invalid
from proxy.model.problem import FieldError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_PADDED_OCTET = re.compile(r"(?<![0-9a-fA-F:])0+(?=[0-9])|(?<=:)0+(?=[0-9]+\.)")
_LINK_LOCAL_MULTICAST = (ipaddress.ip_network("224.0.0.0/24"), ipaddress.ip_network("ff02::/16"))


def parse_address(text: str) -> Address | None:
    """The address in `text`, or None when `address_errors` would refuse it."""
    address = _parsed(text)
    return None if address is None or _is_mapped(address) else address


def address_errors(field: str, text: str) -> tuple[FieldError, ...]:
    """IsValidIP of k8s.io/apimachinery/pkg/util/validation/ip.go."""
    address = _parsed(text)
    if address is None and _parsed(_PADDED_OCTET.sub("", text)) is not None:
        return (invalid(field, text, "must not have leading 0s"),)
    if address is None:
        return (invalid(field, text, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"),)
    if _is_mapped(address):
        return (invalid(field, text, "must not be an IPv4-mapped IPv6 address"),)
    return ()


def endpoint_address_errors(field: str, text: str, *, allow_loopback: bool = False) -> tuple[FieldError, ...]:
    """ValidateEndpointIP of pkg/apis/core/validation: what neither an endpoint nor an external IP may be.

    Includes `address_errors`. Global multicast passes, as it does there.
    """
    address = parse_address(text)
    if address is None:
        return address_errors(field, text)
    details = []
    if address.is_unspecified:
        details.append(f"may not be unspecified ({text})")
    if address.is_loopback and not allow_loopback:
        details.append("may not be in the loopback range (127.0.0.0/8, ::1/128)")
    if address.is_link_local:
        details.append("may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    if any(address in network for network in _LINK_LOCAL_MULTICAST):
        details.append("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")
    return tuple(invalid(field, text, detail) for detail in details)


def cidr_errors(field: str, text: str) -> tuple[FieldError, ...]:
    """IsValidCIDR of k8s.io/apimachinery/pkg/util/validation/ip.go; `text` is already trimmed."""
    address_text, _, length = text.partition("/")
    address = _parsed(_PADDED_OCTET.sub("", address_text))
    # Longer than any honest prefix: also keeps int() away from digits without end.
    if address is None or not re.fullmatch("[0-9]{1,9}", length) or int(length) > address.max_prefixlen:
        return (invalid(field, text, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"),)
    errors = []
    if _parsed(address_text) is None or str(int(length)) != length:
        errors.append(invalid(field, text, "must not have leading 0s in IP or prefix length"))
    elif _is_mapped(address):
        errors.append(invalid(field, text, "must not have an IPv4-mapped IPv6 address"))
    if int(address) & ((1 << (address.max_prefixlen - int(length))) - 1):
        errors.append(invalid(field, text, "must not have bits set beyond the prefix length"))
    return tuple(errors)


def _parsed(text: str) -> Address | None:
    if "%" in text:
        return None
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _is_mapped(address: Address) -> bool:
    return isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None
