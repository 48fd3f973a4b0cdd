"""The token stays, and the kubeconfig says everything that kubectl needs."""

import base64
import json
import os
import stat
from pathlib import Path

import pytest

from proxy.apiserver.http.kubeconfig import load_or_make_token, write_kubeconfig


def test_the_token_is_made_once_and_is_private(tmp_path: Path) -> None:
    token = load_or_make_token(str(tmp_path))
    assert len(token) > 40
    assert load_or_make_token(str(tmp_path)) == token
    assert stat.S_IMODE(os.stat(tmp_path / "token").st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"two words", b"a\x1b[2J"])
def test_a_file_without_a_token_is_set_aside_and_that_of_the_kubeconfig_is_used(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    write_kubeconfig(str(tmp_path), "https://127.0.0.1:6443", b"PEM", "secret")
    (tmp_path / "token").write_bytes(content)
    assert load_or_make_token(str(tmp_path)) == load_or_make_token(str(tmp_path)) == "secret"
    assert (tmp_path / "token.damaged").read_bytes() == content
    (record,) = caplog.records
    assert "that of the kubeconfig is used" in record.message


@pytest.mark.parametrize("kubeconfig", [None, "", "[]", '{"users": []}', '{"users": [{"user": {"token": "a b"}}]}'])
def test_without_either_a_new_token_is_made_and_told(
    tmp_path: Path, kubeconfig: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    if kubeconfig is not None:
        (tmp_path / "kubeconfig").write_text(kubeconfig)
    (tmp_path / "token").write_bytes(b"\xff")
    assert len(load_or_make_token(str(tmp_path))) > 40
    assert "take the kubeconfig anew" in caplog.text


def test_what_the_kubeconfig_says_already_is_not_written_again(tmp_path: Path) -> None:
    path = write_kubeconfig(str(tmp_path), "https://127.0.0.1:6443", b"PEM", "secret")
    before = os.stat(path).st_ino
    write_kubeconfig(str(tmp_path), "https://127.0.0.1:6443", b"PEM", "secret")
    assert os.stat(path).st_ino == before
    write_kubeconfig(str(tmp_path), "https://127.0.0.1:6444", b"PEM", "secret")
    assert os.stat(path).st_ino != before


def test_the_path_is_good_in_any_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert write_kubeconfig(".", "https://127.0.0.1:6443", b"PEM", "secret") == str(tmp_path / "kubeconfig")


def test_the_kubeconfig_leads_to_the_api(tmp_path: Path) -> None:
    path = write_kubeconfig(str(tmp_path), "https://127.0.0.1:6443", b"PEM", "secret")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    config = json.loads(Path(path).read_text())
    context = next(each["context"] for each in config["contexts"] if each["name"] == config["current-context"])
    cluster = next(each["cluster"] for each in config["clusters"] if each["name"] == context["cluster"])
    user = next(each["user"] for each in config["users"] if each["name"] == context["user"])
    assert cluster["server"] == "https://127.0.0.1:6443"
    assert base64.b64decode(cluster["certificate-authority-data"]) == b"PEM"
    assert user == {"token": "secret"}
