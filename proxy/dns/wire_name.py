"""Names in the form that DNS sends, as keys: lower case, every label after its length, without the root's zero.

Invariant: two spellings of a name have one key, and every key that is made here fits into a message (RFC 1035, 2.3.4).
"""

from collections.abc import Iterator
from ipaddress import ip_address, ip_network

WireName = bytes

LONGEST_LABEL = 63
LONGEST_NAME = 254
"""Without the root's zero, which is the 255th."""


_IPV4_ZONE = b"\x07in-addr\x04arpa"


class NameTooLongError(ValueError):
    """A name or a label of it that DNS has no room for."""


def wire_name(text: str) -> WireName:
    """The key of a name in text, with or without a dot at its end. Raises NameTooLongError, ValueError."""
    return below(b"", *text.removesuffix(".").split(".")) if text.strip(".") else b""


def below(parent: WireName, *labels: str) -> WireName:
    """The key of the name that has `labels` before `parent`. Raises NameTooLongError, and ValueError beyond ASCII."""
    encoded = [label.lower().encode("ascii") for label in labels]
    if not all(0 < len(label) <= LONGEST_LABEL for label in encoded):
        raise NameTooLongError(f"a label of {'.'.join(labels)} is empty or longer than {LONGEST_LABEL} characters")
    name = b"".join(bytes((len(label),)) + label for label in encoded) + parent
    if len(name) > LONGEST_NAME:
        raise NameTooLongError(f"{'.'.join(labels)} is too long for a name")
    return name


def child(parent: WireName, label: str) -> WireName:
    """`below` for one label; a headless Service of many endpoints needs thousands. Raises as that does."""
    encoded = label.lower().encode("ascii")
    if not 0 < len(encoded) <= LONGEST_LABEL or len(encoded) + 1 + len(parent) > LONGEST_NAME:
        return below(parent, label)
    return bytes((len(encoded),)) + encoded + parent


def text_of(name: WireName) -> str:
    """The name in text, with a dot at its end; escapes what is not printable (RFC 4343)."""
    return "".join(f"{_label_text(name, start)}." for start in label_starts(name)) or "."


def label_starts(name: WireName) -> Iterator[int]:
    """Where each label's length stands."""
    position = 0
    while position < len(name):
        yield position
        position += name[position] + 1


def parent_of(name: WireName) -> WireName:
    """The name without its first label; the root's parent is the root."""
    return name[name[0] + 1 :] if name else name


def first_label(name: WireName) -> str:
    """The first label, which must be ASCII to be anything that Kubernetes names: else empty."""
    label = name[1 : name[0] + 1] if name else b""
    return label.decode("ascii") if label.isascii() else ""


def reverse_name(address: str) -> WireName:
    """Where the PTR record of a canonical address is (RFC 1035, 3.5; RFC 3596, 2.5)."""
    if ":" in address:
        return wire_name(ip_address(address).reverse_pointer)
    name = _IPV4_ZONE
    for octet in address.split("."):
        name = bytes((len(octet),)) + octet.encode() + name
    return name


def reverse_zones(cidr: str) -> tuple[WireName, ...]:
    """The zones of in-addr.arpa or ip6.arpa that cover the range exactly.

    A range whose prefix ends within an octet (or a nibble, in IPv6) is several: 10.96.0.0/12 is 96.10.in-addr.arpa to
    111.10.in-addr.arpa.
    """
    network = ip_network(cidr)
    step, suffix = (8, "in-addr.arpa") if network.version == 4 else (4, "ip6.arpa")
    length = -(-network.prefixlen // step) * step
    zones = []
    for subnet in network.subnets(new_prefix=length):
        labels = ip_address(subnet.network_address).reverse_pointer.removesuffix(f".{suffix}").split(".")
        kept = labels[len(labels) - length // step :]
        zones.append(wire_name(".".join([*kept, suffix])))
    return tuple(zones)


def _label_text(name: WireName, start: int) -> str:
    label = name[start + 1 : start + 1 + name[start]]
    return "".join(chr(byte) if 0x21 <= byte <= 0x7E and byte not in b'.\\"' else f"\\{byte:03d}" for byte in label)
