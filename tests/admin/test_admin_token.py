"""The token of the admin address: where it comes from and who has it."""

import base64
from pathlib import Path

import pytest

from proxy.admin.admin_token import AdminToken, read_admin_token
from proxy.startup_error import StartupError


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "header", ["Bearer s3cret", "bearer s3cret", "Bearer  s3cret ", basic("me:s3cret"), basic(":s3cret")]
)
def test_the_token_is_taken_as_bearer_or_as_a_password(header: str) -> None:
    assert AdminToken("s3cret").admits(header)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "s3cret",
        "Bearer",
        "Bearer s3cre",
        "Bearer s3crett",
        "Token s3cret",
        basic("s3cret"),
        basic("s3cret:"),
        "Basic s3cret",
        "Basic \udcff",
        "Bearer \udcff",
    ],
)
def test_anything_else_is_not(header: str) -> None:
    assert not AdminToken("s3cret").admits(header)


def test_the_token_comes_from_a_file_without_its_white_space(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("  s3cret\n")
    token = read_admin_token(str(file))
    assert token is not None
    assert token.admits("Bearer s3cret")
    assert "s3cret" not in repr(token)


def test_no_path_is_no_token() -> None:
    assert read_admin_token("") is None


@pytest.mark.parametrize("content", [b"", b" \n", b"two words", b"\xff"])
def test_a_file_without_a_token_is_refused_with_its_name(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(StartupError, match=f"adminTokenFile: {file} "):
        read_admin_token(str(file))


def test_a_file_that_is_not_there_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match=r"adminTokenFile: .*missing cannot be read: No such file"):
        read_admin_token(str(tmp_path / "missing"))
