"""`svcproxy get` against a server that answers as the running proxy does."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from proxy.admin.api_answers import EndpointsAnswer, NamesAnswer, ServicesAnswer, endpoints_of
from proxy.cli import main
from proxy.dns.name_report import NameReport
from proxy.reports.flow_report import ConnectionsAnswer
from tests.commands.answering import Answering, Run, Start, ok
from tests.commands.answers import API, WEB, WEB_NAME, Get, cells


@pytest.mark.parametrize("kind", ["services", "service", "svc", "SVC"])
def test_services_have_kubectls_columns_and_their_state(get: Get, kind: str) -> None:
    status, output, _ = get(kind)
    assert status == 0
    assert cells(output) == [
        ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE", "STATE"],
        ["api", "ClusterIP", "127.96.0.1", "<none>", "80/TCP", "<unknown>", "serving"],
        ["web", "ClusterIP", "127.96.0.1", "<none>", "80/TCP", "<unknown>", "serving"],
    ]


def test_every_namespace_and_a_wide_table(get: Get) -> None:
    header, *rows = cells(get("svc", "-A", "-o", "wide")[1])
    assert (header[0], header[-4:]) == ("NAMESPACE", ["SCHEDULER", "ENDPOINTS", "PATH", "STATE"])
    assert header.count("EXTERNAL-IP") == 1
    assert [(row[0], row[1], row[-5:-1]) for row in rows] == [
        ("default", "api", ["app=api", "rr", "1", "relay"]),
        ("default", "web", ["app=web", "rr", "1", "relay"]),
        ("data", "db", ["app=db", "rr", "1", "relay"]),
    ]


@pytest.mark.parametrize(
    "arguments", [("svc", "db", "-n", "data"), ("svc", "-n", "data", "db"), ("-n", "data", "svc", "db")]
)
def test_names_may_stand_anywhere(get: Get, arguments: tuple[str, ...]) -> None:
    assert [row[0] for row in cells(get(*arguments)[1])] == ["NAME", "db"]


def test_what_is_there_is_shown_beside_what_is_not(get: Get) -> None:
    status, output, errors = get("svc", "web", "nowhere")
    assert (status, errors) == (1, 'service "nowhere" not found in namespace default\n')
    assert [row[0] for row in cells(output)] == ["NAME", "web"]


def test_a_service_that_is_not_there_is_an_error_whatever_is_asked_of_it(get: Get, proxy: Answering) -> None:
    proxy.answers["/api/v1/connections"] = ok(ConnectionsAnswer((), complete=True))
    assert get("conn", "nowhere") == (1, "", 'service "nowhere" not found in namespace default\n')
    assert get("ep", "idle") == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("svc", "-A", "web"), "--all-namespaces goes with no NAME"), (("workers", "0"), "workers have no NAME")],
)
def test_a_name_where_none_is_meant_is_a_mistake(get: Get, arguments: tuple[str, ...], said: str) -> None:
    status, _, errors = get(*arguments)
    assert (status, said in errors) == (2, True)


@pytest.mark.parametrize("kind", ["endpoints", "ep"])
def test_endpoints_have_live_counts(get: Get, kind: str) -> None:
    assert cells(get(kind, "web")[1])[1] == [
        "web", "http/TCP", "rr", "127.0.0.1:8080", "web-pod", "1", "4", "0", "ready"
    ]  # fmt: skip
    assert cells(get(kind, "web", "-o", "wide")[1])[1][8:] == ["9", "2.0Ki", "1.0Ki", "web", "ready"]


@pytest.mark.parametrize("kind", ["connections", "connection", "conn"])
def test_connections_name_both_ends_and_what_passed(get: Get, kind: str) -> None:
    header, *rows = cells(get(kind)[1])
    assert header == ["SERVICE", "PROTOCOL", "CLIENT", "ENDPOINT", "POD", "IN", "OUT", "AGE", "WORKER", "STATE"]
    assert rows[0] == ["web", "TCP", "10.0.0.7:40000", "10.0.0.1:80", "web-1", "100", "2.9Ki", "90s", "2", "open"]
    assert [row[-1] for row in rows] == ["open", "open", "connecting", "unreplied"]


def test_workers_tell_what_they_may_do(get: Get) -> None:
    header, row = cells(get("workers", "-o", "wide")[1])
    assert header[-2:] == ["USER", "CAPABILITIES"]
    assert row[-2:] == ["nobody", "net_bind_service"]
    assert "USER" not in cells(get("workers")[1])[0]


def test_affinity_tells_how_long_is_left(get: Get) -> None:
    header, row = cells(get("affinity")[1])
    assert header == ["CLIENT", "SERVICE", "PORT", "ENDPOINT", "POD", "LEFT", "WORKER"]
    assert row == ["10.0.0.7", "web", "http/TCP", "10.0.0.1:80", "<none>", "120m", "2"]


def test_names_are_what_dns_answers(get: Get) -> None:
    assert cells(get("names")[1]) == [
        ["SERVICE", "NAME", "TYPE", "VALUE", "TTL"],
        ["web", "web.", "A", "127.96.0.1", "5"],
    ]


def test_names_are_of_a_namespace_of_a_service_or_all(get: Get) -> None:
    assert cells(get("names", "-A")[1]) == [
        ["NAMESPACE", "SERVICE", "NAME", "TYPE", "VALUE", "TTL"],
        ["default", "web", "web.", "A", "127.96.0.1", "5"],
        ["data", "db", "_sql._tcp.db.", "SRV", "0", "100", "5432", "db.", "5"],
    ]
    assert cells(get("names", "-n", "data", "--no-headers")[1]) == [
        ["db", "_sql._tcp.db.", "SRV", "0", "100", "5432", "db.", "5"]
    ]
    assert get("names", "web") == get("names") == get("names", "-o", "wide")


@pytest.mark.parametrize("names", [(), (WEB_NAME,)])
def test_names_that_nobody_is_told_are_remarked_upon(get: Get, proxy: Answering, names: tuple[NameReport, ...]) -> None:
    proxy.answers["/api/v1/names?namespace=default"] = ok(NamesAnswer(names, addresses=()))
    _, output, errors = get("names")
    assert errors == (
        "No names are answered: this proxy serves DNS at no address; svcproxy run --dns ADDR:PORT gives it one.\n"
    )
    assert len(output.splitlines()) == (2 if names else 0)
    assert get("names", "-o", "json")[2] == ""


def test_a_proxy_that_does_not_tell_where_it_answers_is_not_remarked_upon(get: Get, proxy: Answering) -> None:
    proxy.answers["/api/v1/names?namespace=default"] = ok(NamesAnswer(()))
    assert get("names") == (0, "", "No names in namespace default; 2 in other namespaces (-A).\n")


@pytest.mark.parametrize(("format", "load"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_names_are_data_as_well(get: Get, format: str, load: Callable[[str], Any]) -> None:
    assert load(get("names", "-n", "data", "-o", format)[1]) == [
        {
            "namespace": "data",
            "service": "db",
            "name": "_sql._tcp.db.",
            "recordType": "SRV",
            "value": "0 100 5432 db.",
            "ttl": 5,
        }
    ]


def test_workers_are_of_no_namespace(get: Get) -> None:
    assert cells(get("workers", "-n", "any")[1]) == [
        ["WORKER", "PID", "STATE", "RESTARTS", "CONNECTIONS", "FLOWS", "BUFFERED"],
        ["0", "4711", "running", "1", "7", "4", "2.0Ki/1.0Mi"],
    ]


@pytest.mark.parametrize(("format", "load"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_data_is_the_report(get: Get, format: str, load: Callable[[str], Any]) -> None:
    _, output, _ = get("svc", "web", "-o", format)
    (report,) = load(output)
    assert report["service"]["metadata"]["name"] == "web"
    assert report["pools"][0]["endpoints"][0]["active"] == 4
    assert output.endswith("\n")
    assert load(get("svc", "-n", "empty", "-o", format)[1]) == []


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("svc", ["service/api", "service/web"]),
        ("workers", ["worker/0"]),
        ("affinity", ["affinity/10.0.0.7"]),
    ],
)
def test_names_alone(get: Get, kind: str, names: list[str]) -> None:
    assert get(kind, "-o", "name")[1].splitlines() == names


def test_headers_may_be_left_out(get: Get) -> None:
    assert [row[0] for row in cells(get("svc", "--no-headers")[1])] == ["api", "web"]


@pytest.mark.parametrize(("by", "ages"), [("age", ["5m", "90s", "2s", "1s"]), ("AGE-", ["1s", "2s", "90s", "5m"])])
def test_rows_are_sorted_by_a_column(get: Get, by: str, ages: list[str]) -> None:
    assert [row[7] for row in cells(get("conn", "--sort-by", by)[1])[1:]] == ages


def test_text_is_sorted_from_a_to_z(get: Get) -> None:
    assert [row[0] for row in cells(get("svc", "--sort-by", "name-", "--no-headers")[1])] == ["web", "api"]


def test_a_column_that_is_not_there_is_a_mistake(get: Get) -> None:
    status, output, errors = get("svc", "--sort-by", "weight")
    assert (status, output) == (2, "")
    assert 'there is no column "weight" to sort by: it is one of NAME, TYPE' in errors


def test_what_was_left_out_is_admitted(get: Get) -> None:
    assert "only 4 connections are shown: name a Service to see its own" in get("conn", "-n", "busy")[2]


def test_an_empty_namespace_is_none(get: Get) -> None:
    assert get("svc", "-n", "empty") == (0, "", "No services in namespace empty; 3 in other namespaces (-A).\n")


@pytest.mark.parametrize(
    ("kind", "hint"), [("pods", "it is one of services, endpoints"), ("servces", 'did you mean "services"?')]
)
def test_an_unknown_kind_is_an_error(get: Get, kind: str, hint: str) -> None:
    status, _, errors = get(kind)
    assert status == 2
    assert f'unknown kind "{kind}": {hint}' in errors


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (404, b"", "answered 404"),
        (500, b"<html>", "answered 500"),
        (200, b"<html>", "is not svcproxy's"),
        (200, b'{"services": 1}', "is not svcproxy's"),
        (401, b'{"error": "the token is needed"}', "asks for a token: name the file that holds it with --token-file"),
        (403, b'{"error": "only health beyond loopback"}', "only health beyond loopback"),
    ],
)
def test_another_answer_is_one_line_with_the_way_out(
    answering: Start, run: Run, status: int, body: bytes, said: str
) -> None:
    exit_status, _, errors = run(answering({"/api/v1/services": (status, body)}).address, "get", "svc")
    assert (exit_status, errors.count("\n")) == (2, 1)
    assert said in errors


@pytest.mark.parametrize("by_flag", [True, False])
def test_the_token_of_a_file_is_sent(get: Get, proxy: Answering, run: Run, tmp_path: Path, by_flag: bool) -> None:
    file = tmp_path / "token"
    file.write_text("secret\n")
    flags = ("--token-file", str(file)) if by_flag else ()
    environment = {} if by_flag else {"SVCPROXY_TOKEN_FILE": str(file)}
    assert run(proxy.address, "get", "svc", *flags, **environment)[0] == 0
    assert proxy.requests[-1][1] == "Bearer secret"


@pytest.mark.parametrize(("content", "said"), [(None, "No such file"), (b"", "one token"), (b"\xff", "UTF-8")])
def test_a_token_file_that_is_none_is_a_mistake(get: Get, tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    status, _, errors = get("svc", "--token-file", str(file))
    assert status == 2
    assert said in errors


def test_where_nobody_answers_the_way_out_is_said(get: Get) -> None:
    status, _, errors = get("svc", "--server", "127.0.0.1:1")
    assert status == 2
    assert "no svcproxy answers on 127.0.0.1:1 (Connection refused): start one" in errors
    assert "--server" in errors


def test_the_address_of_the_page_is_an_address_too(get: Get, proxy: Answering) -> None:
    assert get("svc", "--server", f"http://{proxy.address}/")[0] == 0


@pytest.mark.parametrize("server", ["nonsense", "127.0.0.1", "127.0.0.1:http", ":80"])
def test_an_address_must_have_a_port(get: Get, server: str) -> None:
    status, _, errors = get("svc", "--server", server)
    assert status == 2
    assert "must be IP:PORT" in errors


def test_a_reader_who_has_seen_enough_is_no_traceback(proxy: Answering, monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", sys.stdout)
    errors = io.StringIO()
    assert main(["get", "svc"], Closed(), errors, {"SVCPROXY_SERVER": proxy.address}) == 1
    assert errors.getvalue() == ""
    sys.stdout.close()


@pytest.mark.parametrize("words", [("svc/web", "ep/web"), ("ep/web", "svc/web")])
def test_kinds_and_names_may_stand_together(get: Get, words: tuple[str, str]) -> None:
    status, output, errors = get(*words)
    assert (status, errors) == (0, "")
    tables = output.split("\n\n")
    assert [("TYPE" in table) for table in tables] == [each.startswith("svc") for each in words]
    assert all("web" in table for table in tables)


def test_several_kinds_stand_one_after_the_other(proxy: Answering, get: Get) -> None:
    proxy.answers["/api/v1/endpoints"] = ok(EndpointsAnswer(tuple(endpoints_of((API, WEB)))))
    status, output, _ = get("svc,ep,svc")
    assert status == 0
    assert output.count("CLUSTER-IP") == 1
    assert output.count("ENDPOINT ") == 1


@pytest.mark.parametrize(("words", "message"), [(("svc/web", "ep"), "KIND/NAME"), (("svc/", "svc/a"), "KIND/NAME")])
def test_mixed_forms_are_refused(get: Get, words: tuple[str, ...], message: str) -> None:
    status, output, errors = get(*words)
    assert (status, output) == (2, "")
    assert message in errors


def test_a_selector_leaves_the_services_with_the_labels_and_what_is_theirs(proxy: Answering, get: Get) -> None:
    labelled = msgspec.structs.replace(
        WEB,
        service=msgspec.structs.replace(
            WEB.service, metadata=msgspec.structs.replace(WEB.service.metadata, labels={"app": "web"})
        ),
    )
    proxy.answers = {
        path: answer for path, answer in proxy.answers.items() if not path.startswith("/api/v1/services")
    } | {
        "/api/v1/services": ok(ServicesAnswer((API, labelled))),
        "/api/v1/endpoints": ok(EndpointsAnswer(tuple(endpoints_of((API, labelled))))),
    }
    assert get("svc", "-l", "app=web", "-o", "name") == (0, "service/web\n", "")
    assert get("svc", "-l", "app!=web", "-o", "name") == (0, "service/api\n", "")
    status, output, _ = get("ep", "-l", "app", "-o", "jsonpath={.items[*].service}")
    assert (status, set(output.split())) == (0, {"web"})
    assert get("svc", "-l", "app=web=x")[0] == 2


def test_custom_columns_and_templates_begin_at_what_the_api_answers(get: Get) -> None:
    columns = "-o=custom-columns=NAME:.service.metadata.name,NONE:.nowhere"
    assert get("svc", "web", columns) == (0, "NAME   NONE\nweb    <none>\n", "")
    assert get("svc", "web", "-o", "jsonpath={.service.metadata.name}") == (0, "web", "")
    status, output, _ = get("svc", "-o", 'jsonpath={range .items[*]}{.service.metadata.name}{"\\n"}{end}')
    assert (status, output) == (0, "api\nweb\n")
    assert get("svc", "-o", "jsonpath={.a[}")[0] == 2
    assert get("svc", "-o", "template")[0] == 2
