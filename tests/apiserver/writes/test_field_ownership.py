"""Who owns which fields after a create or an update."""

from typing import Any

import pytest

from proxy.apiserver.kinds import ENDPOINTS, PODS, SERVICES, Kind
from proxy.apiserver.writes.field_ownership import managed_after_update
from proxy.apiserver.writes.managed_fields import UPDATE


def service(spec: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", **metadata}, "spec": spec}


def after(old: Any, new: Any, manager: str, now: str = "t1", subresource: str = "", kind: Kind = SERVICES) -> Any:
    if old is not None:
        new = {**new, "metadata": {**new["metadata"], "managedFields": old["metadata"].get("managedFields")}}
    return managed_after_update(kind, old, new, manager, UPDATE, now, subresource)


def entries(document: dict[str, Any]) -> list[tuple[str, str, Any]]:
    found = document["metadata"].get("managedFields", [])
    return [(entry["manager"], entry["time"], entry["fieldsV1"]) for entry in found]


def test_the_creator_owns_everything_but_what_identifies_the_object() -> None:
    created = after(
        None, service({"type": "NodePort"}, uid="1", labels={"a": "b"}, resourceVersion="7"), "kubectl-create"
    )
    fields = {"f:metadata": {"f:labels": {".": {}, "f:a": {}}}, "f:spec": {"f:type": {}}}
    assert entries(created) == [("kubectl-create", "t1", fields)]
    assert created["metadata"]["managedFields"][0]["operation"] == "Update"


def test_who_changes_a_field_takes_it() -> None:
    old = after(None, service({"type": "NodePort", "sessionAffinity": "None"}), "create")
    new = after(old, service({"type": "NodePort", "sessionAffinity": "ClientIP"}), "edit", "t2")
    assert entries(new) == [
        ("create", "t1", {"f:spec": {"f:type": {}}}),
        ("edit", "t2", {"f:spec": {"f:sessionAffinity": {}}}),
    ]


def test_a_field_that_is_gone_is_nobodys_and_an_owner_of_nothing_is_forgotten() -> None:
    old = after(None, service({"type": "NodePort"}), "create")
    assert entries(after(old, service({}), "edit")) == []


def test_an_update_that_changes_nothing_changes_no_owner() -> None:
    old = after(None, service({"type": "NodePort"}), "create")
    assert after(old, service({"type": "NodePort"}), "edit", "t2") == old


def test_the_status_belongs_to_those_who_set_it_through_the_subresource() -> None:
    status = {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}
    old = after(None, {**service({"type": "LoadBalancer"}), "status": status}, "create")
    assert entries(old) == [("create", "t1", {"f:spec": {"f:type": {}}})]
    bare = service({"type": "LoadBalancer"}, managedFields=old["metadata"]["managedFields"])
    new = after(bare, {**bare, "status": status}, "controller", "t2", "status")
    assert new["metadata"]["managedFields"][1]["subresource"] == "status"
    fields: dict[str, Any] = {"f:status": {"f:loadBalancer": {".": {}, "f:ingress": {}}}}
    assert entries(new)[1] == ("controller", "t2", fields)


def test_a_kind_without_status_has_its_fields_owned_all_the_same() -> None:
    endpoints = {"metadata": {"name": "web"}, "subsets": [{"addresses": [{"ip": "192.0.2.1"}]}]}
    assert entries(after(None, endpoints, "create", kind=ENDPOINTS)) == [("create", "t1", {"f:subsets": {}})]


def test_a_client_may_hand_the_entries_on() -> None:
    old = after(None, service({"type": "NodePort"}), "create")
    handed = [{**old["metadata"]["managedFields"][0], "manager": "other"}]
    new = managed_after_update(SERVICES, old, service({"type": "NodePort"}, managedFields=handed), "x", UPDATE, "t2")
    assert entries(new) == [("other", "t1", {"f:spec": {"f:type": {}}})]


def test_a_list_with_one_empty_entry_clears_the_owners() -> None:
    old = after(None, service({"type": "NodePort"}), "create")
    new = managed_after_update(SERVICES, old, service({"type": "NodePort"}, managedFields=[{}]), "x", UPDATE, "t2")
    assert entries(new) == []


@pytest.mark.parametrize("entry", [{"manager": "x"}, {"manager": "x", "operation": "Update", "fieldsV1": {"f:a": 1}}])
def test_entries_that_are_none_do_not_replace_those_that_are_stored(entry: dict[str, Any]) -> None:
    old = after(None, service({"type": "NodePort"}), "create")
    new = managed_after_update(SERVICES, old, service({"type": "NodePort"}, managedFields=[entry]), "x", UPDATE, "t2")
    assert entries(new) == entries(old)


def test_items_that_cannot_be_told_apart_leave_ownership_as_it_was() -> None:
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"image": "nginx"}]}}
    assert after(None, pod, "create", kind=PODS) == pod
