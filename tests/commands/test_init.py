"""`svcproxy init`: an example that is good, and that harms nothing that is there."""

import io
from pathlib import Path

import pytest

from proxy.cli import main


def svcproxy(*arguments: str) -> tuple[int, str, str]:
    output, errors = io.StringIO(), io.StringIO()
    return main(arguments, output, errors, {"HOME": "/nonexistent"}), output.getvalue(), errors.getvalue()


@pytest.mark.parametrize("there", [False, True], ids=["new", "empty"])
def test_what_it_writes_has_no_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    directory = tmp_path / "my shop"
    if there:
        directory.mkdir()
    status, output, errors = svcproxy("init", str(directory))
    assert (status, errors) == (0, "")
    assert f"cd '{directory}' && svcproxy run --config svcproxy.yaml" in output
    monkeypatch.chdir(directory)
    status, output, errors = svcproxy("check", "--config", "svcproxy.yaml")
    assert (status, errors) == (0, "")
    assert output.startswith("1 Service, 2 endpoints, 0 problems\n")


def test_a_directory_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    status, _, errors = svcproxy("init", str(tmp_path))
    assert status == 2
    assert errors == f"svcproxy: init: {tmp_path} is not empty: name a directory that is not there yet\n"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    status, _, errors = svcproxy("init", str(tmp_path / "file" / "below"))
    assert status == 2
    assert errors.startswith("svcproxy: init: ")
    assert errors.count("\n") == 1
