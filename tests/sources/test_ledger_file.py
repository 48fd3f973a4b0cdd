"""The ledger file: kept whole, kept private, and held by one process."""

import json
import os
from pathlib import Path

import pytest

from proxy.cluster.ledger import Grant, Ledger, NodePortGrant
from proxy.sources.ledger_file import LedgerFile
from proxy.startup_error import StartupError

_LEDGER = Ledger((Grant("default", "a", {"IPv4": "127.96.1.1"}, (NodePortGrant(30080, "TCP", "http"),), 30090),))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "state"


def test_what_was_saved_is_loaded_after_a_restart(directory: Path) -> None:
    with LedgerFile(str(directory)) as ledger_file:
        assert ledger_file.load() == Ledger()
        ledger_file.save(Ledger())
        ledger_file.save(_LEDGER)
    with LedgerFile(str(directory)) as ledger_file:
        assert ledger_file.load() == _LEDGER


def test_the_file_is_the_users_alone_and_says_its_version(directory: Path) -> None:
    with LedgerFile(str(directory)) as ledger_file:
        ledger_file.save(_LEDGER)
    assert (directory / "ledger.json").stat().st_mode & 0o777 == 0o600
    assert json.loads((directory / "ledger.json").read_text())["version"] == 1
    assert sorted(os.listdir(directory)) == ["ledger.json", "ledger.json.copy", "lock"]


def test_a_save_that_fails_leaves_the_old_ledger(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with LedgerFile(str(directory)) as ledger_file:
        ledger_file.save(_LEDGER)
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            ledger_file.save(Ledger())
        assert ledger_file.load() == _LEDGER


@pytest.mark.parametrize("content", ["", "{", '{"version": 1}', '{"version": 1, "ledger": {"grants": 3}}', "[]"])
def test_a_damaged_file_is_refused_and_stays(directory: Path, content: str) -> None:
    with LedgerFile(str(directory)) as ledger_file:
        (directory / "ledger.json").write_text(content)
        with pytest.raises(StartupError, match=r"ledger\.json: is damaged .*: restore it from a backup, or move it"):
            ledger_file.load()
    assert (directory / "ledger.json").read_text() == content


@pytest.mark.parametrize("content", ["", "{", '{"version": 1, "ledger": {"grants": 3}}'])
def test_of_a_damaged_file_the_copy_is_used_and_it_is_set_aside(
    directory: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    with LedgerFile(str(directory)) as ledger_file:
        ledger_file.save(Ledger())
        ledger_file.save(_LEDGER)
        (directory / "ledger.json").write_text(content)
        assert ledger_file.load() == ledger_file.load() == _LEDGER
    (record,) = caplog.records
    assert "set aside as" in record.message
    assert (directory / "ledger.json.damaged").read_text() == content


def test_a_ledger_that_is_not_what_was_saved_is_damaged(directory: Path) -> None:
    """One digit of an address is another: it is a ledger still."""
    path = directory / "ledger.json"
    with LedgerFile(str(directory)) as ledger_file:
        ledger_file.save(_LEDGER)
        (directory / "ledger.json.copy").unlink()
        path.write_text(path.read_text().replace("127.96.1.1", "127.96.1.7"))
        with pytest.raises(StartupError, match="its checksum is another"):
            ledger_file.load()


def test_a_file_that_was_saved_without_a_checksum_is_good(directory: Path) -> None:
    path = directory / "ledger.json"
    with LedgerFile(str(directory)) as ledger_file:
        ledger_file.save(_LEDGER)
        document = json.loads(path.read_text())
        del document["checksum"]
        path.write_text(json.dumps(document))
        assert ledger_file.load() == _LEDGER


def test_the_file_of_a_newer_version_is_refused(directory: Path) -> None:
    with LedgerFile(str(directory)) as ledger_file:
        (directory / "ledger.json").write_text('{"version": 2, "ledger": null}')
        with pytest.raises(StartupError, match="has version 2, this svcproxy knows 1: use the newer svcproxy"):
            ledger_file.load()


def test_a_second_process_is_told_who_holds_the_directory(directory: Path) -> None:
    with LedgerFile(str(directory)), pytest.raises(StartupError) as caught:
        LedgerFile(str(directory))
    assert str(caught.value) == (
        f"state directory {directory} is in use by another svcproxy (pid {os.getpid()}): "
        "stop that one, or give this one a directory of its own with --state-dir"
    )


def test_a_directory_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartupError, match=r"cannot be used: Not a directory: choose another with --state-dir"):
        LedgerFile(str(tmp_path / "file" / "state"))
