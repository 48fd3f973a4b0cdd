"""In words, what the proxy does for a Service.

Imports this room's reports. Invariant: `serving` is said only when every frontend listens, or waits unbound for its
first endpoint as a UDP one does.
"""

from proxy.reports.report import ServiceReport

_REFUSED = "no usable endpoints: clients are refused"


def state_of(report: ServiceReport) -> str:
    """The STATE cell: serving, why not, or how much of it."""
    faults = [frontend.fault for frontend in report.frontends if frontend.fault]
    if faults:
        return "; ".join(dict.fromkeys(faults))
    if not report.frontends:
        return "not proxied: " + ("; ".join(report.notes) or "it has no address and port to listen on")
    words = [_REFUSED] if _is_empty(report) else ["serving"]
    return "; ".join([*words, *report.notes])


def level_of(report: ServiceReport) -> str:
    """The state in one word: fault (an address does not listen), none (there is no address to listen on), empty (no
    usable endpoint) or serving."""
    if any(frontend.fault for frontend in report.frontends):
        return "fault"
    if not report.frontends:
        return "none"
    return "empty" if _is_empty(report) else "serving"


def _is_empty(report: ServiceReport) -> bool:
    return not any(endpoint.weight > 0 for pool in report.pools for endpoint in pool.endpoints)
