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


def test_a_file_that_was_emptied_gets_a_new_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("\n")
    assert load_or_make_token(str(tmp_path))


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
