"""Who is let in, held to the membership of networks that the filter on the socket has."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.capture.source_ranges import admitted

addresses = st.integers(0, 2**32 - 1).map(lambda number: str(ipaddress.IPv4Address(number)))
networks = st.tuples(addresses, st.integers(0, 32)).map(lambda parts: f"{parts[0]}/{parts[1]}")


@pytest.mark.parametrize(
    ("ranges", "client", "answer"),
    [
        ((), "10.0.0.7", True),
        ((), "", True),
        (("10.0.0.0/8",), "", None),
        (("10.0.0.0/8",), "10.0.0.7", True),
        (("10.0.0.0/8", " 192.0.2.1/24 "), "192.0.2.9", True),
        (("10.0.0.0/8",), "11.0.0.7", False),
        (("fd00::/8",), "10.0.0.7", False),
        (("fe80::/10",), "fe80::1%eth0", True),
    ],
)
def test_a_client_is_let_in_from_within_the_ranges(ranges: tuple[str, ...], client: str, answer: bool | None) -> None:
    assert admitted(ranges, client) is answer


@given(ranges=st.lists(networks, min_size=1, max_size=5), client=addresses)
def test_any_ranges_let_in_what_their_prefixes_match(ranges: list[str], client: str) -> None:
    def matches(cidr: str) -> bool:
        network, _, length = cidr.partition("/")
        ignored = 32 - int(length)
        return int(ipaddress.IPv4Address(network)) >> ignored == int(ipaddress.IPv4Address(client)) >> ignored

    assert admitted(ranges, client) == any(map(matches, ranges))
