"""Maps in the kernel: changed one by one, changed at once, full."""

import errno
from collections.abc import Iterator

import pytest

from proxy.bpf.bpf_error import BpfError
from proxy.bpf.bpf_map import BpfMap, MapKind


@pytest.fixture
def numbers() -> Iterator[BpfMap]:
    """Room for three four-byte keys."""
    try:
        made = BpfMap("numbers", MapKind.HASH, 4, 4, 3)
    except BpfError as error:
        pytest.skip(f"not permitted: {error}")
    yield made
    made.close()


def word(number: int) -> bytes:
    return number.to_bytes(4, "little")


def test_a_full_map_says_so_and_takes_another_when_one_has_left(numbers: BpfMap) -> None:
    numbers.update_all({word(number): word(number) for number in range(3)})
    with pytest.raises(BpfError, match="cannot change the BPF map numbers") as raised:
        numbers.update(word(4), word(4))
    assert raised.value.errno == errno.E2BIG
    numbers.delete(word(0))
    numbers.update(word(4), word(4))


def test_an_entry_is_replaced_where_the_map_is_full(numbers: BpfMap) -> None:
    numbers.update_all({word(number): word(number) for number in range(3)})
    numbers.update(word(1), word(9))
    assert numbers.value_of(word(1)) == word(9)


def test_what_was_written_is_read(numbers: BpfMap) -> None:
    numbers.update(word(1), word(7))
    assert (numbers.value_of(word(1)), numbers.value_of(word(2))) == (word(7), None)


def test_what_is_not_there_may_be_deleted(numbers: BpfMap) -> None:
    numbers.delete(word(5))
    assert numbers.value_of(word(5)) is None


def test_no_entries_are_no_call(numbers: BpfMap, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[object, ...]] = []
    monkeypatch.setattr("proxy.bpf.bpf_map.bpf", lambda *arguments: calls.append(arguments))
    numbers.update_all({})
    assert calls == []


@pytest.mark.parametrize(("key", "value"), [(b"abc", b"abcd"), (b"abcd", b"abcde")])
def test_a_key_or_value_of_another_size_stays_here(numbers: BpfMap, key: bytes, value: bytes) -> None:
    with pytest.raises(ValueError, match="of the map numbers is 4 bytes long"):
        numbers.update(key, value)
    with pytest.raises(ValueError, match="of the map numbers is 4 bytes long"):
        numbers.update_all({key: value})


def test_closing_twice_is_fine(numbers: BpfMap) -> None:
    numbers.close()
    numbers.close()
