"""ClusterIP ranges of every size against the addresses that ipaddress lists."""

from ipaddress import ip_address, ip_network
from itertools import islice
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cluster.allocation_error import AlreadyAllocatedError, OutsideRangeError, RangeFullError
from proxy.cluster.cluster_ips import ClusterIPAllocator, static_band


@pytest.mark.parametrize(
    ("addresses", "band"), [(4, 0), (16, 0), (32, 16), (256, 16), (1024, 64), (4096, 256), (2**20, 256), (2**64, 256)]
)
def test_spares_the_band_of_the_range(addresses: int, band: int) -> None:
    assert static_band(addresses) == band


@pytest.mark.parametrize("prefix", range(24, 31))
def test_gives_every_usable_ipv4_address_once_but_two(prefix: int) -> None:
    network = ip_network(f"10.0.0.0/{prefix}")
    usable = [str(address) for address in network.hosts()]
    allocator = ClusterIPAllocator(str(network), Random(prefix))
    named_only = {usable[0], *usable[9:10]}
    given_out = [allocator.allocate() for _ in range(len(usable) - len(named_only))]
    assert set(given_out) == set(usable) - named_only
    dynamic = set(usable[static_band(network.num_addresses) :]) - named_only
    assert set(given_out[: len(dynamic)]) == dynamic
    with pytest.raises(RangeFullError, match=r"^range is full$"):
        allocator.allocate()


@pytest.mark.parametrize("prefix", range(122, 128))
def test_gives_the_last_address_of_an_ipv6_range(prefix: int) -> None:
    network = ip_network(f"fd00::/{prefix}")
    allocator = ClusterIPAllocator(str(network), Random(3))
    usable = [str(address) for address in network][1:]
    named_only = {usable[0], *usable[9:10]}
    given_out = {allocator.allocate() for _ in range(len(usable) - len(named_only))}
    assert given_out == set(usable) - named_only


@pytest.mark.parametrize("cidr", ["10.96.0.0/12", "127.96.0.0/16", "fd00::/112", "fd00::/64"])
def test_the_first_dynamic_addresses_of_a_large_range_lie_above_its_static_band(cidr: str) -> None:
    allocator = ClusterIPAllocator(cidr, Random(5))
    network = ip_network(cidr)
    static = {str(address) for address in islice(network, 257)}
    given_out = {allocator.allocate() for _ in range(500)}
    assert len(given_out) == 500
    assert not given_out & static
    assert all(ip_address(address) in network for address in given_out)


def test_the_first_address_is_taken_and_stays_so() -> None:
    allocator = ClusterIPAllocator("10.96.0.0/12", Random(0))
    assert allocator.kubernetes_address == "10.96.0.1"
    allocator.release("10.96.0.1")
    with pytest.raises(AlreadyAllocatedError, match=r"^provided IP is already allocated$"):
        allocator.reserve("10.96.0.1")
    allocator.reserve("10.96.0.10")


@pytest.mark.parametrize("address", ["10.97.0.5", "9.255.255.255", "fd00::1"])
def test_refuses_an_address_of_another_network(address: str) -> None:
    with pytest.raises(OutsideRangeError, match=r"^the provided network does not match the current range$"):
        ClusterIPAllocator("10.96.0.0/16", Random(0)).reserve(address)


@pytest.mark.parametrize("address", ["10.96.0.0", "10.96.255.255"])
def test_refuses_the_edges_of_the_range(address: str) -> None:
    with pytest.raises(OutsideRangeError) as caught:
        ClusterIPAllocator("10.96.0.0/16", Random(0)).reserve(address)
    assert str(caught.value) == (
        f"the provided IP ({address}) is not in the valid range. The range of valid IPs is 10.96.0.0/16"
    )


@pytest.mark.parametrize("cidr", ["fd00::/63", "10.0.0.0/31", "10.0.0.0/32", "10.0.0.1/24", "nonsense"])
def test_refuses_what_is_no_service_range(cidr: str) -> None:
    with pytest.raises(ValueError, match=cidr.partition("/")[0]):
        ClusterIPAllocator(cidr, Random(0))


@given(steps=st.lists(st.tuples(st.booleans(), st.integers(1, 254)), max_size=80), seed=st.integers(0, 5))
def test_agrees_with_a_set_of_addresses(steps: list[tuple[bool, int]], seed: int) -> None:
    allocator, out = ClusterIPAllocator("10.0.0.0/24", Random(seed)), {"10.0.0.1"}
    for reserve, last in steps:
        address = f"10.0.0.{last}"
        if not reserve:
            allocator.release(address)
            out -= {address} - {"10.0.0.1"}
        elif address in out:
            with pytest.raises(AlreadyAllocatedError):
                allocator.reserve(address)
        else:
            allocator.reserve(address)
            out.add(address)
        dynamic = allocator.allocate()
        assert dynamic not in out
        allocator.release(dynamic)
