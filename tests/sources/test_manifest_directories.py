"""The manifest source where directories and links come, go and turn, or cannot be watched."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.startup_error import StartupError
from tests.sources.followed_manifests import following, replace_file

pytestmark = pytest.mark.usefixtures("told_by_the_kernel")


async def test_files_come_and_go_in_directories_that_come_and_go(
    root: Path, state: Path, service: Callable[..., str]
) -> None:
    async with following(root, state=state) as followed:
        (root / "deep/er").mkdir(parents=True)
        (root / "deep/er/a.yaml").write_text(service("x"))
        await followed.until(lambda now: now.notes.keys() == {"x"})
        (root / "deep/er/b.yaml").write_text(service("y"))
        await followed.until(lambda now: now.notes.keys() == {"x", "y"})
        (root / "deep/er/b.yaml").unlink()
        await followed.until(lambda now: now.notes.keys() == {"x"})
        shutil.rmtree(root / "deep")
        await followed.until(lambda now: now.notes == {})


async def test_a_configmap_volume_is_followed_through_its_swap(
    tmp_path: Path, root: Path, state: Path, service: Callable[..., str]
) -> None:
    def publish(version: str, text: str) -> None:
        (root / f"..{version}").mkdir()
        (root / f"..{version}" / "a.yaml").write_text(text)
        (root / "..data_tmp").symlink_to(f"..{version}")
        os.rename(root / "..data_tmp", root / "..data")

    publish("one", service("x", "1"))
    (root / "a.yaml").symlink_to("..data/a.yaml")
    async with following(root, state=state) as followed:
        for version, old in (("two", "one"), ("three", "two")):
            publish(version, service("x", version))
            shutil.rmtree(root / f"..{old}")
            changes = await followed.next()
            assert [each.metadata.annotations["note"] for each in changes.services] == [version]
            assert changes.removed_services == ()
    assert followed.problems == []


async def test_a_linked_file_is_followed_where_it_lies(
    tmp_path: Path, root: Path, state: Path, service: Callable[..., str]
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.yaml").write_text(service("x", "1"))
    (root / "a.yaml").symlink_to(outside / "a.yaml")
    async with following(root, state=state) as followed:
        replace_file(outside / "a.yaml", service("x", "2"))
        await followed.until(lambda now: now.notes == {"x": "2"})


async def test_a_missing_directory_is_one_clear_line(tmp_path: Path, state: Path) -> None:
    with pytest.raises(StartupError) as caught:
        async with following(tmp_path / "gone", state=state):
            pass
    assert str(caught.value) == (f"manifests {tmp_path / 'gone'} do not exist: make them, or correct --manifests")


async def test_a_file_is_followed_as_it_is_written_replaced_removed_and_back(
    tmp_path: Path, state: Path, service: Callable[..., str]
) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(service("x", "1"))
    async with following(file, state=state) as followed:
        # Writing in place may be seen half done, which is told as a problem for a moment.
        file.write_text(service("x", "2"))
        await followed.until(lambda now: now.notes == {"x": "2"} and now.problems == [])
        await followed.after(lambda: replace_file(file, service("x", "3")))
        assert followed.notes == {"x": "3"}
        await followed.after(file.unlink)
        assert followed.notes == {"x": "3"}
        assert "does not exist any more" in followed.problems[0]
        file.write_text(service("x", "4"))
        await followed.until(lambda now: now.notes == {"x": "4"} and now.problems == [])


async def test_a_directory_that_disappears_keeps_its_objects_until_it_is_back(
    tmp_path: Path, root: Path, state: Path, service: Callable[..., str]
) -> None:
    (root / "a.yaml").write_text(service("x", "1") + service("y", "1"))
    async with following(root, state=state) as followed:
        await followed.after(lambda: os.rename(root, tmp_path / "aside"))
        assert followed.notes == {"x": "1", "y": "1"}
        assert followed.problems == [f"{root}: does not exist any more: what it held stays in force until it is back"]
        (tmp_path / "new").mkdir()
        (tmp_path / "new" / "a.yaml").write_text(service("x", "2"))
        await followed.after(lambda: (tmp_path / "new").rename(root))
        assert (followed.notes, followed.problems) == ({"x": "2"}, [])
        await followed.after(lambda: replace_file(root / "b.yaml", service("z", "3")))
        assert followed.notes == {"x": "2", "z": "3"}


async def test_a_directory_may_vanish_with_the_directories_above_it(
    tmp_path: Path, state: Path, service: Callable[..., str]
) -> None:
    root = tmp_path / "one" / "two" / "manifests"
    root.mkdir(parents=True)
    async with following(root, state=state) as followed:
        shutil.rmtree(tmp_path / "one")
        await followed.until(lambda now: now.problems != [])
        for directory in (tmp_path / "one", root.parent, root):
            directory.mkdir()
        (root / "a.yaml").write_text(service("x"))
        await followed.until(lambda now: now.notes.keys() == {"x"})
        await followed.until(lambda now: now.problems == [])


async def test_a_directory_replaced_by_another_is_followed(
    tmp_path: Path, root: Path, state: Path, service: Callable[..., str]
) -> None:
    (root / "a.yaml").write_text(service("x", "1"))
    (tmp_path / "v2").mkdir()
    (tmp_path / "v2" / "a.yaml").write_text(service("x", "2"))
    link = tmp_path / "current"
    link.symlink_to(root)
    async with following(link, state=state) as followed:
        (tmp_path / "next").symlink_to("v2")
        await followed.after(lambda: os.rename(tmp_path / "next", link))
        assert followed.notes == {"x": "2"}
        for note in ("3", "4"):
            await followed.after(lambda: replace_file(tmp_path / "v2" / "a.yaml", service("x", note)))  # noqa: B023
            assert followed.notes == {"x": note}


async def test_where_the_kernel_cannot_watch_files_are_still_followed(
    root: Path, state: Path, service: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr("proxy.sources.inotify.Inotify.add", refuse)
    monkeypatch.setattr("proxy.sources.directory_watch._LOOK_UNWATCHED_SECONDS", 0.01)
    async with following(root, state=state) as followed:
        (root / "a.yaml").write_text(service("x"))
        await followed.until(lambda now: "x" in now.notes)
        await followed.until(lambda now: now.problems != [])
        assert "cannot be watched ([Errno 28] inotify watch limit reached)" in followed.problems[0]


async def test_a_change_that_nobody_told_of_is_found_by_looking_anyway(
    root: Path, state: Path, service: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: object) -> int:
        return 1

    monkeypatch.setattr("proxy.sources.inotify.Inotify.add", silent)
    monkeypatch.setattr("proxy.sources.directory_watch._LOOK_ANYWAY_SECONDS", 0.01)
    async with following(root, state=state) as followed:
        (root / "a.yaml").write_text(service("x"))
        await followed.until(lambda now: "x" in now.notes)
        assert followed.problems == []
