"""The last known state on disk: whole, its own, or nothing."""

import asyncio
from pathlib import Path

import pytest

from proxy.model.changes import PodWeight
from proxy.model.endpoint_slice import Endpoint, EndpointPort, EndpointSlice
from proxy.model.metadata import ObjectMeta
from proxy.model.node import Node
from proxy.model.service import Service, ServicePort, ServiceSpec
from proxy.sources.kubernetes_api.known_state import KnownObjects, KnownStateError, KnownStateFile

IDENTITY = ("cluster", "namespace")


def objects(number: int) -> KnownObjects:
    """More than one part of each kind, where `number` is above a hundred."""
    names = [ObjectMeta(name=f"object-{index}", namespace="default", labels={"a": "b"}) for index in range(number)]
    spec = ServiceSpec(ports=(ServicePort(80, target_port="http"), ServicePort(443, target_port=8443)))
    return KnownObjects(
        services=tuple(Service(name, spec) for name in names),
        slices=tuple(
            EndpointSlice(name, "IPv4", (Endpoint(("10.0.0.1",)),), (EndpointPort("", "TCP", 80),)) for name in names
        ),
        pod_weights=tuple(PodWeight("default", name.name, 3) for name in names),
        nodes=(Node(ObjectMeta(name="node", labels={"topology.kubernetes.io/zone": "a"})),),
    )


@pytest.mark.parametrize("number", [0, 1, 100, 250])
async def test_what_was_saved_is_loaded(tmp_path: Path, number: int) -> None:
    await KnownStateFile(str(tmp_path / "state"), IDENTITY).save(objects(number))
    known = KnownStateFile(str(tmp_path / "state"), IDENTITY).load()
    assert known is not None
    assert known.objects == objects(number)
    assert known.saved.startswith("20")
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["known-state.msgpack"]


def test_without_a_file_nothing_is_known(tmp_path: Path) -> None:
    assert KnownStateFile(str(tmp_path), IDENTITY).load() is None


async def test_the_state_of_another_cluster_is_not_used(tmp_path: Path) -> None:
    await KnownStateFile(str(tmp_path), IDENTITY).save(objects(1))
    assert KnownStateFile(str(tmp_path), ("another", "namespace")).load() is None


def saved(directory: Path, number: int) -> tuple[KnownStateFile, Path]:
    file = KnownStateFile(str(directory), IDENTITY)
    asyncio.run(file.save(objects(number)))
    return file, Path(file.path)


def test_the_file_of_another_version_is_not_used(tmp_path: Path) -> None:
    file, path = saved(tmp_path, 1)
    path.write_bytes(path.read_bytes().replace(b"\xa7version\x01", b"\xa7version\x02"))
    assert file.load() is None


def test_a_damaged_file_is_reported_wherever_it_is_cut(tmp_path: Path) -> None:
    file, path = saved(tmp_path, 2)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(KnownStateError, match="is damaged"):
            file.load()


def test_a_file_of_nonsense_is_reported(tmp_path: Path) -> None:
    file, path = saved(tmp_path, 1)
    path.write_bytes(b"\xff" * 100)
    with pytest.raises(KnownStateError, match="is damaged"):
        file.load()


async def test_a_failed_save_leaves_the_old_file(tmp_path: Path) -> None:
    file = KnownStateFile(str(tmp_path), IDENTITY)
    await file.save(objects(1))
    blocked = KnownStateFile(f"{file.path}/below-a-file", IDENTITY)
    with pytest.raises(KnownStateError, match="cannot be written"):
        await blocked.save(objects(2))
    known = file.load()
    assert known is not None
    assert known.objects == objects(1)
