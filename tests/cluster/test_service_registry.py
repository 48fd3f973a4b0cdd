"""Versions in force and versions that wait, and that order and restarts do not matter."""

from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cluster.allocators import allocators_for
from proxy.cluster.ledger import Grant, Ledger, NodePortGrant
from proxy.cluster.service_registry import ServiceRegistry
from proxy.model.defaults import default_service
from proxy.model.metadata import ObjectMeta
from proxy.model.service import Service, ServicePort, ServiceSpec


def registry(ledger: Ledger | None = None, seed: int = 1, cidr: str = "10.0.0.0/24") -> ServiceRegistry:
    return ServiceRegistry(allocators_for((cidr,), (30000, 30100), Random(seed)), ledger or Ledger())


def service(name: str, cluster_ip: str = "", node_port: int = 0, **spec: object) -> Service:
    made = ServiceSpec(
        type="NodePort",
        ports=(ServicePort(80, node_port=node_port),),
        cluster_ip=cluster_ip,
        **spec,  # type: ignore[arg-type]
    )
    return default_service(Service(ObjectMeta(name=name, namespace="default"), made))


def key(name: str) -> tuple[str, str]:
    return "default", name


def node_port(services: ServiceRegistry, name: str) -> int:
    return services.in_force[key(name)].spec.ports[0].node_port


def test_a_refused_version_leaves_the_old_one_in_force_until_a_good_one_comes() -> None:
    services = registry()
    services.apply([service("a")], [])
    before = services.in_force[key("a")]
    services.apply([service("a", cluster_ip="10.9.0.99")], [])
    assert services.in_force[key("a")] == before
    assert "does not match the current range" in str(services.refused[key("a")][0])
    services.apply([service("a", session_affinity="ClientIP")], [])
    assert services.in_force[key("a")].spec.session_affinity == "ClientIP"
    assert not services.refused


def test_a_refused_service_gets_in_when_its_port_is_released() -> None:
    services = registry()
    services.apply([service("a", node_port=30001)], [])
    services.apply([service("b", node_port=30001)], [])
    assert key("b") not in services.in_force
    assert services.apply([], [key("a")]) == {key("a"), key("b")}
    assert node_port(services, "b") == 30001
    assert not services.refused


def test_a_refused_service_gets_in_when_an_update_gives_its_port_up() -> None:
    services = registry()
    services.apply([service("a", node_port=30001)], [])
    services.apply([service("b", node_port=30001)], [])
    services.apply([service("a", node_port=30002)], [])
    assert node_port(services, "b") == 30001


def test_a_refused_service_that_goes_is_forgotten() -> None:
    services = registry()
    services.apply([service("a", cluster_ip="10.1.1.1")], [])
    services.apply([], [key("a")])
    assert not services.refused
    assert services.ledger == Ledger()


def test_a_chain_of_waiting_services_moves_up_in_one_step() -> None:
    services = registry()
    services.apply([service("a", node_port=30001), service("b", node_port=30002)], [])
    services.apply([service("b", node_port=30001)], [])
    services.apply([service("c", node_port=30002)], [])
    assert set(services.refused) == {key("b"), key("c")}
    services.apply([], [key("a")])
    assert (node_port(services, "b"), node_port(services, "c")) == (30001, 30002)


def test_stated_values_come_before_dynamic_ones_of_a_batch() -> None:
    services = registry(cidr="10.0.0.0/29")
    anyone = [service(f"a{number}") for number in range(4)]
    services.apply([*anyone, service("z", cluster_ip="10.0.0.4")], [])
    assert not services.refused
    assert services.in_force[key("z")].spec.cluster_ip == "10.0.0.4"


def test_what_a_service_that_never_came_holds_is_kept_until_told() -> None:
    ledger = Ledger((Grant("default", "gone", {"IPv4": "10.0.0.9"}),))
    services = registry(ledger)
    services.apply([service("a", cluster_ip="10.0.0.9")], [])
    assert key("a") in services.refused
    assert services.release_unclaimed() == {key("a")}
    assert services.in_force[key("a")].spec.cluster_ip == "10.0.0.9"
    assert [grant.name for grant in services.ledger.grants] == ["a"]


def test_a_refused_service_keeps_what_the_ledger_has_for_it() -> None:
    ledger = Ledger((Grant("default", "a", {"IPv4": "10.0.0.9"}, (NodePortGrant(30009, "TCP"),)),))
    services = registry(ledger)
    services.apply([service("a", node_port=29)], [])
    services.release_unclaimed()
    assert services.ledger == ledger


