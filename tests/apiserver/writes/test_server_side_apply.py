"""Server-side apply: ownership, conflicts, removal, and applies that change nothing."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.apiserver.kinds import SERVICES
from proxy.apiserver.status import Status, StatusError
from proxy.apiserver.writes.field_ownership import managed_after_update
from proxy.apiserver.writes.last_applied import LAST_APPLIED
from proxy.apiserver.writes.managed_fields import UPDATE
from proxy.apiserver.writes.server_side_apply import apply_configuration

LABELS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("12"), max_size=3)
PORTS = st.lists(st.sampled_from([80, 443, 53]), unique=True).map(lambda numbers: [{"port": each} for each in numbers])


def configuration(labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    metadata = {"name": "web", "namespace": "default", **({"labels": labels} if labels is not None else {})}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, **({"spec": spec} if spec else {})}


def applied(live: Any, wanted: Any, manager: str = "one", force: bool = False, now: str = "then") -> dict[str, Any]:
    before = copy.deepcopy((live, wanted))
    result = apply_configuration(SERVICES, live, wanted, manager, force, now)
    assert (live, wanted) == before, "the arguments are left alone"
    return result


def updated(live: Any, new: Any, manager: str, now: str = "then") -> dict[str, Any]:
    return managed_after_update(SERVICES, live, new, manager, UPDATE, now)


def refusal(live: Any, wanted: Any, manager: str = "two") -> Status:
    with pytest.raises(StatusError) as raised:
        applied(live, wanted, manager)
    return raised.value.status


def owned(document: dict[str, Any], manager: str) -> Any:
    entries = document["metadata"].get("managedFields", [])
    return next((entry["fieldsV1"] for entry in entries if entry["manager"] == manager), None)


def test_the_first_apply_creates_the_object_and_owns_just_what_it_says() -> None:
    created = applied(None, configuration({"app": "web"}, type="NodePort", ports=[{"port": 80}]))
    assert created["spec"] == {"type": "NodePort", "ports": [{"port": 80}]}
    assert created["metadata"]["managedFields"] == [
        {
            "apiVersion": "v1",
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:metadata": {"f:labels": {"f:app": {}}},
                "f:spec": {
                    "f:ports": {'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}}},
                    "f:type": {},
                },
            },
            "manager": "one",
            "operation": "Apply",
            "time": "then",
        }
    ]


def test_a_second_manager_adds_a_port_and_a_label() -> None:
    live = applied(None, configuration({"app": "web"}, ports=[{"port": 80, "name": "http"}]))
    live = applied(live, configuration({"tier": "front"}, ports=[{"port": 443, "name": "https"}]), "two")
    assert live["metadata"]["labels"] == {"app": "web", "tier": "front"}
    assert live["spec"]["ports"] == [{"port": 80, "name": "http"}, {"port": 443, "name": "https"}]


def test_tcp_and_udp_on_one_number_are_two_ports() -> None:
    ports = [{"port": 53, "protocol": "UDP"}, {"port": 53}]
    assert applied(None, configuration(ports=ports))["spec"]["ports"] == ports


def test_another_value_for_an_owned_field_is_a_conflict_that_names_the_owner() -> None:
    live = applied(None, configuration(sessionAffinity="None"))
    status = refusal(live, configuration(sessionAffinity="ClientIP"))
    assert (status.code, status.reason) == (409, "Conflict")
    assert status.message == 'Apply failed with 1 conflict: conflict with "one": .spec.sessionAffinity'
    assert status.details is not None
    (cause,) = status.details.causes
    assert (cause.reason, cause.field) == ("FieldManagerConflict", ".spec.sessionAffinity")
    assert cause.message == 'conflict with "one"'


def test_several_conflicts_are_listed_by_manager() -> None:
    live = applied(None, configuration(ports=[{"port": 80, "name": "http"}]), "argo")
    live = updated(live, {**live, "spec": {**live["spec"], "type": "NodePort"}}, "kubectl-edit")
    status = refusal(live, configuration(type="ClusterIP", ports=[{"port": 80, "name": "web"}]))
    assert status.message == (
        'Apply failed with 2 conflicts: conflicts with "argo":\n'
        '- .spec.ports[port=80,protocol="TCP"].name\n'
        'conflicts with "kubectl-edit" using v1:\n'
        "- .spec.type"
    )


def test_force_takes_the_field_from_its_owner() -> None:
    live = applied(None, configuration(type="NodePort", sessionAffinity="None"))
    live = applied(live, configuration(sessionAffinity="ClientIP"), "two", force=True)
    assert live["spec"] == {"type": "NodePort", "sessionAffinity": "ClientIP"}
    assert owned(live, "one") == {"f:spec": {"f:type": {}}}
    assert owned(live, "two") == {"f:spec": {"f:sessionAffinity": {}}}


def test_the_same_value_is_shared_and_stays_until_both_let_go() -> None:
    live = applied(None, configuration({"app": "web"}))
    live = applied(live, configuration({"app": "web"}), "two")
    live = applied(live, configuration())
    assert live["metadata"]["labels"] == {"app": "web"}
    live = applied(live, configuration(), "two")
    assert "labels" not in live["metadata"]
    assert "managedFields" not in live["metadata"]


def test_what_is_no_longer_applied_is_removed_with_the_defaults_inside_it() -> None:
    config = {"clientIP": {"timeoutSeconds": 5}}
    live = applied(None, configuration(ports=[{"port": 80}, {"port": 443}], sessionAffinityConfig=config))
    live["spec"]["ports"][1].update(protocol="TCP", targetPort=443, nodePort=30443)
    live = applied(live, configuration(ports=[{"port": 80}]))
    assert live["spec"] == {"ports": [{"port": 80}]}


def test_an_item_that_another_manager_has_a_part_in_stays_with_its_keys() -> None:
    live = applied(None, configuration(ports=[{"port": 80, "name": "http"}]))
    ports = [{"port": 80, "name": "http", "nodePort": 30080}]
    live = updated(live, {**live, "spec": {"ports": ports}}, "kubectl-edit")
    live = applied(live, configuration())
    assert live["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "nodePort": 30080}]


def test_an_empty_map_that_is_still_wanted_stays() -> None:
    live = applied(None, configuration({"app": "web"}))
    live = applied(live, configuration({}))
    assert live["metadata"]["labels"] == {}
    assert applied(live, configuration({}), "two")["metadata"]["labels"] == {}


def test_what_nobody_owns_stays() -> None:
    live = applied(None, configuration(type="ClusterIP"))
    others = {"clusterIP": "10.0.0.1", "publishNotReadyAddresses": False, "externalIPs": []}
    live["spec"].update(others)
    assert applied(live, configuration(type="NodePort"))["spec"] == {"type": "NodePort", **others}
    assert applied(live, configuration())["spec"] == others


def test_null_takes_a_field_away() -> None:
    live = {**configuration(type="ClusterIP", externalName="a.example"), "metadata": {"name": "web"}}
    assert applied(live, configuration(externalName=None))["spec"] == {"type": "ClusterIP"}


def test_the_same_again_changes_nothing_not_even_the_time() -> None:
    wanted = configuration({"app": "web"}, ports=[{"port": 80}], selector={"app": "web"})
    live = applied(None, wanted, now="earlier")
    assert applied(live, wanted, now="later") == live


def test_kubectl_goes_on_from_its_own_client_side_apply_without_conflict() -> None:
    annotation = '{"apiVersion":"v1","kind":"Service","metadata":{"name":"web"},"spec":{"sessionAffinity":"None"}}'
    first = configuration(sessionAffinity="None")
    first["metadata"]["annotations"] = {LAST_APPLIED: annotation}
    live = updated(None, first, "kubectl-client-side-apply")
    assert applied(live, configuration(sessionAffinity="ClientIP"), "kubectl")["spec"] == {
        "sessionAffinity": "ClientIP"
    }
    assert refusal(live, configuration(sessionAffinity="ClientIP"), "argo").code == 409
    live["spec"]["sessionAffinity"] = "other"
    assert refusal(live, configuration(sessionAffinity="ClientIP"), "kubectl").code == 409


def test_kubectl_keeps_its_annotation_up_to_date() -> None:
    first = configuration(sessionAffinity="None")
    first["metadata"]["annotations"] = {LAST_APPLIED: json.dumps(configuration(sessionAffinity="None"))}
    live = updated(None, first, "kubectl-client-side-apply")
    wanted = configuration(sessionAffinity="ClientIP")
    by_kubectl = applied(live, wanted, "kubectl")
    assert json.loads(by_kubectl["metadata"]["annotations"][LAST_APPLIED]) == wanted
    assert applied(by_kubectl, wanted, "kubectl", now="later") == by_kubectl
    by_another = applied(live, wanted, "argo", force=True)
    assert by_another["metadata"]["annotations"] == first["metadata"]["annotations"]
    assert "annotations" not in applied(None, wanted, "kubectl")["metadata"]


@pytest.mark.parametrize("annotation", ["{", "[1]", '{"spec":7}', '{"spec":{"ports":[{"name":"x"}]}}'])
def test_an_annotation_that_is_no_configuration_hands_nothing_over(annotation: str) -> None:
    first = configuration(sessionAffinity="None")
    first["metadata"]["annotations"] = {LAST_APPLIED: annotation}
    live = updated(None, first, "kubectl-client-side-apply")
    assert refusal(live, configuration(sessionAffinity="ClientIP"), "kubectl").code == 409


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (
            configuration(ports=[{"name": "http"}]),
            "failed to create typed patch object (default/web; v1, Kind=Service): associative list with keys has an "
            'element that omits key field "port" (and doesn\'t have default value)',
        ),
        (
            configuration(ports=[{"port": 80}, {"port": 80, "protocol": "TCP"}]),
            "failed to create typed patch object (default/web; v1, Kind=Service): .spec.ports: duplicate entries for "
            'key [port=80,protocol="TCP"]',
        ),
        ({**configuration(), "metadata": {"name": "web", "managedFields": [{}]}}, "metadata.managedFields must be nil"),
    ],
)
def test_what_cannot_be_a_configuration_is_refused(wanted: dict[str, Any], message: str) -> None:
    status = refusal(None, wanted)
    assert (status.code, status.message) == (500 if "duplicate" in message else 400, message)


@given(LABELS, PORTS, LABELS, PORTS)
def test_applying_twice_is_applying_once(first: Any, ports: Any, second: Any, others: Any) -> None:
    live = applied(None, configuration(first, ports=ports), "one")
    live = applied(live, configuration(second, ports=others), "two", force=True)
    assert applied(live, configuration(second, ports=others), "two", now="later") == live


@given(LABELS, PORTS)
def test_managers_of_different_fields_do_not_care_who_comes_first(labels: Any, ports: Any) -> None:
    mine, theirs = configuration(labels), configuration(ports=ports, type="NodePort")
    one = applied(applied(None, mine), theirs, "two")
    other = applied(applied(None, theirs, "two"), mine)
    assert one == other


class Model:
    """Ownership of labels alone, as the page on server-side apply words it."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.owners: dict[str, set[str]] = {}

    def apply(self, manager: str, labels: dict[str, str], force: bool) -> bool:
        others = {name: fields for name, fields in self.owners.items() if name != manager}
        changed = {label for label, value in labels.items() if self.values.get(label) != value}
        if not force and any(fields & changed for fields in others.values()):
            return False
        for fields in others.values():
            fields -= changed
        dropped = self.owners.get(manager, set()) - labels.keys()
        self.owners[manager] = set(labels)
        for label in dropped:
            if not any(label in fields for fields in self.owners.values()):
                del self.values[label]
        self.values.update(labels)
        return True

    def update(self, manager: str, labels: dict[str, str]) -> None:
        changed = {label for label, value in labels.items() if self.values.get(label) != value}
        gone = self.values.keys() - labels.keys()
        for name, fields in self.owners.items():
            fields -= gone if name == manager else gone | changed
        if changed:
            self.owners.setdefault(manager, set()).update(changed)
        self.values = dict(labels)


def labels_owned(document: dict[str, Any]) -> dict[str, set[str]]:
    owners = {}
    for entry in document["metadata"].get("managedFields", []):
        fields = entry["fieldsV1"].get("f:metadata", {}).get("f:labels", {})
        owners[entry["manager"]] = {name.removeprefix("f:") for name in fields if name != "."}
    return {name: labels for name, labels in owners.items() if labels}


STEPS = st.lists(st.tuples(st.sampled_from(["one", "two", "edit"]), LABELS, st.booleans()), max_size=8)


@given(STEPS)
def test_any_history_of_applies_and_updates_is_that_of_the_model(steps: list[tuple[str, dict[str, str], bool]]) -> None:
    model, live = Model(), applied(None, configuration(type="ClusterIP"), "base")
    for manager, labels, force in steps:
        if manager == "edit":
            model.update(manager, labels)
            live = updated(live, {**live, "metadata": {**live["metadata"], "labels": labels}}, manager)
        elif model.apply(manager, labels, force):
            live = applied(live, configuration(labels), manager, force)
        else:
            assert refusal(live, configuration(labels), manager).code == 409
        assert live["metadata"].get("labels", {}) == model.values
        assert labels_owned(live) == {name: fields for name, fields in model.owners.items() if fields}
