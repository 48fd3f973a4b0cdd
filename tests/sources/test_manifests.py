"""The manifest source on real files, with the real watcher. Every wait has a bound and ends with what it waits for."""

import asyncio
import os
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.cluster.cluster import Cluster, ClusterSettings
from proxy.model.changes import Changes
from proxy.sources.ledger_file import LedgerFile
from proxy.sources.manifests import ManifestSource
from proxy.startup_error import StartupError

pytestmark = pytest.mark.usefixtures("told_by_the_kernel")

_BOUND_SECONDS = 20


class Followed:
    """A running source, and what all its changes so far add up to."""

    def __init__(self, source: ManifestSource, cluster: Cluster) -> None:
        self.source = source
        self.cluster = cluster
        self.notes: dict[str, str] = {}
        self.addresses: dict[str, str] = {}
        self.problems: list[str] = []
        self._changes = source.changes()
        self._idle = asyncio.Event()
        self._wait = source._readings.wait
        source._readings.wait = self._tell_and_wait  # type: ignore[method-assign]

    async def _tell_and_wait(self) -> None:
        self._idle.set()
        await self._wait()

    async def after(self, edit: Callable[[], object]) -> Changes:
        """The changes that follow an edit which is made while the source waits to be told."""
        self._idle.clear()
        changes = asyncio.create_task(self.next())
        async with asyncio.timeout(_BOUND_SECONDS):
            await self._idle.wait()
        edit()
        return await changes

    async def next(self) -> Changes:
        async with asyncio.timeout(_BOUND_SECONDS):
            changes = await anext(self._changes)
        for _, name in changes.removed_services:
            del self.notes[name]
        for each in changes.services:
            self.notes[each.metadata.name] = each.metadata.annotations.get("note", "")
            self.addresses[each.metadata.name] = each.spec.cluster_ip
        if changes.problems is not None:
            self.problems = [str(problem) for problem in changes.problems]
        return changes

    async def until(self, reached: Callable[["Followed"], bool]) -> None:
        for _ in range(100):
            if reached(self):
                return
            await self.next()
        raise AssertionError(f"never reached: {self.notes} {self.problems}")

    async def close(self) -> None:
        assert isinstance(self._changes, AsyncGenerator)
        await self._changes.aclose()


@asynccontextmanager
async def following(*directories: Path, state: Path) -> AsyncIterator[Followed]:
    with LedgerFile(str(state)) as ledger_file:
        cluster = Cluster(ClusterSettings(), ledger_file.load(), Random(1))
        followed = Followed(ManifestSource([str(each) for each in directories], cluster, ledger_file), cluster)
        try:
            await followed.next()
            yield followed
        finally:
            await followed.close()
    assert followed.source._readings._watch._inotify is None


