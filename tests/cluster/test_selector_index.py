"""The index against comparing every selector with every Pod."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.cluster.selector_index import SelectorIndex
from proxy.model.metadata import ObjectMeta
from proxy.model.pod import Pod
from proxy.model.service import Service, ServiceSpec

NAMES = st.sampled_from(["x", "y", "z"])
LABELS = st.dictionaries(st.sampled_from(["app", "tier", "zone"]), st.sampled_from(["1", "2"]), max_size=3)
METADATA = st.builds(ObjectMeta, name=NAMES, namespace=st.sampled_from(["a", "b"]), labels=LABELS)
SPECS = st.builds(ServiceSpec, type=st.sampled_from(["ClusterIP", "ExternalName"]), selector=LABELS | st.none())
PODS = st.builds(Pod, metadata=METADATA)
SERVICES = st.builds(Service, metadata=METADATA, spec=SPECS)
STEPS = st.lists(st.tuples(st.booleans(), PODS | SERVICES), max_size=30)


def selects(service: Service, pod: Pod) -> bool:
    wanted = dict(service.spec.selector or {})
    return (
        bool(wanted)
        and service.spec.type != "ExternalName"
        and service.metadata.namespace == pod.metadata.namespace
        and all(pod.metadata.labels.get(name) == value for name, value in wanted.items())
    )


@given(STEPS)
def test_agrees_with_comparing_all_with_all(steps: list[tuple[bool, Pod | Service]]) -> None:
    index = SelectorIndex()
    pods: dict[tuple[str, str], Pod] = {}
    services: dict[tuple[str, str], Service] = {}
    for put, item in steps:
        if isinstance(item, Pod):
            pods.pop(item.key, None)
            index.put_pod(item) if put else index.remove_pod(item.key)
            pods |= {item.key: item} if put else {}
        else:
            services.pop(item.key, None)
            index.put_service(item) if put else index.remove_service(item.key)
            services |= {item.key: item} if put else {}
        assert index.pods == pods
        for key, service in services.items():
            expected = {pod.key for pod in pods.values() if selects(service, pod)}
            assert {pod.key for pod in index.pods_of(key)} == expected
        for key, pod in pods.items():
            assert index.services_of(key) == {other.key for other in services.values() if selects(other, pod)}


def test_every_label_of_a_selector_counts() -> None:
    index = SelectorIndex()
    for name, labels in {"x": {"app": "1"}, "y": {"tier": "1"}, "z": {"app": "1", "tier": "1"}}.items():
        index.put_pod(Pod(ObjectMeta(name=name, namespace="a", labels=labels)))
    wanted = ServiceSpec(selector={"app": "1", "tier": "1"})
    index.put_service(Service(ObjectMeta(name="s", namespace="a"), wanted))
    assert [pod.metadata.name for pod in index.pods_of(("a", "s"))] == ["z"]
    assert index.services_of(("a", "x")) == index.services_of(("a", "y")) == set()
    assert index.services_of(("a", "z")) == {("a", "s")}


def test_knows_nothing_of_what_is_not_there() -> None:
    index = SelectorIndex()
    index.remove_pod(("a", "x"))
    index.remove_service(("a", "x"))
    assert index.pods_of(("a", "x")) == []
    assert index.services_of(("a", "x")) == set()
