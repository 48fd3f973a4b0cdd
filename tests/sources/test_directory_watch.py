"""The directory watch on real directories. Every wait has a bound and ends with what it waits for."""

import asyncio
import errno
import os
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from proxy.sources.directory_watch import DirectoryWatch
from proxy.sources.inotify import Event, Inotify, Mask
from proxy.sources.manifest_scan import scan

pytestmark = pytest.mark.usefixtures("told_by_the_kernel")

_BOUND_SECONDS = 20


class Follower:
    """Looks again each time it is told, as the manifest source does."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self.watch = DirectoryWatch([self.root])
        self._taken = asyncio.Event()
        self._end = self.watch._end_burst
        self.watch._end_burst = self._end_burst  # type: ignore[method-assign]

    def follow(self) -> bool:
        return self.watch.follow(scan([self.root]).directories)

    def settle(self) -> None:
        """Follow until there is nothing that happened meanwhile."""
        while self.follow():
            pass

    async def told_of(self, edit: Callable[[], object]) -> None:
        edit()
        async with asyncio.timeout(_BOUND_SECONDS):
            await self.watch.wait()

    def is_woken(self) -> bool:
        return self.watch._changed.is_set()

    async def never_told_of(self, edit: Callable[[], object]) -> None:
        """What the kernel tells of an edit does not matter."""
        self._taken.clear()
        edit()
        await self.taken()
        assert not self.is_woken()

    async def taken(self) -> None:
        """Wait until the watch has taken in a burst and looks again."""
        async with asyncio.timeout(_BOUND_SECONDS):
            await self._taken.wait()
        self._taken.clear()

    def _end_burst(self) -> None:
        self._end()
        self._taken.set()


@pytest.fixture
async def follower(root: Path) -> AsyncIterator[Follower]:
    follower = Follower(root)
    follower.settle()
    yield follower
    follower.watch.close()


async def test_the_first_look_and_the_same_again(root: Path) -> None:
    follower = Follower(root)
    assert follower.follow()
    assert not follower.follow()
    (root / "sub").mkdir()
    assert follower.follow()
    assert not follower.follow()
    follower.watch.close()


@pytest.mark.parametrize("how", ["create", "write", "append", "chmod", "rename", "delete", "touch"])
async def test_every_way_of_changing_a_file_is_told(follower: Follower, root: Path, how: str) -> None:
    file = root / "a.yaml"
    if how != "create":
        file.write_text("1")
        await follower.told_of(lambda: None)
    open_file = file.open("a", buffering=1) if how == "append" else None
    edits: dict[str, Callable[[], object]] = {
        "create": file.touch,
        "write": lambda: file.write_text("2"),
        "append": lambda: open_file.write("2\n") if open_file else None,
        "chmod": lambda: file.chmod(0o600),
        "rename": lambda: file.rename(root / "b.yaml"),
        "delete": file.unlink,
        "touch": lambda: os.utime(file),
    }
    await follower.told_of(edits[how])
    if open_file is not None:
        open_file.close()


async def test_a_save_in_several_steps_is_one_change(follower: Follower, root: Path) -> None:
    def save() -> None:
        (root / ".a.yaml.tmp").write_text("1")
        os.replace(root / ".a.yaml.tmp", root / "a.yaml")
        (root / "a.yaml").chmod(0o600)

    for _ in range(3):
        await follower.told_of(save)
        assert not follower.is_woken()
        assert follower.watch._burst is None


async def test_steps_without_an_end_are_told_all_the_same(follower: Follower, root: Path) -> None:
    async def go_on() -> None:
        while True:
            (root / "a.yaml").write_text("1")
            await asyncio.sleep(0)

    endless = asyncio.create_task(go_on())
    await follower.told_of(lambda: None)
    await follower.told_of(lambda: None)
    endless.cancel()
    await asyncio.wait([endless])


async def test_other_names_beside_a_root_are_nobodys_business(follower: Follower, root: Path, tmp_path: Path) -> None:
    await follower.never_told_of((tmp_path / "other").touch)
    await follower.never_told_of((tmp_path / "other").unlink)
    await follower.never_told_of((tmp_path / "open").touch)
    # The kernel does not even wake the process for what is written into one.
    before = follower.watch._inotify
    assert before is not None
    (tmp_path / "open").write_text("much")
    (tmp_path / "open").chmod(0o600)
    assert before.read() == []


async def test_a_root_that_goes_and_comes_back_is_told_each_time(
    follower: Follower, root: Path, tmp_path: Path
) -> None:
    await follower.told_of(lambda: root.rename(tmp_path / "away"))
    follower.settle()
    await follower.told_of(lambda: (tmp_path / "away").rename(root))
    follower.settle()
    await follower.told_of((root / "a.yaml").touch)
    follower.settle()
    await follower.told_of(lambda: shutil.rmtree(root))
    follower.settle()
    await follower.told_of(root.mkdir)
    follower.settle()
    await follower.told_of((root / "a.yaml").touch)


async def test_everything_above_a_root_may_go_and_come_back(tmp_path: Path) -> None:
    root = tmp_path / "a" / "b" / "manifests"
    root.mkdir(parents=True)
    follower = Follower(root)
    follower.settle()
    for _ in range(2):
        await follower.told_of(lambda: shutil.rmtree(tmp_path / "a"))
        follower.settle()
        await follower.never_told_of((tmp_path / "other").mkdir)
        (tmp_path / "other").rmdir()
        for directory in (tmp_path / "a", tmp_path / "a" / "b", root):
            await follower.told_of(directory.mkdir)
            follower.settle()
        await follower.told_of((root / "a.yaml").touch)
    follower.watch.close()


async def test_a_link_that_is_turned_to_another_directory_is_told(tmp_path: Path) -> None:
    for name in ("v1", "v2"):
        (tmp_path / name).mkdir()
    link = tmp_path / "current"
    link.symlink_to("v1")
    follower = Follower(link)
    follower.settle()
    (tmp_path / "next").symlink_to("v2")
    await follower.told_of(lambda: os.rename(tmp_path / "next", link))
    follower.settle()
    await follower.told_of((tmp_path / "v2" / "a.yaml").touch)
    follower.watch.close()


async def test_a_directory_in_the_place_and_with_the_inode_of_another_is_watched_anew(
    follower: Follower, root: Path
) -> None:
    (root / "sub").mkdir()
    follower.settle()
    directories = scan([follower.root]).directories
    await follower.told_of((root / "sub").rmdir)
    (root / "sub").mkdir()
    # As the scan would have it on a file system that gives the number out again.
    again = {path: directories.get(path, identity) for path, identity in scan([follower.root]).directories.items()}
    while follower.watch.follow(again):
        pass
    await follower.told_of(lambda: None)
    await follower.told_of((root / "sub" / "a.yaml").touch)


async def test_lost_events_are_a_reason_to_look(
    follower: Follower, monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:
    lost = [Event(-1, Mask.QUEUE_OVERFLOW, "")]
    read = Inotify.read
    monkeypatch.setattr(Inotify, "read", lambda self: lost if read(self) else [])
    follower.watch._names = {}
    await follower.told_of((root / "a.yaml").touch)


async def test_one_directory_that_cannot_be_watched_leaves_the_others_watched(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = Inotify.add

    def refuse_one(self: Inotify, directory: str, mask: int) -> int:
        if directory.endswith("/secret"):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        return add(self, directory, mask)

    (root / "secret").mkdir()
    monkeypatch.setattr(Inotify, "add", refuse_one)
    follower = Follower(root)
    assert follower.follow()
    assert not follower.follow()
    assert "Permission denied" in follower.watch.fault
    await follower.told_of((root / "a.yaml").touch)
    monkeypatch.setattr(Inotify, "add", add)
    assert follower.follow()
    assert follower.watch.fault == ""
    assert not follower.follow()
    follower.watch.close()


async def test_a_directory_that_vanished_before_it_could_be_watched_is_no_fault(follower: Follower, root: Path) -> None:
    (root / "sub").mkdir()
    found = scan([follower.root]).directories
    (root / "sub").rmdir()
    assert follower.watch.follow(found)
    assert follower.watch.fault == ""


async def test_wake_ends_the_wait(follower: Follower) -> None:
    await follower.told_of(follower.watch.wake)


async def test_close_leaves_no_descriptor(root: Path) -> None:
    before = os.listdir("/proc/self/fd")
    follower = Follower(root)
    follower.settle()
    (root / "a.yaml").touch()
    follower.watch.close()
    assert os.listdir("/proc/self/fd") == before
