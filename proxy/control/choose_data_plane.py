"""Where the data plane runs, as the configuration says.

Invariant: what one worker may hold and what all may hold together are both
within the configuration's bounds.
"""

import os
import pwd

from proxy.capture.lookup_capture import DESCRIPTORS
from proxy.configuration.config import Configuration
from proxy.control.descriptor_limit import DescriptorBudget
from proxy.dataplane.access_log import AccessLog
from proxy.dataplane.messages import Settings
from proxy.dataplane.relay_limits import RelayLimits
from proxy.privileges import Capability
from proxy.shared_counts.table import SharedTable
from proxy.shortcut.shortcut_choice import OFF
from proxy.workers.data_plane import DataPlane
from proxy.workers.local_data_plane import LocalDataPlane
from proxy.workers.machine_share import default_buffer_bytes, default_workers
from proxy.workers.row_ledger import RowLedger
from proxy.workers.worker_processes import WorkerProcesses


def choose_data_plane(
    configuration: Configuration, budget: DescriptorBudget, access_log: AccessLog | None, rows: RowLedger
) -> DataPlane:
    """The data plane, not started. Each path through the kernel counts in a column of its own, after the workers'."""
    kernel_columns = int(configuration.shortcut != OFF)
    workers = default_workers() if configuration.workers is None else configuration.workers
    limits = _relay_limits(configuration, workers)
    if not workers:
        share = budget.data_plane() - (DESCRIPTORS if configuration.capture == "sklookup" else 0)
        return LocalDataPlane(configuration, share, limits, access_log, rows, SharedTable.create(1 + kernel_columns))
    settings = Settings(
        column=0,
        columns=workers + kernel_columns,
        affinity_entries=-(-configuration.affinity_entries // workers),
        flows=-(-configuration.udp_flows // workers),
        access_log=configuration.access_log,
        access_log_sample=configuration.access_log_sample,
        log_format=configuration.log_format,
        log_level=configuration.log_level,
        limits=limits,
        user=_worker_user(configuration),
        capabilities=_kept_by_workers(configuration),
    )
    table = SharedTable.create(settings.columns)
    return WorkerProcesses(settings, table, rows, configuration.worker_timeout, workers)


def _worker_user(configuration: Configuration) -> str:
    """Whom workers become: nobody else where this process is no root, or where a container knows no such user."""
    if os.geteuid() != 0:
        return ""
    try:
        pwd.getpwnam(configuration.worker_user)
    except KeyError:
        return ""
    return configuration.worker_user


def _kept_by_workers(configuration: Configuration) -> tuple[Capability, ...]:
    """Answers of a UDP frontend leave from a socket that a worker binds where clients come through sk_lookup, and the
    frontend's port may be below 1024."""
    return () if configuration.capture == "bind" else (Capability.NET_BIND_SERVICE,)


def _relay_limits(configuration: Configuration, workers: int) -> RelayLimits:
    """What holds for every relay of one of so many workers."""
    if configuration.buffer_bytes is None:
        buffer_bytes = default_buffer_bytes(workers)
    else:
        buffer_bytes = -(-configuration.buffer_bytes // max(1, workers))
    return RelayLimits(configuration.tcp_keep_alive, configuration.tcp_half_closed_timeout, buffer_bytes)
