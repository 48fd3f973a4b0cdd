"""The counts of DNS as metric families.

prometheus_client has the families. Invariant: nothing is counted here, and there are no more series than there are
types, response codes and transports that the statistics tell apart.
"""

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from proxy.dns.statistics import DNSStatistics

_COUNTERS = (
    ("dns_dropped", "dropped", "DNS messages that got no answer."),
    ("dns_forwarded", "forwarded", "Questions about other zones that upstream was asked."),
    ("dns_upstream_failures", "upstream_failures", "Questions that no upstream server answered."),
    ("dns_upstream_cache_hits", "upstream_cache_hits", "Questions about other zones whose answer was remembered."),
)
_GAUGES = (
    ("dns_names", "names", "Names that are answered for."),
    ("dns_tcp_connections", "tcp_connections", "Connections to the DNS server open."),
)


def dns_families(statistics: DNSStatistics) -> Iterator[Metric]:
    """Answers by transport, type and response code, and the rest."""
    labels = ["transport", "type", "rcode"]
    answers = CounterMetricFamily("svcproxy_dns_answers", "DNS answers, by type asked for and by code.", labels=labels)
    for count in statistics.answers:
        answers.add_metric([count.transport, count.record_type, count.rcode], count.answers)
    yield answers
    for name, field, text in _COUNTERS:
        yield CounterMetricFamily(f"svcproxy_{name}", text, value=getattr(statistics, field))
    for name, field, text in _GAUGES:
        yield GaugeMetricFamily(f"svcproxy_{name}", text, value=getattr(statistics, field))
