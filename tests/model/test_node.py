"""Whether a Node shall get traffic, and in which zone it is."""

import msgspec
import pytest

from proxy.model.node import Node, deleted_node


def node(**fields: object) -> Node:
    return msgspec.convert({"metadata": {"name": "here"}, **fields}, Node)


@pytest.mark.parametrize("taints", [[], [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]])
def test_an_ordinary_node_is_eligible(taints: list[dict[str, str]]) -> None:
    assert node(spec={"taints": taints}).is_eligible


def test_one_that_the_autoscaler_is_about_to_delete_is_not() -> None:
    assert not node(spec={"taints": [{"key": "other"}, {"key": "ToBeDeletedByClusterAutoscaler"}]}).is_eligible


def test_one_that_is_being_deleted_is_not() -> None:
    assert not node(metadata={"name": "here", "deletionTimestamp": "2026-03-01T00:00:00Z"}).is_eligible


def test_one_that_is_gone_has_no_zone_and_is_not_eligible() -> None:
    gone = deleted_node("here")
    assert (gone.metadata.name, gone.zone, gone.is_eligible) == ("here", "", False)
