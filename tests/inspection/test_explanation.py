"""Decisions explained: which frontend, what stops a client, who serves, and the words for it."""

from typing import Any

import pytest
from msgspec.structs import replace

from proxy.capture.steering import ANY_WORKER
from proxy.dataplane.foresight import Binding, Candidate, Foresight
from proxy.inspection.explanation import Asked, Found, explain, explain_unknown, find, stopped
from proxy.inspection.explanation_words import _REASONS
from proxy.plan.frontend import Frontend, FrontendKey, Pool, Target
from proxy.reports.explanation_report import EndpointChance, ExplanationReport, Verdict
from proxy.schedulers.registry import names

CLIENT = "10.0.0.7"
A, B = Candidate("10.1.0.1:80", "web-a", 1.0), Candidate("10.1.0.2:80", "web-b", 1.0)
POOL = Pool(
    "web", "default/web", "http", "TCP", "rr", "web", 0, 5.0, 0.0, (Target("10.1.0.1", 80), Target("10.1.0.2", 80))
)
FRONTEND = Frontend(FrontendKey("TCP", "0.0.0.0", 30080), "web", "default/web", "NodePort")
ASKED = Asked("TCP", "127.0.0.1", 30080, CLIENT)


def foresight(*candidates: Candidate, scheduler: str = "rr", keyed_by: str = "nothing", **more: Any) -> Foresight:
    return Foresight(scheduler, keyed_by, more.pop("binding", None), more.pop("failing", {}), candidates, **more)


def found(pool: Pool = POOL, frontend: Frontend = FRONTEND, listening: bool = True, fault: str = "") -> Found:
    return Found(frontend, pool, listening, fault)


def steps(report: ExplanationReport | None) -> dict[str, str]:
    assert report is not None
    return {step.name: step.text for step in report.steps}


def key(address: str, port: int = 80, protocol: str = "TCP") -> FrontendKey:
    return FrontendKey(protocol, address, port)


@pytest.mark.parametrize(
    ("listening", "silent", "asked", "answer"),
    [
        (["127.0.0.1", "0.0.0.0"], [], "127.0.0.1", "127.0.0.1"),
        (["127.0.0.1", "0.0.0.0"], [], "127.0.0.2", "0.0.0.0"),
        (["0.0.0.0"], ["127.0.0.1"], "127.0.0.1", "0.0.0.0"),
        ([], ["127.0.0.1", "0.0.0.0"], "127.0.0.1", "127.0.0.1"),
        (["::", "0.0.0.0"], [], "::1", "::"),
        (["0.0.0.0"], [], "::1", None),
        ([], [], "127.0.0.1", None),
    ],
)
def test_this_very_address_goes_before_every_address(
    listening: list[str], silent: list[str], asked: str, answer: str | None
) -> None:
    frontends = {key(each): Frontend(key(each), "web", "default/web", "ClusterIP") for each in (*listening, *silent)}
    chosen = find(Asked("TCP", asked, 80), frontends, lambda each: each.address in listening)
    assert (chosen and chosen.key.address) == answer


@pytest.mark.parametrize("asked", [Asked("UDP", "127.0.0.1", 80), Asked("TCP", "127.0.0.1", 81)])
def test_another_protocol_or_port_is_another_place(asked: Asked) -> None:
    assert find(asked, {key("127.0.0.1"): FRONTEND}, lambda _: True) is None


def test_where_nothing_listens_that_is_said() -> None:
    report = explain_unknown(ASKED, is_local=False)
    assert report.verdict is Verdict.NOT_PROXIED
    assert steps(report)["frontend"] == (
        "no Service has 127.0.0.1:30080/TCP, nor this port on every address; 127.0.0.1 is no address of this machine"
    )
    assert "no address" not in steps(explain_unknown(ASKED, is_local=True))["frontend"]


def test_a_frontend_that_cannot_be_bound_is_not_proxied() -> None:
    report = stopped(ASKED, found(listening=False, fault="port 30080 is taken by nginx"))
    assert report is not None
    assert (report.verdict, report.service) == (Verdict.NOT_PROXIED, "default/web")
    assert steps(report)["socket"] == "does not listen: port 30080 is taken by nginx"


