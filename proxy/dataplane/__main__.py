"""A data-plane worker as a process: `python -m proxy.dataplane`, started by the control process and by nobody else.

No event loop but the reactor. Standard input is the channel to the control process. Invariants: the control process
decides when it ends, by the channel: signals for the whole group are ignored, so that a drain is a drain whoever else
was signalled. When the control process dies, the kernel ends the worker, even one that is stopped.
"""

import ctypes
import gc
import logging
import os
import resource
import signal
import socket
import sys
from contextlib import ExitStack
from random import Random

import msgspec

from proxy import logs
from proxy.affinity import AffinityTable
from proxy.dataplane.access_log import AccessLog, access_log_to
from proxy.dataplane.close_reason import CloseReason
from proxy.dataplane.control_link import ControlLink
from proxy.dataplane.descriptors import Descriptors
from proxy.dataplane.message_reader import ChannelEnded, MessageReader
from proxy.dataplane.messages import Message, Settings
from proxy.dataplane.reactor import Reactor
from proxy.dataplane.resources import Resources
from proxy.dataplane.time_slice import shorten_slice
from proxy.dataplane.worker import Worker
from proxy.privileges import restrict
from proxy.shared_counts.column import Column
from proxy.shared_counts.layout import WorkerCell
from proxy.shared_counts.table import SharedTable

_log = logging.getLogger(__name__)

_SPARE = 8
"""Descriptors for what comes and goes: a message's, an interpreter's file."""
_SET_PARENT_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of include/uapi/linux/prctl.h."""
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    """Serve until the control process ends it, or is gone; gives 1 where a message failed."""
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    _die_with(parent=int(sys.argv[2]))
    channel = _channel()
    settings, table_descriptor, log_descriptors = _settings(channel)
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
            access_log=_access_log(settings, log_descriptors, stack),
            column=column,
            limits=settings.limits,
        )
        worker = Worker(resources)
        worker.start()
        link = ControlLink(channel, worker)
        link.start()
        shorten_slice()
        # What the interpreter brought stays for good.
        gc.freeze()
        _drop_privileges(settings)
        resources.reactor.run()
        if link.failed:
            worker.end_all(CloseReason.ERROR)
        worker.stop()
    return int(link.failed)


def _die_with(parent: int) -> None:
    """Have the kernel send SIGKILL when the control process dies, which may have happened already. It is the main
    thread of the control process that starts workers: the kernel means the thread, not the process (prctl(2))."""
    ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)


def _drop_privileges(settings: Settings) -> None:
    """Before the first client is met. Where the kernel has no such user (a container's user namespace), the worker
    keeps its own, and drops the capabilities all the same."""
    try:
        restrict(settings.capabilities, settings.user)
    except OSError as error:
        _log.warning(f"the worker does not become user {settings.user}: {error.strerror}")
        restrict(settings.capabilities)
    # What the kernel was told of the parent's death goes with the user.
    _die_with(parent=int(sys.argv[2]))


def _access_log(settings: Settings, descriptors: list[int], stack: ExitStack) -> AccessLog | None:
    """The access log that the settings ask for. A file that the control process could not open gets no lines until
    it is opened anew; until then they are dropped."""
    if not settings.access_log:
        return None
    if settings.access_log != "-" and not descriptors:
        descriptors = [os.open(os.devnull, os.O_WRONLY)]
    descriptor = descriptors[0] if descriptors else sys.stderr.fileno()
    access_log = access_log_to(descriptor, settings.log_format, settings.access_log_sample)
    for each in descriptors:
        os.close(each)
    stack.callback(access_log.close)
    return access_log


def _channel() -> socket.socket:
    """The channel, moved away from standard input, where nothing else shall find it."""
    descriptor = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, descriptor)


def _settings(channel: socket.socket) -> tuple[Settings, int, list[int]]:
    """Wait for the first message; gives it with the descriptor of the table, and the access log's if it is there."""
    try:
        payload, (table, *access_log) = MessageReader(channel).take()
    except ChannelEnded:
        sys.exit(1)
    settings = msgspec.msgpack.decode(payload, type=Message)
    assert isinstance(settings, Settings)
    channel.setblocking(False)
    return settings, table, access_log


def _descriptors() -> int:
    """How many descriptors the flows and listeners may have: the hard limit, less what is open and a few to spare."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    limit = hard if hard != resource.RLIM_INFINITY else 1 << 30
    return max(2, limit - len(os.listdir("/proc/self/fd")) - _SPARE)


if __name__ == "__main__":
    sys.exit(main())
