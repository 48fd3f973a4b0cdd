"""`svcproxy get` against a server that answers as the running proxy does."""

import io
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import msgspec
import pytest
import yaml

from proxy.admin.report import EndpointReport, FrontendReport, PoolReport, ProxyReport, ServiceReport
from proxy.cli import main
from proxy.model.service import Service

Get = Callable[..., tuple[int, str, str]]


def service(name: str, namespace: str = "default") -> ServiceReport:
    document = {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "type": "ClusterIP",
            "clusterIPs": ["127.96.0.1"],
            "selector": {"app": name},
            "ports": [{"name": "http", "port": 80, "protocol": "TCP"}],
        },
    }
    endpoint = EndpointReport("127.0.0.1", 8080, f"{name}-pod", 1, 4, 0, False)
    return ServiceReport(
        msgspec.convert(document, Service),
        (FrontendReport("TCP", "127.96.0.1", 80, "ClusterIP", name, True),),
        (PoolReport(name, "http", "TCP", "rr", 0, (endpoint,)),),
        (),
    )


REPORT = msgspec.json.encode(ProxyReport((service("api"), service("web"), service("db", "data")), ()))


class Answering:
    """An HTTP server in a thread that gives the same answer to everybody, and its address."""

    def __init__(self, status: int, body: bytes) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status if self.path == "/api/v1/report" else 404)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: Any) -> None:
                """Nothing: the test's output is for the test."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def answering() -> Iterator[Callable[[int, bytes], str]]:
    """Starts servers; gives their addresses."""
    started: list[Answering] = []

    def start(status: int = 200, body: bytes = REPORT) -> str:
        started.append(Answering(status, body))
        return started[-1].address

    yield start
    for one in started:
        one.close()


@pytest.fixture
def get(answering: Callable[..., str]) -> Get:
    """Run the command against the report: exit status, output, errors."""
    address = answering()

    def run(*arguments: str, server: str = address) -> tuple[int, str, str]:
        output, errors = io.StringIO(), io.StringIO()
        status = main(["get", *arguments], output, errors, {"SVCPROXY_SERVER": server})
        return status, output.getvalue(), errors.getvalue()

    return run


@pytest.mark.parametrize("kind", ["services", "service", "svc"])
def test_services_have_kubectls_columns_and_their_state(get: Get, kind: str) -> None:
    status, output, _ = get(kind)
    lines = [line.split() for line in output.splitlines()]
    assert status == 0
    assert lines == [
        ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE", "STATE"],
        ["api", "ClusterIP", "127.96.0.1", "<none>", "80/TCP", "<unknown>", "serving"],
        ["web", "ClusterIP", "127.96.0.1", "<none>", "80/TCP", "<unknown>", "serving"],
    ]


def test_every_namespace_and_a_wide_table(get: Get) -> None:
    _, output, _ = get("svc", "-A", "-o", "wide")
    header, *rows = [line.split() for line in output.splitlines()]
    assert (header[0], header[-2:]) == ("NAMESPACE", ["SELECTOR", "STATE"])
    assert [(row[0], row[1], row[-2]) for row in rows] == [
        ("data", "db", "app=db"),
        ("default", "api", "app=api"),
        ("default", "web", "app=web"),
    ]


def test_one_service_of_another_namespace(get: Get) -> None:
    _, output, _ = get("svc", "db", "-n", "data")
    assert [line.split()[0] for line in output.splitlines()] == ["NAME", "db"]


@pytest.mark.parametrize("kind", ["endpoints", "ep"])
def test_endpoints_have_live_counts(get: Get, kind: str) -> None:
    _, output, _ = get(kind, "web")
    assert output.splitlines()[1].split() == [
        "web", "http/TCP", "rr", "127.0.0.1:8080", "web-pod", "1", "4", "0", "ready"
    ]  # fmt: skip


@pytest.mark.parametrize(("format", "load"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_data_is_the_report(get: Get, format: str, load: Callable[[str], Any]) -> None:
    _, output, _ = get("svc", "web", "-o", format)
    (report,) = load(output)
    assert report["service"]["metadata"]["name"] == "web"
    assert report["pools"][0]["endpoints"][0]["active"] == 4
    assert output.endswith("\n")


def test_a_service_that_is_not_there_is_an_error(get: Get) -> None:
    status, output, errors = get("svc", "nowhere")
    assert (status, output, errors) == (1, "", 'service "nowhere" not found in namespace default\n')


def test_an_empty_namespace_is_none(get: Get) -> None:
    status, output, errors = get("svc", "-n", "empty")
    assert (status, output, errors) == (0, "", "No services found in namespace empty.\n")


def test_an_unknown_kind_is_an_error(get: Get) -> None:
    status, _, errors = get("pods")
    assert status != 0
    assert 'unknown kind "pods"' in errors


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (404, b"", "answered 404"),
        (200, b"<html>", "is not svcproxy's"),
        (200, b'{"services": 1}', "is not svcproxy's"),
    ],
)
def test_another_server_is_recognised(
    get: Get, answering: Callable[..., str], status: int, body: bytes, said: str
) -> None:
    exit_status, _, errors = get("svc", server=answering(status, body))
    assert exit_status != 0
    assert said in errors


def test_where_nobody_answers_the_way_out_is_said(get: Get) -> None:
    status, _, errors = get("svc", "--server", "127.0.0.1:1")
    assert status != 0
    assert "no svcproxy answers on 127.0.0.1:1" in errors
    assert "--server" in errors


@pytest.mark.parametrize("server", ["nonsense", "127.0.0.1", "127.0.0.1:http", ":80"])
def test_an_address_must_have_a_port(get: Get, server: str) -> None:
    status, _, errors = get("svc", "--server", server)
    assert status != 0
    assert "must be IP:PORT" in errors
