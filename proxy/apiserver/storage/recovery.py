"""Opens the database of a state directory, or the last good copy of it where it is damaged.

Invariants: a damaged file is set aside and never written; a copy is of a database that could be read as a whole; after
a restoration no resourceVersion is given out twice.
"""

import contextlib
import logging
import os
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime

from proxy.apiserver.storage.database import DamagedError, Database
from proxy.replacement import Replacement
from proxy.startup_error import StartupError
from proxy.state_directory import prepare_state_directory, set_aside

FILE_NAME = "objects.sqlite"
_GAP = 1_000_000_000
"""So far a restored database's resourceVersion is moved on, past all that the damaged one may have given out."""
_WAY_OUT = "restore it from a backup, or move it away to begin without objects"

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def opened_database(directory: str) -> Iterator[Database]:
    """The database in `directory`, closed at the end; a copy is made then, and now if the last run could make none.
    Raises StartupError."""
    path = os.path.join(directory, FILE_NAME)
    copy = f"{path}.copy"
    is_new = not os.path.exists(path)
    prepare_state_directory(directory)
    database = _opened(path, copy)
    try:
        if is_new or not _is_newer(copy, path):
            _copy(database, copy)
        yield database
    finally:
        _copy(database, copy)
        database.close()


def _opened(path: str, copy: str) -> Database:
    try:
        return Database(path)
    except DamagedError as damage:
        return _restored(path, copy, damage)


def _restored(path: str, copy: str, damage: DamagedError) -> Database:
    refusal = StartupError(f"{path}: is damaged ({damage}): {_WAY_OUT}")
    if not os.path.exists(copy):
        raise refusal from damage
    of = datetime.fromtimestamp(os.stat(copy).st_mtime, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    try:
        # As another file, so that the damaged one stays where it is if the copy is no better.
        trial = f"{path}.restored"
        with open(copy, "rb") as source, Replacement(trial) as replacement:
            shutil.copyfileobj(source, replacement.file)
            replacement.finish()
        _move_on(trial)
        aside = set_aside(path)
        for leftover in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                set_aside(f"{path}{leftover}")
        os.replace(trial, path)
        database = Database(path)
    except DamagedError as error:
        raise refusal from error
    except (OSError, sqlite3.Error) as error:
        raise StartupError(f"{path}: is damaged ({damage}), and cannot be replaced: {error}") from error
    _log.warning(f"{path}: is damaged ({damage}): set aside as {aside}, and the last good copy, of {of}, is used")
    return database


def _move_on(path: str) -> None:
    """Raises DamagedError, StartupError, sqlite3.Error."""
    with contextlib.closing(Database(path)) as database:
        version, _ = database.load()
        database.commit((), version + _GAP)


def _is_newer(copy: str, path: str) -> bool:
    """Whether the copy was made after the last write; an unfinished log is a write."""
    try:
        made = os.stat(copy).st_mtime_ns
        return made >= os.stat(path).st_mtime_ns and not os.path.exists(f"{path}-wal")
    except FileNotFoundError:
        return False


def _copy(database: Database, copy: str) -> None:
    """Without one, all is served the same."""
    try:
        database.copy_to(copy)
    except (OSError, sqlite3.Error) as error:
        _log.warning(f"{copy} cannot be written ({error}): there is no good copy of the objects of now")
