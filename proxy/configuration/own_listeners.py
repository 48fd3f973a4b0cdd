"""Where the proxy answers for itself: health, metrics, the API of `standalone`, DNS.

Pure. Invariant: an address whose port the kernel chooses (0) is left out until the configuration says which it is.
"""

from collections.abc import Iterator

from proxy.configuration.config import Configuration
from proxy.dns.name_places import name_places
from proxy.plan.frontend import FrontendKey
from proxy.plan.own_places import OwnListener

# These Services lead clients to the API and to DNS in every cluster.
_NAMED_API, _NAMED_DNS = "default/kubernetes", "kube-system/kube-dns"


def own_listeners(configuration: Configuration) -> tuple[OwnListener, ...]:
    """All of them, by protocol."""
    return tuple(each for each in _all(configuration) if each.key.port)


def _all(configuration: Configuration) -> Iterator[OwnListener]:
    yield OwnListener(FrontendKey("TCP", *configuration.healthz_bind_address), "health address")
    yield OwnListener(FrontendKey("TCP", *configuration.metrics_bind_address), "metrics address")
    if configuration.standalone:
        yield OwnListener(FrontendKey("TCP", *configuration.api_bind_address), "Kubernetes API", _NAMED_API)
    for places in name_places(configuration):
        for place in places:
            for protocol in ("UDP", "TCP"):
                yield OwnListener(FrontendKey(protocol, *place), "DNS address", _NAMED_DNS)
