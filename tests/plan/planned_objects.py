"""Settings, Services, slices and a Node for the tests of the planner."""

from collections.abc import Sequence
from typing import Any

import msgspec

from proxy.model.endpoint_slice import SERVICE_NAME_LABEL, EndpointSlice
from proxy.model.metadata import ObjectMeta
from proxy.model.node import ZONE_LABEL, Node
from proxy.model.service import Service
from proxy.plan.settings import PlanSettings

SETTINGS = PlanSettings(
    node_name="here", schedulers=("rr", "sh"), node_port_addresses=("127.0.0.1", "::1"), proxy_name=""
)


def service(name: str, address: str = "10.96.0.1", born: str = "", port: int = 80, **spec: Any) -> Service:
    document = {
        "metadata": {"name": name, "namespace": "default", "creationTimestamp": born},
        "spec": {
            "type": "ClusterIP",
            "clusterIPs": [address],
            "ports": [{"port": port, "protocol": "TCP", "nodePort": spec.pop("nodePort", 0)}],
            **spec,
        },
    }
    return msgspec.convert(document, Service)


def slice_for(owner: str, *hosts: int, name: str = "", pods: Sequence[str] = ()) -> EndpointSlice:
    document = {
        "metadata": {"name": name or f"{owner}-1", "namespace": "default", "labels": {SERVICE_NAME_LABEL: owner}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [f"10.0.0.{host}"]} for host in hosts]
        + [{"addresses": [f"10.0.1.{i}"], "targetRef": {"kind": "Pod", "name": pod}} for i, pod in enumerate(pods)],
        "ports": [{"name": "", "protocol": "TCP", "port": 8080}],
    }
    return msgspec.convert(document, EndpointSlice)


def node(zone: str) -> Node:
    return Node(ObjectMeta("here", labels={ZONE_LABEL: zone}))
