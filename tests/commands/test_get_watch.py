"""`svcproxy get --watch` against a server whose answers change."""

from collections.abc import Callable, Sequence

import msgspec
import pytest
import yaml

from proxy.admin.api_answers import EndpointsAnswer, NamesAnswer, ServicesAnswer, WorkersAnswer, endpoints_of
from proxy.client.kinds import BY_NAME, KINDS
from proxy.dns.name_report import NameReport
from proxy.reports.flow_report import AffinityAnswer, ConnectionReport, ConnectionsAnswer
from tests.commands.answering import Answering, ok
from tests.commands.answers import AFFINITY, CONNECTIONS, WEB, WORKER, Get, cells


@pytest.fixture
def watch(get: Get, proxy: Answering, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Watch while each pause brings the next answer at a path; the last one ends the watch as Ctrl-C does."""

    def watch(arguments: Sequence[str], path: str, *bodies: object) -> str:
        to_come = [ok(body) for body in bodies]

        def pause(seconds: float) -> None:
            if not to_come:
                raise KeyboardInterrupt
            proxy.answers[path] = to_come.pop(0)

        pause(0)
        monkeypatch.setattr("proxy.commands.get.time.sleep", pause)
        status, output, _ = get(*arguments)
        assert status == 130
        return output

    return watch


def connections(*rows: ConnectionReport, complete: bool = True) -> ConnectionsAnswer:
    return ConnectionsAnswer(rows, complete=complete)


def test_a_watch_shows_what_is_new_changes_or_goes(watch: Callable[..., str]) -> None:
    one, two = CONNECTIONS[:2]
    older = msgspec.structs.replace(one, seconds=95.0, received=5000)
    other = msgspec.structs.replace(two, endpoint="10.0.0.2:80")
    looks = (connections(*rows) for rows in ((one, two), (older, other), (older, other), (other,), (older, other)))
    output = watch(["conn", "--watch"], "/api/v1/connections", *looks)
    assert [(row[2], row[3], row[-1]) for row in cells(output)] == [
        ("CLIENT", "ENDPOINT", "STATE"),
        ("10.0.0.7:40000", "10.0.0.1:80", "open"),
        ("[fd00::7]:5", "10.0.0.1:80", "open"),
        ("[fd00::7]:5", "10.0.0.2:80", "open"),
        ("10.0.0.7:40000", "10.0.0.1:80", "gone"),
        ("10.0.0.7:40000", "10.0.0.1:80", "open"),
    ]


NAME = NameReport("default", "web", "web.", "AAAA", "fd00::1", 5)


GOING = [
    ("svc", "services?namespace=default", ServicesAnswer((WEB,)), ServicesAnswer(()), "service/web"),
    ("ep", "endpoints", EndpointsAnswer(tuple(endpoints_of((WEB,)))), EndpointsAnswer(()), "endpoint/127.0.0.1:8080"),
    ("conn", "connections", connections(CONNECTIONS[1]), connections(), "connection/[fd00::7]:5"),
    ("aff", "affinity", AffinityAnswer(AFFINITY, True), AffinityAnswer((), True), "affinity/10.0.0.7"),
    ("names", "names?namespace=default", NamesAnswer((NAME,)), NamesAnswer(()), "name/web."),
    ("workers", "workers", WorkersAnswer((WORKER,)), WorkersAnswer(()), "worker/0"),
]


def test_every_kind_is_tried() -> None:
    assert {BY_NAME[each[0]] for each in GOING} == set(KINDS)


@pytest.mark.parametrize(("kind", "path", "there", "gone", "name"), GOING)
def test_what_has_gone_is_shown_once_more_whatever_it_is(
    watch: Callable[..., str], kind: str, path: str, there: object, gone: object, name: str
) -> None:
    for wide in ((), ("-o", "wide")):
        header, row, last = cells(watch([kind, "-w", *wide], f"/api/v1/{path}", there, gone, gone))
        assert [word for word in last if word not in row] == ["gone"]
        assert len(last) == len(row) == len(header)
    assert watch([kind, "-w", "-o", "name"], f"/api/v1/{path}", there, gone) == f"{name}\n{name} gone\n"


@pytest.mark.parametrize(("kind", "path", "there", "gone", "name"), GOING)
def test_events_are_told_as_kubectl_tells_them(
    watch: Callable[..., str], kind: str, path: str, there: object, gone: object, name: str
) -> None:
    def told(format: str) -> str:
        return watch([kind, "-w", "--output-watch-events", "-o", format], f"/api/v1/{path}", there, gone, there)

    assert [row[0] for row in cells(told("wide"))] == ["EVENT", "ADDED", "DELETED", "ADDED"]
    assert told("name").splitlines() == [f"ADDED {name}", f"DELETED {name} gone", f"ADDED {name}"]
    events = yaml.safe_load(told("yaml"))
    assert [event["type"] for event in events] == ["ADDED", "DELETED", "ADDED"]
    assert events[0]["object"] == events[1]["object"]


def test_a_change_is_told_as_an_event(watch: Callable[..., str]) -> None:
    other = msgspec.structs.replace(CONNECTIONS[0], endpoint="10.0.0.2:80")
    flags = ["conn", "-w", "--output-watch-events", "--no-headers"]
    output = watch(flags, "/api/v1/connections", connections(CONNECTIONS[0]), connections(other))
    assert [row[0] for row in cells(output)] == ["ADDED", "MODIFIED"]


def test_the_data_of_what_has_gone_is_the_object(watch: Callable[..., str]) -> None:
    flags = ["conn", "-w", "-o", "yaml"]
    output = watch(flags, "/api/v1/connections", connections(CONNECTIONS[0]), connections())
    first, last = yaml.safe_load(output)
    assert first == last


def test_what_an_answer_left_out_has_not_gone(watch: Callable[..., str]) -> None:
    one, two, three, _ = CONNECTIONS
    looks = connections(one, two), connections(two, three, complete=False), connections(three)
    output = watch(["conn", "-w", "--no-headers"], "/api/v1/connections", *looks)
    assert [(row[2], row[-1]) for row in cells(output)] == [
        ("10.0.0.7:40000", "open"),
        ("[fd00::7]:5", "open"),
        ("10.0.0.8:9", "connecting"),
        ("[fd00::7]:5", "gone"),
    ]


def test_events_without_a_watch_are_a_mistake(get: Get) -> None:
    status, _, errors = get("svc", "--output-watch-events")
    assert (status, "goes with --watch" in errors) == (2, True)
