"""Counting Service ports without an endpoint on this node."""

from proxy.plan.frontend import Frontend, FrontendKey
from proxy.plan.local_gaps import LocalGaps, local_gaps


def frontend(kind: str, address: str, when_empty: str = "drop", pool: str = "a/b/TCP/IPv4/local") -> Frontend:
    return Frontend(FrontendKey("TCP", address, 80), pool, "a/b", kind, when_empty)


def test_a_port_counts_once_for_each_policy_that_keeps_its_traffic_here() -> None:
    frontends = [
        frontend("ClusterIP", "10.96.0.1"),
        frontend("NodePort", "0.0.0.0"),
        frontend("LoadBalancer", "192.0.2.1"),
        frontend("ExternalIP", "192.0.2.2", pool="a/c/TCP/IPv4/local"),
    ]
    assert local_gaps(frontends) == LocalGaps(internal=1, external=2)


def test_one_that_is_served_or_has_no_endpoint_anywhere_does_not() -> None:
    assert local_gaps([frontend("NodePort", "0.0.0.0", "refuse"), frontend("ClusterIP", "::1", "refuse")]) == (0, 0)
