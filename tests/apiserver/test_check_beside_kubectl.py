"""`svcproxy check` and kubectl read a file: what one accepts the other accepts."""

import asyncio
import io
import os
import shutil
from pathlib import Path

import pytest

from proxy.apiserver.embedded_api import EmbeddedAPI
from proxy.cli import main

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")

SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: web, labels: {a: b}}\nspec: {ports: [{port: 80}]}\n"

ACCEPTED = {
    "plain": SERVICE,
    "anchors that are set again": SERVICE.replace("{a: b}", "{a: &x one, b: &x two, c: *x}"),
    "a merge key": SERVICE.replace("{a: b}", "{<<: {a: one}, b: two}"),
    "a port in octal": SERVICE.replace("80", "0o120"),
    "a port with zeros": SERVICE.replace("80", "0080"),
    "a port in hexadecimal": SERVICE.replace("80", "0x50"),
    "a port with underscores": SERVICE.replace("80", "8_0"),
    "a port as a fraction": SERVICE.replace("80", "80.0"),
    "a port with an exponent": SERVICE.replace("80", "8e1"),
    "an integer by its tag": SERVICE.replace("80", '!!int "80"'),
    "a date as text": SERVICE.replace("{a: b}", "{a: 2001-01-01}"),
    "base 60 as text": SERVICE.replace("web", "web, annotations: {note: 12:30:45}"),
    "a tag of nobody": SERVICE.replace("web", "!mine web"),
    "carriage returns": SERVICE.replace("\n", "\r\n"),
    "a byte order mark in the middle": f"{SERVICE}---\n\ufeff{SERVICE.replace('web', 'second')}",
    "two documents": f"---\n{SERVICE}---\n# nothing\n---\n{SERVICE.replace('web', 'second')}",
    "JSON with tabs": '{\n\t"apiVersion": "v1", "kind": "Service",\n\t"metadata": {"name": "web"},'
    '\n\t"spec": {"ports": [{"port": 80}]}\n}',
    "a list": f"apiVersion: v1\nkind: List\nitems:\n- {SERVICE.replace(chr(10), chr(10) + '  ').rstrip()}\n",
    "an annotation with any character": SERVICE.replace("web", "web, annotations: {note: a\u3000b}"),
}
REFUSED = {
    "a name that is true": SERVICE.replace("web", "y"),
    "a label that is a number": SERVICE.replace("{a: b}", "{a: 08}"),
    "a label that is off": SERVICE.replace("{a: b}", "{a: off}"),
    "a kind in lower case": SERVICE.replace("Service", "service"),
    "a version in upper case": SERVICE.replace("v1", "V1"),
    "a name to be generated": SERVICE.replace("name: web", "generateName: web-"),
    "no name": SERVICE.replace("name: web, ", ""),
    "a wide blank behind a key": SERVICE.replace("kind: ", "kind:\u3000"),
    "an empty integer": SERVICE.replace("80", '!!int ""'),
    "no number": SERVICE.replace("80", ".nan"),
    "a port as text": SERVICE.replace("80", "'80'"),
    "an unknown anchor": SERVICE.replace("{a: b}", "{a: *x}"),
    "an anchor in itself": SERVICE.replace("{a: b}", "&x {a: *x}"),
    "a key that is a list": SERVICE.replace("{a: b}", "{? [a] : b}"),
    "a key that is null": SERVICE.replace("{a: b}", "{~: b}"),
    "an unknown field": SERVICE.replace("ports:", "Ports:"),
    "an ordinary mistake": SERVICE.replace("80", "0"),
    "text": "just text",
}


def _checked(path: Path) -> bool:
    return main(["check", str(path)], io.StringIO(), io.StringIO(), {"HOME": str(path.parent)}) == 0


async def _applied(api: EmbeddedAPI, path: Path) -> bool:
    environment = {"PATH": os.environ["PATH"], "HOME": str(path.parent), "KUBECONFIG": api.kubeconfig}
    command = ("kubectl", "apply", "--dry-run=server", "-f", str(path))
    null = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=null, stderr=null)
    return await asyncio.wait_for(process.wait(), 60) == 0


@pytest.mark.parametrize("name", [*ACCEPTED, *REFUSED])
async def test_both_have_the_same_verdict(name: str, api: EmbeddedAPI, tmp_path: Path) -> None:
    path = tmp_path / "service.yaml"
    path.write_bytes((ACCEPTED | REFUSED)[name].encode())
    assert (_checked(path), await _applied(api, path)) == (name in ACCEPTED, name in ACCEPTED)
