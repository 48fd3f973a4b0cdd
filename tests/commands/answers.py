"""What a running proxy answers to `svcproxy get`: two namespaces, some flows, a worker."""

from collections.abc import Callable

import msgspec

from proxy.admin.api_answers import EndpointsAnswer, NamesAnswer, ServicesAnswer, WorkersAnswer, endpoints_of
from proxy.dns.name_report import NameReport
from proxy.model.service import Service
from proxy.reports.flow_report import AffinityAnswer, AffinityReport, ConnectionReport, ConnectionsAnswer
from proxy.reports.report import EndpointReport, FrontendReport, PoolReport, ServiceReport, WorkerReport
from tests.commands.answering import Answers, ok

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
    endpoint = EndpointReport("127.0.0.1", 8080, f"{name}-pod", 1, 4, 0, False, 9, 2048, 1024)
    return ServiceReport(
        msgspec.convert(document, Service),
        (FrontendReport("TCP", "127.96.0.1", 80, "ClusterIP", name, True),),
        (PoolReport(name, "http", "TCP", "rr", 0, (endpoint,)),),
        (),
    )


API, WEB, DB = service("api"), service("web"), service("db", "data")


def connection(client: str, seconds: float, connect: float = 0.1, protocol: str = "TCP") -> ConnectionReport:
    return ConnectionReport(
        protocol,
        client,
        "default/web",
        f"0.0.0.0:8/{protocol}",
        "10.0.0.1:80",
        "web-1",
        2,
        100,
        3000,
        connect,
        seconds,
    )


CONNECTIONS = (
    connection("10.0.0.7:40000", 90),
    connection("[fd00::7]:5", 300),
    connection("10.0.0.8:9", 1, -1.0),
    connection("10.0.0.9:9", 2, -1.0, "UDP"),
)
AFFINITY = (AffinityReport("10.0.0.7", "default/web", "http/TCP", "10.0.0.1:80", "", 2, 7200.0),)
WORKER = WorkerReport(
    0,
    4711,
    "running",
    1,
    7,
    4,
    buffered_bytes=2048,
    buffer_capacity=1 << 20,
    user="nobody",
    capabilities=("net_bind_service",),
)
DNS = (("127.96.0.10", 10053),)
WEB_NAME = NameReport("default", "web", "web.", "A", "127.96.0.1", 5)
DB_NAME = NameReport("data", "db", "_sql._tcp.db.", "SRV", "0 100 5432 db.", 5)
ANSWERS: Answers = {
    "/api/v1/services": ok(ServicesAnswer((API, WEB, DB))),
    "/api/v1/services?namespace=default": ok(ServicesAnswer((API, WEB))),
    "/api/v1/services?namespace=default&service=web": ok(ServicesAnswer((WEB,))),
    "/api/v1/services?namespace=default&service=nowhere": ok(ServicesAnswer(())),
    "/api/v1/services?namespace=data&service=db": ok(ServicesAnswer((DB,))),
    "/api/v1/services?namespace=empty": ok(ServicesAnswer(())),
    "/api/v1/services/default/idle": ok(WEB),
    "/api/v1/endpoints?namespace=default&service=web": ok(EndpointsAnswer(tuple(endpoints_of((WEB,))))),
    "/api/v1/endpoints?namespace=default&service=idle": ok(EndpointsAnswer(())),
    "/api/v1/connections": ok(ConnectionsAnswer(CONNECTIONS, complete=True)),
    "/api/v1/connections?namespace=busy": ok(ConnectionsAnswer(CONNECTIONS, complete=False)),
    "/api/v1/affinity": ok(AffinityAnswer(AFFINITY, complete=True)),
    "/api/v1/names": ok(NamesAnswer((WEB_NAME, DB_NAME), DNS)),
    "/api/v1/names?namespace=default": ok(NamesAnswer((WEB_NAME,), DNS)),
    "/api/v1/names?namespace=data": ok(NamesAnswer((DB_NAME,), DNS)),
    "/api/v1/names?namespace=default&service=web": ok(NamesAnswer((WEB_NAME,), DNS)),
    "/api/v1/workers": ok(WorkersAnswer((WORKER,))),
}


def cells(output: str) -> list[list[str]]:
    return [line.split() for line in output.splitlines()]
