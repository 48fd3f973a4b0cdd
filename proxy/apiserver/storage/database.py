"""The database: every object of the API in one SQLite file in the state directory.

Imports this room's documents; blocks, so it belongs in one thread, one call at a time. Invariant: `commit` is one
transaction that is on disk when it returns (WAL, synchronous=FULL), so a process killed at any moment loses nothing
that it answered with success.
"""

import os
import sqlite3
from collections.abc import Iterable

import msgspec

from proxy.apiserver.document import Document, Key, Stored
from proxy.apiserver.kinds import KINDS
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


class Row(msgspec.Struct, frozen=True):
    """One object to put, or with `encoded` None to delete."""

    resource: str
    key: Key
    version: int
    made: bool = False
    encoded: bytes | None = None


class Database:
    """Open from construction to `close`. Raises StartupError for a file that cannot be used."""

    def __init__(self, directory: str) -> None:
        self.path = os.path.join(directory, "objects.sqlite")
        try:
            os.makedirs(directory, mode=0o700, exist_ok=True)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            # Opened in the main thread, used in the writer's: never in two at a time.
            self._connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise StartupError(f"{self.path}: cannot be opened: {error}: choose another with --state-dir") from error
        try:
            self._prepare()
        except sqlite3.Error as error:
            self._connection.close()
            way_out = "restore it from a backup, or move it away to begin without objects"
            raise StartupError(f"{self.path}: cannot be used ({error}): {way_out}") from error
        except StartupError:
            self._connection.close()
            raise

    def load(self) -> tuple[int, list[Stored]]:
        """The last resourceVersion and every object; those of kinds that are no longer served are left out."""
        kinds = {kind.resource: kind for kind in KINDS}
        (version,) = self._connection.execute("SELECT version FROM counter").fetchone()
        rows = self._connection.execute("SELECT resource, version, made, document FROM object")
        decoder = msgspec.json.Decoder(Document)
        objects = [
            Stored(kinds[resource], decoder.decode(encoded), encoded, number, bool(made))
            for resource, number, made, encoded in rows
            if resource in kinds
        ]
        return version, objects

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

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _prepare(self) -> None:
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        (found,) = self._connection.execute("PRAGMA user_version").fetchone()
        if found == 0:
            self._connection.executescript(f"BEGIN;{_SCHEMA}PRAGMA user_version = {_SCHEMA_VERSION};COMMIT;")
        elif found != _SCHEMA_VERSION:
            message = f"{self.path}: has version {found}, this svcproxy knows {_SCHEMA_VERSION}"
            raise StartupError(f"{message}: use the newer svcproxy, or another directory with --state-dir")
