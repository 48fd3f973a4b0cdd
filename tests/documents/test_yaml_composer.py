"""What kubectl makes of a YAML document, and ours beside it."""

import json
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.documents.document_limits import DocumentLimits
from proxy.documents.syntax_error import DocumentSyntaxError
from proxy.documents.yaml_documents import load_yaml

_NEEDS_KUBECTL = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")

_SCALARS = """
8 08 0o17 0O17 017 0b-1 0b+1 -0b1 -0b-1 0b12 0b 0B1 .5_0 .5__0 ._5 1e3 1E3 1_000 1__0 _1 1_ y Y yes n No off ON oN 0x1F
0X1f 0xg 0x +5 -5 +-5 -_ 2001-01-01 2001-1-1T1:1:1Z 1e999 -1e999 .1e999 18446744073709551615 18446744073709551616
+18446744073709551615 9223372036854775808 -9223372036854775808 -9223372036854775809 -0x1FFFFFFFFFFFFFFFFF
0777777777777777777777777
12:30:45 = ~ null Null nULL 1.5 .5 5. +.5 -.5 . +. 0x1p-2 .1p1 1_0.5_0 0o8 0_8 1.0 1e20 1e21 1.e3 .e3 1e 1e+ 1.2.3 0.0
-0 -0.0 00 0_ +0x10 +0o10 +010 !foo 5 !!str 5 !!int 5 !!float 5 !!float 1e400 !!bool y !!null ~ !!binary aGk=
!!int "5" !!str y !!timestamp 2001-01-01 ! 5 !!python/name:x 5 << "08" 'y' "a\\u3000b" a#b 0x_1 0_x1 1_e3 1e_3
Infinity nan NaN Inf 1,000 0.1e-7 123456.789 010.5 0b1.5 0x1.8 --1 1-1 1.2345678901234567e17 .inf .NaN -.INF
!!int "" !!int _ !!float "" !!int x !!bool x !!float x !!null x !!timestamp x
!!binary % !!float 18446744073709551615 !!int 5.0 !!int y
"""


def _listed() -> list[str]:
    """The words above; a tag belongs to the word behind it."""
    words = _SCALARS.split()
    pairs = zip(["", *words], words, strict=False)
    return [
        f"{before} {word}" if before.startswith("!") else word for before, word in pairs if not word.startswith("!")
    ]


_KEYS = ("1.5", "08", "1000000.0", "true", "y", "1e3", "0x1F", "123456.75", "1e-7", "0.0001", ".inf", "-.Inf", ".nan",
         '"y"', "'08'", "!!str 08", "1234567.0", "16777217.0", "3.4e39", "2001-01-01", "<<a", '"<<"')  # fmt: skip


def _read_by_kubectl(document: str) -> object:
    """What kubectl reads, or None where it refuses; `label --local` reads a file and asks no server."""
    text = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: x}}\n{document}\n"
    command = ("kubectl", "label", "--local", "-f", "-", "k=v", "-o", "json")
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=30, check=False)
    return None if done.returncode else json.loads(done.stdout)["value"]


def _read_by_us(document: str) -> object:
    try:
        (loaded,) = load_yaml(document)
    except DocumentSyntaxError:
        return None
    assert isinstance(loaded, dict)
    return loaded["value"]


@_NEEDS_KUBECTL
def test_every_scalar_is_what_kubectl_reads() -> None:
    good = [scalar for scalar in _listed() if _read_by_us(f"value: [{scalar}]") is not None]
    read = _read_by_kubectl(f"value: [{', '.join(good)}]")
    assert json.dumps(_read_by_us(f"value: [{', '.join(good)}]")) == json.dumps(_as_float_of_kubectl(read))


def _as_float_of_kubectl(read: object) -> object:
    """kubectl writes numbers beyond 64 bits without an exponent."""
    assert isinstance(read, list)
    return [float(each) if isinstance(each, int) and not -(2**63) <= each < 2**63 else each for each in read]


@_NEEDS_KUBECTL
@pytest.mark.parametrize(
    "document",
    [
        *(f"value: [{scalar}]" for scalar in _listed() if _read_by_us(f"value: [{scalar}]") is None),
        "value: *a",
        "value: &a [*a]",
        "value: {? [a] : b}",
        "value: {? {a: b} : c}",
        "value: {~: b}",
        "value: {<<: 5}",
        "value: {<<: [5]}",
        "value: [a",
        "value: a: b",
    ],
)
def test_what_is_refused_is_refused_by_kubectl(document: str) -> None:
    assert _read_by_us(document) is None
    assert _read_by_kubectl(document) is None


@_NEEDS_KUBECTL
@pytest.mark.parametrize(
    "document",
    [
        *(f"value: {{{key}: x}}" for key in _KEYS),
        "value: {a: &x one, b: &x two, c: *x}",
        "m: &m {y: 1, x: 1}\nvalue: {<<: *m, y: 2}",
        "m: &m {a: 1, x: 1}\nvalue: {a: 2, <<: *m, x: 2}",
        "m: &m {a: 1, x: 1}\nn: &n {a: 2, b: 2}\nvalue: {<<: [*m, *n]}",
        'm: &m {a: 1}\nvalue: {"<<": *m}',
        "m: &m {a: 1}\nvalue: {!!merge x: *m, !!merge <<: *m}",
        "value: !!set {a, b}",
        "value: !!omap [a: 1, b: 2]",
        "value: !!str [a]",
        "value: !other {a: 1}",
        "key: &k name\nvalue: {*k : x}",
        "value: |\n  a\n\n  b",
        "value: >-\n  a\n  b",
        'value: "a\\\n  b"',
        "value: {a, b}",
        "value: [a: 1]",
        "value: [,]",
        "value:\n- a\n-\n- - b\n",
        "value: [\u3000, a\u3000b]",
    ],
)
def test_a_document_is_what_kubectl_reads(document: str) -> None:
    assert _read_by_us(document) == _read_by_kubectl(document)


@given(st.lists(st.text(alphabet="0123456789+-._ebxoEn~yY", min_size=1, max_size=8), min_size=40, max_size=40))
@settings(max_examples=6, deadline=None, derandomize=True)
@_NEEDS_KUBECTL
def test_made_up_scalars_are_what_kubectl_reads(scalars: list[str]) -> None:
    good = [scalar for scalar in scalars if _read_by_us(f"value: [{scalar}]") not in (None, [])]
    read = _read_by_kubectl(f"value: [{', '.join(good)}]")
    assert json.dumps(_read_by_us(f"value: [{', '.join(good)}]")) == json.dumps(_as_float_of_kubectl(read))


def test_what_aliases_bring_is_counted_with_the_rest() -> None:
    text = "a: &a {" + ", ".join(f"k{number}: x" for number in range(100)) + "}\n"
    text += "b: [" + ", ".join(["{<<: *a}"] * 300) + "]"
    with pytest.raises(DocumentSyntaxError, match="more than 5,000 values"):
        load_yaml(text, limits=DocumentLimits(values=5000))


@pytest.mark.parametrize(
    "text", ["[" * 5000, "- " * 5000, "{a: " * 5000, "\n".join(" " * n + "a:" for n in range(500))]
)
def test_depth_is_bounded(text: str) -> None:
    with pytest.raises(DocumentSyntaxError, match=r"nested more than 100 levels deep|too deep|maximum"):
        load_yaml(text)


def test_an_anchor_means_nothing_in_the_next_document() -> None:
    with pytest.raises(DocumentSyntaxError, match="unknown anchor 'a' referenced"):
        load_yaml("a: &a 1\n---\nb: *a")
