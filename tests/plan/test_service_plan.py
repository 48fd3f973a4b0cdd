"""From one Service and its slices to pools and frontends."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from proxy.model.endpoint_slice import EndpointSlice
from proxy.model.service import Service
from proxy.plan.frontend import Frontend, FrontendKey, Target
from proxy.plan.own_places import OwnPlaces
from proxy.plan.service_plan import ServicePlan, plan_service
from proxy.plan.settings import PlanSettings

SETTINGS = PlanSettings(
    node_name="here",
    scheduler="rr",
    schedulers=("rr", "sh"),
    node_port_addresses=("127.0.0.1", "::1"),
    connect_timeout=5.0,
    tcp_idle_timeout=0.0,
    udp_idle_timeout=60.0,
)
HTTP = {"name": "http", "protocol": "TCP", "port": 80, "nodePort": 30080}


def service(annotations: dict[str, str] | None = None, ingress: tuple[str, ...] = (), **spec: Any) -> Service:
    spec = {"type": "ClusterIP", "clusterIPs": ["10.96.0.1"], "ports": [HTTP | {"nodePort": 0}], **spec}
    document = {
        "metadata": {"name": "myapp", "namespace": "default", "annotations": annotations or {}},
        "spec": spec,
        "status": {"loadBalancer": {"ingress": [{"ip": ip} for ip in ingress]}},
    }
    return msgspec.convert(document, Service)


def endpoint_slice(
    *endpoints: dict[str, Any],
    ports: tuple[dict[str, Any], ...] = ({"name": "http", "protocol": "TCP", "port": 8080},),
    family: str = "IPv4",
    name: str = "myapp-1",
) -> EndpointSlice:
    document = {
        "metadata": {"name": name, "namespace": "default"},
        "addressType": family,
        "endpoints": endpoints,
        "ports": ports,
    }
    return msgspec.convert(document, EndpointSlice)


def at(address: str, node: str = "here", pod: str = "", **conditions: bool) -> dict[str, Any]:
    reference = {"targetRef": {"kind": "Pod", "name": pod}} if pod else {}
    return {"addresses": [address], "nodeName": node, "conditions": conditions, **reference}


def plan(
    subject: Service,
    *slices: EndpointSlice,
    weights: Mapping[tuple[str, str], int] | None = None,
    zone: str = "",
    settings: PlanSettings = SETTINGS,
    own_sources: tuple[str, ...] = (),
) -> ServicePlan:
    nothing_else = OwnPlaces((), settings.local_addresses.lookup(), lambda key: None)
    return plan_service(subject, slices, weights or {}, zone, settings, nothing_else, own_sources)


def listening(planned: ServicePlan) -> dict[str, Frontend]:
    return {f"{key.protocol} {key.address} {key.port}": each for each in planned.frontends for key in [each.key]}


def targets(planned: ServicePlan) -> dict[str, list[str]]:
    return {pool.key: [target.address for target in pool.targets] for pool in planned.pools}


def test_a_cluster_ip_has_one_frontend_and_one_pool() -> None:
    planned = plan(service(), endpoint_slice(at("10.0.0.1", pod="myapp-a"), at("10.0.0.2")))
    (frontend,) = planned.frontends
    assert frontend == Frontend(
        FrontendKey("TCP", "10.96.0.1", 80), "default/myapp:http/TCP/IPv4", "default/myapp", "ClusterIP"
    )
    (pool,) = planned.pools
    assert (pool.key, pool.service, pool.port_name, pool.protocol) == (
        "default/myapp:http/TCP/IPv4",
        "default/myapp",
        "http",
        "TCP",
    )
    assert pool.targets == (Target("10.0.0.1", 8080, 1, "myapp-a"), Target("10.0.0.2", 8080))
    assert (planned.notes, planned.endpoint_notes, planned.problems) == ((), (), ())


def test_an_unnamed_port_has_no_colon_in_its_pool_key() -> None:
    planned = plan(service(ports=[{"protocol": "TCP", "port": 80}]))
    assert [pool.key for pool in planned.pools] == ["default/myapp/TCP/IPv4"]


def test_every_address_of_a_load_balancer_shares_the_pool() -> None:
    subject = service(
        type="LoadBalancer",
        ports=[HTTP],
        externalIPs=["192.0.2.1"],
        ingress=("198.51.100.1",),
        loadBalancerSourceRanges=["203.0.113.0/24"],
    )
    found = listening(plan(subject, endpoint_slice(at("10.0.0.1"))))
    assert {text: (each.kind, each.source_ranges) for text, each in found.items()} == {
        "TCP 10.96.0.1 80": ("ClusterIP", ()),
        "TCP 198.51.100.1 80": ("LoadBalancer", ("203.0.113.0/24",)),
        "TCP 192.0.2.1 80": ("ExternalIP", ()),
        "TCP 127.0.0.1 30080": ("NodePort", ()),
    }
    assert {each.pool for each in found.values()} == {"default/myapp:http/TCP/IPv4"}


def test_an_address_that_is_both_external_and_balanced_keeps_its_source_ranges() -> None:
    subject = service(
        type="LoadBalancer",
        externalIPs=["192.0.2.1"],
        ingress=("192.0.2.1",),
        loadBalancerSourceRanges=["203.0.113.0/24"],
    )
    assert listening(plan(subject))["TCP 192.0.2.1 80"].source_ranges == ("203.0.113.0/24",)
    assert len(plan(subject).frontends) == 2


def test_a_port_without_node_port_has_no_node_port_frontend() -> None:
    ports = [HTTP, {"name": "admin", "protocol": "TCP", "port": 81}]
    found = listening(plan(service(type="LoadBalancer", ports=ports)))
    assert set(found) == {"TCP 10.96.0.1 80", "TCP 127.0.0.1 30080", "TCP 10.96.0.1 81"}


def test_tcp_and_udp_under_one_number_are_two_frontends() -> None:
    ports = [{"name": "dns", "protocol": "UDP", "port": 53}, {"name": "dns-tcp", "protocol": "TCP", "port": 53}]
    numbers = ({"name": "dns", "protocol": "UDP", "port": 5353}, {"name": "dns-tcp", "protocol": "TCP", "port": 5354})
    planned = plan(service(ports=ports), endpoint_slice(at("10.0.0.1"), ports=numbers))
    assert set(listening(planned)) == {"UDP 10.96.0.1 53", "TCP 10.96.0.1 53"}
    assert [(pool.key, pool.targets[0].port, pool.idle_timeout) for pool in planned.pools] == [
        ("default/myapp:dns/UDP/IPv4", 5353, 60.0),
        ("default/myapp:dns-tcp/TCP/IPv4", 5354, 0.0),
    ]


def test_each_family_is_a_proxy_of_its_own() -> None:
    subject = service(type="NodePort", clusterIPs=["2001:db8::1", "10.96.0.1"], ports=[HTTP])
    planned = plan(subject, endpoint_slice(at("2001:db8::a"), family="IPv6"))
    assert {text: each.pool for text, each in listening(planned).items()} == {
        "TCP 2001:db8::1 80": "default/myapp:http/TCP/IPv6",
        "TCP ::1 30080": "default/myapp:http/TCP/IPv6",
        "TCP 10.96.0.1 80": "default/myapp:http/TCP/IPv4",
        "TCP 127.0.0.1 30080": "default/myapp:http/TCP/IPv4",
    }
    assert targets(planned) == {"default/myapp:http/TCP/IPv6": ["2001:db8::a"], "default/myapp:http/TCP/IPv4": []}


def test_a_single_stack_service_has_node_ports_of_its_family_only() -> None:
    planned = plan(service(type="NodePort", ports=[HTTP]))
    assert set(listening(planned)) == {"TCP 10.96.0.1 80", "TCP 127.0.0.1 30080"}


POLICIES = [
    # internal, external, pool of the ClusterIP, pool of the others
    ("Cluster", "Cluster", "", ""),
    ("Cluster", "Local", "", "/local"),
    ("Local", "Cluster", "/local", ""),
    ("Local", "Local", "/local", "/local"),
    (None, "", "", ""),
]


@pytest.mark.parametrize(("internal", "external", "cluster_ip_pool", "outer_pool"), POLICIES)
def test_each_policy_rules_its_own_addresses(
    internal: str | None, external: str, cluster_ip_pool: str, outer_pool: str
) -> None:
    subject = service(
        type="LoadBalancer",
        ports=[HTTP],
        externalIPs=["192.0.2.1"],
        ingress=("198.51.100.1",),
        internalTrafficPolicy=internal,
        externalTrafficPolicy=external,
    )
    planned = plan(subject, endpoint_slice(at("10.0.0.1"), at("10.0.0.2", node="there")))
    base = "default/myapp:http/TCP/IPv4"
    for each in planned.frontends:
        assert each.pool == base + (cluster_ip_pool if each.kind == "ClusterIP" else outer_pool)
    sets = {base: ["10.0.0.1", "10.0.0.2"], f"{base}/local": ["10.0.0.1"]}
    used = {base + cluster_ip_pool, base + outer_pool}
    assert targets(planned) == {key: addresses for key, addresses in sets.items() if key in used}
    assert {pool.affinity_key for pool in planned.pools} == {base}


@pytest.mark.parametrize(
    ("policy", "endpoints", "own"),
    [
        ("Cluster", [at("10.0.0.2", "there")], {"ClusterIP": "", "NodePort": ""}),
        ("Local", [at("10.0.0.2", "there")], {"ClusterIP": "", "NodePort": "default/myapp:http/TCP/IPv4"}),
        ("Local", [at("10.0.0.1", "here")], {"ClusterIP": "", "NodePort": ""}),
        ("Local", [], {"ClusterIP": "", "NodePort": ""}),
    ],
    ids=str,
)
def test_clients_of_this_node_have_all_endpoints_under_external_policy_local(
    policy: str, endpoints: list[dict[str, Any]], own: dict[str, str]
) -> None:
    subject = service(type="NodePort", ports=[HTTP], externalTrafficPolicy=policy, internalTrafficPolicy=policy)
    planned = plan(subject, endpoint_slice(*endpoints), own_sources=("10.0.0.9/32", "fd00::9/128"))
    assert {each.kind: each.own_pool for each in planned.frontends} == own
    assert {each.own_sources for each in planned.frontends if each.own_pool} <= {("10.0.0.9/32",)}
    assert {each for frontend in planned.frontends for each in (frontend.pool, frontend.own_pool) if each} == {
        pool.key for pool in planned.pools
    }


@pytest.mark.parametrize(
    ("policy", "endpoints", "when_empty"),
    [
        ("Cluster", [], "refuse"),
        ("Cluster", [at("10.0.0.2", "there")], "refuse"),
        ("Local", [], "refuse"),
        ("Local", [at("10.0.0.2", "there")], "drop"),
        ("Local", [at("10.0.0.2", "there", ready=False, serving=True, terminating=True)], "drop"),
        ("Local", [at("10.0.0.2", "there", ready=False, serving=True)], "refuse"),
        ("Local", [at("10.0.0.1", "here"), at("10.0.0.2", "there")], "refuse"),
    ],
    ids=str,
)
def test_silence_only_where_another_node_could_answer(
    policy: str, endpoints: list[dict[str, Any]], when_empty: str
) -> None:
    slices = endpoint_slice(*endpoints)
    internal = plan(service(internalTrafficPolicy=policy), slices)
    assert [each.when_empty for each in internal.frontends] == [when_empty]
    external = plan(service(type="NodePort", ports=[HTTP], externalTrafficPolicy=policy), slices)
    assert {each.kind: each.when_empty for each in external.frontends} == {
        "ClusterIP": "refuse",
        "NodePort": when_empty,
    }


def test_sctp_is_reported_and_harms_no_other_port() -> None:
    ports = [{"name": "s", "protocol": "SCTP", "port": 9}, HTTP | {"nodePort": 0}]
    planned = plan(service(ports=ports, clusterIPs=["10.96.0.1", "2001:db8::1"]))
    assert set(listening(planned)) == {"TCP 10.96.0.1 80", "TCP 2001:db8::1 80"}
    assert [str(each) for each in planned.problems] == [
        "spec.ports[0].protocol: SCTP is not supported by svcproxy; this port is not served"
    ]
    assert planned.notes == ("port 9/SCTP: not supported",)


@pytest.mark.parametrize("spec", [{"clusterIPs": ["None"]}, {"type": "ExternalName"}, {"clusterIPs": []}], ids=str)
def test_a_service_without_address_is_a_note_and_nothing_else(spec: dict[str, Any]) -> None:
    planned = plan(service({"svcproxy.io/scheduler": "x"}, **spec), endpoint_slice(at("10.0.0.1")))
    assert len(planned.notes) == 1
    assert planned == ServicePlan(notes=planned.notes)


def test_a_waiting_load_balancer_still_has_its_cluster_ip_and_says_what_it_waits_for() -> None:
    planned = plan(service(type="LoadBalancer"))
    assert set(listening(planned)) == {"TCP 10.96.0.1 80"}
    assert planned.notes == ("waiting for a load balancer address",)


def test_annotations_rule_the_pools_and_their_mistakes_are_reported() -> None:
    good = plan(
        service(
            {
                "svcproxy.io/scheduler": "sh",
                "svcproxy.io/idle-timeout": "5m",
                "svcproxy.io/connect-timeout": "1s",
            }
        )
    )
    assert [(pool.scheduler, pool.idle_timeout, pool.connect_timeout) for pool in good.pools] == [("sh", 300.0, 1.0)]
    bad = plan(service({"svcproxy.io/scheduler": "x"}))
    assert [pool.scheduler for pool in bad.pools] == ["rr"]
    assert [each.field for each in bad.problems] == ["metadata.annotations[svcproxy.io/scheduler]"]


def test_an_idle_timeout_of_zero_lifts_the_limit_of_udp() -> None:
    ports = [{"name": "dns", "protocol": "UDP", "port": 53}]
    planned = plan(service({"svcproxy.io/idle-timeout": "0"}, ports=ports))
    assert [pool.idle_timeout for pool in planned.pools] == [0.0]


@pytest.mark.parametrize(
    ("spec", "seconds"),
    [
        ({}, 0),
        ({"sessionAffinity": "None", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 7}}}, 0),
        ({"sessionAffinity": "ClientIP"}, 10800),
        ({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {}}, 10800),
        ({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 7}}}, 7),
    ],
    ids=str,
)
def test_affinity_lasts_as_long_as_the_service_says(spec: dict[str, Any], seconds: int) -> None:
    assert [pool.affinity_seconds for pool in plan(service(**spec)).pools] == [seconds]


def test_weights_come_from_the_pods_of_the_same_namespace() -> None:
    slices = endpoint_slice(
        at("10.0.0.1", pod="a"),
        at("10.0.0.2", pod="b"),
        at("10.0.0.3", pod="c"),
        {"addresses": ["10.0.0.4"], "targetRef": {"kind": "VirtualMachine", "name": "a"}},
    )
    weights = {("default", "a"): 5, ("default", "b"): 0, ("other", "c"): 9}
    (pool,) = plan(service(), slices, weights=weights).pools
    assert [(each.weight, each.pod) for each in pool.targets] == [(5, "a"), (0, "b"), (1, "c"), (1, "")]


def test_hints_for_the_zone_of_the_node_narrow_the_pool_and_leave_a_note() -> None:
    hinted = [
        at("10.0.0.1") | {"hints": {"forZones": [{"name": "west"}]}},
        at("10.0.0.2") | {"hints": {"forZones": [{"name": "east"}]}},
    ]
    planned = plan(service(), endpoint_slice(*hinted), zone="east")
    assert targets(planned) == {"default/myapp:http/TCP/IPv4": ["10.0.0.2"]}
    assert planned.endpoint_notes == ("default/myapp:http/TCP/IPv4: hints keep traffic in zone east",)


def test_an_empty_pool_says_why() -> None:
    subject = service(internalTrafficPolicy="Local")
    planned = plan(subject, endpoint_slice(at("10.0.0.1", "there")))
    assert planned.endpoint_notes == ("default/myapp:http/TCP/IPv4/local: no endpoint on node here is ready",)


def test_terminating_endpoints_that_still_serve_are_draining_until_they_are_all_there_is() -> None:
    leaving = at("10.0.0.1", ready=False, serving=True, terminating=True)
    gone = at("10.0.0.2", ready=False, serving=False, terminating=True)
    (beside_a_ready_one,) = plan(service(), endpoint_slice(leaving, gone, at("10.0.0.3"))).pools
    assert beside_a_ready_one.targets == (Target("10.0.0.3", 8080),)
    assert beside_a_ready_one.draining == (("10.0.0.1", 8080),)
    (alone,) = plan(service(), endpoint_slice(leaving, gone)).pools
    assert alone.targets == (Target("10.0.0.1", 8080),)
    assert alone.draining == ()
