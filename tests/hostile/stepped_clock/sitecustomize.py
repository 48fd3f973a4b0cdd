"""Gives the program that Python starts with this directory on its path a time of day that the test sets.

The file that STEPPED_CLOCK names holds the seconds by which the clock is off, as a double. Python imports this module
by its name at its own start. Invariant: only the time of day steps; what counts spans (`time.monotonic`) does not.
"""

import ctypes
import datetime
import gc
import mmap
import os
import struct
import time

_seconds_of_day, _nanoseconds_of_day, _now = time.time, time.time_ns, datetime.datetime.now

with open(os.environ["STEPPED_CLOCK"], "rb") as _file:
    # Mapped once: whoever asks for the time may have no descriptor left, or not the right to open this file.
    _cell = mmap.mmap(_file.fileno(), 8, access=mmap.ACCESS_READ)


def _step() -> float:
    return float(struct.unpack_from("d", _cell)[0])


def _stepped_now(_: type, tz: datetime.tzinfo | None = None) -> datetime.datetime:
    return _now(tz) + datetime.timedelta(seconds=_step())


time.time = lambda: _seconds_of_day() + _step()
time.time_ns = lambda: _nanoseconds_of_day() + int(_step() * 1e9)
# In place, for libraries know this very type: a subclass would be none of theirs.
gc.get_referents(datetime.datetime.__dict__)[0]["now"] = classmethod(_stepped_now)
ctypes.pythonapi.PyType_Modified(ctypes.py_object(datetime.datetime))
