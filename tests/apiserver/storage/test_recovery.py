"""A damaged database: told, set aside, and replaced by the last good copy or refused."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.apiserver.document import Stored
from proxy.apiserver.storage.database import DamagedError, Database, Row
from proxy.apiserver.storage.recovery import opened_database
from proxy.startup_error import StartupError

Damage = Callable[[Path], None]


def row(name: str, version: int) -> Row:
    document = {"metadata": {"name": name, "namespace": "default", "resourceVersion": str(version)}}
    return Row("services", ("default", name), version, False, msgspec.json.encode(document))


def names(stored: list[Stored]) -> set[str]:
    return {each.document["metadata"]["name"] for each in stored}


def fill(directory: Path, *, copy: bool = True) -> Path:
    """A database of twenty Services; gives its path."""
    with opened_database(str(directory)) as database:
        database.commit([row(f"s{number}", number) for number in range(1, 21)], 20)
    if not copy:
        (directory / "objects.sqlite.copy").unlink()
    return directory / "objects.sqlite"


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def one_byte(path: Path) -> None:
    path.write_bytes(b"S")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: 4096 + 100])


def no_database(path: Path) -> None:
    path.write_bytes(b"not a database" * 100)


def a_page_of_nothing(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:8192] = bytes(4096)
    path.write_bytes(content)


def changed_by(*statements: str) -> Damage:
    def change(path: Path) -> None:
        connection = sqlite3.connect(path)
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()

    change.__name__ = statements[0]
    return change


DAMAGES = (
    emptied,
    one_byte,
    cut,
    no_database,
    a_page_of_nothing,
    changed_by("DROP TABLE object"),
    changed_by("DROP TABLE counter"),
    changed_by("DELETE FROM counter"),
    changed_by("UPDATE counter SET version = 'x'"),
    changed_by("UPDATE object SET document = '{' WHERE name = 's3'"),
    changed_by("UPDATE object SET document = CAST('[]' AS BLOB) WHERE name = 's3'"),
    changed_by("UPDATE object SET name = CAST(X'FF' AS TEXT) WHERE name = 's3'"),
    changed_by("PRAGMA user_version = 0"),
)


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_last_good_copy_is_used_and_the_damaged_file_set_aside(
    tmp_path: Path, damage: Damage, caplog: pytest.LogCaptureFixture
) -> None:
    path = fill(tmp_path)
    damage(path)
    content = path.read_bytes()
    with opened_database(str(tmp_path)) as database:
        version, stored = database.load()
        assert names(stored) == {f"s{number}" for number in range(1, 21)}
        assert version > 1_000_000
        database.commit([row("more", version + 1)], version + 1)
    (record,) = caplog.records
    assert "objects.sqlite: is damaged (" in record.message
    assert (tmp_path / "objects.sqlite.damaged").read_bytes() == content
    caplog.clear()
    with opened_database(str(tmp_path)) as database:
        assert "more" in names(database.load()[1])
    assert caplog.records == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_without_a_copy_it_is_refused_and_stays_as_it_is(tmp_path: Path, damage: Damage) -> None:
    path = fill(tmp_path, copy=False)
    damage(path)
    content = path.read_bytes()
    with (
        pytest.raises(StartupError, match=r"objects\.sqlite: is damaged \(.*\): restore it from a backup, or move it"),
        opened_database(str(tmp_path)),
    ):
        pass
    assert path.read_bytes() == content


def test_a_copy_that_is_damaged_as_well_is_of_no_use(tmp_path: Path) -> None:
    path = fill(tmp_path)
    emptied(path)
    one_byte(tmp_path / "objects.sqlite.copy")
    with pytest.raises(StartupError, match="restore it from a backup"), opened_database(str(tmp_path)):
        pass
    assert path.read_bytes() == b""


def test_a_run_that_was_killed_leaves_the_copy_to_the_next_one(tmp_path: Path) -> None:
    path = fill(tmp_path)
    database = Database(str(path))
    database.commit([row("late", 21)], 21)
    database.close()
    with opened_database(str(tmp_path)):
        pass
    emptied(path)
    with opened_database(str(tmp_path)) as restored:
        assert "late" in names(restored.load()[1])


def test_who_moves_the_database_away_begins_without_objects(tmp_path: Path) -> None:
    path = fill(tmp_path)
    os.rename(path, tmp_path / "elsewhere")
    with opened_database(str(tmp_path)) as database:
        assert database.load() == (0, [])
    emptied(path)
    with opened_database(str(tmp_path)) as database:
        assert database.load()[1] == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 1 << 20), value=st.integers(0, 255))
def test_one_byte_that_is_another_ends_nothing_with_a_traceback(tmp_path: Path, place: int, value: int) -> None:
    whole = tmp_path / "whole"
    if not whole.exists():
        whole.mkdir(mode=0o700)
        fill(whole)
    content = bytearray((whole / "objects.sqlite").read_bytes())
    content[place % len(content)] = value
    path = tmp_path / "objects.sqlite"
    path.write_bytes(content)
    try:
        database = Database(str(path))
    except (DamagedError, StartupError):
        return
    database.close()
