"""The scan, on real directories and links."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.sources import manifest_scan
from proxy.sources.manifest_scan import scan


def _names(*roots: Path) -> list[str]:
    """The files found, by path below the directory that all roots are in."""
    return [os.path.relpath(path, roots[0].parent) for path in scan(map(str, roots)).files]


def _write(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    return root


def test_yaml_and_json_files_at_every_depth_are_found_in_order(root: Path) -> None:
    for name in ("b.yaml", "a.yml", "deep/er/c.json", "README.md", "d.yaml.bak", "d.yaml~", "#d.yaml#"):
        _write(root / name)
    assert _names(root) == ["root/a.yml", "root/b.yaml", "root/deep/er/c.json"]


@pytest.fixture
def after_listing(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Has something happen once, when a directory is listed and none of its files was looked at."""

    def arrange(happens: Callable[[], object]) -> None:
        listed, left = manifest_scan._visible, [happens]

        def list_and_lose(directory: str) -> list[os.DirEntry[str]]:
            found = listed(directory)
            if left:
                left.pop()()
            return found

        monkeypatch.setattr(manifest_scan, "_visible", list_and_lose)

    return arrange


def test_a_root_that_goes_while_it_is_looked_at_is_not_an_empty_one(
    root: Path, tmp_path: Path, after_listing: Callable[[Callable[[], object]], None]
) -> None:
    path = _write(root / "a.yaml")
    after_listing(lambda: root.rename(tmp_path / "aside"))
    assert scan([str(root)]).is_hidden_by_fault(str(path))


def test_a_root_that_is_replaced_while_it_is_looked_at_is_looked_at_again(
    root: Path, tmp_path: Path, after_listing: Callable[[Callable[[], object]], None]
) -> None:
    _write(root / "a.yaml")
    _write(tmp_path / "next" / "b.yaml")

    def replace() -> None:
        root.rename(tmp_path / "aside")
        (tmp_path / "next").rename(root)

    after_listing(replace)
    assert _names(root) == ["root/b.yaml"]


def test_hidden_files_and_directories_are_not_looked_at(root: Path) -> None:
    for name in (".a.yaml.swp", ".#a.yaml", ".hidden.yaml", ".git/b.yaml"):
        _write(root / name)
    assert _names(root) == []


def test_a_configmap_volume_is_read_once_through_its_visible_links(root: Path) -> None:
    _write(root / "..2024_01/a.yaml")
    (root / "..data").symlink_to("..2024_01")
    (root / "a.yaml").symlink_to("..data/a.yaml")
    found = scan([str(root)])
    assert list(found.files) == [str(root / "a.yaml")]
    assert found.directories.keys() == {str(root), str(root / "..2024_01")}


def test_links_in_circles_end_and_files_with_two_names_are_read_once(root: Path) -> None:
    _write(root / "a/x.yaml")
    (root / "a/loop").symlink_to(root)
    (root / "b").symlink_to("a")
    (root / "a/y.yaml").symlink_to("x.yaml")
    os.link(root / "a/x.yaml", root / "z.yaml")
    assert _names(root) == ["root/a/x.yaml"]
    assert _names(root, root / "a") == ["root/a/x.yaml"]


def test_a_link_out_of_the_tree_is_followed_and_its_directory_watched(root: Path, tmp_path: Path) -> None:
    outside = _write(tmp_path / "outside/a.yaml")
    (root / "a.yaml").symlink_to(outside)
    found = scan([str(root)])
    assert list(found.files) == [str(root / "a.yaml")]
    assert str(outside.parent) in found.directories


def test_a_broken_link_is_a_fault_and_says_where_it_leads(root: Path) -> None:
    (root / "a.yaml").symlink_to("gone.yaml")
    found = scan([str(root)])
    assert found.faults == {str(root / "a.yaml"): "is a link to nothing (gone.yaml)"}
    assert found.is_hidden_by_fault(str(root / "a.yaml"))
    assert not found.is_hidden_by_fault(str(root / "b.yaml"))


