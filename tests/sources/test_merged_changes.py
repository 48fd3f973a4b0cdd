"""Merging changes against applying them one after the other."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from proxy.model.changes import Changes, PodWeight
from proxy.model.metadata import ObjectMeta
from proxy.model.node import Node
from proxy.model.problem import Problem
from proxy.model.service import Service, ServiceSpec
from proxy.sources.merged_changes import merged_changes

NAMES = st.sampled_from("abc")


@st.composite
def changes(draw: st.DrawFn) -> Changes:
    put = draw(st.dictionaries(NAMES, st.sampled_from(("ClusterIP", "NodePort"))))
    removed = draw(st.sets(NAMES)) - put.keys()
    weights = draw(st.dictionaries(NAMES, st.one_of(st.none(), st.integers(0, 2))))
    node = draw(st.one_of(st.none(), NAMES))
    problem = draw(st.one_of(st.none(), NAMES))
    return Changes(
        services=tuple(
            Service(ObjectMeta(name=name, namespace="x"), ServiceSpec(type=kind)) for name, kind in put.items()
        ),
        removed_services=tuple(("x", name) for name in removed),
        pod_weights=tuple(PodWeight("x", name, weight) for name, weight in weights.items()),
        node=None if node is None else Node(ObjectMeta(name=node)),
        problems=None if problem is None else (Problem(problem),),
    )


def state_after(parts: Sequence[Changes]) -> tuple[object, ...]:
    services: dict[tuple[str, str], Service] = {("x", "c"): Service(ObjectMeta(name="c", namespace="x"))}
    weights: dict[tuple[str, str], int | None] = {}
    node: Node | None = None
    problems: tuple[Problem, ...] = ()
    for part in parts:
        for key in part.removed_services:
            services.pop(key, None)
        services.update({service.key: service for service in part.services})
        weights.update({(each.namespace, each.name): each.weight for each in part.pod_weights})
        node = part.node or node
        problems = problems if part.problems is None else part.problems
    return services, weights, node, problems


@given(st.lists(changes()))
def test_applying_the_merged_changes_is_applying_each(parts: list[Changes]) -> None:
    assert state_after([merged_changes(parts)]) == state_after(parts)
