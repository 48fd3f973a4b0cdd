"""Replacing a file: whole or not at all, private, through nobody's link, and on disk."""

import errno
import os
import stat
from pathlib import Path

import pytest

from proxy.replacement import Replacement


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "state"
    path.write_bytes(b"old")
    return path


def replace(path: Path, content: bytes) -> None:
    with Replacement(str(path)) as replacement:
        replacement.file.write(content)
        replacement.finish()


def test_the_new_file_takes_the_old_one_s_place_and_is_its_owner_s_alone(path: Path) -> None:
    replace(path, b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(path.parent) == ["state"]


def test_the_directory_is_on_disk_before_it_is_finished(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bool] = []
    sync = os.fsync

    def seen(descriptor: int) -> None:
        synced.append(stat.S_ISDIR(os.fstat(descriptor).st_mode))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", seen)
    replace(path, b"new")
    assert synced == [False, True]


def test_what_is_not_finished_leaves_the_old_file_and_nothing_else(path: Path) -> None:
    with Replacement(str(path)) as replacement:
        replacement.file.write(b"half")
    assert path.read_bytes() == b"old"
    assert os.listdir(path.parent) == ["state"]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        replace(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(path.parent) == ["state"]


def test_a_link_that_somebody_put_there_is_not_followed(path: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    os.symlink(victim, f"{path}.{os.getpid()}.new")
    replace(path, b"new")
    assert victim.read_bytes() == b"precious"
    assert path.read_bytes() == b"new"
    assert not path.is_symlink()


def test_what_a_crash_left_is_in_nobody_s_way(path: Path) -> None:
    Path(f"{path}.{os.getpid()}.new").write_bytes(b"half")
    replace(path, b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(path.parent) == ["state"]


def test_a_name_without_a_directory_is_one_of_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    replace(Path("state"), b"new")
    assert (tmp_path / "state").read_bytes() == b"new"
