"""The manifest source on real files, with the real watcher: what is in them, addresses given out, and problems."""

import asyncio
import re
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.cluster.cluster import Cluster, ClusterSettings
from proxy.model.changes import Changes
from proxy.model.metadata import ObjectMeta
from proxy.model.service import Service
from proxy.sources.ledger_file import LedgerFile
from proxy.sources.manifests import FirstSeen, ManifestSource
from tests.sources.exported_cluster import EXPORTED, LEFT_OUT
from tests.sources.followed_manifests import following, replace_file

pytestmark = pytest.mark.usefixtures("told_by_the_kernel")


async def test_the_first_yield_is_the_complete_first_state(
    root: Path, state: Path, service: Callable[..., str]
) -> None:
    (root / "a.yaml").write_text(service("x", "1") + service("y", "1"))
    (root / "b.json").write_text('{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "nonsense": 1}')
    async with following(root, state=state) as followed:
        assert followed.notes == {"x": "1", "y": "1"}
        assert followed.problems == []


async def test_a_service_is_stamped_as_the_api_server_writes_time(
    root: Path, state: Path, service: Callable[..., str]
) -> None:
    (root / "a.yaml").write_text(service("x", "1"))
    async with following(root, state=state) as followed:
        (root / "b.yaml").write_text(service("y", "1"))
        (stamped,) = (await followed.next()).services
        stamp = stamped.metadata.creation_timestamp
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", stamp)


async def test_an_empty_directory_is_a_complete_first_state(root: Path, state: Path) -> None:
    async with following(root, state=state) as followed:
        assert followed.notes == {}
        assert followed.problems == []


async def test_a_saved_file_takes_effect_and_touches_nothing_else(
    root: Path, state: Path, service: Callable[..., str]
) -> None:
    (root / "a.yaml").write_text(service("x", "1") + service("y", "1"))
    async with following(root, state=state) as followed:
        (root / "a.yaml").write_text(service("x", "1") + service("y", "2"))
        changes = await followed.next()
        assert [each.metadata.name for each in changes.services] == ["y"]
        replace_file(root / "a.yaml", service("x", "3") + service("y", "2"))
        changes = await followed.next()
        assert [each.metadata.name for each in changes.services] == ["x"]
        assert followed.notes == {"x": "3", "y": "2"}


async def test_an_invalid_file_leaves_its_last_good_version_in_force(
    root: Path, state: Path, service: Callable[..., str]
) -> None:
    path = root / "a.yaml"
    path.write_text(service("x", "1") + service("y", "1"))
    async with following(root, state=state) as followed:
        path.write_text(service("x", "2") + service("y", "2", affinity="ClusterIP"))
        await followed.until(lambda now: now.notes["x"] == "2")
        assert followed.notes == {"x": "2", "y": "1"}
        assert followed.problems == [
            f"{path} (document 2): Service default/y: spec.sessionAffinity: "
            'Unsupported value: "ClusterIP": supported values: "ClientIP", "None"'
        ]
        path.write_text(service("x", "2") + service("y", "3"))
        await followed.until(lambda now: now.notes["y"] == "3")
        assert followed.problems == []


async def test_a_half_written_file_takes_nothing_away(root: Path, state: Path, service: Callable[..., str]) -> None:
    path = root / "a.yaml"
    path.write_text(service("x", "1") + service("y", "1"))
    async with following(root, state=state) as followed:
        whole = service("x", "2") + service("y", "2") + service("z", "2")
        with path.open("w") as file:
            await followed.until(lambda now: now.problems != [])
            assert followed.notes == {"x": "1", "y": "1"}
            file.write(whole[: len(service("x", "2")) + 20])
            file.flush()
            await followed.until(lambda now: now.notes["x"] == "2")
            assert followed.notes == {"x": "2", "y": "1"}
            file.write(whole[len(service("x", "2")) + 20 :])
        await followed.until(lambda now: now.notes == {"x": "2", "y": "2", "z": "2"})
        await followed.until(lambda now: now.problems == [])