def replace_file(path: Path, text: str) -> None:
    """As editors do it: write another file, and rename."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text)
    os.replace(temporary, path)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


async def test_the_first_yield_is_the_complete_first_state(
    root: Path, state: Path, service: Callable[..., str]
) -> None:
    (root / "a.yaml").write_text(service("x", "1") + service("y", "1"))
    (root / "b.json").write_text('{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "nonsense": 1}')
    async with following(root, state=state) as followed:
        assert followed.notes == {"x": "1", "y": "1"}
        assert followed.problems == []


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


async def test_files_come_and_go_in_directories_that_come_and_go(
    root: Path, state: Path, service: Callable[..., str]
) -> None:
    async with following(root, state=state) as followed:
        (root / "deep/er").mkdir(parents=True)
        (root / "deep/er/a.yaml").write_text(service("x"))
        await followed.until(lambda now: now.notes.keys() == {"x"})
        (root / "deep/er/b.yaml").write_text(service("y"))
        await followed.until(lambda now: now.notes.keys() == {"x", "y"})
        (root / "deep/er/b.yaml").unlink()
        await followed.until(lambda now: now.notes.keys() == {"x"})
        shutil.rmtree(root / "deep")
        await followed.until(lambda now: now.notes == {})


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


async def test_a_configmap_volume_is_followed_through_its_swap(
    tmp_path: Path, root: Path, state: Path, service: Callable[..., str]
) -> None:
    def publish(version: str, text: str) -> None:
        (root / f"..{version}").mkdir()
        (root / f"..{version}" / "a.yaml").write_text(text)
        (root / "..data_tmp").symlink_to(f"..{version}")
        os.rename(root / "..data_tmp", root / "..data")

    publish("one", service("x", "1"))
    (root / "a.yaml").symlink_to("..data/a.yaml")
    async with following(root, state=state) as followed:
        for version, old in (("two", "one"), ("three", "two")):
            publish(version, service("x", version))
            shutil.rmtree(root / f"..{old}")
            changes = await followed.next()
            assert [each.metadata.annotations["note"] for each in changes.services] == [version]
            assert changes.removed_services == ()
    assert followed.problems == []


async def test_a_linked_file_is_followed_where_it_lies(
    tmp_path: Path, root: Path, state: Path, service: Callable[..., str]
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.yaml").write_text(service("x", "1"))
    (root / "a.yaml").symlink_to(outside / "a.yaml")
    async with following(root, state=state) as followed:
        replace_file(outside / "a.yaml", service("x", "2"))
        await followed.until(lambda now: now.notes == {"x": "2"})


async def test_a_missing_directory_is_one_clear_line(tmp_path: Path, state: Path) -> None:
    with pytest.raises(StartupError) as caught:
        async with following(tmp_path / "gone", state=state):
            pass
    assert str(caught.value) == (
        f"manifest directory {tmp_path / 'gone'} does not exist: make it, or correct --manifests"
    )


async def test_a_file_in_the_place_of_a_directory_is_one_clear_line(tmp_path: Path, state: Path) -> None:
    (tmp_path / "a.yaml").write_text("")
    with pytest.raises(StartupError, match="is not a directory: give --manifests the directory that it is in"):
        async with following(tmp_path / "a.yaml", state=state):
            pass


async def test_a_directory_that_disappears_keeps_its_objects_until_it_is_back(
    tmp_path: Path, root: Path, state: Path, service: Callable[..., str]
) -> None:
    (root / "a.yaml").write_text(service("x", "1") + service("y", "1"))
    async with following(root, state=state) as followed:
        await followed.after(lambda: os.rename(root, tmp_path / "aside"))
        assert followed.notes == {"x": "1", "y": "1"}
        assert followed.problems == [f"{root}: does not exist any more: what it held stays in force until it is back"]
        (tmp_path / "new").mkdir()
        (tmp_path / "new" / "a.yaml").write_text(service("x", "2"))
        await followed.after(lambda: (tmp_path / "new").rename(root))
        assert (followed.notes, followed.problems) == ({"x": "2"}, [])
        await followed.after(lambda: (root / "b.yaml").write_text(service("z", "3")))
        assert followed.notes == {"x": "2", "z": "3"}


async def test_a_directory_may_vanish_with_the_directories_above_it(
    tmp_path: Path, state: Path, service: Callable[..., str]
) -> None:
    root = tmp_path / "one" / "two" / "manifests"
    root.mkdir(parents=True)
    async with following(root, state=state) as followed:
        shutil.rmtree(tmp_path / "one")
        await followed.until(lambda now: now.problems != [])
        for directory in (tmp_path / "one", root.parent, root):
            directory.mkdir()
        (root / "a.yaml").write_text(service("x"))
        await followed.until(lambda now: now.notes.keys() == {"x"})
        await followed.until(lambda now: now.problems == [])


async def test_a_directory_replaced_by_another_is_followed(
    tmp_path: Path, root: Path, state: Path, service: Callable[..., str]
) -> None:
    (root / "a.yaml").write_text(service("x", "1"))
    (tmp_path / "v2").mkdir()
    (tmp_path / "v2" / "a.yaml").write_text(service("x", "2"))
    link = tmp_path / "current"
    link.symlink_to(root)
    async with following(link, state=state) as followed:
        (tmp_path / "next").symlink_to("v2")
        await followed.after(lambda: os.rename(tmp_path / "next", link))
        assert followed.notes == {"x": "2"}
        for note in ("3", "4"):
            await followed.after(lambda: replace_file(tmp_path / "v2" / "a.yaml", service("x", note)))  # noqa: B023
            assert followed.notes == {"x": note}


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
        (state / "ledger.json.new").mkdir(parents=True)
        (root / "a.yaml").write_text(service("x"))
        await followed.until(lambda now: "x" in now.notes)
        assert followed.problems == [
            f"{state}/ledger.json: cannot be written: Is a directory: "
            "addresses given out now may be others after a restart"
        ]
        (state / "ledger.json.new").rmdir()
        (root / "b.yaml").write_text(service("y"))
        await followed.until(lambda now: now.problems == [])
        assert followed.addresses["x"] in (state / "ledger.json").read_text()


async def test_where_the_kernel_cannot_watch_files_are_still_followed(
    root: Path, state: Path, service: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr("proxy.sources.inotify.Inotify.add", refuse)
    monkeypatch.setattr("proxy.sources.directory_watch._LOOK_UNWATCHED_SECONDS", 0.01)
    async with following(root, state=state) as followed:
        (root / "a.yaml").write_text(service("x"))
        await followed.until(lambda now: "x" in now.notes)
        await followed.until(lambda now: now.problems != [])
        assert "cannot be watched ([Errno 28] inotify watch limit reached)" in followed.problems[0]


async def test_a_change_that_nobody_told_of_is_found_by_looking_anyway(
    root: Path, state: Path, service: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: object) -> int:
        return 1

    monkeypatch.setattr("proxy.sources.inotify.Inotify.add", silent)
    monkeypatch.setattr("proxy.sources.directory_watch._LOOK_ANYWAY_SECONDS", 0.01)
    async with following(root, state=state) as followed:
        (root / "a.yaml").write_text(service("x"))
        await followed.until(lambda now: "x" in now.notes)
        assert followed.problems == []


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
