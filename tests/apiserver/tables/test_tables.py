"""Tables as kubectl asks for them, of whatever kind."""

from datetime import UTC, datetime
from typing import Any

import pytest

from proxy.apiserver.kinds import KINDS, NAMESPACES, SERVICES, Kind
from proxy.apiserver.status import StatusError
from proxy.apiserver.tables.tables import table

NOW = datetime(2026, 1, 1, 0, 1, 0, tzinfo=UTC)
METADATA = {"name": "web", "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"a": "b"}}
SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": METADATA, "spec": {"clusterIPs": ["10.0.0.1"]}}


def made(kind: Kind = SERVICES, include: str = "Metadata", columns: bool = True) -> dict[str, Any]:
    document = {**SERVICE, "kind": kind.kind}
    return table(kind, [document], NOW, include, {"resourceVersion": "7", "continue": "token"}, columns)


def test_a_table_is_of_the_meta_group_and_carries_the_metadata_of_the_list() -> None:
    result = made()
    assert (result["kind"], result["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert result["metadata"] == {"resourceVersion": "7", "continue": "token"}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_every_kind_has_a_cell_for_each_column_however_little_is_known(kind: Kind) -> None:
    bare = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": "web"}}
    result = table(kind, [bare], NOW, "Metadata", {})
    columns, (row,) = result["columnDefinitions"], result["rows"]
    assert len(columns) == len(row["cells"])
    assert "web" in row["cells"]
    for column, cell in zip(columns, row["cells"], strict=True):
        assert isinstance(cell, int if column["type"] == "integer" else str)


def test_columns_are_those_that_kubectl_prints_with_the_wide_ones_marked() -> None:
    columns = [(column["name"], column["priority"]) for column in made()["columnDefinitions"]]
    assert columns == [
        ("Name", 0),
        ("Type", 0),
        ("Cluster-IP", 0),
        ("External-IP", 0),
        ("Port(s)", 0),
        ("Age", 0),
        ("Selector", 1),
    ]


def test_later_tables_of_a_watch_have_no_columns() -> None:
    assert "columnDefinitions" not in made(columns=False)


def test_a_row_carries_the_metadata_the_object_or_nothing() -> None:
    partial = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": METADATA}
    assert made()["rows"][0]["object"] == partial
    assert made(include="Object")["rows"][0]["object"] == SERVICE
    assert "object" not in made(include="None")["rows"][0]


def test_an_unknown_wish_is_refused() -> None:
    with pytest.raises(StatusError) as raised:
        made(include="All")
    assert raised.value.status.code == 400


def test_ages_are_counted_from_now() -> None:
    assert made(NAMESPACES)["rows"][0]["cells"] == ["web", "", "60s"]
