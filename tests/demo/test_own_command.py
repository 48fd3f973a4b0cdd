"""The command that the demo's user may run in another terminal."""

from pathlib import Path

import pytest

from proxy.demo.own_command import own_command


@pytest.fixture
def program(tmp_path: Path) -> Path:
    directory = tmp_path / "its bin"
    directory.mkdir()
    program = directory / "svcproxy"
    program.touch(0o755)
    return program


def test_one_that_a_shell_finds_is_its_name(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(program.parent))
    assert own_command(str(program), "python3") == "svcproxy"


def test_one_beside_the_path_is_its_place_quoted_for_the_shell(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.chdir(program.parent.parent)
    assert own_command("its bin/svcproxy", "python3") == f"'{program}'"


def test_a_module_is_run_by_the_same_interpreter() -> None:
    assert own_command("/somewhere/proxy/__main__.py", "/a b/python3") == "'/a b/python3' -m proxy"
