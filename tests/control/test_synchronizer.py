"""From the source's changes to what is in force, with sockets that the test makes up."""

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from proxy.control import synchronizer
from proxy.control.proxy_health import ProxyHealth
from proxy.control.sync_metrics import SyncMetrics
from proxy.control.synchronizer import Synchronizer
from proxy.model.changes import Changes
from proxy.model.metadata import ObjectMeta
from proxy.model.node import Node, deleted_node
from proxy.model.problem import Problem
from proxy.paths.path_list import PathList
from proxy.plan.frontend import Delta
from proxy.plan.planner import Planner
from proxy.plan.settings import PlanSettings

START = datetime(2026, 3, 1, tzinfo=UTC)


class Parts:
    """A synchronizer; `done` is what it did, in order."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.failures: dict[str, str] = {}
        self.health = ProxyHealth(START)
        self.problems = SimpleNamespace(of_source=(), report=lambda: self.done.append("problems"))
        reconciler = SimpleNamespace(apply=self._apply, failures=self.failures, retry=self._retry)
        parts: tuple[Any, ...] = (
            Planner(PlanSettings(node_port_addresses=("127.0.0.1",))),
            reconciler,
            PathList([SimpleNamespace(apply=lambda delta: self.done.append("paths"), close=lambda: None)]),
            SimpleNamespace(apply=lambda changes: self.done.append("names")),
            SimpleNamespace(apply=lambda checks, addresses: self.done.append("health checks")),
            self.health,
            SyncMetrics(START),
            self.problems,
            lambda: self.done.append("choose capture"),
        )
        self.synchronizer = Synchronizer(*parts)

    def _apply(self, delta: Delta) -> None:
        self.done.append("sockets")
        if self.failures:
            self.synchronizer.sockets_changed()

    def _retry(self) -> None:
        self.failures.clear()
        self.synchronizer.sockets_changed()


@pytest.fixture
def parts() -> Parts:
    return Parts()


def test_the_capture_is_chosen_before_the_first_socket_and_names_come_after(parts: Parts, make_service: Any) -> None:
    parts.synchronizer.apply(Changes(services=(make_service(),)))
    assert parts.done == ["choose capture", "sockets", "paths", "health checks", "problems", "names"]
    parts.health.serve()
    parts.done.clear()
    parts.synchronizer.apply(Changes(services=(make_service("other", "127.96.7.2"),)))
    assert parts.done == ["sockets", "paths", "health checks", "problems", "names"]


def test_a_reload_before_the_first_state_leaves_the_choice_to_that(parts: Parts, make_service: Any) -> None:
    parts.synchronizer.reconfigure(PlanSettings(node_port_addresses=("127.0.0.2",)))
    assert "choose capture" not in parts.done
    parts.synchronizer.apply(Changes(services=(make_service(),)))
    assert "choose capture" in parts.done


def test_what_is_as_it_was_reaches_no_socket(parts: Parts, make_service: Any) -> None:
    parts.synchronizer.apply(Changes(services=(make_service(),)))
    parts.synchronizer.plan_changed.clear()
    parts.done.clear()
    parts.synchronizer.apply(Changes(services=(make_service(),)))
    assert "sockets" not in parts.done
    assert not parts.synchronizer.plan_changed.is_set()
    assert parts.health.last_updated > START


def test_what_a_batch_says_beside_services_is_kept_until_it_says_otherwise(parts: Parts) -> None:
    problem = Problem("is wrong", where="a.yaml")
    moment = "2026-03-01T00:00:00Z"
    parts.synchronizer.apply(Changes(problems=(problem,), known_state_of=moment, node=deleted_node("here")))
    parts.synchronizer.apply(Changes())
    assert parts.problems.of_source == (problem,)
    assert parts.synchronizer.known_state_of == moment
    assert not parts.health.node_eligible
    parts.synchronizer.apply(Changes(problems=(), known_state_of="", node=Node(ObjectMeta(name="here"))))
    assert (parts.problems.of_source, parts.synchronizer.known_state_of) == ((), "")
    assert parts.health.node_eligible


async def test_what_could_not_be_bound_is_tried_until_it_can(
    parts: Parts, make_service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synchronizer, "FIRST_RETRY", 0.001)
    parts.failures["web"] = "is taken"
    parts.synchronizer.apply(Changes(services=(make_service(),)))
    before = parts.synchronizer.revision
    retrying = asyncio.create_task(parts.synchronizer.retry_binds())
    async with asyncio.timeout(10):
        while parts.synchronizer.revision == before:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.001)
    retrying.cancel()
    assert not parts.failures
