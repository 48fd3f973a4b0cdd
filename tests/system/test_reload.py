"""Edits of the manifests while traffic flows: what changes at once, and what must not notice."""

import json
import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import yaml

from tests.system.harness.backends import Backend, StartBackends
from tests.system.harness.clients import Conversation, ask, is_refused, served_by
from tests.system.harness.eventually import eventually
from tests.system.harness.listening_sockets import listener_inode
from tests.system.harness.manifests import Manifest, ManifestDirectory, annotated, endpoint_slice, pod, port, service
from tests.system.harness.places import Places
from tests.system.harness.streams import Streams
from tests.system.harness.svcproxy import StartSvcproxy, Svcproxy

HERE = "127.0.0.1"
PORT = 7007
CLIENTS = [f"127.0.0.{number}" for number in range(1, 11)]


def pod_of(backend: Backend, app: str, **labels: str) -> Manifest:
    return pod(backend.name, backend.address, {"echo": PORT}, {"app": app, **labels})


def node_port_service(name: str, node_port: int, **spec: object) -> Manifest:
    return service(name, port(80, "echo", nodePort=node_port), type="NodePort", selector={"app": name}, **spec)


def serves(node_port: int, *names: str) -> Callable[[], bool]:
    """Whether just these backends serve the node port."""
    return lambda: {served_by(HERE, node_port) for _ in range(2 * len(names))} == set(names)


def has_scheduler(proxy: Svcproxy, name: str, scheduler: str) -> bool:
    """Whether the Service is there and its pools use this scheduler."""
    if f'"name":"{name}"' not in proxy.get("/api/v1/services")[1]:
        return False
    return {pool["scheduler"] for pool in proxy.service(name)["pools"]} == {scheduler}


def test_100_streams_lose_no_byte_while_everything_round_them_is_edited(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends
) -> None:
    own, other, later = places.node_port(), places.node_port(), places.node_port()
    a, b, c = echo_backends("a", "b", "c")
    streamed, second = node_port_service("web", own), node_port_service("second", other)
    pods = [pod_of(a, "web"), pod_of(b, "web"), pod_of(c, "second")]
    proxy = svcproxy([streamed, second, *pods])
    inode = listener_inode("0.0.0.0", own)
    put, remove = proxy.manifests.put, proxy.manifests.remove

    edits: list[tuple[Callable[[], None], Callable[[], bool]]] = [
        (lambda: put(node_port_service("third", later)), lambda: is_refused(HERE, later)),
        (lambda: put(pod_of(b, "web", **{"svcproxy.io/weight": "0"})), serves(own, "a")),
        (lambda: put(annotated(streamed, scheduler="wlc")), lambda: has_scheduler(proxy, "web", "wlc")),
        (lambda: put(streamed | {"spec": streamed["spec"] | {"sessionAffinity": "ClientIP"}}), serves(own, "a")),
        (lambda: put(streamed), lambda: has_scheduler(proxy, "web", "rr")),
        (lambda: remove(pods[2]), lambda: is_refused(HERE, other)),
        (lambda: put(pod_of(c, "web")), serves(own, "a", "c")),
        (lambda: remove(pods[0]), serves(own, "c")),
        (lambda: remove(second), lambda: listener_inode("0.0.0.0", other) is None),
        (lambda: put(node_port_service("second", other), pod_of(a, "second")), serves(other, "a")),
        (lambda: put(pod_of(b, "web")), serves(own, "b", "c")),
    ]
    with Streams(HERE, own, 100) as streams:
        for edit, shows in edits:
            edit()
            eventually(shows, "the edit in force")
            streams.require_progress()
            assert listener_inode("0.0.0.0", own) == inode
        remove(streamed)
        eventually(lambda: is_refused(HERE, own), "the end of the streamed Service")
        streams.require_progress()
        put(streamed)
        eventually(serves(own, "b", "c"), "the return of the streamed Service")
        streams.require_progress()
        assert streams.finish() > 100 * 65536


