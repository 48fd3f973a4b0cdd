"""Every rule about slices, Endpoints and Pods, with its exact words."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.defaults import default_endpoint_slice
from proxy.model.endpoint_slice import Endpoint, EndpointPort, EndpointSlice
from proxy.model.endpoint_validation import validate_endpoint_slice, validate_endpoints, validate_pod
from proxy.model.endpoints import EndpointAddress, Endpoints, EndpointSubset, EndpointSubsetPort
from proxy.model.metadata import ObjectMeta
from proxy.model.pod import Pod, PodIP, PodSpec, PodStatus
from proxy.model.problem import FieldError

METADATA = {"name": "web-1.a", "namespace": "default"}
NOT_AN_ADDRESS = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
PORT_RANGE = "must be between 1 and 65535, inclusive"
LOOPBACK = "may not be in the loopback range (127.0.0.0/8, ::1/128)"
GOOD_ADDRESS = {"ip": "10.0.0.1"}


def texts(errors: tuple[FieldError, ...]) -> list[str]:
    return [str(error) for error in errors]


def slice_errors(members: dict[str, object], *, allow_loopback: bool = False) -> list[str]:
    document = {"metadata": METADATA, "addressType": "IPv4", **members}
    endpoint_slice = default_endpoint_slice(msgspec.convert(document, EndpointSlice))
    return texts(validate_endpoint_slice(endpoint_slice, allow_loopback=allow_loopback))


def endpoints_errors(subset: dict[str, object], *, allow_loopback: bool = False) -> list[str]:
    endpoints = msgspec.convert({"metadata": METADATA, "subsets": [subset]}, Endpoints)
    return texts(validate_endpoints(endpoints, allow_loopback=allow_loopback))


def pod_errors(members: dict[str, object], *, allow_loopback: bool = True) -> list[str]:
    pod = msgspec.convert({"metadata": METADATA, **members}, Pod)
    return texts(validate_pod(pod, allow_loopback=allow_loopback))


@pytest.mark.parametrize("address", ["169.254.169.254", "224.0.0.1", "0.0.0.0", "::", "fe80::1", "ff02::1"])
def test_a_pod_s_address_may_be_what_an_endpoint_s_may_be(address: str) -> None:
    (error,) = pod_errors({"status": {"podIP": address}})
    assert error.startswith(f'status.podIP: Invalid value: "{address}": may not be ')
    (error,) = pod_errors({"status": {"podIPs": [{"ip": address}]}})
    assert error.startswith("status.podIPs[0].ip: ")


def test_a_pod_s_address_may_be_loopback_where_pods_are_processes() -> None:
    status: dict[str, object] = {"status": {"podIP": "127.0.0.1"}}
    assert pod_errors(status) == []
    (error,) = pod_errors(status, allow_loopback=False)
    assert "loopback range" in error


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"endpoints": [{"addresses": ["10.0.0.1"], "nodeName": "n1", "hostname": "a"}], "ports": [{"port": 80}]},
        {"addressType": "IPv6", "endpoints": [{"addresses": ["2001:db8::1"]}]},
        {"addressType": "FQDN", "endpoints": [{"addresses": ["db.example.com."]}]},
        {"ports": [{}, {"name": "a", "protocol": "UDP", "port": 0, "appProtocol": "h2c"}]},
    ],
)
def test_accepts_a_good_slice(members: dict[str, object]) -> None:
    assert slice_errors(members) == []


@pytest.mark.parametrize(
    ("members", "errors"),
    [
        ({"addressType": ""}, ["addressType: Required value"]),
        ({"addressType": "IP"}, ['addressType: Unsupported value: "IP": supported values: "FQDN", "IPv4", "IPv6"']),
        ({"metadata": {"name": "a", "namespace": ""}}, ["metadata.namespace: Required value"]),
        ({"endpoints": [{}]}, ["endpoints[0].addresses: Required value: must contain at least 1 address"]),
        (
            {"endpoints": [{"addresses": ["10.0.0.1", "x"]}]},
            [f'endpoints[0].addresses[1]: Invalid value: "x": {NOT_AN_ADDRESS}'],
        ),
        (
            {"endpoints": [{"addresses": ["127.0.0.1"]}]},
            [f'endpoints[0].addresses[0]: Invalid value: "127.0.0.1": {LOOPBACK}'],
        ),
        (
            {"endpoints": [{"addresses": ["2001:db8::1"]}]},
            ['endpoints[0].addresses[0]: Invalid value: "2001:db8::1": must be an IPv4 address'],
        ),
        (
            {"addressType": "IPv6", "endpoints": [{"addresses": ["10.0.0.1"]}]},
            ['endpoints[0].addresses[0]: Invalid value: "10.0.0.1": must be an IPv6 address'],
        ),
        (
            {"addressType": "FQDN", "endpoints": [{"addresses": ["db", ""]}]},
            [
                'endpoints[0].addresses[0]: Invalid value: "db":'
                " should be a domain with at least two segments separated by dots",
                "endpoints[0].addresses[1]: Required value",
            ],
        ),
        (
            {"endpoints": [{"addresses": ["10.0.0.1"] * 101}]},
            ["endpoints[0].addresses: Too many: 101: must have at most 100 items"],
        ),
        ({"endpoints": [{}] * 1001}, ["endpoints: Too many: 1001: must have at most 1000 items"]),
        (
            {"endpoints": [{"addresses": ["10.0.0.1"], "hostname": "a.b"}]},
            ['endpoints[0].hostname: Invalid value: "a.b": must not contain dots'],
        ),
        (
            {"endpoints": [{"addresses": ["10.0.0.1"], "hints": {"forZones": [{"name": "a"}] * 9}}]},
            ["endpoints[0].hints.forZones: Too many: 9: must have at most 8 items"],
        ),
        (
            {"endpoints": [{"addresses": ["10.0.0.1"], "hints": {"forNodes": [{"name": "a"}] * 9}}]},
            ["endpoints[0].hints.forNodes: Too many: 9: must have at most 8 items"],
        ),
        ({"ports": [{}] * 20001}, ["ports: Too many: 20001: must have at most 20000 items"]),
        ({"ports": [{"name": "a"}, {"name": "a"}]}, ['ports[1].name: Duplicate value: "a"']),
        ({"ports": [{"name": "a.b"}]}, ['ports[0].name: Invalid value: "a.b": must not contain dots']),
        (
            {"ports": [{"protocol": "HTTP"}]},
            ['ports[0].protocol: Unsupported value: "HTTP": supported values: "SCTP", "TCP", "UDP"'],
        ),
        ({"ports": [{"port": 65536}]}, ["ports[0].port: Invalid value: 65536: must be between 0 and 65535, inclusive"]),
        (
            {"ports": [{"appProtocol": "/a"}]},
            ['ports[0].appProtocol: Invalid value: "/a": prefix part must be non-empty'],
        ),
    ],
)
def test_refuses_a_bad_slice_with_the_words_of_the_api_server(members: dict[str, object], errors: list[str]) -> None:
    assert slice_errors(members) == errors


def test_names_a_node_name_that_cannot_be_one() -> None:
    (error,) = slice_errors({"endpoints": [{"addresses": ["10.0.0.1"], "nodeName": "N_1"}]})
    assert error.startswith('endpoints[0].nodeName: Invalid value: "N_1": a lowercase RFC 1123 subdomain must consist')


def test_a_slice_without_defaults_lacks_a_protocol() -> None:
    endpoint_slice = EndpointSlice(ObjectMeta("a", "default"), "IPv4", ports=(EndpointPort(port=80),))
    errors = validate_endpoint_slice(endpoint_slice, allow_loopback=False)
    assert texts(errors) == ["ports[0].protocol: Required value"]


def test_loopback_may_be_an_endpoint_where_pods_are_local_processes() -> None:
    assert slice_errors({"endpoints": [{"addresses": ["127.0.0.1"]}]}, allow_loopback=True) == []
    assert endpoints_errors({"addresses": [{"ip": "127.0.0.1"}]}, allow_loopback=True) == []


@pytest.mark.parametrize(
    ("subset", "errors"),
    [
        ({"addresses": [GOOD_ADDRESS], "ports": [{"port": 80}]}, []),
        ({"notReadyAddresses": [GOOD_ADDRESS]}, []),
        ({}, ["subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"]),
        ({"addresses": [{"ip": "x"}]}, [f'subsets[0].addresses[0].ip: Invalid value: "x": {NOT_AN_ADDRESS}']),
        (
            {"notReadyAddresses": [{"ip": "127.0.0.1"}]},
            [f'subsets[0].notReadyAddresses[0].ip: Invalid value: "127.0.0.1": {LOOPBACK}'],
        ),
        (
            {"addresses": [{"ip": "10.0.0.1", "hostname": "a.b"}]},
            ['subsets[0].addresses[0].hostname: Invalid value: "a.b": must not contain dots'],
        ),
        (
            {"addresses": [GOOD_ADDRESS], "ports": [{"name": "a", "port": 80}, {"port": 81}]},
            ["subsets[0].ports[1].name: Required value"],
        ),
        (
            {
                "addresses": [GOOD_ADDRESS],
                "ports": [{"name": "a.b", "port": 0, "protocol": "HTTP", "appProtocol": "/a"}],
            },
            [
                'subsets[0].ports[0].name: Invalid value: "a.b": must not contain dots',
                f"subsets[0].ports[0].port: Invalid value: 0: {PORT_RANGE}",
                'subsets[0].ports[0].protocol: Unsupported value: "HTTP": supported values: "SCTP", "TCP", "UDP"',
                'subsets[0].ports[0].appProtocol: Invalid value: "/a": prefix part must be non-empty',
            ],
        ),
        (
            {"addresses": [GOOD_ADDRESS], "ports": [{"port": 80, "protocol": ""}]},
            ["subsets[0].ports[0].protocol: Required value"],
        ),
    ],
)
def test_holds_endpoints_to_the_rules(subset: dict[str, object], errors: list[str]) -> None:
    assert endpoints_errors(subset) == errors


def test_names_a_node_name_of_an_address_that_cannot_be_one() -> None:
    (error,) = endpoints_errors({"addresses": [{"ip": "10.0.0.1", "nodeName": "N_1"}]})
    assert error.startswith('subsets[0].addresses[0].nodeName: Invalid value: "N_1": a lowercase RFC 1123 subdomain')


@pytest.mark.parametrize(
    ("members", "errors"),
    [
        ({}, []),
        ({"status": {"podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}, {"ip": "::1"}]}}, []),
        ({"metadata": {**METADATA, "labels": {"svcproxy.io/weight": "0"}}}, []),
        ({"status": {"podIP": "x"}}, [f'status.podIP: Invalid value: "x": {NOT_AN_ADDRESS}']),
        ({"status": {"podIPs": [{"ip": ""}]}}, [f'status.podIPs[0].ip: Invalid value: "": {NOT_AN_ADDRESS}']),
        (
            {"metadata": {**METADATA, "labels": {"svcproxy.io/weight": "heavy"}}},
            [
                'metadata.labels[svcproxy.io/weight]: Invalid value: "heavy":'
                " must be an integer between 0 and 65535, inclusive"
            ],
        ),
        (
            {"metadata": {**METADATA, "labels": {"svcproxy.io/weight": ""}}},
            [
                'metadata.labels[svcproxy.io/weight]: Invalid value: "":'
                " must be an integer between 0 and 65535, inclusive"
            ],
        ),
        (
            {
                "spec": {
                    "containers": [{"ports": [{"containerPort": 80}, {"containerPort": 70000, "protocol": "X"}, {}]}]
                }
            },
            [
                f"spec.containers[0].ports[1].containerPort: Invalid value: 70000: {PORT_RANGE}",
                'spec.containers[0].ports[1].protocol: Unsupported value: "X": supported values: "SCTP", "TCP", "UDP"',
                "spec.containers[0].ports[2].containerPort: Required value",
            ],
        ),
        (
            {"spec": {"initContainers": [{"ports": [{}]}]}},
            ["spec.initContainers[0].ports[0].containerPort: Required value"],
        ),
    ],
)
def test_holds_a_pod_to_the_rules(members: dict[str, object], errors: list[str]) -> None:
    assert pod_errors(members) == errors


ANY_METADATA = st.builds(ObjectMeta, name=st.text(), labels=st.dictionaries(st.text(), st.text()))
ADDRESSES = st.sampled_from(["10.0.0.1", "127.0.0.1", "::1", "fe80::1", "db.example.com", ""]) | st.text()


@given(
    ANY_METADATA,
    st.sampled_from(["IPv4", "IPv6", "FQDN", ""]) | st.text(),
    st.lists(st.builds(Endpoint, addresses=st.lists(ADDRESSES).map(tuple), hostname=st.text())).map(tuple),
    st.lists(st.from_type(EndpointPort)).map(tuple),
)
def test_never_raises_on_a_slice(
    metadata: ObjectMeta,
    address_type: str,
    endpoints: tuple[Endpoint, ...],
    ports: tuple[EndpointPort, ...],
) -> None:
    endpoint_slice = EndpointSlice(metadata, address_type, endpoints, ports)
    strict = validate_endpoint_slice(endpoint_slice, allow_loopback=False)
    relaxed = validate_endpoint_slice(endpoint_slice, allow_loopback=True)
    assert [error for error in strict if LOOPBACK not in error.text] == list(relaxed)


@given(
    ANY_METADATA,
    st.lists(
        st.builds(
            EndpointSubset,
            addresses=st.lists(st.builds(EndpointAddress, ip=ADDRESSES, hostname=st.text())).map(tuple),
            ports=st.lists(st.from_type(EndpointSubsetPort)).map(tuple),
        )
    ).map(tuple),
)
def test_never_raises_on_endpoints(metadata: ObjectMeta, subsets: tuple[EndpointSubset, ...]) -> None:
    endpoints = Endpoints(metadata, subsets)
    strict = validate_endpoints(endpoints, allow_loopback=False)
    relaxed = validate_endpoints(endpoints, allow_loopback=True)
    assert [error for error in strict if LOOPBACK not in error.text] == list(relaxed)


@given(ANY_METADATA, st.from_type(PodSpec), ADDRESSES, st.lists(ADDRESSES.map(PodIP)).map(tuple))
def test_never_raises_on_a_pod(metadata: ObjectMeta, spec: PodSpec, pod_ip: str, pod_ips: tuple[PodIP, ...]) -> None:
    pod = Pod(metadata, spec, PodStatus(pod_ip=pod_ip, pod_ips=pod_ips))
    assert all(error.field and error.text for error in validate_pod(pod, allow_loopback=True))
