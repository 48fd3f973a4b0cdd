"""What the workers take unless the configuration says: cores by affinity and quota, a share of the memory."""

import os
from pathlib import Path

import pytest

from proxy.workers.machine_share import default_buffer_bytes, default_workers

CORES = len(os.sched_getaffinity(0))


@pytest.fixture
def group(tmp_path: Path) -> Path:
    """A cgroup two levels deep that this process is in."""
    (tmp_path / "membership").write_text("12:cpu:/elsewhere\n0::/pods/one\n")
    (tmp_path / "cgroup" / "pods" / "one").mkdir(parents=True)
    return tmp_path


def count(group: Path) -> int:
    return default_workers(group / "membership", group / "cgroup")


def test_one_a_core_without_a_quota(group: Path) -> None:
    assert count(group) == CORES
    (group / "cgroup" / "pods" / "one" / "cpu.max").write_text("max 100000\n")
    assert count(group) == CORES


@pytest.mark.parametrize("quota", ["1 100000", "50000 100000", "100000 100000", "1000 1000"])
def test_up_to_a_core_is_one(group: Path, quota: str) -> None:
    (group / "cgroup" / "pods" / "one" / "cpu.max").write_text(quota)
    assert count(group) == 1


def test_a_part_of_a_core_more_is_one_more(group: Path) -> None:
    (group / "cgroup" / "pods" / "one" / "cpu.max").write_text("100001 100000")
    assert count(group) == min(2, CORES)


def test_a_quota_above_counts_as_well(group: Path) -> None:
    (group / "cgroup" / "pods" / "cpu.max").write_text("100000 100000")
    (group / "cgroup" / "pods" / "one" / "cpu.max").write_text("900000 100000")
    assert count(group) == 1


@pytest.mark.parametrize("text", ["", "nonsense", "1 0", "a b"])
def test_what_cannot_be_read_is_no_quota(group: Path, text: str) -> None:
    (group / "cgroup" / "pods" / "one" / "cpu.max").write_text(text)
    assert count(group) == CORES


def test_without_cgroups_the_cores_count(tmp_path: Path) -> None:
    assert default_workers(tmp_path / "none", tmp_path) == CORES


MIB = 1024 * 1024


def buffer_bytes(group: Path, workers: int = 1) -> int:
    return default_buffer_bytes(workers, group / "membership", group / "cgroup")


def test_a_quarter_of_the_tightest_memory_limit_is_for_slow_readers_of_all_workers(group: Path) -> None:
    (group / "cgroup" / "pods" / "memory.max").write_text(f"{512 * MIB}\n")
    (group / "cgroup" / "pods" / "one" / "memory.max").write_text("max\n")
    assert buffer_bytes(group) == 128 * MIB
    assert buffer_bytes(group, workers=4) == 32 * MIB
    assert buffer_bytes(group, workers=0) == 128 * MIB


def test_there_is_always_some_memory_for_slow_readers_and_never_all(group: Path) -> None:
    (group / "cgroup" / "pods" / "memory.max").write_text("1000000")
    assert buffer_bytes(group) == 4 * MIB
    (group / "cgroup" / "pods" / "memory.max").write_text(str(2**60))
    assert 4 * MIB <= buffer_bytes(group) <= 1024 * MIB
