"""What is asked for, and where."""

from proxy.sources.kubernetes_api.resource import Scope, endpoint_slices, own_node, pod_weights, services

CLUSTER = Scope("node-1")
ONE = Scope("node-1", namespace="team", proxy_name="mine")


def test_a_cluster_is_asked_for_as_a_whole() -> None:
    assert services(CLUSTER).path == "/api/v1/services"
    assert endpoint_slices(CLUSTER).path == "/apis/discovery.k8s.io/v1/endpointslices"
    assert pod_weights(CLUSTER).path == "/api/v1/pods"
    assert own_node(CLUSTER).path == "/api/v1/nodes"


def test_a_namespace_is_asked_for_alone() -> None:
    assert services(ONE).path == "/api/v1/namespaces/team/services"
    assert endpoint_slices(ONE).path == "/apis/discovery.k8s.io/v1/namespaces/team/endpointslices"
    assert pod_weights(ONE).path == "/api/v1/namespaces/team/pods"


def test_the_server_selects_what_this_proxy_answers_for() -> None:
    assert services(CLUSTER).selectors == (("labelSelector", "!service.kubernetes.io/service-proxy-name"),)
    assert services(ONE).selectors == (("labelSelector", "service.kubernetes.io/service-proxy-name=mine"),)
    assert endpoint_slices(ONE).selectors == (("labelSelector", "!service.kubernetes.io/headless"),)
    assert endpoint_slices(Scope("node", headless=True)).selectors == ()
    assert pod_weights(CLUSTER).selectors == (("labelSelector", "svcproxy.io/weight"),)
    assert own_node(CLUSTER).selectors == (("fieldSelector", "metadata.name=node-1"),)


def test_of_pods_only_metadata_is_asked_for() -> None:
    assert "as=PartialObjectMetadataList;g=meta.k8s.io;v=v1" in pod_weights(CLUSTER).list_accept
    assert "as=PartialObjectMetadata;g=meta.k8s.io;v=v1" in pod_weights(CLUSTER).watch_accept
    assert services(CLUSTER).watch_accept == "application/json"
