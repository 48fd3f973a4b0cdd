"""How loaded a backend is, by the measures that IPVS's least-connection family compares.

Invariant: fractions are compared by cross multiplication in integers and only a strictly better backend replaces an
earlier one, so ties go to the first in list order.
"""

from collections.abc import Collection, Iterable, Sequence

from proxy.schedulers.backend import Backend


def overhead(backend: Backend) -> int:
    """256 * active + inactive (include/net/ip_vs.h, ip_vs_dest_conn_overhead)."""
    return (backend.active << 8) + backend.inactive


def least_loaded(backends: Iterable[Backend], without: Collection[Backend]) -> Backend | None:
    """The backend of least overhead per weight, as wlc chooses; every weight must be above 0 (ip_vs_wlc.c)."""
    least = None
    least_overhead, least_weight = 0, 0
    for backend in backends:
        backend_overhead = (backend.active << 8) + backend.inactive
        if (least is None or least_overhead * backend.weight > backend_overhead * least_weight) and (
            backend not in without
        ):
            least, least_overhead, least_weight = backend, backend_overhead, backend.weight
            if not least_overhead:
                break
    return least


def most_loaded(backends: Iterable[Backend]) -> Backend | None:
    """The backend of most overhead per weight among those of a weight above 0 (ip_vs_lblcr.c, ip_vs_dest_set_max)."""
    most = None
    for backend in backends:
        if backend.weight > 0 and (most is None or overhead(most) * backend.weight < overhead(backend) * most.weight):
            most = backend
    return most


def shortest_expected_delay(backends: Iterable[Backend], without: Collection[Backend]) -> Backend | None:
    """The backend of least (active + 1) per weight; every weight must be above 0 (ip_vs_sed.c)."""
    shortest = None
    shortest_jobs, shortest_weight = 0, 0
    for backend in backends:
        jobs = backend.active + 1
        if (shortest is None or shortest_jobs * backend.weight > jobs * shortest_weight) and backend not in without:
            shortest, shortest_jobs, shortest_weight = backend, jobs, backend.weight
    return shortest


def is_overloaded(backend: Backend, backends: Sequence[Backend]) -> bool:
    """Whether a backend has more active connections than weight while another runs below half of its own weight
    (ip_vs_lblc.c, is_overloaded)."""
    return backend.active > backend.weight and any(2 * other.active < other.weight for other in backends)