def test_a_service_that_is_not_touched_keeps_its_listener_connections_affinity_and_turn(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends
) -> None:
    sticky, turning, edited = places.node_port(), places.node_port(), places.node_port()
    backends = echo_backends("a", "b", "c")
    slices = [
        endpoint_slice(name, [each.address for each in backends], {"port": PORT})
        for name in ("sticky", "turning", "edited")
    ]
    proxy = svcproxy(
        [
            service("sticky", port(80, nodePort=sticky), type="NodePort", sessionAffinity="ClientIP"),
            service("turning", port(80, nodePort=turning), type="NodePort"),
            *slices,
        ]
    )
    inodes = [listener_inode("0.0.0.0", number) for number in (sticky, turning)]
    bound = {client: ask(HERE, sticky, client) for client in CLIENTS}
    turn = [ask(HERE, turning) for _ in range(4)]
    with Conversation(HERE, turning) as held:
        turn.append(held.name)
        for scheduler in ("rr", "wrr", "rr"):
            proxy.manifests.put(
                annotated(service("edited", port(80, nodePort=edited), type="NodePort"), scheduler=scheduler)
            )
            eventually(partial(has_scheduler, proxy, "edited", scheduler), "the edit in force")
            assert serves(edited, "a", "b", "c")()
        assert held.say(b"x" * 1000) == b"x" * 1000
    turn.append(ask(HERE, turning))
    assert {client: ask(HERE, sticky, client) for client in reversed(CLIENTS)} == bound
    assert turn[3:] == turn[:3]
    assert [listener_inode("0.0.0.0", number) for number in (sticky, turning)] == inodes
    assert None not in inodes


def text_of(*manifests: Manifest) -> str:
    return yaml.safe_dump_all(manifests)


class Edited:
    """A proxy on one YAML file that is edited as people and tools do; `web` is served by `a`, then by `b`."""

    def __init__(self, svcproxy: StartSvcproxy, node_port: int, a: Backend, b: Backend, directory: Path) -> None:
        web = node_port_service("web", node_port)
        self.before, self.after = text_of(web, pod_of(a, "web")), text_of(web, pod_of(b, "web"))
        manifests = ManifestDirectory(directory)
        self.file = directory / "web.yaml"
        self.file.write_text(self.before)
        self.node_port = node_port
        self.proxy: Svcproxy = svcproxy(manifests)

    def expect(self, name: str) -> None:
        eventually(serves(self.node_port, name), f"{name} alone serves")


@pytest.fixture
def edited(svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends, tmp_path: Path) -> Edited:
    a, b = echo_backends("a", "b")
    edited = Edited(svcproxy, places.node_port(), a, b, tmp_path / "edited")
    edited.expect("a")
    return edited


def test_written_in_place(edited: Edited) -> None:
    edited.file.write_text(edited.after)
    edited.expect("b")


def test_saved_by_an_editor_that_keeps_a_backup_and_renames(edited: Edited) -> None:
    swap, backup = edited.file.with_name(".web.yaml.swp"), edited.file.with_name("web.yaml~")
    swap.write_text("not: [yaml")
    edited.file.rename(backup)
    edited.file.write_text(edited.after)
    swap.unlink()
    edited.expect("b")
    backup.unlink()
    edited.expect("b")


def test_written_half_and_then_whole(edited: Edited) -> None:
    half = edited.after.index("containers")
    with edited.file.open("w") as file:
        file.write(edited.after[:half] + '"')
        file.flush()
        edited.proxy.wait_for("web.yaml (document 2)")
        edited.expect("a")
        file.seek(0)
        file.write(edited.after)
        file.truncate()
    edited.expect("b")
    edited.proxy.wait_for("mended: ")


def test_an_invalid_file_leaves_its_last_good_version_in_force(edited: Edited) -> None:
    for broken in (
        "{ not yaml",
        edited.before.replace("type: NodePort", "type: Nodeport"),
        edited.before.replace("port: 80", "port: 0"),
    ):
        edited.file.write_text(broken)
        eventually(lambda: _problems(edited.proxy), "the report")
        edited.expect("a")
        edited.file.write_text(edited.before)
        eventually(lambda: not _problems(edited.proxy), "the end of the report")
        edited.expect("a")