def test_what_the_ranges_no_longer_have_is_given_anew() -> None:
    grants = (
        Grant("default", "a", {"IPv4": "10.9.9.9", "IPv6": "fd00::9"}, (NodePortGrant(40000, "TCP"),), 40001),
        Grant("default", "b", {"IPv4": "10.0.0.9"}, (NodePortGrant(30009, "TCP"),)),
        Grant("default", "c", {"IPv4": "10.0.0.9"}, (NodePortGrant(30009, "TCP"),)),
        Grant("default", "d", {"IPv4": "nonsense"}),
    )
    services = registry(Ledger(grants))
    services.apply([service(name) for name in "abcd"], [])
    assert not services.refused
    assert services.in_force[key("b")].spec.cluster_ip == "10.0.0.9"
    addresses = {entry.spec.cluster_ip for entry in services.in_force.values()}
    assert len(addresses) == 4
    assert len({node_port(services, name) for name in "abcd"}) == 4


def test_the_ledger_is_one_object_until_something_changes() -> None:
    services = registry()
    services.apply([service("a")], [])
    before = services.ledger
    services.apply([service("a", session_affinity="ClientIP")], [])
    assert services.ledger is before


def test_a_manifest_may_change_what_the_api_lets_nobody_change() -> None:
    services = registry()
    services.apply([service("a", cluster_ip="10.0.0.9", node_port=30009)], [])
    services.apply([service("a", cluster_ip="10.0.0.10")], [])
    assert services.in_force[key("a")].spec.cluster_ips == ("10.0.0.10",)
    assert node_port(services, "a") == 30009
    services.apply([service("b", cluster_ip="10.0.0.9")], [])
    assert not services.refused


def test_a_service_may_become_headless_and_back() -> None:
    services = registry()
    services.apply([service("a", cluster_ip="10.0.0.9")], [])
    services.apply([default_service(Service(ObjectMeta(name="a", namespace="default"), HEADLESS))], [])
    assert services.in_force[key("a")].spec.cluster_ips == ("None",)
    services.apply([service("a"), service("b", cluster_ip="10.0.0.9")], [])
    assert not services.refused
    assert services.in_force[key("a")].spec.cluster_ip.startswith("10.0.0.")


HEADLESS = ServiceSpec(type="ClusterIP", ports=(ServicePort(80),), cluster_ip="None")
BEFORE = [service("a", "10.0.0.9", 30043), service("b", "10.0.0.10", 30044), service("c", "10.0.0.11", 30045)]
AFTER = [service("a", "10.0.0.10", 30044), service("b", "10.0.0.11", 30045), service("c", "10.0.0.9", 30043)]


@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize("number", [2, 3])
def test_services_that_exchange_their_numbers_are_all_served(number: int, is_restarted: bool) -> None:
    after = AFTER if number == 3 else [service("a", "10.0.0.10", 30044), service("b", "10.0.0.9", 30043)]
    services = registry()
    services.apply(BEFORE[:number], [])
    if is_restarted:
        services = registry(services.ledger)
    services.apply(after, [])
    assert not services.refused
    for each in after:
        spec = services.in_force[each.key].spec
        assert (spec.cluster_ip, spec.ports[0].node_port) == (each.spec.cluster_ip, each.spec.ports[0].node_port)


def test_the_exchange_may_come_one_file_after_the_other() -> None:
    services = registry()
    services.apply(BEFORE, [])
    for each in AFTER:
        services.apply([each], [])
    assert not services.refused
    assert [node_port(services, name) for name in "abc"] == [30044, 30045, 30043]


@pytest.mark.parametrize("is_restarted", [False, True])
def test_what_is_stated_comes_before_what_was_given(is_restarted: bool) -> None:
    services = registry()
    services.apply([service("given")], [])
    before = services.in_force[key("given")]
    stated = service("a", before.spec.cluster_ip, before.spec.ports[0].node_port)
    if is_restarted:
        services = registry(services.ledger)
    services.apply([stated, service("given")] if is_restarted else [stated], [])
    assert not services.refused
    assert node_port(services, "a") == before.spec.ports[0].node_port
    assert node_port(services, "given") not in (0, node_port(services, "a"))
    assert services.in_force[key("given")].spec.cluster_ip != before.spec.cluster_ip


