"""`svcproxy explain` against a server that answers as the running proxy does."""

import json
import socket
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from proxy.client.explanation_text import explanation_text
from proxy.dataplane.close_reason import CloseReason
from proxy.reports.explanation_report import EndpointChance, ExplanationReport, ExplanationsAnswer, Step, Verdict
from tests.commands.answering import Answering, Run, Start, ok

A, B = EndpointChance("10.1.0.1:80", "web-a", 1.0), EndpointChance("10.1.0.2:80", "", 0.25)
STEPS = (Step("frontend", "0.0.0.0:30080/TCP, NodePort of default/web"), Step("gate", "open"))


def explanation(verdict: Verdict, *endpoints: EndpointChance, client: str = "10.0.0.7") -> ExplanationReport:
    return ExplanationReport("TCP", "127.0.0.1", 30080, client, verdict, endpoints, steps=STEPS)


@pytest.fixture
def proxy(answering: Start) -> Answering:
    return answering({"/api/v1/explain": ok(ExplanationsAnswer((explanation(Verdict.SERVED, A),)))})


def asked(proxy: Answering) -> dict[str, list[str]]:
    return parse_qs(urlsplit(proxy.requests[-1][0]).query)


def test_the_steps_lead_to_the_answer(proxy: Answering, run: Run) -> None:
    assert run(proxy.address, "explain", "127.0.0.1:30080", "--from", "10.0.0.7") == (
        0,
        "127.0.0.1:30080/TCP from 10.0.0.7\n"
        "  frontend  0.0.0.0:30080/TCP, NodePort of default/web\n"
        "  gate      open\n"
        "=> 10.1.0.1:80 (web-a)\n",
        "",
    )


@pytest.mark.parametrize(
    ("arguments", "query"),
    [
        (("127.0.0.1:80",), {"protocol": ["TCP"], "address": ["127.0.0.1"], "port": ["80"]}),
        (("[::1]:80/UDP",), {"protocol": ["UDP"], "address": ["::1"], "port": ["80"]}),
        (("[::1]:80/tcp", "--from", "::2"), {"protocol": ["TCP"], "address": ["::1"], "port": ["80"], "from": ["::2"]}),
        (
            ("10.0.0.1:53/udp", "--from", "10.0.0.7:4000"),
            {"protocol": ["UDP"], "address": ["10.0.0.1"], "port": ["53"], "from": ["10.0.0.7"], "fromPort": ["4000"]},
        ),
        (("service", "web", "-n", "shop"), {"namespace": ["shop"], "service": ["web"]}),
        (("svc", "--from", "10.0.0.7", "web"), {"namespace": ["default"], "service": ["web"], "from": ["10.0.0.7"]}),
    ],
)
def test_the_question_reaches_the_proxy(proxy: Answering, run: Run, arguments: tuple[str, ...], query: Any) -> None:
    assert run(proxy.address, "explain", *arguments)[0] == 0
    assert asked(proxy) == query


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("127.0.0.1",),
        ("127.0.0.1:0",),
        ("127.0.0.1:70000",),
        ("127.0.0.1:80/sctp",),
        ("::1:80",),
        ("web:80/sctp",),
        ("service",),
        ("service", "a", "b"),
        ("127.0.0.1:80", "127.0.0.1:81"),
        ("127.0.0.1:80", "--from", "me"),
        ("127.0.0.1:80", "--from", "10.0.0.7:x"),
    ],
)
def test_a_question_that_makes_no_sense_is_one_line(proxy: Answering, run: Run, arguments: tuple[str, ...]) -> None:
    status, output, errors = run(proxy.address, "explain", *arguments)
    assert (status, output, errors.count("\n")) == (2, "", 1)
    assert " must " in errors
    assert proxy.requests == []


@pytest.mark.parametrize(
    ("verdict", "answer"),
    [
        (Verdict.REFUSED, "=> refused at once"),
        (Verdict.DROPPED, "=> dropped: the client hears nothing"),
        (Verdict.RESET, "=> accepted and reset: no endpoint may take it"),
        (Verdict.UNDECIDED, "=> it depends on the client: name one with --from"),
        (Verdict.NOT_PROXIED, "=> not served by this proxy"),
    ],
)
def test_where_nobody_serves_the_status_says_so(proxy: Answering, run: Run, verdict: Verdict, answer: str) -> None:
    proxy.answers["/api/v1/explain"] = ok(ExplanationsAnswer((explanation(verdict),)))
    status, output, _ = run(proxy.address, "explain", "127.0.0.1:30080")
    assert (status, output.splitlines()[-1]) == (1, answer)


