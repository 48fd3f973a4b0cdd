"""The document is read back by a small decoder of the wire format and compared with what version 3 says.

Field numbers are those of gnostic's openapiv2/OpenAPIv2.proto.
"""

import json
from typing import Any

import aiohttp
import pytest

from proxy.apiserver.http.openapi import openapi_document
from proxy.apiserver.http.openapi_v2 import openapi_v2_document
from proxy.apiserver.kinds import SERVED, Kind
from proxy.apiserver.schema.schema import record_of

Fields = dict[int, list[bytes]]


def fields(data: bytes) -> Fields:
    """Every field of a message by its number; all are length-delimited."""
    found: Fields = {}
    while data:
        tag, data = varint(data)
        assert tag & 7 == 2
        size, data = varint(data)
        found.setdefault(tag >> 3, []).append(data[:size])
        data = data[size:]
    return found


def varint(data: bytes) -> tuple[int, bytes]:
    length = next(index for index, byte in enumerate(data) if byte < 128) + 1
    return sum((byte & 127) << 7 * index for index, byte in enumerate(data[:length])), data[length:]


def named(entries: list[bytes]) -> dict[str, Fields]:
    """The entries of a map by name."""
    return {one[1][0].decode(): fields(one[2][0]) for one in map(fields, entries)}


def definitions() -> dict[str, Fields]:
    return named(fields(fields(openapi_v2_document())[9][0])[1])


def extension(of: Fields, number: int, name: str) -> Any:
    return json.loads(named(of[number])[name][2][0])


def properties(name: str) -> dict[str, Fields]:
    return named(fields(definitions()[name][25][0])[1])


def test_it_says_which_version_it_is() -> None:
    assert fields(openapi_v2_document())[1] == [b"2.0"]


def test_it_has_just_the_types_of_version_3() -> None:
    documents = (openapi_document(path) for path in {kind.root.removeprefix("/") for kind in SERVED})
    names = {name for text in documents for name in json.loads(text or b"")["components"]["schemas"]}
    assert definitions().keys() == names


@pytest.mark.parametrize("kind", [kind for kind in SERVED if "patch" in kind.verbs], ids=lambda kind: kind.kind)
def test_every_kind_is_found_by_its_group_version_and_kind_and_takes_dry_runs(kind: Kind) -> None:
    expected = {"group": kind.group, "kind": kind.kind, "version": kind.version}
    key = "x-kubernetes-group-version-kind"
    assert extension(definitions()[record_of(kind).full_name], 31, key) == [expected]
    paths = named(fields(fields(openapi_v2_document())[8][0])[2])
    (patch,) = [
        operation
        for operation in (fields(item[8][0]) for item in paths.values())
        if extension(operation, 13, key) == expected
    ]
    queries = [fields(fields(fields(fields(each)[1][0])[2][0])[3][0]) for each in patch[8]]
    assert b"dryRun" in [query[4][0] for query in queries]


def test_a_field_has_its_type_its_words_and_the_way_it_merges() -> None:
    ports = properties("io.k8s.api.core.v1.ServiceSpec")["ports"]
    assert fields(ports[22][0])[1] == [b"array"]
    assert extension(ports, 31, "x-kubernetes-patch-merge-key") == "port"
    items = fields(fields(ports[23][0])[1][0])
    assert items[1] == [b"#/definitions/io.k8s.api.core.v1.ServicePort"]
    affinity = properties("io.k8s.api.core.v1.ServiceSpec")["sessionAffinity"]
    assert b"ClientIP" in affinity[4][0]
    assert definitions()["io.k8s.api.core.v1.ServicePort"][19] == [b"port"]


def test_maps_have_values_and_what_may_be_a_number_or_a_text_says_so() -> None:
    selector = properties("io.k8s.api.core.v1.ServiceSpec")["selector"]
    assert fields(fields(fields(selector[21][0])[1][0])[22][0])[1] == [b"string"]
    target = properties("io.k8s.api.core.v1.ServicePort")["targetPort"]
    assert (fields(target[22][0])[1], target[2]) == ([b"string"], [b"int-or-string"])


def test_every_reference_leads_somewhere() -> None:
    found = definitions()
    references = {
        each[1][0].decode().removeprefix("#/definitions/")
        for definition in found.values()
        if 25 in definition
        for each in named(fields(definition[25][0])[1]).values()
        if 1 in each
    }
    assert references
    assert references <= found.keys()


@pytest.mark.parametrize("spelling", ["v2.v1.0", "v2@v1.0"])
async def test_it_is_given_to_whoever_reads_protobuf(session: aiohttp.ClientSession, spelling: str) -> None:
    accept = f"application/com.github.proto-openapi.spec.{spelling}+protobuf"
    async with session.get("/openapi/v2", headers={"Accept": accept}) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
        assert await response.read() == openapi_v2_document()


async def test_it_is_not_acceptable_to_whoever_reads_neither_form(session: aiohttp.ClientSession) -> None:
    async with session.get("/openapi/v2", headers={"Accept": "text/html"}) as response:
        assert response.status == 406
        assert (await response.json())["reason"] == "NotAcceptable"
