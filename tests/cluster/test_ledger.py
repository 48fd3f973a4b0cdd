"""The ledger as a value that is written and read."""

import msgspec

from proxy.cluster.ledger import Grant, Ledger, NodePortGrant, no_grant, recall_node_ports
from proxy.model.metadata import ObjectMeta
from proxy.model.service import Service, ServicePort, ServiceSpec


def test_survives_being_written_in_the_api_s_field_names() -> None:
    grant = Grant("default", "a", {"IPv4": "10.0.0.9"}, (NodePortGrant(30080, "TCP", "http"),), 30081)
    text = msgspec.json.encode(Ledger((grant,)))
    assert text == (
        b'{"grants":[{"namespace":"default","name":"a","clusterIPs":{"IPv4":"10.0.0.9"},'
        b'"nodePorts":[{"nodePort":30080,"protocol":"TCP","name":"http"}],"healthCheckNodePort":30081}]}'
    )
    assert msgspec.json.decode(text, type=Ledger) == Ledger((grant,))


def test_a_grant_of_nothing_is_false() -> None:
    assert not no_grant(("default", "a"))
    assert Grant("default", "a", health_check_node_port=30081)


def test_recalls_a_node_port_by_name_and_protocol_where_none_is_stated() -> None:
    grant = Grant(
        "default",
        "a",
        node_ports=(
            NodePortGrant(30001, "TCP", "x"),
            NodePortGrant(30002, "UDP", "y"),
            NodePortGrant(30003, "TCP", "z"),
        ),
    )
    ports = (
        ServicePort(80, "x", "TCP"),
        ServicePort(81, "y", "TCP"),
        ServicePort(82, "z", "TCP"),
        ServicePort(83, "w", "TCP", node_port=30003),
    )
    service = Service(ObjectMeta(name="a", namespace="default"), ServiceSpec(ports=ports))
    recalled = recall_node_ports(service, grant)
    assert [port.node_port for port in recalled.spec.ports] == [30001, 0, 0, 30003]
