"""A process that is killed at any moment has kept everything that it answered with success."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from random import Random

import pytest

from proxy.apiserver.embedded_api import embedded_api
from proxy.apiserver.kinds import ENDPOINT_SLICES, SERVICES
from proxy.cluster.cluster import ClusterSettings

CHILD = """
import asyncio, sys
from random import Random
from proxy.apiserver.embedded_api import embedded_api
from proxy.apiserver.kinds import SERVICES
from proxy.apiserver.writes.options import WriteOptions
from proxy.cluster.cluster import ClusterSettings

async def main():
    async with embedded_api(sys.argv[1], ("127.0.0.1", 0), ClusterSettings(), lambda changes: None, Random()) as api:
        for number in range(100_000):
            body = {"metadata": {"name": f"s{number}"}, "spec": {"selector": {"a": "b"}, "ports": [{"port": 80}]}}
            written = await api.operations.create(SERVICES, "default", body, WriteOptions())
            document = written.document
            print(document["metadata"]["name"], document["spec"]["clusterIP"], document["metadata"]["resourceVersion"])
            sys.stdout.flush()

asyncio.run(main())
"""


@pytest.mark.parametrize("answers", [1, 7, 40])
async def test_what_was_answered_is_there_after_a_kill(tmp_path: Path, answers: int) -> None:
    directory = str(tmp_path / "state")
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", CHILD, directory, stdout=asyncio.subprocess.PIPE)
    assert child.stdout is not None
    lines = [await asyncio.wait_for(child.stdout.readline(), 30) for _ in range(answers)]
    os.kill(child.pid, signal.SIGKILL)
    lines += (await child.stdout.read()).splitlines(keepends=True)
    await child.wait()
    answered = [tuple(line.decode().split()) for line in lines if line.endswith(b"\n")]
    assert len(answered) >= answers

    settings = ClusterSettings()
    async with embedded_api(directory, ("127.0.0.1", 0), settings, lambda changes: None, Random(2)) as api:
        for name, address, version in answered:
            stored = api.store.get(SERVICES, ("default", name))
            assert stored is not None, f"{name} was answered and is lost"
            assert (stored.document["spec"]["clusterIP"], stored.version) == (address, int(version))
        addresses = [stored.document["spec"]["clusterIP"] for stored in api.store.objects(SERVICES).values()]
        assert len(set(addresses)) == len(addresses)
        # A Service and what follows from it are one transaction.
        assert len(api.store.objects(ENDPOINT_SLICES)) == len(api.store.objects(SERVICES))
        assert api.store.version >= int(answered[-1][2])