def _problems(proxy: Svcproxy) -> str:
    return "" if '"problems":[]' in (body := proxy.get("/api/v1/problems")[1]) else body


def test_a_deleted_file_ends_its_services_and_keeps_their_connections(edited: Edited) -> None:
    with Conversation(HERE, edited.node_port) as held:
        edited.file.unlink()
        eventually(lambda: is_refused(HERE, edited.node_port), "the end of the Service")
        assert held.say(b"still") == b"still"
    edited.file.write_text(edited.after)
    edited.expect("b")


def test_a_renamed_file_changes_nothing(edited: Edited) -> None:
    inode = listener_inode("0.0.0.0", edited.node_port)
    with Conversation(HERE, edited.node_port) as held:
        edited.file.rename(edited.file.with_name("renamed.yml"))
        edited.file.with_name("marker.yaml").write_text(text_of(service("marker", port(80))))
        eventually(lambda: '"marker"' in edited.proxy.get("/api/v1/services")[1], "the later edit")
        assert held.say(b"still") == b"still"
    edited.expect("a")
    assert listener_inode("0.0.0.0", edited.node_port) == inode


def test_a_config_map_volume_is_followed_through_its_links(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends, tmp_path: Path
) -> None:
    """As the kubelet's AtomicWriter does it (pkg/volume/util/atomic_writer.go)."""
    node_port = places.node_port()
    a, b = echo_backends("a", "b")
    volume = ManifestDirectory(tmp_path / "volume")

    def publish(stamp: str, backend: Backend) -> None:
        (volume.path / stamp).mkdir()
        (volume.path / stamp / "web.yaml").write_text(
            text_of(node_port_service("web", node_port), pod_of(backend, "web"))
        )
        os.symlink(stamp, volume.path / "..data_tmp")
        os.rename(volume.path / "..data_tmp", volume.path / "..data")

    publish("..2026_01", a)
    os.symlink("..data/web.yaml", volume.path / "web.yaml")
    svcproxy(volume)
    eventually(serves(node_port, "a"), "the first version")
    inode = listener_inode("0.0.0.0", node_port)
    publish("..2026_02", b)
    (volume.path / "..2026_01" / "web.yaml").unlink()
    (volume.path / "..2026_01").rmdir()
    eventually(serves(node_port, "b"), "the second version")
    assert listener_inode("0.0.0.0", node_port) == inode


def test_hangup_rereads_the_configuration_and_keeps_connections(edited: Edited, tmp_path: Path) -> None:
    configuration = tmp_path / "svcproxy.yaml"
    text = configuration.read_text()
    inode = listener_inode("0.0.0.0", edited.node_port)
    with Conversation(HERE, edited.node_port) as held:
        configuration.write_text(text.replace("{", '{"scheduler": "lc",', 1))
        edited.proxy.send(signal.SIGHUP)
        edited.proxy.wait_for("configuration reread")
        assert has_scheduler(edited.proxy, "web", "lc")
        configuration.write_text(
            text.replace("{", '{"scheduler": "lc", "hostnameOverride": "other", "udpFlows": 9,', 1)
        )
        for _ in range(2):
            edited.proxy.send(signal.SIGHUP)
            edited.proxy.wait_for("needs a restart to take effect: hostnameOverride, udpFlows")
        in_force = json.loads(edited.proxy.get("/configz")[1])["svcproxy.io"]
        assert (in_force["scheduler"], in_force["hostnameOverride"], in_force["udpFlows"]) == ("lc", "", 65536)
        configuration.write_text(text.replace("{", '{"scheduler": "fastest",', 1))
        edited.proxy.send(signal.SIGHUP)
        assert "scheduler" in edited.proxy.wait_for("configuration not reread")
        assert has_scheduler(edited.proxy, "web", "lc")
        assert held.say(b"still") == b"still"
    edited.expect("a")
    assert listener_inode("0.0.0.0", edited.node_port) == inode
