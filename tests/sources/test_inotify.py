"""The kernel's inotify, as it is."""

import errno
import os
import resource
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.sources.inotify import Event, Inotify, Mask

_ALL = Mask.CREATE | Mask.DELETE | Mask.MOVED_FROM | Mask.MOVED_TO | Mask.CLOSE_WRITE | Mask.DELETE_SELF


@pytest.fixture
def inotify() -> Iterator[Inotify]:
    inotify = Inotify()
    yield inotify
    inotify.close()


def _is_readable(inotify: Inotify) -> bool:
    return bool(select.select([inotify.fileno()], [], [], 0)[0])


def test_a_file_that_comes_changes_its_name_and_goes_is_told_in_order(inotify: Inotify, tmp_path: Path) -> None:
    watch = inotify.add(str(tmp_path), _ALL)
    (tmp_path / "a.yaml").write_text("")
    (tmp_path / "a.yaml").rename(tmp_path / "été.yaml")
    (tmp_path / "été.yaml").unlink()
    assert inotify.read() == [
        Event(watch, Mask.CREATE, "a.yaml"),
        Event(watch, Mask.CLOSE_WRITE, "a.yaml"),
        Event(watch, Mask.MOVED_FROM, "a.yaml"),
        Event(watch, Mask.MOVED_TO, "été.yaml"),
        Event(watch, Mask.DELETE, "été.yaml"),
    ]


def test_nothing_is_told_where_nothing_happened(inotify: Inotify, tmp_path: Path) -> None:
    assert inotify.read() == []
    inotify.add(str(tmp_path), _ALL)
    assert inotify.read() == []


def test_what_was_not_asked_for_wakes_nobody(inotify: Inotify, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    inotify.add(str(tmp_path), Mask.CREATE)
    (tmp_path / "file").write_text("more")
    assert not _is_readable(inotify)
    (tmp_path / "other").write_text("")
    assert _is_readable(inotify)


def test_a_directory_has_one_watch_by_whatever_path_and_keeps_what_was_asked_before(
    inotify: Inotify, tmp_path: Path
) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)
    watch = inotify.add(str(real), Mask.CREATE)
    assert inotify.add(str(link), Mask.DELETE) == watch
    (real / "file").touch()
    (real / "file").unlink()
    assert [event.mask for event in inotify.read()] == [Mask.CREATE, Mask.DELETE]


def test_a_watch_that_was_removed_tells_no_more(inotify: Inotify, tmp_path: Path) -> None:
    watch = inotify.add(str(tmp_path), _ALL)
    inotify.remove(watch)
    (tmp_path / "file").touch()
    assert inotify.read() == [Event(watch, Mask.IGNORED, "")]
    inotify.remove(watch)


def test_a_directory_that_is_deleted_says_so_itself(inotify: Inotify, tmp_path: Path) -> None:
    directory = tmp_path / "directory"
    directory.mkdir()
    watch = inotify.add(str(directory), _ALL)
    directory.rmdir()
    assert inotify.read() == [Event(watch, Mask.DELETE_SELF, ""), Event(watch, Mask.IGNORED, "")]


@pytest.mark.parametrize(("name", "number"), [("missing", errno.ENOENT), ("file", errno.ENOTDIR)])
def test_what_is_no_directory_cannot_be_watched(inotify: Inotify, tmp_path: Path, name: str, number: int) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=os.strerror(number)) as raised:
        inotify.add(str(tmp_path / name), _ALL)
    assert raised.value.errno == number


def test_where_no_more_descriptors_can_be_had_the_error_names_the_way_out() -> None:
    program = (
        "import resource\n"
        "from proxy.sources.inotify import Inotify\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, (3, {resource.getrlimit(resource.RLIMIT_NOFILE)[1]}))\n"
        "try:\n    Inotify()\nexcept OSError as error:\n    print(error)"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "[Errno 24]" in finished.stdout
    assert "raise fs.inotify.max_user_instances" in finished.stdout


def test_it_is_closed_on_exec_and_never_blocks(inotify: Inotify) -> None:
    assert not os.get_inheritable(inotify.fileno())
    assert not os.get_blocking(inotify.fileno())
