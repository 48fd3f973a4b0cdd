"""Nodes as rows of a table."""

from typing import Any

import pytest

from proxy.apiserver.tables.node import namespace_row, node_row

METADATA = {"name": "n", "creationTimestamp": "1970-01-01T00:00:00Z"}


def test_a_node_with_everything() -> None:
    labels = {"node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/edge": "", "kubernetes.io/role": "old"}
    status = {
        "conditions": [{"type": "Ready", "status": "True"}],
        "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}, {"type": "ExternalIP", "address": "192.0.2.1"}],
        "nodeInfo": {
            "kubeletVersion": "v1.36.0",
            "osImage": "Debian",
            "kernelVersion": "6.18",
            "containerRuntimeVersion": "containerd://2",
        },
    }
    assert node_row({"metadata": {**METADATA, "labels": labels}, "status": status}, 60) == [
        "n",
        "Ready",
        "edge,old,worker",
        "60s",
        "v1.36.0",
        "10.0.0.1",
        "192.0.2.1",
        "Debian",
        "6.18",
        "containerd://2",
    ]


@pytest.mark.parametrize(
    ("conditions", "spec", "status"),
    [
        ([], {}, "Unknown"),
        ([{"type": "Ready", "status": "False"}], {}, "NotReady"),
        ([{"type": "Ready", "status": "Unknown"}], {}, "NotReady"),
        ([{"type": "MemoryPressure", "status": "True"}], {}, "Unknown"),
        ([{"type": "Ready", "status": "True"}], {"unschedulable": True}, "Ready,SchedulingDisabled"),
    ],
)
def test_the_status_of_a_node(conditions: list[Any], spec: dict[str, Any], status: str) -> None:
    assert node_row({"metadata": METADATA, "spec": spec, "status": {"conditions": conditions}}, 0)[1] == status


def test_what_a_node_does_not_say_is_unknown_or_none() -> None:
    assert node_row({"metadata": METADATA}, 0)[2:] == [
        "<none>",
        "0s",
        "",
        "<none>",
        "<none>",
        "<unknown>",
        "<unknown>",
        "<unknown>",
    ]


def test_a_namespace_shows_its_phase() -> None:
    assert namespace_row({"metadata": METADATA, "status": {"phase": "Active"}}, 60) == ["n", "Active", "60s"]
