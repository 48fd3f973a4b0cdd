"""Several files together: who wins, what stays, what leaves."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.problem import FieldError
from proxy.sources.manifest_file import parse_manifest, unusable
from proxy.sources.manifest_set import ManifestSet


def _apply(manifests: ManifestSet, files: dict[str, str], *deleted: str) -> tuple[list[str], list[str]]:
    """The names put and removed."""
    put, removed = manifests.update([parse_manifest(path, text.encode()) for path, text in files.items()], deleted)
    return [item.metadata.name for item in put], [name for _, _, name in removed]


@pytest.fixture
def manifests() -> ManifestSet:
    return ManifestSet()


def test_only_what_changed_is_put(manifests: ManifestSet, service: Callable[..., str]) -> None:
    assert _apply(manifests, {"a.yaml": service("x") + service("y")}) == (["x", "y"], [])
    assert _apply(manifests, {"a.yaml": service("x") + service("y", "new")}) == (["y"], [])
    assert _apply(manifests, {"a.yaml": service("x") + service("y", "new")}) == ([], [])


def test_an_object_leaves_with_its_document_or_its_file(manifests: ManifestSet, service: Callable[..., str]) -> None:
    _apply(manifests, {"a.yaml": service("x") + service("y"), "b.yaml": service("z")})
    assert _apply(manifests, {"a.yaml": service("x")}) == ([], ["y"])
    assert _apply(manifests, {}, "b.yaml") == ([], ["z"])


def test_a_file_that_is_renamed_changes_nothing(manifests: ManifestSet, service: Callable[..., str]) -> None:
    _apply(manifests, {"a.yaml": service("x")})
    assert _apply(manifests, {"b.yaml": service("x")}, "a.yaml") == ([], [])


def test_an_invalid_version_leaves_the_last_good_one(manifests: ManifestSet, service: Callable[..., str]) -> None:
    _apply(manifests, {"a.yaml": service("x") + service("y")})
    bad = service("x", affinity="ClusterIP")
    assert _apply(manifests, {"a.yaml": bad}) == ([], [])
    assert [problem.subject for problem in manifests.problems({})] == ["Service default/x"]
    assert _apply(manifests, {"a.yaml": bad + service("y", "new")}) == (["y"], [])
    assert _apply(manifests, {"a.yaml": service("x", "good")}) == (["x"], ["y"])
    assert manifests.problems({}) == ()


def test_what_was_kept_leaves_when_its_file_does(manifests: ManifestSet, service: Callable[..., str]) -> None:
    _apply(manifests, {"a.yaml": service("x")})
    _apply(manifests, {"a.yaml": "x: y: z"})
    assert _apply(manifests, {}, "a.yaml") == ([], ["x"])


def test_a_file_that_is_empty_for_a_moment_keeps_its_objects(
    manifests: ManifestSet, service: Callable[..., str]
) -> None:
    _apply(manifests, {"a.yaml": service("x")})
    assert _apply(manifests, {"a.yaml": ""}) == ([], [])
    assert [str(problem) for problem in manifests.problems({})] == [
        "a.yaml: is empty: the objects it had stay in force; delete the file to remove them"
    ]
    assert _apply(manifests, {"a.yaml": ""}) == ([], [])
    assert _apply(manifests, {"a.yaml": "# nothing any more\n"}) == ([], ["x"])


def test_the_set_is_complete_when_every_file_is(manifests: ManifestSet, service: Callable[..., str]) -> None:
    def complete_with(text: str) -> bool:
        _apply(manifests, {"a.yaml": text})
        return manifests.complete

    assert [complete_with(text) for text in (service("x"), "x: y: z", service("x"))] == [True, False, True]


def test_a_file_that_was_always_empty_is_no_problem(manifests: ManifestSet) -> None:
    assert _apply(manifests, {"a.yaml": ""}) == ([], [])
    assert manifests.complete


def test_a_file_that_cannot_be_read_keeps_its_objects(manifests: ManifestSet, service: Callable[..., str]) -> None:
    _apply(manifests, {"a.yaml": service("x")})
    assert manifests.update([unusable("a.yaml", "cannot be read")]) == ((), ())


def test_of_two_files_the_first_by_path_wins(manifests: ManifestSet, service: Callable[..., str]) -> None:
    assert _apply(manifests, {"b.yaml": service("x", "b")}) == (["x"], [])
    assert _apply(manifests, {"a.yaml": service("y") + service("x", "a")}) == (["x", "y"], [])
    assert [str(problem) for problem in manifests.problems({})] == [
        "b.yaml (document 1): Service default/x: is also in a.yaml (document 2), "
        "which is the one in force: remove one of the two"
    ]
    assert _apply(manifests, {"b.yaml": service("x", "unseen")}) == ([], [])
    assert _apply(manifests, {}, "a.yaml") == (["x"], ["y"])
    assert manifests.problems({}) == ()


def test_of_two_documents_the_first_wins(manifests: ManifestSet, service: Callable[..., str]) -> None:
    put, _ = manifests.update([parse_manifest("a.yaml", (service("x", "1") + service("x", "2")).encode())])
    assert [item.metadata.annotations for item in put] == [{"note": "1"}]
    assert [str(problem) for problem in manifests.problems({})] == [
        "a.yaml (document 2): Service default/x: is also in a.yaml (document 1), "
        "which is the one in force: remove one of the two"
    ]


def test_an_object_that_moved_is_taken_from_its_new_file(manifests: ManifestSet, service: Callable[..., str]) -> None:
    _apply(manifests, {"a.yaml": service("x", "old")})
    assert _apply(manifests, {"a.yaml": "x: y: z", "b.yaml": service("x", "new")}) == (["x"], [])
    assert len(manifests.problems({})) == 1


def test_a_refusal_is_told_with_the_place_of_the_object(manifests: ManifestSet, service: Callable[..., str]) -> None:
    _apply(manifests, {"a.yaml": service("y") + service("x")})
    refused = {("Service", "default", "x"): (FieldError("spec.clusterIPs", "FieldValueInvalid", "Invalid value"),)}
    assert [str(problem) for problem in manifests.problems(refused)] == [
        "a.yaml (document 2): Service default/x: spec.clusterIPs: Invalid value"
    ]


_PATHS = ("a.yaml", "b.yaml", "c.yaml")
_CONTENTS = st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from("12")), max_size=3)
_EDITS = st.lists(
    st.tuples(st.sampled_from(_PATHS), st.none() | _CONTENTS | st.sampled_from(["x: y: z", ""])), max_size=12
)


@given(_EDITS, st.fixed_dictionaries(dict.fromkeys(_PATHS, _CONTENTS)))
def test_after_any_edits_good_files_give_what_a_fresh_start_gives(
    edits: list[tuple[str, list[tuple[str, str]] | str | None]], final: dict[str, list[tuple[str, str]]]
) -> None:
    document = "---\n{apiVersion: v1, kind: Pod, metadata: {name: '%s', labels: {v: '%s'}}}\n"

    def text(content: list[tuple[str, str]] | str) -> str:
        return content if isinstance(content, str) else "# file\n" + "".join(document % each for each in content)

    manifests, in_force = ManifestSet(), {}
    for path, content in [*edits, *final.items()]:
        files = [] if content is None else [parse_manifest(path, text(content).encode())]
        put, removed = manifests.update(files, [path] if content is None else [])
        in_force.update({item.metadata.name: item.metadata.labels["v"] for item in put})
        for _, _, name in removed:
            del in_force[name]
    expected: dict[str, str] = {}
    for path in _PATHS:
        for name, version in final[path]:
            expected.setdefault(name, version)
    assert in_force == expected
    repeated = sum(map(len, final.values())) - len(expected)
    assert len(manifests.problems({})) == repeated