DRAINED = replace(POOL, targets=(Target("10.1.0.1", 80, 0),))
EMPTY = replace(POOL, targets=())
LOCAL = replace(FRONTEND, when_empty="drop")


@pytest.mark.parametrize(
    ("place", "verdict", "gate"),
    [
        (found(EMPTY), Verdict.REFUSED, "refused by the kernel: no endpoints that are ready"),
        (found(DRAINED), Verdict.REFUSED, "refused by the kernel: 1 endpoint, drained"),
        (found(EMPTY, LOCAL), Verdict.DROPPED, "silent: policy Local, and the endpoints are on other nodes"),
    ],
)
def test_a_gate_that_is_shut_stops_the_client(place: Found, verdict: Verdict, gate: str) -> None:
    report = stopped(ASKED, place)
    assert report is not None
    assert report.verdict is verdict
    assert steps(report)["gate"].startswith(gate)


def test_datagrams_without_a_socket_are_refused_and_with_one_asked_for() -> None:
    udp = replace(FRONTEND, key=key("0.0.0.0", 30080, "UDP"))
    asked = ASKED._replace(protocol="UDP")
    refused = stopped(asked, found(DRAINED, udp, listening=False))
    assert refused is not None
    assert refused.verdict is Verdict.REFUSED
    assert stopped(asked, found(DRAINED, udp)) is None
    assert explain(asked, found(DRAINED, udp), 0, {0: foresight()}).verdict is Verdict.DROPPED
    report = explain(asked, found(DRAINED, udp), 0, {0: foresight(flow=A)})
    assert (report.verdict, report.endpoints) == (Verdict.SERVED, (EndpointChance("10.1.0.1:80", "web-a", 1.0),))
    assert steps(report)["flow"] == "10.0.0.7 has a flow to 10.1.0.1:80 already, and its datagrams go there"


def test_source_ranges_drop_who_is_not_in_them() -> None:
    ranged = replace(FRONTEND, source_ranges=("192.0.2.0/24",))
    report = stopped(ASKED, found(frontend=ranged))
    assert report is not None
    assert report.verdict is Verdict.DROPPED
    assert steps(report)["sources"] == (
        "10.0.0.7 is in none of loadBalancerSourceRanges 192.0.2.0/24: its packets are dropped"
    )
    assert "gate" not in steps(report)
    inside = ASKED._replace(client="192.0.2.1")
    assert stopped(inside, found(frontend=ranged)) is None
    assert "is let in" in steps(explain(inside, found(frontend=ranged), 0, {0: foresight(A)}))["sources"]


def test_source_ranges_leave_it_open_where_no_client_is_named() -> None:
    ranged = replace(FRONTEND, source_ranges=("192.0.2.0/24",))
    nobody = ASKED._replace(client="")
    assert stopped(nobody, found(frontend=ranged)) is None
    assert explain(nobody, found(frontend=ranged), 0, {0: foresight(A)}).verdict is Verdict.UNDECIDED


def test_an_open_gate_leads_to_the_choice() -> None:
    assert stopped(ASKED, found()) is None
    report = explain(ASKED, found(), 0, {0: foresight(A)})
    assert (report.verdict, report.endpoints) == (Verdict.SERVED, (EndpointChance("10.1.0.1:80", "web-a", 1.0),))
    assert steps(report) == {
        "frontend": "0.0.0.0:30080/TCP, NodePort of default/web on every address; nothing listens on 127.0.0.1 alone",
        "gate": "open: 2 of 2 endpoints may get new connections",
        "pool": "web, 2 endpoints",
        "affinity": "none",
        "scheduler": "rr: 10.1.0.1:80 is next in turn",
    }


def test_a_frontend_of_this_very_address_needs_no_reason() -> None:
    exact = replace(FRONTEND, key=key("127.0.0.1", 30080))
    assert steps(explain(ASKED, found(frontend=exact), 0, {0: foresight(A)}))["frontend"] == (
        "127.0.0.1:30080/TCP, NodePort of default/web"
    )


