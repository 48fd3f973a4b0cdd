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
        "NAME    TYPE        CLUSTER-IP      PORT(S)",
        "echo    ClusterIP   127.96.9.9      7007/TCP,7007/UDP",
        "myapp   NodePort    127.96.200.17   80:30080/TCP",
        "redis   ClusterIP   127.96.4.2      6379/TCP",
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
    assert "  sed -i 's/y: None/y: ClientIP/' '/my copy/manifests/myapp.yaml'" in shown


def test_gives_the_lines_for_kubectl_with_the_path_quoted_for_the_shell() -> None:
    shown = lines(place=Path("/my copy"))
    first = shown.index("  export KUBECONFIG='/my copy/kubeconfig'")
    assert shown[first + 1 : first + 4] == [
        "  kubectl get svc",
        "  kubectl describe svc myapp",
        """  kubectl patch svc myapp -p '{"spec":{"sessionAffinity":"ClientIP"}}'""",
    ]


def test_says_what_does_not_listen_and_that_the_rest_does() -> None:
    problem = Problem("ports below 1024 need the capability NET_BIND_SERVICE", "Service default/myapp")
    shown = lines(SERVICES, problem)
    first = shown.index("This does not listen here, and everything else works:")
    assert shown[first + 2] == "  Service default/myapp: ports below 1024 need the capability NET_BIND_SERVICE"
    assert not any("does not listen" in line for line in lines())


def test_no_line_is_longer_than_a_terminal_is_wide() -> None:
    problem = Problem("word " * 40, "Service default/myapp")
    shown = lines(SERVICES, problem, place=Path("/tmp/svcproxy-12345678"), page="http://127.0.0.1:10249/")
    assert [line for line in shown if len(line) > 80] == []


def test_without_a_service_it_says_how_one_is_made() -> None:
    shown = lines([])
    assert "There is no Service yet." in shown
    assert "  kubectl create service nodeport myapp --tcp=80:80" in shown
    assert not any("sed" in line or "curl" in line for line in shown)


def test_another_demo_is_named_with_its_process() -> None:
    places = Places(Path("/m"), Path("/k"), "svcproxy")
    text = announcement(SERVICES, (), places, "", NAME_SERVERS, NOW, other=123)
    assert text.startswith("Another demo runs (pid 123); this one has other ports.\n")
