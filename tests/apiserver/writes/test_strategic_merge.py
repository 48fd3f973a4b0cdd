"""Strategic merge patch: directives, merge keys and the known trap of ports."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.apiserver.kinds import PODS, SERVICES
from proxy.apiserver.schema.schema import record_of
from proxy.apiserver.status import StatusError
from proxy.apiserver.writes.strategic_merge import apply_strategic_merge

HTTP = {"name": "http", "port": 80, "nodePort": 30080}
DNS = {"name": "dns", "port": 53, "protocol": "UDP"}
NAMES = st.sampled_from("abcd")
ENV = st.lists(st.fixed_dictionaries({"name": NAMES, "value": st.sampled_from("xyz")}), unique_by=lambda e: e["name"])


def service(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "web"}, "spec": spec}


def merged_spec(spec: dict[str, Any], patch: dict[str, Any]) -> Any:
    document, body = service(**spec), {"spec": patch}
    before = copy.deepcopy((document, body))
    result = apply_strategic_merge(record_of(SERVICES), document, body)
    assert (document, body) == before, "the arguments are left alone"
    return result["spec"]


def merged_container(container: dict[str, Any], patch: dict[str, Any]) -> Any:
    document = {"spec": {"containers": [{"name": "c", **container}]}}
    result = apply_strategic_merge(record_of(PODS), document, {"spec": {"containers": [{"name": "c", **patch}]}})
    return result["spec"]["containers"][0]


def test_ports_merge_by_their_number() -> None:
    merged = merged_spec({"ports": [HTTP, DNS]}, {"ports": [{"port": 80, "targetPort": 8080}]})
    assert merged["ports"] == [{**HTTP, "targetPort": 8080}, DNS]


def test_a_number_that_is_not_there_is_a_new_port_and_comes_first() -> None:
    assert merged_spec({"ports": [HTTP]}, {"ports": [DNS]})["ports"] == [DNS, HTTP]


def test_tcp_and_udp_on_one_number_are_one_port_as_upstream_has_it() -> None:
    udp = {"name": "dns-udp", "port": 53, "protocol": "UDP"}
    tcp = {"name": "dns-tcp", "port": 53, "protocol": "TCP"}
    assert merged_spec({"ports": [udp]}, {"ports": [tcp]})["ports"] == [tcp]


def test_null_removes_and_other_values_replace() -> None:
    spec = {"type": "NodePort", "sessionAffinity": "ClientIP", "externalIPs": ["192.0.2.1"], "selector": {"a": "1"}}
    patch = {"sessionAffinity": None, "externalIPs": ["192.0.2.2"], "selector": {"b": "2"}, "clusterIP": None}
    merged = merged_spec(spec, patch)
    assert merged == {"type": "NodePort", "externalIPs": ["192.0.2.2"], "selector": {"a": "1", "b": "2"}}


def test_delete_takes_an_item_away() -> None:
    assert merged_spec({"ports": [HTTP, DNS]}, {"ports": [{"$patch": "delete", "port": 80}]})["ports"] == [DNS]


def test_delete_of_an_item_that_is_not_there_changes_nothing() -> None:
    assert merged_spec({"ports": [DNS]}, {"ports": [{"$patch": "delete", "port": 80}]})["ports"] == [DNS]


def test_replace_gives_the_list_as_it_stands() -> None:
    assert merged_spec({"ports": [HTTP, DNS]}, {"ports": [{"port": 1}, {"$patch": "replace"}]})["ports"] == [
        {"port": 1}
    ]


def test_a_map_can_be_replaced_and_emptied() -> None:
    spec = {"selector": {"a": "1", "b": "2"}}
    assert merged_spec(spec, {"selector": {"$patch": "replace", "c": "3"}}) == {"selector": {"c": "3"}}
    assert merged_spec(spec, {"selector": {"$patch": "delete"}}) == {"selector": {}}


def test_set_element_order_orders_what_is_there() -> None:
    order = {"$setElementOrder/ports": [{"port": 53}, {"port": 80}, {"port": 9}]}
    assert merged_spec({"ports": [HTTP, DNS]}, order)["ports"] == [DNS, HTTP]
    patch = {**order, "ports": [{"port": 9}, {"port": 80, "nodePort": 30081}]}
    assert merged_spec({"ports": [HTTP, DNS]}, patch)["ports"] == [DNS, {**HTTP, "nodePort": 30081}, {"port": 9}]


def test_items_that_only_the_server_has_keep_their_place_among_ordered_ones() -> None:
    ports = [{"port": 1}, {"port": 2}, {"port": 3}, {"port": 4}]
    patch = {"$setElementOrder/ports": [{"port": 2}, {"port": 4}]}
    assert merged_spec({"ports": ports}, patch)["ports"] == ports


def test_primitive_lists_are_merged_and_deleted_from() -> None:
    document = {"metadata": {"finalizers": ["a", "b"]}}
    patch = {
        "metadata": {
            "$deleteFromPrimitiveList/finalizers": ["a"],
            "$setElementOrder/finalizers": ["c", "b"],
            "finalizers": ["c"],
        }
    }
    result = apply_strategic_merge(record_of(SERVICES), document, patch)
    assert result == {"metadata": {"finalizers": ["c", "b"]}}


def test_a_volume_keeps_only_the_source_that_is_retained() -> None:
    document = {"spec": {"volumes": [{"name": "v", "emptyDir": {"medium": "Memory"}}]}}
    volume = {"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/tmp"}, "emptyDir": None}
    result = apply_strategic_merge(record_of(PODS), document, {"spec": {"volumes": [volume]}})
    assert result == {"spec": {"volumes": [{"name": "v", "hostPath": {"path": "/tmp"}}]}}


def test_items_of_items_merge_by_their_own_keys() -> None:
    container = {"env": [{"name": "A", "value": "1"}], "args": ["-v"]}
    patch = {"env": [{"name": "B", "value": "2"}, {"name": "A", "value": None}], "args": ["-q"]}
    assert merged_container(container, patch) == {
        "name": "c",
        "env": [{"name": "B", "value": "2"}, {"name": "A"}],
        "args": ["-q"],
    }


def test_what_was_not_there_is_stored_without_directives_and_nulls() -> None:
    patch = {"ports": [{"port": 1, "name": None, "$retainKeys": ["port"]}], "selector": {"a": None, "b": "1"}}
    assert merged_spec({}, patch) == {"ports": [{"port": 1}], "selector": {"b": "1"}}


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ({"ports": [{"name": "no-key"}]}, "does not contain declared merge key: port"),
        ({"ports": [{"$patch": "delete"}]}, "does not contain declared merge key: port"),
        ({"ports": [{"port": 80, "$patch": "merge"}]}, "unknown patch type [merge]"),
        ({"ports": ["80"]}, "is not a map"),
        ({"selector": {"$patch": "explode"}}, "unknown patch type [explode]"),
        ({"$retainKeys": "type"}, "invalid patch format of retainKeys"),
        ({"$retainKeys": ["type"], "clusterIP": "None"}, "patch content doesn't match retainKeys list"),
        ({"$setElementOrder/ports": [80]}, "invalid patch format of setElementOrder list"),
        ({"$setElementOrder/externalIPs": ["a"]}, "invalid patch format of setElementOrder list"),
        ({"$setElementOrder/ports": [{"port": 1}], "ports": [{"port": 2}]}, "doesn't match $setElementOrder list"),
        ({"$deleteFromPrimitiveList/externalIPs": "a"}, "invalid patch format of primitive list"),
    ],
)
def test_a_wrong_directive_is_refused(patch: dict[str, Any], message: str) -> None:
    with pytest.raises(StatusError) as raised:
        merged_spec({"ports": [HTTP], "selector": {"a": "1"}}, patch)
    # A missing key is the API server's own fault, as it has it.
    assert raised.value.status.code == (500 if "merge key" in message else 400)
    assert message in raised.value.status.message


@given(ENV, ENV)
def test_a_merged_list_is_the_union_by_key_with_the_patch_winning(original: Any, patch: Any) -> None:
    merged = merged_container({"env": original}, {"env": patch})["env"]
    values = {each["name"]: each["value"] for each in [*original, *patch]}
    assert {each["name"]: each["value"] for each in merged} == values
    assert len(merged) == len(values)
    patched_names = [each["name"] for each in patch]
    assert [each["name"] for each in merged if each["name"] in patched_names] == patched_names
    rest = [each["name"] for each in original if each["name"] not in patched_names]
    assert [each["name"] for each in merged if each["name"] in rest] == rest


@given(ENV, ENV)
def test_applying_twice_changes_nothing_more(original: Any, patch: Any) -> None:
    once = merged_container({"env": original}, {"env": patch})
    assert merged_container(once, {"env": patch}) == once


@given(ENV, ENV, st.randoms())
def test_the_patch_that_kubectl_makes_leads_to_what_it_wants(current: Any, wanted: Any, random: Any) -> None:
    names = {each["name"] for each in wanted}
    changed = [each for each in wanted if each not in current]
    random.shuffle(changed)
    deleted = [{"$patch": "delete", "name": each["name"]} for each in current if each["name"] not in names]
    order = [{"name": each["name"]} for each in wanted]
    patch = {"$setElementOrder/env": order, "env": [*changed, *deleted]}
    assert merged_container({"env": current}, patch)["env"] == wanted
