"""inotify(7): the kernel's own word of what happens in directories, which Python's standard library does not have.

Invariant: the descriptor never blocks and is closed on exec, and nothing wakes this process but an event that was asked
for. Why no library: watchfiles wakes a hundred times a second. asyncinotify (4.4) runs ldconfig or a compiler when
imported, reads from a descriptor that blocks, and makes a Path of each name.
"""

import ctypes
import errno
import os
import struct
from typing import NamedTuple

_HEADER = struct.Struct("@iIII")
"""struct inotify_event: watch, mask, cookie, and how many bytes of name follow."""
_READ_SIZE = 64 * 1024

_libc = ctypes.CDLL(None, use_errno=True)


class Mask:
    """include/uapi/linux/inotify.h; plain numbers, for an event is looked at in a moment."""

    MODIFY = 0x2
    ATTRIB = 0x4
    CLOSE_WRITE = 0x8
    MOVED_FROM = 0x40
    MOVED_TO = 0x80
    CREATE = 0x100
    DELETE = 0x200
    DELETE_SELF = 0x400
    MOVE_SELF = 0x800
    UNMOUNT = 0x2000
    QUEUE_OVERFLOW = 0x4000
    IGNORED = 0x8000
    ONLY_DIRECTORY = 0x1000000
    MASK_ADD = 0x20000000


_ALWAYS = Mask.ONLY_DIRECTORY | Mask.MASK_ADD
_WAYS_OUT = {
    errno.EMFILE: "too many inotify instances or open files: raise fs.inotify.max_user_instances",
    errno.ENOSPC: "too many inotify watches: raise fs.inotify.max_user_watches",
}


class Event(NamedTuple):
    """`name` is empty where the watched directory itself is meant; `watch` is -1 where events were lost."""

    watch: int
    mask: int
    name: str


class Inotify:
    """One inotify instance. Raises OSError: EMFILE where the user has too many of them."""

    def __init__(self) -> None:
        self._descriptor = _checked(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))

    def fileno(self) -> int:
        """The descriptor: readable when there are events."""
        return self._descriptor

    def add(self, directory: str, mask: int) -> int:
        """Ask for the events in `mask` of a directory, beside those asked for before; gives the watch, which is the
        directory's whatever the path. Raises OSError: ENOSPC where the user has too many watches, ENOENT, EACCES."""
        return _checked(_libc.inotify_add_watch(self._descriptor, os.fsencode(directory), mask | _ALWAYS))

    def remove(self, watch: int) -> None:
        """Stop a watch. Nothing happens if the kernel has dropped it already, as it does for a deleted directory."""
        _libc.inotify_rm_watch(self._descriptor, watch)

    def read(self) -> list[Event]:
        """What has happened since the last call, at most `_READ_SIZE` bytes of it."""
        try:
            content = os.read(self._descriptor, _READ_SIZE)
        except BlockingIOError:
            return []
        events = []
        place = 0
        while place < len(content):
            watch, mask, _, length = _HEADER.unpack_from(content, place)
            place += _HEADER.size + length
            events.append(Event(watch, mask, os.fsdecode(content[place - length : place].rstrip(b"\0"))))
        return events

    def close(self) -> None:
        """Drop every watch. It may take the kernel some milliseconds."""
        os.close(self._descriptor)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, _WAYS_OUT.get(number) or os.strerror(number))
    return result
