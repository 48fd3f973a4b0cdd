"""Which fields each kind has, and which of a document are unknown."""

from typing import Any

import msgspec
import pytest

from proxy.apiserver.kinds import ENDPOINT_SLICES, KINDS, PODS, SERVICES, Kind
from proxy.apiserver.schema.schema import all_types, record_of, unknown_fields
from proxy.apiserver.schema.schema_types import ListOf, Record
from proxy.model.endpoint_slice import EndpointSlice
from proxy.model.service import ServicePort, ServiceSpec

ORDINARY_POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "labels": {"any.example/label": "x"}, "annotations": {"a": "b"}},
    "spec": {
        "nodeSelector": {"a": "b"},
        "tolerations": [{"key": "a", "operator": "Exists", "effect": "NoSchedule", "tolerationSeconds": 5}],
        "affinity": {
            "podAntiAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": [
                    {"topologyKey": "z", "labelSelector": {"matchLabels": {"a": "b"}}}
                ]
            }
        },
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule"}],
        "securityContext": {"runAsNonRoot": True, "fsGroup": 1, "seccompProfile": {"type": "RuntimeDefault"}},
        "volumes": [
            {"name": "a", "emptyDir": {"sizeLimit": "1Gi"}},
            {"name": "b", "configMap": {"name": "c", "items": [{"key": "k", "path": "p"}], "defaultMode": 420}},
            {"name": "c", "projected": {"sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 600}}]}},
            {"name": "d", "persistentVolumeClaim": {"claimName": "data"}},
        ],
        "initContainers": [{"name": "i", "image": "busybox", "restartPolicy": "Always"}],
        "containers": [
            {
                "name": "c",
                "image": "nginx",
                "command": ["nginx"],
                "env": [
                    {"name": "A", "value": "b"},
                    {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                ],
                "envFrom": [{"secretRef": {"name": "s", "optional": True}}],
                "ports": [{"containerPort": 80, "name": "http", "protocol": "TCP"}],
                "resources": {"requests": {"cpu": "100m", "example.com/gpu": 1}, "limits": {"memory": "1Gi"}},
                "livenessProbe": {
                    "httpGet": {"path": "/", "port": "http", "httpHeaders": [{"name": "a", "value": "b"}]}
                },
                "readinessProbe": {"tcpSocket": {"port": 80}, "periodSeconds": 5, "failureThreshold": 3},
                "startupProbe": {"grpc": {"port": 9090, "service": "x"}},
                "lifecycle": {"preStop": {"exec": {"command": ["sleep", "5"]}}},
                "securityContext": {"capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True},
                "volumeMounts": [{"name": "a", "mountPath": "/a", "readOnly": True, "subPath": "x"}],
            }
        ],
        "dnsConfig": {"nameservers": ["192.0.2.1"], "options": [{"name": "ndots", "value": "2"}]},
        "hostAliases": [{"ip": "192.0.2.1", "hostnames": ["a"]}],
        "imagePullSecrets": [{"name": "r"}],
        "terminationGracePeriodSeconds": 30,
        "serviceAccountName": "default",
    },
    "status": {"phase": "Running", "podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]},
}


def test_an_ordinary_pod_has_no_unknown_field() -> None:
    assert unknown_fields(PODS, ORDINARY_POD) == []


@pytest.mark.parametrize(
    ("kind", "document", "paths"),
    [
        (SERVICES, {"spec": {"foo": 1, "ports": [{"port": 80}, {"prot": "TCP"}]}}, ["spec.foo", "spec.ports[1].prot"]),
        (SERVICES, {"Spec": {}, "spec": {"clusterip": "None"}}, ["Spec", "spec.clusterip"]),
        (SERVICES, {"metadata": {"label": {}, "labels": {"any": "x"}}}, ["metadata.label"]),
        (PODS, {"spec": {"containers": [{"env": [{"name": "a", "val": "b"}]}]}}, ["spec.containers[0].env[0].val"]),
        (ENDPOINT_SLICES, {"endpoints": [{"hints": {"zones": []}}]}, ["endpoints[0].hints.zones"]),
        (SERVICES, {"spec": ["not", "a", "map"], "metadata": None}, []),
    ],
)
def test_unknown_fields_are_named_as_the_api_names_them(kind: Kind, document: Any, paths: list[str]) -> None:
    assert unknown_fields(kind, document) == paths


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_every_kind_is_an_object_with_metadata(kind: Kind) -> None:
    record = record_of(kind)
    assert record.name == kind.kind
    assert {"apiVersion", "kind", "metadata"} <= record.fields.keys()


@pytest.mark.parametrize(
    ("struct", "record"),
    [
        (ServiceSpec, record_of(SERVICES).fields["spec"].type),
        (ServicePort, all_types()["io.k8s.api.core.v1", "ServicePort"]),
        (EndpointSlice, record_of(ENDPOINT_SLICES)),
    ],
)
def test_what_the_model_reads_is_in_the_schema(struct: type[msgspec.Struct], record: Record) -> None:
    assert {field.encode_name for field in msgspec.structs.fields(struct)} <= record.fields.keys()


@pytest.mark.parametrize("record", all_types().values(), ids=lambda record: record.full_name)
def test_every_key_of_a_list_is_a_field_of_its_items(record: Record) -> None:
    for field in record.fields.values():
        keyed = field.type
        if isinstance(keyed, ListOf) and (keyed.keys or keyed.merge_key):
            assert isinstance(keyed.items, Record)
            for key in {*keyed.keys, keyed.merge_key} - {""}:
                assert key in keyed.items.fields
                described = keyed.items.fields[key]
                assert described.is_required or described.default is not None or key not in keyed.keys


def test_every_field_of_a_service_is_described() -> None:
    spec = record_of(SERVICES).fields["spec"].type
    assert isinstance(spec, Record)
    assert [name for name, field in spec.fields.items() if not field.description] == []
