"""What one frontend puts into the maps and sets."""

import pytest

from proxy.nftables.eligibility import Circumstances, refusal
from proxy.nftables.family import FAMILIES, IPV4, IPV6
from proxy.nftables.shares import share_of, slots_of
from tests.nftables.planned import frontend, pool

EVERYTHING = Circumstances(FAMILIES)


def test_a_cluster_ip_masquerades_nobody_from_outside() -> None:
    share = share_of(frontend("10.96.0.1"), pool())
    assert share.family is IPV4
    assert {name for name, _ in share.own} == {"services", "frontends", "endpoints"}


def test_a_node_port_of_policy_local_keeps_the_clients_address() -> None:
    every = share_of(frontend("0.0.0.0", kind="NodePort"), pool())
    local = share_of(frontend("0.0.0.0", kind="NodePort", pool="web/local"), pool("web/local"))
    assert {name for name, _ in every.own} - {name for name, _ in local.own} == {"node_masquerade"}


@pytest.mark.parametrize(("address", "name"), [("0.0.0.0", "node_relayed_here"), ("192.0.2.1", "relayed_here")])
def test_own_clients_of_policy_local_meet_the_listener(address: str, name: str) -> None:
    share = share_of(frontend(address, kind="NodePort", pool="web/local", own_pool="web"), pool("web/local"))
    assert name in {name for name, _ in share.own}


def test_weights_are_slots_that_mix() -> None:
    weighted = pool(scheduler="wrr", weights=(4, 2, 0))
    assert [target.address[-1] for target in slots_of(weighted)] == ["1", "2", "1"]


def test_turns_are_many_and_bounded() -> None:
    """A chain for each frontend took the kernel a minute for 20,000."""
    names = [share_of(frontend(f"10.96.{number >> 8}.{number & 255}"), pool()).chain.name for number in range(2000)]
    assert len(set(names[:20])) > 15
    assert len(set(names)) <= 256
    assert share_of(frontend("10.96.0.1"), pool(scheduler="random")).chain.name == "random_3"


def test_an_ipv6_frontend_is_in_the_table_of_its_family() -> None:
    assert share_of(frontend("fd96::1"), pool(network="fd00::")).family is IPV6


@pytest.mark.parametrize(
    ("reason", "served", "by"),
    [
        ("", frontend("10.96.0.1"), pool()),
        ("", frontend("0.0.0.0", kind="NodePort"), pool(scheduler="sh")),
        ("sessionAffinity ClientIP needs the relay", frontend("10.96.0.1"), pool(affinity=60)),
        ("the scheduler lc needs the relay", frontend("10.96.0.1"), pool(scheduler="lc")),
        ("there is no endpoint, so the listener refuses", frontend("10.96.0.1"), pool(weights=(0,))),
        ("packets to a loopback address never leave this machine", frontend("127.96.0.1"), pool()),
        ("an endpoint of the other IP family needs the relay", frontend("10.96.0.1"), pool(network="fd00::")),
        (
            "the endpoint 127.0.0.1 is a loopback address, which packets from elsewhere never reach",
            frontend("10.96.0.1"),
            pool(network="127.0.0."),
        ),
        ("loadBalancerSourceRanges need the relay", frontend("10.96.0.1", ranges=("10.0.0.0/8",)), pool()),
    ],
)
def test_what_the_kernel_cannot_do_stays_with_the_relay(reason: str, served: object, by: object) -> None:
    assert refusal(served, by, EVERYTHING) == reason  # type: ignore[arg-type]


def test_a_family_that_the_kernel_lacks_stays_with_the_relay() -> None:
    assert refusal(frontend("fd96::1"), pool(network="fd00::"), Circumstances((IPV4,))) == (
        "the kernel has no nftables for ip6"
    )
    assert refusal(frontend("10.96.0.1"), pool(), Circumstances(FAMILIES, access_log=True)) == (
        "the access log needs the relay"
    )