async def test_reread_opens_unchanged_files_again(root: Path, state: Path, service: Callable[..., str]) -> None:
    path = root / "a.yaml"
    path.write_text(service("x", "1"))
    async with following(root, state=state) as followed:
        opened: list[str] = []
        read = followed.source._readings._reader._parse
        followed.source._readings._reader._parse = lambda path: opened.append(path) or read(path)  # type: ignore[method-assign, func-returns-value]
        followed.source.reread()
        (root / "b.yaml").write_text(service("y", "1"))
        await followed.until(lambda now: now.notes == {"x": "1", "y": "1"})
        assert str(path) in opened


async def test_addresses_are_on_disk_before_they_are_told_and_survive_a_restart(
    root: Path, state: Path, service: Callable[..., str]
) -> None:
    (root / "a.yaml").write_text(service("x"))
    async with following(root, state=state) as followed:
        assert followed.addresses["x"] in (state / "ledger.json").read_text()
        (root / "b.yaml").write_text(service("y"))
        await followed.until(lambda now: "y" in now.addresses)
        assert followed.addresses["y"] in (state / "ledger.json").read_text()
        given = dict(followed.addresses)
    async with following(root, state=state) as followed:
        assert followed.addresses == given


async def test_addresses_of_services_that_are_gone_are_freed_only_after_a_clean_load(
    root: Path, state: Path, service: Callable[..., str]
) -> None:
    (root / "a.yaml").write_text(service("x"))
    (root / "b.yaml").write_text(service("y"))
    async with following(root, state=state):
        pass
    (root / "b.yaml").write_text("x: y: z")
    async with following(root, state=state) as followed:
        assert [grant.name for grant in followed.cluster.ledger.grants] == ["x", "y"]
        (root / "b.yaml").unlink()
        await followed.until(lambda now: now.problems == [])
        assert [grant.name for grant in followed.cluster.ledger.grants] == ["x"]


async def test_a_refused_object_is_told_with_its_file(root: Path, state: Path, service: Callable[..., str]) -> None:
    (root / "a.yaml").write_text(service("x", extra=", clusterIP: 10.1.2.3"))
    async with following(root, state=state) as followed:
        assert len(followed.problems) == 1
        assert followed.problems[0].startswith(f"{root}/a.yaml (document 1): Service default/x: spec.clusterIPs")
        replace_file(root / "a.yaml", service("x"))
        await followed.until(lambda now: now.problems == [])
        assert "x" in followed.notes


async def test_a_ledger_that_cannot_be_written_is_a_problem_and_no_standstill(
    root: Path, state: Path, service: Callable[..., str]
) -> None:
    async with following(root, state=state) as followed:
        (state / "ledger.json").mkdir(parents=True)
        (root / "a.yaml").write_text(service("x"))
        await followed.until(lambda now: "x" in now.notes)
        assert followed.problems == [
            f"{state}/ledger.json: cannot be written: Is a directory: "
            "addresses given out now may be others after a restart"
        ]
        (state / "ledger.json").rmdir()
        (root / "b.yaml").write_text(service("y"))
        await followed.until(lambda now: now.problems == [])
        assert followed.addresses["x"] in (state / "ledger.json").read_text()


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["a.yaml", "sub/b.yaml", "c.yml"]),
        st.sampled_from(["write", "replace", "delete", "break"]),
        st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from("12")), max_size=3, unique_by=lambda each: each[0]),
    ),
    max_size=6,
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_STEPS)
def test_random_edits_end_where_a_fresh_load_ends(
    tmp_path_factory: pytest.TempPathFactory,
    service: Callable[..., str],
    steps: list[tuple[str, str, list[tuple[str, str]]]],
) -> None:
    async def follow_edits() -> None:
        root, state = tmp_path_factory.mktemp("manifests"), tmp_path_factory.mktemp("state")
        (root / "sub").mkdir()
        async with following(root, state=state) as followed:
            for name, action, content in steps:
                text = "# file\n" + "".join(service(*each) for each in content)
                if action == "delete":
                    (root / name).unlink(missing_ok=True)
                elif action == "replace":
                    replace_file(root / name, text)
                else:
                    (root / name).write_text("x: y: z" if action == "break" else text)
            for path in root.rglob("*.y*ml"):
                if path.read_text() == "x: y: z":
                    path.write_text("# mended\n")
            (root / "z.yaml").write_text(service("last", "end"))
            async with following(root, state=tmp_path_factory.mktemp("state")) as fresh:
                expected = fresh.notes
            await followed.until(lambda now: now.notes == expected)
            assert followed.problems == fresh.problems

    asyncio.run(follow_edits())


