"""The words of the demo: the table, the lines to try, what to edit."""

from pathlib import Path
from typing import Any

import msgspec

from proxy.demo.announcement import announcement
from proxy.demo.places import Places
from proxy.model.problem import Problem
from proxy.model.service import Service

NOW = 1_770_000_000.0
CREATED = "2026-02-02T02:40:00Z"
NAME_SERVERS = (("127.96.0.10", 10053),)


def service(name: str, cluster_ip: str, *ports: dict[str, Any], type_: str = "ClusterIP") -> Service:
    spec = {"type": type_, "clusterIP": cluster_ip, "clusterIPs": [cluster_ip], "ports": ports}
    return msgspec.convert(
        {"metadata": {"name": name, "namespace": "default", "creationTimestamp": CREATED}, "spec": spec}, Service
    )


SERVICES = [
    service("redis", "127.96.4.2", {"port": 6379, "protocol": "TCP"}),
    service("myapp", "127.96.200.17", {"port": 80, "protocol": "TCP", "nodePort": 30080}, type_="NodePort"),
    service("echo", "127.96.9.9", {"port": 7007, "protocol": "TCP"}, {"port": 7007, "protocol": "UDP"}),
]


def lines(
    services: list[Service] = SERVICES, *problems: Problem, place: Path = Path("/copy"), page: str = ""
) -> list[str]:
    places = Places(place / "manifests", place / "kubeconfig", "/bin/svcproxy")
    return announcement(services, problems, places, page, NAME_SERVERS, NOW).splitlines()


def test_shows_the_services_as_kubectl_would() -> None:
    table = [line for line in lines() if line.startswith(("NAME", "echo", "myapp", "redis"))]
    assert table == [
        "NAME    TYPE        CLUSTER-IP      EXTERNAL-IP   PORT(S)             AGE",
        "echo    ClusterIP   127.96.9.9      <none>        7007/TCP,7007/UDP   0s",
        "myapp   NodePort    127.96.200.17   <none>        80:30080/TCP        0s",
        "redis   ClusterIP   127.96.4.2      <none>        6379/TCP            0s",
    ]


def test_gives_the_lines_to_try_with_the_real_addresses() -> None:
    shown = lines()
    assert "  while true; do curl http://127.0.0.1:30080/hostname.html; sleep 1; done" in shown
    assert "  echo PING | nc -w1 127.96.4.2 6379" in shown
    assert "  echo hello over TCP | nc -w1 127.96.9.9 7007" in shown
    assert "  echo hello over UDP | nc -u -w1 127.96.9.9 7007" in shown


def test_says_where_the_page_is() -> None:
    assert "Watch it in a browser: http://127.0.0.1:10249/" in lines(page="http://127.0.0.1:10249/")
    assert not any("browser" in line for line in lines())


def test_gives_the_line_that_watches_it_in_a_terminal() -> None:
    assert "  /bin/svcproxy top" in lines(page="http://127.0.0.1:10249/")
    assert "  /bin/svcproxy top --server [::1]:10250" in lines(page="http://[::1]:10250/")
    assert not any("svcproxy top" in line for line in lines())


def test_gives_the_line_that_asks_for_a_name() -> None:
    assert "  dig -t A myapp.default.svc.cluster.local. @127.96.0.10 -p 10053" in lines()


def test_tells_no_line_for_a_service_that_the_user_took_away() -> None:
    text = "\n".join(lines(SERVICES[:1]))
    assert "6379" in text
    assert "curl" not in text
    assert "7007" not in text
    assert "  kubectl get svc" in text
    assert "svc myapp" not in text


def test_says_where_the_manifests_are_and_quotes_the_path_for_the_shell() -> None:
    shown = lines(place=Path("/my copy"))
    assert any("/my copy/manifests" in line and "edit" in line for line in shown)
    assert "  sed -i 's/sessionAffinity: None/sessionAffinity: ClientIP/' '/my copy/manifests/myapp.yaml'" in shown


def test_gives_the_lines_for_kubectl_with_the_path_quoted_for_the_shell() -> None:
    shown = lines(place=Path("/my copy"))
    first = shown.index("  export KUBECONFIG='/my copy/kubeconfig'")
    assert shown[first + 1 : first + 4] == [
        "  kubectl get svc",
        "  kubectl describe svc myapp",
        """  kubectl patch svc myapp -p '{"spec":{"sessionAffinity":"ClientIP"}}'""",
    ]


def test_points_at_the_log_only_where_there_are_problems() -> None:
    problem = Problem("port 127.96.200.17:80/TCP: permission denied", "Service default/myapp")
    assert "The log above names 1 problem; everything else works." in lines(SERVICES, problem)
    assert "The log above names 2 problems; everything else works." in lines(SERVICES, problem, problem)
    assert not any("problem" in line for line in lines())