def test_chances_are_told_and_a_long_list_is_cut() -> None:
    text = explanation_text(explanation(Verdict.SERVED, B, *[B] * 11, client=""))
    assert text.startswith("127.0.0.1:30080/TCP\n")
    assert text.splitlines()[-2:] == ["=> 10.1.0.2:80, 25 %", "=> or one of 2 others"]


def test_each_address_of_a_service_is_told(proxy: Answering, run: Run) -> None:
    both = (explanation(Verdict.SERVED, A), explanation(Verdict.REFUSED))
    proxy.answers["/api/v1/explain"] = ok(ExplanationsAnswer(both))
    status, output, _ = run(proxy.address, "explain", "service", "web")
    assert (status, output.count("\n\n")) == (1, 1)


def test_data_is_the_answer(proxy: Answering, run: Run) -> None:
    _, output, _ = run(proxy.address, "explain", "127.0.0.1:30080", "-o", "json")
    (each,) = json.loads(output)
    assert (each["verdict"], each["endpoints"][0]["pod"]) == ("served", "web-a")
    assert "verdict: served" in run(proxy.address, "explain", "127.0.0.1:30080", "-o", "yaml")[1]


def test_a_service_without_addresses_or_unknown_is_an_error(proxy: Answering, run: Run) -> None:
    proxy.answers["/api/v1/explain"] = ok(ExplanationsAnswer(()))
    assert run(proxy.address, "explain", "svc", "web") == (
        1,
        "",
        "service web has no such address: see svcproxy describe service\n",
    )
    proxy.answers["/api/v1/explain"] = (404, b'{"error": "Service default/web is not known to this proxy"}')
    assert run(proxy.address, "explain", "svc", "web") == (1, "", "Service default/web is not known to this proxy\n")


def test_a_close_reason_is_explained_without_a_proxy(run: Run) -> None:
    status, output, errors = run("127.0.0.1:1", "explain", "reason", "connect_refused")
    assert (status, errors) == (0, "")
    assert output.splitlines()[1] == f"connect_refused   {CloseReason.CONNECT_REFUSED.advice}"
    assert len(run("127.0.0.1:1", "explain", "reasons")[1].splitlines()) == 1 + len(CloseReason)


def test_close_reasons_are_data_too(run: Run) -> None:
    output = run("127.0.0.1:1", "explain", "reason", "shutdown", "error", "-o", "json")[1]
    assert [each["reason"] for each in json.loads(output)] == ["shutdown", "error"]


def test_a_reason_that_there_is_not_is_a_mistake(run: Run) -> None:
    status, _, errors = run("127.0.0.1:1", "explain", "reason", "connect_refuse")
    assert (status, errors) == (
        2,
        'svcproxy: explain: unknown reason "connect_refuse": did you mean "connect_refused"?\n',
    )


def test_a_host_may_stand_for_its_address(proxy: Answering, run: Run) -> None:
    assert run(proxy.address, "explain", "localhost:30080")[0] == 0
    assert asked(proxy)["address"][0] in ("127.0.0.1", "::1")


def test_a_host_that_has_no_address_is_one_line(proxy: Answering, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr("proxy.commands.explain.socket.getaddrinfo", nobody)
    status, _, errors = run(proxy.address, "explain", "no-such-host.invalid:80")
    assert status == 2
    assert '"no-such-host.invalid" in "no-such-host.invalid:80" has no address' in errors


@pytest.mark.parametrize("text", ["web.data.svc", "web.data.svc.cluster.local.", "web.data.svc:30080/tcp"])
def test_a_service_may_be_named_as_dns_names_it(proxy: Answering, run: Run, text: str) -> None:
    assert run(proxy.address, "explain", text)[0] == 0
    assert (asked(proxy)["namespace"], asked(proxy)["service"]) == (["data"], ["web"])


def test_a_port_of_a_named_service_leaves_the_others_out(proxy: Answering, run: Run) -> None:
    status, output, errors = run(proxy.address, "explain", "web.data.svc:81")
    assert (status, output) == (1, "")
    assert "web has no such address" in errors


def test_kubectls_form_names_a_service(proxy: Answering, run: Run) -> None:
    assert run(proxy.address, "explain", "svc/web")[0] == 0
    assert asked(proxy)["service"] == ["web"]
