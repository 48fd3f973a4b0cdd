"""A data-plane worker as a process: `python -m proxy.dataplane`, started by the control process and by nobody else.

Imports this room, logs and `shared_counts`; no event loop but the reactor. Standard input is the channel to the control
process. Invariant: its end is the control process's decision, by the channel: signals for the whole group are ignored,
so that a drain is a drain whoever else was signalled.
"""

import gc
import os
import resource
import signal
import socket
import sys
from contextlib import AbstractContextManager, ExitStack
from random import Random

import msgspec

from proxy import logs
from proxy.affinity import AffinityTable
from proxy.dataplane.access_log import AccessLog, opened_access_log
from proxy.dataplane.control_link import ControlLink
from proxy.dataplane.descriptors import Descriptors
from proxy.dataplane.messages import Message, Settings
from proxy.dataplane.reactor import Reactor
from proxy.dataplane.resources import Resources
from proxy.dataplane.time_slice import shorten_slice
from proxy.dataplane.wire import FrameReader
from proxy.dataplane.worker import Worker
from proxy.shared_counts.column import Column
from proxy.shared_counts.layout import WorkerCell
from proxy.shared_counts.table import SharedTable

_SPARE = 8
"""Descriptors for what comes and goes: a message's, an interpreter's file."""
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    """Serve until the control process ends it, or is gone."""
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    channel = _channel()
    frames = FrameReader()
    settings, table_descriptor = _settings(channel, frames)
    logs.configure(settings.log_format, settings.log_level, sys.stderr)
    with ExitStack() as stack:
        table = SharedTable(table_descriptor, settings.columns)
        stack.callback(table.close)
        column = Column(table, settings.column)
        column.own.gauge(WorkerCell.PROCESS_ID, os.getpid())
        resources = Resources(
            reactor=Reactor(),
            descriptors=Descriptors(_descriptors()),
            affinity=AffinityTable(settings.affinity_entries),
            random=Random(),
            most_flows=settings.flows,
            access_log=stack.enter_context(_access_log(settings)),
            column=column,
        )
        worker = Worker(resources)
        worker.start()
        ControlLink(channel, frames, worker).start()
        shorten_slice()
        # What the interpreter brought stays for good.
        gc.freeze()
        resources.reactor.run()
        worker.stop()
    return 0


def _access_log(settings: Settings) -> AbstractContextManager[AccessLog | None]:
    return opened_access_log(settings.access_log, settings.log_format, settings.access_log_sample, sys.stderr)


def _channel() -> socket.socket:
    """The channel, moved away from standard input, where nothing else shall find it."""
    descriptor = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, descriptor)


def _settings(channel: socket.socket, frames: FrameReader) -> tuple[Settings, int]:
    """Wait for the first message."""
    while (message := frames.next()) is None:
        data, descriptors, _, _ = socket.recv_fds(channel, 4096, 1, socket.MSG_CMSG_CLOEXEC)
        if not data:
            sys.exit(1)
        frames.feed(data, descriptors)
    payload, (table,) = message
    settings = msgspec.msgpack.decode(payload, type=Message)
    assert isinstance(settings, Settings)
    channel.setblocking(False)
    return settings, table


def _descriptors() -> int:
    """How many descriptors the flows and listeners may have: the hard limit, less what is open and a few to spare."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    limit = hard if hard != resource.RLIM_INFINITY else 1 << 30
    return max(2, limit - len(os.listdir("/proc/self/fd")) - _SPARE)


if __name__ == "__main__":
    sys.exit(main())
