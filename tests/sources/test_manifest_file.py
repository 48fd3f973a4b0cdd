"""One manifest file: its objects, its problems, and what a second parse takes over."""

from collections.abc import Callable

import pytest
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
    kinds = ("apps/v1, kind: Deployment", "v1, kind: Secret", "v1, kind: ConfigMap", "v1, kind: ServiceAccount")
    text = "\n---\n---\n".join(f"{{apiVersion: {kind}, metadata: {{name: a}}}}" for kind in kinds)
    parsed = parse_manifest("a.yaml", text.encode())
    assert parsed.ignored == ("Deployment", "Secret", "ConfigMap", "ServiceAccount")
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


SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n"


def _names(path: str, content: bytes) -> list[str]:
    parsed = parse_manifest(path, content)
    assert parsed.problems == ()
    return [item.metadata.name for item, _ in parsed.objects]


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("a.yaml", SERVICE.encode("utf-16")),
        ("a.yaml", b"\xfe\xff" + SERVICE.encode("utf-16-be")),
        ("a.yaml", b"\xef\xbb\xbf" + SERVICE.encode()),
        ("a.json", SERVICE.encode()),
        (
            "a.yaml",
            b'{\n\t"apiVersion": "v1",\n\t"kind": "Service",'
            b'\t"metadata": {"name": "web"}, "spec": {"clusterIP": "None"}}',
        ),
        ("a.yaml", SERVICE.replace("\n", "\r\n").encode()),
        ("a.yaml", SERVICE.replace("80", "0o120").encode()),
        ("a.yaml", SERVICE.replace("80", "8e1").encode()),
        ("a.yaml", SERVICE.replace("80", "0_80").encode()),
        ("a.yaml", SERVICE.replace("name: web", "name: web, labels: {a: &x one, b: &x two, c: *x}").encode()),
    ],
)
def test_a_file_is_read_as_kubectl_reads_it(path: str, content: bytes) -> None:
    assert _names(path, content) == ["web"]


def test_a_byte_order_mark_may_stand_before_any_document() -> None:
    content = f"{SERVICE}---\n\ufeff{SERVICE.replace('web', 'second')}\ufeff---\n{SERVICE.replace('web', 'third')}"
    assert _names("a.yaml", content.encode()) == ["web", "second", "third"]


def test_the_newer_of_two_anchors_counts() -> None:
    text = """
apiVersion: v1
kind: Service
metadata: {name: anchors, labels: {app: &x one, tier: &x two}}
spec: {selector: {app: *x}, ports: [{port: 80, targetPort: 8080}]}
"""
    (found,) = parse_manifest("a.yaml", text.encode()).objects
    assert isinstance(found[0], Service)
    assert found[0].spec.selector == {"app": "two"}


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        (
            SERVICE.replace("Service", "service"),
            ['service web: kind: no matches for kind "service" in version "v1": did you mean "Service"?'],
        ),
        (
            SERVICE.replace("name: web", "generateName: web-"),
            [
                "Service default: metadata.generateName: Forbidden: each reading would make another object: give it a"
                " name as metadata.name"
            ],
        ),
        (
            SERVICE.replace("name: web", "name: yes"),
            ["Service default: metadata.name: Invalid value: true: must be a string (put it in quotes)"],
        ),
        (
            SERVICE.replace("metadata: {", "metadata:\u3000{"),
            [
                '"metadata:\u3000{name": a key has a character that cannot be seen',
                "holds characters that cannot be seen (line 3, column 10: U+3000 IDEOGRAPHIC SPACE): replace them",
            ],
        ),
        (
            SERVICE.replace("Service", "Service\u200b"),
            [
                'Service\u200b web: kind: no matches for kind "Service\u200b" in version "v1": did you mean "Service"?',
                "holds characters that cannot be seen (line 2, column 14: U+200B ZERO WIDTH SPACE): replace them",
            ],
        ),
        (
            "# \u3000\n" + SERVICE.replace("spec", "spec\xa0"),
            [
                '"spec\xa0": a key has a character that cannot be seen',
                "holds characters that cannot be seen (line 5, column 5: U+00A0 NO-BREAK SPACE): replace them",
            ],
        ),
        (
            SERVICE.replace("kind: ", "kind:\u3000"),
            [
                "line 3, column 1: could not find expected ':' (while scanning a simple key)",
                "holds characters that cannot be seen (line 2, column 6: U+3000 IDEOGRAPHIC SPACE): replace them",
            ],
        ),
    ],
)
def test_mistakes_that_are_hard_to_see_are_named(text: str, messages: list[str]) -> None:
    prefix = "a.yaml (document 1): "
    assert _messages("a.yaml", text) == [prefix + message for message in messages]


def test_what_an_annotation_says_may_have_any_character() -> None:
    text = SERVICE.replace("name: web", "name: web, annotations: {note: 'a\u3000b'}")
    assert _names("a.yaml", text.encode()) == ["web"]


def test_the_places_of_invisible_characters_move_with_their_document() -> None:
    broken = "---\n" + SERVICE.replace("Service", "Service\u200b")
    before = parse_manifest("a.yaml", broken.encode())
    after = parse_manifest("a.yaml", f"# note\n{broken}".encode(), before)
    assert ["line 3, column 14" in before.problems[1].message, "line 4, column 14" in after.problems[1].message] == [
        True,
        True,
    ]


def test_a_json_file_has_the_limits_of_a_yaml_file() -> None:
    assert _messages("a.json", '{"a":' * 200 + "1" + "}" * 200) == [
        "a.json (document 1): nested more than 100 levels deep"
    ]


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("a.yaml", "---\n" * 200_001, "a.yaml: holds more than 200,000 documents: split it"),
        (
            "a.json",
            "[" + "{}," * 2_500_001 + "{}]",
            "a.json (document 1): more than 5,000,000 values: split the document",
        ),
    ],
)
def test_many_small_values_are_refused_before_they_are_made(path: str, text: str, message: str) -> None:
    assert _messages(path, text) == [message]