def test_one_who_cannot_move_keeps_what_it_has_and_whoever_waits_for_it_does_too() -> None:
    services = registry()
    services.apply(BEFORE, [])
    before = dict(services.in_force)
    services.apply([AFTER[0], AFTER[1], service("c", "10.0.0.9", 29)], [])
    assert dict(services.in_force) == before
    assert services.refused.keys() == {key("a"), key("b"), key("c")}
    services.apply([AFTER[2]], [])
    assert not services.refused


def test_of_two_who_state_one_number_the_first_moves() -> None:
    services = registry()
    services.apply([service("x", node_port=30001)], [])
    services.apply([service("b", node_port=30001), service("a", node_port=30001)], [])
    assert services.refused.keys() == {key("a"), key("b")}
    services.apply([service("x")], [])
    assert node_port(services, "a") == 30001
    assert services.refused.keys() == {key("b")}


NAMES = st.sampled_from("abcde")
PUT = st.builds(
    service,
    NAMES,
    cluster_ip=st.sampled_from(["", "", "10.0.0.3", "10.0.0.4", "10.1.0.1"]),
    node_port=st.sampled_from([0, 0, 30001, 30002]),
)
BATCHES = st.lists(st.tuples(st.lists(PUT, max_size=4), st.lists(NAMES, max_size=2)), max_size=8)


@given(BATCHES)
def test_a_restart_from_the_written_ledger_gives_the_same_numbers(
    batches: list[tuple[list[Service], list[str]]],
) -> None:
    services = registry()
    newest: dict[tuple[str, str], Service] = {}
    for put, removed in batches:
        kept = {entry.key: entry for entry in put}
        gone = [key(name) for name in removed if key(name) not in kept]
        services.apply(kept.values(), gone)
        newest = {name: entry for name, entry in {**newest, **kept}.items() if name not in gone}
    assert services.in_force.keys() | services.refused.keys() == newest.keys()
    written = msgspec.json.decode(msgspec.json.encode(services.ledger), type=Ledger)
    assert written == services.ledger
    again = registry(written, seed=99)
    again.apply([entry for name, entry in newest.items() if name not in services.refused], [])
    again.release_unclaimed()
    in_force = {name: entry for name, entry in services.in_force.items() if name not in services.refused}
    assert dict(again.in_force) == in_force


@given(st.lists(PUT, max_size=5, unique_by=lambda entry: entry.key), st.randoms())
def test_the_order_within_a_batch_means_nothing(batch: list[Service], random: Random) -> None:
    shuffled = list(batch)
    random.shuffle(shuffled)
    one, other = registry(), registry()
    one.apply(batch, [])
    other.apply(shuffled, [])
    assert dict(one.in_force) == dict(other.in_force)
    assert dict(one.refused) == dict(other.refused)


@given(BATCHES)
def test_no_address_or_port_is_held_twice(batches: list[tuple[list[Service], list[str]]]) -> None:
    services = registry()
    for put, removed in batches:
        services.apply(put, [key(name) for name in removed])
        addresses = [entry.spec.cluster_ip for entry in services.in_force.values()]
        ports = [entry.spec.ports[0].node_port for entry in services.in_force.values()]
        assert len(set(addresses)) == len(addresses)
        assert len(set(ports)) == len(ports)


STATED = st.lists(
    st.builds(service, NAMES, st.sampled_from(["", "10.0.0.3", "10.0.0.4"]), st.sampled_from([0, 30001, 30002, 30003])),
    max_size=5,
    unique_by=lambda entry: entry.key,
)


def is_consistent(batch: list[Service]) -> bool:
    addresses = [entry.spec.cluster_ip for entry in batch if entry.spec.cluster_ip]
    ports = [entry.spec.ports[0].node_port for entry in batch if entry.spec.ports[0].node_port]
    return len(set(addresses)) == len(addresses) and len(set(ports)) == len(ports)


@given(STATED, STATED.filter(is_consistent), st.booleans())
def test_manifests_that_agree_are_all_served_whatever_was_before(
    before: list[Service], after: list[Service], is_restarted: bool
) -> None:
    services = registry()
    services.apply(before, [])
    gone = {entry.key for entry in before} - {entry.key for entry in after}
    if is_restarted:
        services = registry(services.ledger)
        services.apply(after, [])
        services.release_unclaimed()
    else:
        services.apply(after, gone)
    assert not services.refused
    for entry in after:
        spec = services.in_force[entry.key].spec
        assert entry.spec.cluster_ip in ("", spec.cluster_ip)
        assert entry.spec.ports[0].node_port in (0, spec.ports[0].node_port)
