"""`svcproxy demo` before anything runs: its flags, and what stops it."""

import io
from pathlib import Path

import pytest

from proxy.cli import main


def demo(*arguments: str) -> tuple[int, str, str]:
    output, errors = io.StringIO(), io.StringIO()
    status = main(["demo", *arguments], output, errors, {"HOME": "/nonexistent"})
    return status, output.getvalue(), errors.getvalue()


@pytest.mark.parametrize("port", ["80", "29999", "32768", "0x7530", "-1", "٣٠٠٨٠x"])
def test_a_node_port_outside_the_range_is_refused(port: str) -> None:
    status, output, errors = demo("--node-port", port)
    assert (status, output) == (2, "")
    assert errors.startswith("svcproxy: ")
    assert errors.count("\n") == 1


def test_the_refusal_names_the_range() -> None:
    assert "must be a number from 30000 to 32767, not '80'" in demo("--node-port", "80")[2]


@pytest.mark.parametrize("flag", ["--api-bind-address", "--healthz-bind-address", "--metrics-bind-address"])
def test_a_mistake_in_an_address_is_a_usage_error(flag: str) -> None:
    status, _, errors = demo(flag, "nonsense")
    assert status == 2
    assert flag in errors


def test_a_place_that_cannot_be_used_is_one_line_and_status_1(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    status, output, errors = demo("--state-dir", str(tmp_path / "file"))
    assert (status, output) == (1, "")
    assert str(tmp_path / "file") in errors
    assert errors.count("\n") == 1


def test_a_broken_manifest_in_a_kept_copy_is_one_line_and_status_1(tmp_path: Path) -> None:
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "mine.yaml").write_text("kind: [")
    status, output, errors = demo("--state-dir", str(tmp_path))
    assert (status, output) == (1, "")
    assert "mine.yaml" in errors
    assert errors.count("\n") == 1
