"""The state directory: made for its user alone, and refused where others could have put something into it.

Invariant: what passes can be changed by its owner and root alone, and nothing in it leads elsewhere.
"""

import logging
import os
import shlex
import stat
from collections.abc import Iterator

from proxy.startup_error import StartupError

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_OTHERS_READ = stat.S_IRGRP | stat.S_IROTH
_SECRETS = ("token", "kubeconfig", "ca.key", "serving.key")
_ANOTHER = "or choose another with --state-dir"

_log = logging.getLogger(__name__)


def prepare_state_directory(directory: str) -> None:
    """Make the directory if it is not there, refuse one that is not safe, and warn of secrets that others can read.

    Raises StartupError, which names the way out.
    """
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
    except OSError as error:
        message = f"state directory {directory} cannot be used: {error.strerror}"
        raise StartupError(f"{message}: choose another with --state-dir") from error
    check_state_directory(directory)


def check_state_directory(directory: str) -> None:
    """As `prepare_state_directory`, for one that may not be there yet."""
    try:
        found = os.lstat(directory)
        if stat.S_ISLNK(found.st_mode):
            real = os.path.realpath(directory)
            raise StartupError(f"state directory {directory} is a link: name {real} itself with --state-dir")
        _refuse(f"state directory {directory}", directory, found)
        for name, path, entry in _entries(directory):
            if stat.S_ISLNK(entry.st_mode):
                raise StartupError(f"{path} is a link, and would be written through: {_command('rm', path)}")
            _refuse(path, path, entry)
            if name in _SECRETS and entry.st_mode & _OTHERS_READ:
                _log.warning(f"{path} can be read by others: {_command('chmod 600', path)}")
    except FileNotFoundError:
        return
    except OSError as error:
        message = f"state directory {directory} cannot be used: {error.strerror}"
        raise StartupError(f"{message}: choose another with --state-dir") from error


def warn_of_readers(path: str, setting: str) -> None:
    """Say so where everybody may read the secret that a setting names."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        # Whoever reads it says why that fails.
        return
    if mode & stat.S_IROTH:
        _log.warning(f"{setting}: {path} can be read by everybody: {_command('chmod o-r', path)}")


def set_aside(path: str) -> str:
    """Keep a damaged file under another name, in the place of one that was damaged before; gives that name. Raises
    OSError."""
    aside = f"{path}.damaged"
    os.replace(path, aside)
    return aside


def _entries(directory: str) -> Iterator[tuple[str, str, os.stat_result]]:
    for name in sorted(os.listdir(directory)):
        path = os.path.join(directory, name)
        try:
            yield name, path, os.lstat(path)
        except FileNotFoundError:
            # A temporary file of whoever holds the directory.
            continue


def _refuse(what: str, path: str, found: os.stat_result) -> None:
    """Raise StartupError where others own the file or may write it."""
    own = os.geteuid()
    if found.st_uid != own:
        way_out = _command(f"chown {own}", path)
        raise StartupError(f"{what} belongs to user {found.st_uid}, not to {own}: {way_out}, {_ANOTHER}")
    if found.st_mode & _OTHERS_WRITE:
        mode = f"{stat.S_IMODE(found.st_mode):04o}"
        raise StartupError(f"{what} can be written by others (mode {mode}): {_command('chmod go-w', path)}, {_ANOTHER}")


def _command(command: str, path: str) -> str:
    return f"{command} {shlex.quote(path)}"
