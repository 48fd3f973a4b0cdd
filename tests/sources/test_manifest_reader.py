"""The manifest reader: what it opens, and what it waits for. The clock is the test's."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proxy.sources.manifest_file import parse_manifest
from proxy.sources.manifest_reader import SETTLED_NANOSECONDS, ManifestReader, Reading
from proxy.sources.manifest_scan import scan


class _Clock:
    now = 2**62

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture
def reader(tmp_path: Path, clock: _Clock) -> ManifestReader:
    return ManifestReader([str(tmp_path)], clock)


def _names(reading: Reading) -> list[str]:
    return [Path(file.path).name for file in reading.files]


def _nobody_there(*arguments: object) -> None:
    raise FileNotFoundError


def test_only_changed_files_are_read(reader: ManifestReader, tmp_path: Path, service: Callable[..., str]) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(service("x"))
    assert _names(reader.read()) == ["a.yaml", "b.yaml"]
    assert _names(reader.read()) == []
    (tmp_path / "b.yaml").write_text(service("x") + "# longer\n")
    assert _names(reader.read()) == ["b.yaml"]


def test_everything_is_read_again_on_demand(
    reader: ManifestReader, tmp_path: Path, service: Callable[..., str]
) -> None:
    (tmp_path / "a.yaml").write_text(service("x"))
    reader.read()
    reader.forget_signatures()
    assert _names(reader.read()) == ["a.yaml"]
    assert reader.read().deleted == ()


def test_a_deleted_file_is_told_once(reader: ManifestReader, tmp_path: Path, service: Callable[..., str]) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(service("x"))
    reader.read()
    path.unlink()
    assert reader.read().deleted == (str(path),)
    assert reader.read().deleted == ()


def test_a_version_that_was_gone_when_it_was_to_be_opened_is_read_once_it_is_back(
    reader: ManifestReader, tmp_path: Path, service: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory that is moved away and back brings its files with their old times."""
    path = tmp_path / "a.yaml"
    path.write_text(service("x"))
    with monkeypatch.context() as patch:
        patch.setattr("builtins.open", _nobody_there)
        assert _names(reader.read()) == []
    assert _names(reader.read()) == ["a.yaml"]


def test_a_file_that_was_just_written_is_left_to_settle(
    reader: ManifestReader, tmp_path: Path, clock: _Clock, service: Callable[..., str]
) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(service("x"))
    clock.now = path.stat().st_mtime_ns + SETTLED_NANOSECONDS - 1
    assert reader.read() == Reading(unsettled=True)
    clock.now += 1
    assert _names(reader.read()) == ["a.yaml"]


def test_an_impatient_reading_takes_it_and_looks_again(
    reader: ManifestReader, tmp_path: Path, clock: _Clock, service: Callable[..., str]
) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(service("x"))
    clock.now = path.stat().st_mtime_ns
    assert _names(reader.read(patient=False)) == ["a.yaml"]
    clock.now += SETTLED_NANOSECONDS
    assert _names(reader.read()) == ["a.yaml"]
    assert _names(reader.read()) == []


def test_a_file_from_the_future_is_read_at_once(
    reader: ManifestReader, tmp_path: Path, clock: _Clock, service: Callable[..., str]
) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(service("x"))
    clock.now = path.stat().st_mtime_ns - 1
    assert _names(reader.read()) == ["a.yaml"]
    assert _names(reader.read()) == []


def test_a_directory_that_vanished_deletes_nothing(tmp_path: Path, clock: _Clock, service: Callable[..., str]) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.yaml").write_text(service("x"))
    reader = ManifestReader([str(root)], clock)
    reader.read()
    root.rename(tmp_path / "elsewhere")
    reading = reader.read()
    assert reading.deleted == ()
    assert [problem.where for problem in reading.faults] == [str(root)]


def test_a_file_beyond_the_limit_is_a_problem_of_its_own(tmp_path: Path, service: Callable[..., str]) -> None:
    (tmp_path / "a.yaml").write_text(service("x"))
    with open(tmp_path / "sparse.yaml", "wb") as file:
        file.truncate(5 * 2**30)
    reading = ManifestReader([str(tmp_path)], most_bytes=10_000).read(patient=False)
    assert {Path(file.path).name: [str(problem.message) for problem in file.problems] for file in reading.files} == {
        "a.yaml": [],
        "sparse.yaml": ["is larger than 10,000 bytes: split it, or raise manifestBytes"],
    }


def test_a_pipe_in_the_place_of_a_file_is_waited_for_by_nobody(
    reader: ManifestReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: Callable[..., str]
) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(service("x"))
    found = scan([str(tmp_path)])
    path.unlink()
    os.mkfifo(path)
    monkeypatch.setattr("proxy.sources.manifest_reader.scan", lambda roots: found)
    (file,) = reader.read().files
    assert [problem.message for problem in file.problems] == [
        "is neither a regular file nor a directory, and is not read"
    ]


def test_a_defect_of_ours_is_a_problem_of_one_file(
    reader: ManifestReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: Callable[..., str]
) -> None:
    def parse_or_fail(path: str, *arguments: Any) -> Any:
        if path.endswith("b.yaml"):
            raise RuntimeError("a defect")
        return parse_manifest(path, *arguments)

    monkeypatch.setattr("proxy.sources.manifest_reader.parse_manifest", parse_or_fail)
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(service("x"))
    assert [len(file.problems) for file in reader.read().files] == [0, 1]