async def test_an_exported_cluster_leads_to_its_pods_and_says_what_is_left_out(root: Path, state: Path) -> None:
    (root / "exported.yaml").write_text(EXPORTED)
    with LedgerFile(str(state)) as ledger_file:
        source = ManifestSource([str(root)], Cluster(ClusterSettings(), ledger_file.load(), Random(1)), ledger_file)
        async with aclosing(source.changes()) as batches:
            first = await anext(batches)
    assert {each.metadata.name: each.spec.cluster_ip for each in first.services} == {
        "web": "127.96.7.1",
        "outside": "127.96.7.2",
    }
    found = {each.service: [entry.addresses[0] for entry in each.endpoints] for each in first.slices}
    assert found == {("shop", "web"): ["127.0.77.1"], ("shop", "outside"): ["127.0.77.2"]}
    (problem,) = first.problems or ()
    assert problem.message.startswith(LEFT_OUT)


EXCHANGED = """
apiVersion: v1
kind: Service
metadata: {name: a}
spec: {type: NodePort, clusterIP: 127.96.3.%s, ports: [{port: 80, nodePort: 3040%s}]}
---
apiVersion: v1
kind: Service
metadata: {name: b}
spec: {type: NodePort, clusterIP: 127.96.3.%s, ports: [{port: 80, nodePort: 3040%s}]}
"""


@pytest.mark.parametrize("is_restarted", [False, True])
async def test_services_that_exchange_addresses_and_node_ports_are_both_served(
    root: Path, state: Path, is_restarted: bool
) -> None:
    replace_file(root / "a.yaml", EXCHANGED % (3, 3, 4, 4))
    async with following(root, state=state) as followed:
        assert followed.addresses == {"a": "127.96.3.3", "b": "127.96.3.4"}
        if not is_restarted:
            await followed.after(lambda: replace_file(root / "a.yaml", EXCHANGED % (4, 4, 3, 3)))
            assert followed.addresses == {"a": "127.96.3.4", "b": "127.96.3.3"}
            assert followed.problems == []
    replace_file(root / "a.yaml", EXCHANGED % (4, 4, 3, 3))
    async with following(root, state=state) as followed:
        assert followed.addresses == {"a": "127.96.3.4", "b": "127.96.3.3"}
        assert followed.problems == []


WEB = Service(ObjectMeta(name="web", namespace="default"))


def age_of(changes: Changes) -> str:
    (service,) = changes.services
    return service.metadata.creation_timestamp


def test_a_service_keeps_the_moment_it_was_first_seen() -> None:
    seen = FirstSeen()
    assert age_of(seen.stamped(Changes(services=(WEB,)), "2026-01-01T00:00:00Z")) == "2026-01-01T00:00:00Z"
    assert age_of(seen.stamped(Changes(services=(WEB,)), "2026-01-02T00:00:00Z")) == "2026-01-01T00:00:00Z"


def test_a_service_that_was_removed_is_new_when_it_comes_back() -> None:
    seen = FirstSeen()
    seen.stamped(Changes(services=(WEB,)), "2026-01-01T00:00:00Z")
    seen.stamped(Changes(removed_services=(WEB.key,)), "2026-01-02T00:00:00Z")
    assert age_of(seen.stamped(Changes(services=(WEB,)), "2026-01-03T00:00:00Z")) == "2026-01-03T00:00:00Z"


def test_a_service_that_says_when_it_was_created_is_believed() -> None:
    old = Service(ObjectMeta(name="web", namespace="default", creation_timestamp="2020-01-01T00:00:00Z"))
    assert age_of(FirstSeen().stamped(Changes(services=(old,)), "2026-01-01T00:00:00Z")) == "2020-01-01T00:00:00Z"


def test_changes_without_services_pass_as_they_are() -> None:
    changes = Changes(removed_slices=(("default", "web-1"),))
    assert FirstSeen().stamped(changes, "2026-01-01T00:00:00Z") is changes