def test_a_missing_root_hides_what_was_below_it_and_nothing_beside(root: Path) -> None:
    missing = str(root / "missing")
    found = scan([missing])
    assert list(found.faults) == [missing]
    assert found.is_hidden_by_fault(f"{missing}/deep/a.yaml")
    assert not found.is_hidden_by_fault(f"{missing}-not/a.yaml")


def test_what_is_no_regular_file_is_left_alone(root: Path) -> None:
    os.mkfifo(root / "pipe.yaml")
    (root / "directory.yaml").mkdir()
    _write(root / "directory.yaml/a.yaml")
    assert _names(root) == ["root/directory.yaml/a.yaml"]


def test_a_root_may_be_a_file_of_any_name(root: Path) -> None:
    assert _names(_write(root / "manifest.txt")) == ["manifest.txt"]


def test_a_directory_that_may_not_be_read_is_a_fault(root: Path) -> None:
    closed = _write(root / "closed/a.yaml").parent
    closed.chmod(0)
    try:
        found = scan([str(root)])
    finally:
        closed.chmod(0o700)
    if os.geteuid() == 0:
        pytest.skip("root may read every directory")
    assert found.faults == {str(closed): "cannot be read: Permission denied"}


def test_a_new_version_has_a_new_signature(root: Path) -> None:
    path = _write(root / "a.yaml", "1")
    first = scan([str(root)]).files[str(path)]
    assert scan([str(root)]).files[str(path)] == first
    os.replace(_write(root / "new", "2"), path)
    os.utime(path, ns=(first.modified, first.modified))
    assert scan([str(root)]).files[str(path)] != first


def test_what_cannot_be_looked_at_hides_nothing_beside_it(root: Path) -> None:
    _write(root / "a.yaml")
    (root / "loop.yaml").symlink_to("loop.yaml")
    (root / "loop").symlink_to("loop")
    (root / "nothing.yaml").symlink_to("nowhere")
    os.mkfifo(root / "pipe.yaml")
    Path(os.fsdecode(os.fsencode(root) + b"/\xff.yaml")).write_text("x")
    _write(root / "z.yaml")
    found = scan([str(root)])
    assert [Path(path).name for path in found.files] == ["a.yaml", "z.yaml"]
    assert {Path(path).name: message for path, message in found.faults.items()} == {
        "loop.yaml": "cannot be read: Too many levels of symbolic links",
        "loop": "cannot be read: Too many levels of symbolic links",
        "nothing.yaml": "is a link to nothing (nowhere)",
        "pipe.yaml": "is neither a regular file nor a directory, and is not read",
        "\\xff.yaml": "has a name that is not UTF-8, and is not read: rename it",
    }


def test_directories_have_a_depth_beyond_which_they_are_a_fault(root: Path) -> None:
    at = _write(root / "a.yaml").parent
    for _ in range(manifest_scan.DEEPEST + 1):
        at = at / "d"
    _write(at / "deep.yaml")
    _write(at.parent / "not-so-deep.yaml")
    found = scan([str(root)])
    assert [Path(path).name for path in found.files] == ["a.yaml", "not-so-deep.yaml"]
    assert found.faults == {str(at): "is more than 32 directories deep, and is not read"}


def test_three_thousand_directories_in_each_other_end_nothing(root: Path) -> None:
    _write(root / "a.yaml")
    at = os.open(root, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=at)
        below = os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    try:
        found = scan([str(root)])
        assert [Path(path).name for path in found.files] == ["a.yaml"]
        assert len(found.faults) == 1
    finally:
        for _ in range(3000):
            above = os.open("..", os.O_RDONLY, dir_fd=at)
            os.rmdir("d", dir_fd=above)
            os.close(at)
            at = above
        os.close(at)


def test_there_is_a_bound_to_the_files_that_are_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest_scan, "MOST_FILES", 5)
    for number in range(4):
        for name in ("a", "b", "c"):
            _write(root / str(number) / f"{name}.yaml")
    found = scan([str(root)])
    assert 5 <= len(found.files) <= 7
    assert found.faults == {str(root): "holds more than 5 manifest files: the others are not read"}