STICKY = found(replace(POOL, affinity_seconds=10800))


def test_a_bound_client_stays() -> None:
    report = explain(ASKED, STICKY, 0, {0: foresight(A, binding=Binding("10.1.0.1:80", "web-a", 7200.0))})
    assert steps(report)["affinity"] == "ClientIP for 3h: 10.0.0.7 is bound to 10.1.0.1:80 for another 120m"
    assert "scheduler" not in steps(report)


@pytest.mark.parametrize(
    ("ignored", "said"),
    [
        ("drained", "which is drained: another is chosen"),
        ("refused of late", "which refused of late: another is chosen"),
    ],
)
def test_a_binding_that_does_not_hold_leads_to_the_scheduler(ignored: str, said: str) -> None:
    binding = Binding("10.1.0.2:80", "web-b", 60.0, ignored)
    report = explain(ASKED, STICKY, 0, {0: foresight(A, binding=binding)})
    assert said in steps(report)["affinity"]
    assert steps(report)["scheduler"] == "rr: 10.1.0.1:80 is next in turn"


def test_a_client_that_is_not_bound_will_be() -> None:
    assert "10.0.0.7 is not bound yet" in steps(explain(ASKED, STICKY, 0, {0: foresight(A)}))["affinity"]
    nobody = explain(ASKED._replace(client=""), STICKY, 0, {0: foresight(A)})
    assert "--from" in steps(nobody)["affinity"]
    assert nobody.verdict is Verdict.SERVED


def test_endpoints_that_refused_are_named() -> None:
    report = explain(ASKED, found(), 0, {0: foresight(A, failing={"10.1.0.2:80": 3.5})})
    assert steps(report)["failing"] == "avoided, because they refused: 10.1.0.2:80 for 3s"


def test_nobody_to_choose_is_a_reset() -> None:
    report = explain(ASKED, found(), 0, {0: foresight(scheduler="ovf")})
    assert (report.verdict, report.endpoints) == (Verdict.RESET, ())
    assert steps(report)["scheduler"] == "ovf: no endpoint may take another connection"


def test_a_source_hash_needs_a_client() -> None:
    report = explain(ASKED._replace(client=""), found(), 0, {0: foresight(scheduler="sh", keyed_by="source")})
    assert report.verdict is Verdict.UNDECIDED
    assert steps(report)["scheduler"] == "sh: the client's address decides: name one with --from"


def test_a_draw_is_told_as_chances() -> None:
    drawn = foresight(replace(A, chance=0.25), replace(B, chance=0.75), scheduler="random")
    report = explain(ASKED, found(), 0, {0: drawn})
    assert [(each.pod, each.chance) for each in report.endpoints] == [("web-b", 0.75), ("web-a", 0.25)]
    assert steps(report)["scheduler"] == "random: one of 2 endpoints, drawn by weight: nobody can know which"


def test_workers_that_the_kernel_chooses_among_are_each_asked() -> None:
    report = explain(ASKED, found(), ANY_WORKER, {0: foresight(A), 1: foresight(B), 2: foresight(A), 3: foresight(A)})
    assert [(each.pod, each.chance) for each in report.endpoints] == [("web-a", 0.75), ("web-b", 0.25)]
    assert report.worker == -1
    said = [(step.name, step.text) for step in report.steps]
    assert ("worker", "any of 4: the kernel chooses by both addresses and ports") in said
    assert ("scheduler", "worker 1: rr: 10.1.0.2:80 is next in turn") in said


def test_workers_that_agree_leave_no_doubt() -> None:
    report = explain(ASKED, found(), ANY_WORKER, {number: foresight(A) for number in range(3)})
    assert [each.chance for each in report.endpoints] == [1.0]


def test_the_worker_that_a_client_is_steered_to_is_named() -> None:
    report = explain(ASKED, found(), 2, {2: foresight(A)})
    assert report.worker == 2
    assert steps(report)["worker"] == "2, by the client's address"


def test_every_scheduler_has_its_reason() -> None:
    assert set(_REASONS) == set(names())
