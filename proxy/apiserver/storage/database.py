"""The database: every object of the API in one SQLite file in the state directory.

It blocks, so it belongs in one thread, one call at a time. Invariants: `commit` is one transaction that is on disk when
it returns (WAL, synchronous=FULL), so a process killed at any moment loses nothing that it answered with success; a
file that is there was whole when it got its name.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterable

import msgspec

from proxy.apiserver.document import Document, Key, Stored
from proxy.apiserver.kinds import KINDS
from proxy.replacement import Replacement
from proxy.startup_error import StartupError

_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE object (
    resource TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    made INTEGER NOT NULL,
    document BLOB NOT NULL,
    PRIMARY KEY (resource, namespace, name)
) WITHOUT ROWID;
CREATE TABLE counter (version INTEGER NOT NULL);
INSERT INTO counter VALUES (0);
"""
_PUT = "INSERT OR REPLACE INTO object VALUES (?, ?, ?, ?, ?, ?)"
_DELETE = "DELETE FROM object WHERE resource = ? AND namespace = ? AND name = ?"
_SMALLEST_PAGE = 512
_SURROUNDINGS = frozenset(
    (
        sqlite3.SQLITE_AUTH,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
    )
)
"""What SQLite says where the file itself may be in order."""


class DamagedError(Exception):
    """The file is no database of ours any more; the text says why."""


class Row(msgspec.Struct, frozen=True):
    """One object to put, or with `encoded` None to delete."""

    resource: str
    key: Key
    version: int
    made: bool = False
    encoded: bytes | None = None


class Database:
    """The file at `path`, made if it is not there; open from construction to `close`. Raises DamagedError, and
    StartupError where it cannot be used for another reason."""

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            if not os.path.exists(path):
                _make(path)
            size = os.stat(path).st_size
        except (OSError, sqlite3.Error) as error:
            raise _unusable(path, error) from error
        if size < _SMALLEST_PAGE:
            raise DamagedError(f"it has {size} bytes")
        self._connection = _connected(path)
        try:
            # The state directory is locked, so nobody else opens it; reading then takes no room on a full disk.
            self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._verify()
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._loaded: tuple[int, list[Stored]] | None = self._load()
        except sqlite3.Error as error:
            self._connection.close()
            if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF in _SURROUNDINGS:
                raise _unusable(path, error) from error
            raise DamagedError(str(error)) from error
        except UnicodeDecodeError as error:
            # SQLite's message about a damaged schema quotes the damaged bytes, and sqlite3 decodes it.
            self._connection.close()
            raise DamagedError("its schema is damaged") from error
        except BaseException:
            self._connection.close()
            raise

    def load(self) -> tuple[int, list[Stored]]:
        """The last resourceVersion and every object; those of kinds that are no longer served are left out."""
        # Read when it was opened, as only that shows that all of it can be.
        loaded, self._loaded = self._loaded, None
        return loaded if loaded is not None else self._load()

    def commit(self, rows: Iterable[Row], version: int) -> None:
        """Make the rows and the counter durable, all or nothing. Raises sqlite3.Error."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for row in rows:
                if row.encoded is None:
                    self._connection.execute(_DELETE, (row.resource, *row.key))
                else:
                    self._connection.execute(_PUT, (row.resource, *row.key, row.version, row.made, row.encoded))
            self._connection.execute("UPDATE counter SET version = ?", (version,))
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def copy_to(self, path: str) -> None:
        """Replace the file at `path` by a copy of this database. Raises OSError, sqlite3.Error."""
        _write(path, self._connection.serialize())

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _verify(self) -> None:
        (verdict,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise DamagedError(" ".join(str(verdict).split()))
        (found,) = self._connection.execute("PRAGMA user_version").fetchone()
        if found == 0:
            raise DamagedError("it has no version")
        if found != _SCHEMA_VERSION:
            message = f"{self.path}: has version {found}, this svcproxy knows {_SCHEMA_VERSION}"
            raise StartupError(f"{message}: use the newer svcproxy, or another directory with --state-dir")

    def _load(self) -> tuple[int, list[Stored]]:
        kinds = {kind.resource: kind for kind in KINDS}
        counted = self._connection.execute("SELECT version FROM counter").fetchall()
        if len(counted) != 1 or not isinstance(counted[0][0], int):
            raise DamagedError("its counter is lost")
        rows = self._connection.execute("SELECT resource, namespace, name, version, made, document FROM object")
        decoder = msgspec.json.Decoder(Document)
        objects = []
        for resource, namespace, name, number, made, encoded in rows:
            if resource in kinds:
                try:
                    document = decoder.decode(encoded)
                    metadata = document["metadata"]
                    known = (metadata.get("namespace") or "", metadata["name"]) == (namespace, name)
                except (msgspec.MsgspecError, AttributeError, KeyError, TypeError, UnicodeDecodeError) as error:
                    raise DamagedError(f"{resource} {namespace}/{name} cannot be read: {error}") from error
                if not known or not isinstance(number, int):
                    raise DamagedError(f"{resource} {namespace}/{name} is another object than it says")
                objects.append(Stored(kinds[resource], document, encoded, number, bool(made)))
        return counted[0][0], objects


def _make(path: str) -> None:
    """An empty database, whole before it has its name."""
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(f"BEGIN;{_SCHEMA}PRAGMA user_version = {_SCHEMA_VERSION};COMMIT;")
        content = connection.serialize()
    # What is left of another database of this name belongs to that.
    for leftover in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{path}{leftover}")
    _write(path, content)


def _write(path: str, content: bytes) -> None:
    with Replacement(path) as replacement:
        replacement.file.write(content)
        replacement.finish()


def _connected(path: str) -> sqlite3.Connection:
    try:
        # Opened in the main thread, used in the writer's: never in two at a time.
        return sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise _unusable(path, error) from error


def _unusable(path: str, error: Exception) -> StartupError:
    return StartupError(f"{path}: cannot be opened: {error}: choose another directory with --state-dir")
