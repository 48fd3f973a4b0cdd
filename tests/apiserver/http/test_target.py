"""URLs and what they are about, over every kind that is served."""

import pytest

from proxy.apiserver.http.target import Target, target_of
from proxy.apiserver.kinds import ENDPOINT_SLICES, KINDS, NAMESPACES, NODES, PODS, SERVICES, Kind


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_its_collection_its_objects_and_the_old_watch(kind: Kind) -> None:
    namespace = "team" if kind.namespaced else ""
    scope = f"{kind.root}/namespaces/team" if kind.namespaced else kind.root
    assert target_of(f"{kind.root}/{kind.plural}") == Target(kind)
    assert target_of(f"{scope}/{kind.plural}/x") == Target(kind, namespace, "x")
    assert target_of(f"{kind.root}/watch/{kind.plural}") == Target(kind, watch=True)
    status = Target(kind, namespace, "x", "status") if kind.has_status else None
    assert target_of(f"{scope}/{kind.plural}/x/status") == status


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/api/v1/namespaces", Target(NAMESPACES)),
        ("/api/v1/namespaces/team", Target(NAMESPACES, "", "team")),
        ("/api/v1/namespaces/team/status", Target(NAMESPACES, "", "team", "status")),
        ("/api/v1/namespaces/team/services", Target(SERVICES, "team")),
        ("/api/v1/namespaces/team/pods/", Target(PODS, "team")),
        ("/apis/discovery.k8s.io/v1/namespaces/a/endpointslices/b", Target(ENDPOINT_SLICES, "a", "b")),
        ("/api/v1/nodes/n", Target(NODES, "", "n")),
    ],
)
def test_a_url_names_its_target(path: str, target: Target) -> None:
    assert target_of(path) == target


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api",
        "/api/v1",
        "/apis/discovery.k8s.io/v1",
        "/api/v1/services/web",
        "/api/v1/namespaces/team/nodes",
        "/api/v1/namespaces/team/services/web/scale",
        "/api/v1/namespaces/team/services/web/status/more",
        "/api/v1/namespaces//services",
        "/api/v1/namespaces/team/services//status",
        "/api/v2/services",
        "/apis/v1/services",
        "/apis/discovery.k8s.io/v1/services",
        "/api/v1/watch",
    ],
)
def test_what_is_no_url_of_the_api_has_no_target(path: str) -> None:
    assert target_of(path) is None
