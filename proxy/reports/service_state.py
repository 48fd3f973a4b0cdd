"""In words, what the proxy does for a Service.

Invariant: `serving` alone is said only when every frontend listens, or waits unbound for its first endpoint as a UDP
one does, and some endpoint takes what clients send.
"""

from proxy.reports.report import ServiceReport

_REFUSED = "no usable endpoints: clients are refused"


def state_of(report: ServiceReport) -> str:
    """The STATE cell: serving, why not, or how much of it."""
    if not report.frontends:
        return "not proxied: " + ("; ".join(report.notes) or "it has no address and port to listen on")
    faults = [frontend.fault for frontend in report.frontends if frontend.fault]
    reasons = "; ".join(dict.fromkeys(faults))
    if len(faults) == len(report.frontends):
        return reasons
    if report.failures:
        words = [f"failing: {'; '.join(report.failures)}"]
    else:
        words = [_REFUSED if _is_empty(report) else "serving"]
    if faults:
        working = len(report.frontends) - len(faults)
        where = f"on {working} of {len(report.frontends)} addresses: {reasons}"
        words[-1] = f"{words[-1]} {where}" if words == ["serving"] else f"{words[-1]}; listening {where}"
    return "; ".join([*words, *report.notes])


def level_of(report: ServiceReport) -> str:
    """The state in one word: none (there is no address to listen on), fault (no address listens), failing (every
    endpoint of a port refuses), empty (no usable endpoint), partial (some addresses listen) or serving."""
    if not report.frontends:
        return "none"
    faulty = [frontend for frontend in report.frontends if frontend.fault]
    if len(faulty) == len(report.frontends):
        return "fault"
    if report.failures:
        return "failing"
    if _is_empty(report):
        return "empty"
    return "partial" if faulty else "serving"


def _is_empty(report: ServiceReport) -> bool:
    return not any(endpoint.weight > 0 for pool in report.pools for endpoint in pool.endpoints)
