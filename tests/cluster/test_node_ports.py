"""Node ports: the range, its bands and the API server's texts."""

from random import Random

import pytest

from proxy.cluster.allocation_error import AlreadyAllocatedError, OutsideRangeError, RangeFullError
from proxy.cluster.node_ports import NodePortAllocator, static_band


@pytest.mark.parametrize(
    ("ports", "band"), [(1, 0), (16, 0), (17, 16), (512, 16), (2768, 86), (4096, 128), (65535, 128)]
)
def test_spares_the_band_of_the_range(ports: int, band: int) -> None:
    assert static_band(ports) == band


def test_gives_every_port_once_and_the_static_band_last() -> None:
    allocator = NodePortAllocator(random=Random(1))
    given_out = [allocator.allocate() for _ in range(2768)]
    assert sorted(given_out) == list(range(30000, 32768))
    assert min(given_out[: 2768 - 86]) == 30086
    with pytest.raises(RangeFullError, match=r"^range is full$"):
        allocator.allocate()


@pytest.mark.parametrize(("first", "last"), [(1, 1), (40000, 40011), (30000, 30040)])
def test_covers_a_range_of_any_size(first: int, last: int) -> None:
    allocator = NodePortAllocator(first, last, random=Random(1))
    assert {allocator.allocate() for _ in range(first, last + 1)} == set(range(first, last + 1))


def test_a_taken_port_is_refused_until_it_is_released() -> None:
    allocator = NodePortAllocator(random=Random(1))
    allocator.reserve(30080)
    with pytest.raises(AlreadyAllocatedError, match=r"^provided port is already allocated$"):
        allocator.reserve(30080)
    allocator.release(30080)
    allocator.reserve(30080)


@pytest.mark.parametrize("port", [80, 29999, 32768])
def test_a_port_outside_the_range_is_refused(port: int) -> None:
    with pytest.raises(OutsideRangeError) as caught:
        NodePortAllocator(random=Random(1)).reserve(port)
    assert str(caught.value) == ("provided port is not in the valid range. The range of valid ports is 30000-32767")


@pytest.mark.parametrize(("first", "last"), [(0, 10), (10, 9), (60000, 65536)])
def test_refuses_what_is_no_range(first: int, last: int) -> None:
    with pytest.raises(ValueError, match="is no range of ports"):
        NodePortAllocator(first, last, random=Random(1))
