"""One manifest file: its objects, its problems, and what a second parse takes over."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from proxy.model.service import Service
from proxy.sources.manifest_file import parse_manifest, unusable

_UNSUPPORTED = 'Unsupported value: "ClusterIP": supported values: "ClientIP", "None"'


def _messages(path: str, text: str) -> list[str]:
    return [str(problem) for problem in parse_manifest(path, text.encode()).problems]


def test_objects_come_with_defaults_and_the_number_of_their_document(service: Callable[..., str]) -> None:
    parsed = parse_manifest("svc.yaml", ("# note\n" + service("a") + service("b")).encode())
    assert [(item.metadata.name, number) for item, number in parsed.objects] == [("a", 1), ("b", 2)]
    first = parsed.objects[0][0]
    assert isinstance(first, Service)
    assert (first.metadata.namespace, first.spec.type, first.spec.ports[0].protocol) == ("default", "ClusterIP", "TCP")
    assert parsed.complete


def test_a_problem_names_file_document_object_and_field(service: Callable[..., str]) -> None:
    assert _messages("svc.yaml", service("a") + service("myapp", affinity="ClusterIP")) == [
        f"svc.yaml (document 2): Service default/myapp: spec.sessionAffinity: {_UNSUPPORTED}"
    ]


def test_one_bad_document_spoils_no_other(service: Callable[..., str]) -> None:
    text = service("a") + "---\nx: y: z\n" + "---\nkind: Service\n" + service("b")
    parsed = parse_manifest("svc.yaml", text.encode())
    assert [item.metadata.name for item, _ in parsed.objects] == ["a", "b"]
    assert parsed.problems[0].where == "svc.yaml (document 2)"
    assert parsed.problems[0].message == "line 7, column 5: mapping values are not allowed in this context"
    assert {problem.where for problem in parsed.problems[1:]} == {"svc.yaml (document 3)"}
    assert not parsed.complete


def test_lists_are_taken_apart() -> None:
    item = '{"metadata": {"name": "%s"}, "spec": {"ports": [{"port": 80}]}}'
    text = '{"apiVersion": "v1", "kind": "ServiceList", "items": [' + ",".join(item % name for name in "ab") + "]}"
    for path in ("list.json", "list.yaml"):
        parsed = parse_manifest(path, text.encode())
        assert [item.metadata.name for item, _ in parsed.objects] == ["a", "b"]


def test_every_kind_is_validated_with_loopback_endpoints_allowed() -> None:
    text = """
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: a, labels: {kubernetes.io/service-name: a}}
addressType: IPv4
endpoints: [{addresses: [127.0.0.5]}]
ports: [{port: 80}]
---
apiVersion: v1
kind: Endpoints
metadata: {name: b}
subsets: [{addresses: [{ip: 127.0.0.6}], ports: [{port: 80}]}]
---
{apiVersion: v1, kind: Pod, metadata: {name: c}, status: {podIP: 127.0.0.7}}
---
{apiVersion: v1, kind: Node, metadata: {name: d}}
---
{apiVersion: v1, kind: Pod, metadata: {name: e}, status: {podIP: nonsense}}
"""
    parsed = parse_manifest("all.yaml", text.encode())
    assert [type(item).__name__ for item, _ in parsed.objects] == ["EndpointSlice", "Endpoints", "Pod", "Node"]
    assert {problem.subject for problem in parsed.problems} == {"Pod default/e"}


def test_other_kinds_are_ignored_by_name() -> None:
    text = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}}\n---\n---\n{apiVersion: v1, kind: Secret}\n"
    parsed = parse_manifest("a.yaml", text.encode())
    assert parsed.ignored == ("Deployment", "Secret")
    assert parsed.complete


def test_what_is_no_object_is_a_problem() -> None:
    assert _messages("a.yaml", "just text") == [
        "a.yaml (document 1): document: must be an object with apiVersion and kind: got a string"
    ]


def test_bytes_that_are_no_text_are_a_problem() -> None:
    assert [str(problem) for problem in parse_manifest("a.yaml", b"a: \xff").problems] == [
        "a.yaml: is not UTF-8 text (byte 3)"
    ]


def test_a_byte_order_mark_is_no_problem(service: Callable[..., str]) -> None:
    assert parse_manifest("a.yaml", b"\xef\xbb\xbf" + service("a").encode()).complete


def test_a_file_of_blanks_is_blank(service: Callable[..., str]) -> None:
    assert parse_manifest("a.yaml", b" \n").blank
    assert not parse_manifest("a.yaml", b"# nothing here\n").blank
    assert not parse_manifest("a.yaml", service("a").encode()).blank
    assert not unusable("a.yaml", "cannot be read").complete


def test_unchanged_documents_are_taken_from_the_previous_parse(service: Callable[..., str]) -> None:
    before = parse_manifest("a.yaml", (service("a") + service("b")).encode())
    after = parse_manifest("a.yaml", ("# moved down\n" + service("b") + service("a", "new")).encode(), before)
    assert after.objects[0][0] is before.objects[1][0]
    assert after.objects[1][0] != before.objects[0][0]


def test_a_syntax_error_that_moved_is_told_at_its_new_place(service: Callable[..., str]) -> None:
    broken = "---\nx: y: z\n"
    before = parse_manifest("a.yaml", (service("a") + broken).encode())
    after = parse_manifest("a.yaml", ("\n\n" + service("a") + broken).encode(), before)
    assert [problem.message.split(",")[0] for problem in (*before.problems, *after.problems)] == ["line 7", "line 9"]


_NAMES = st.sampled_from(["a", "b", "c"])
_DOCUMENTS = st.sampled_from(
    [
        "---\n{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: 80}]}}\n",
        "---\n{apiVersion: v1, kind: Service, metadata: {name: b}, spec: {ports: [{port: 0}]}}\n",
        "---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: b}}\n",
        "---\nx: y: z\n",
        "---\n",
        "# note\n",
    ]
)


@given(st.lists(st.lists(_DOCUMENTS, max_size=5).map("".join), min_size=1, max_size=4))
def test_a_parse_with_a_history_equals_a_parse_without(versions: list[str]) -> None:
    parsed = None
    for version in versions:
        parsed = parse_manifest("a.yaml", version.encode(), parsed)
    assert parsed == parse_manifest("a.yaml", versions[-1].encode())
