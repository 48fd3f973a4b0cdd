"""`svcproxy check`, called as the command line calls it."""

import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.cli import main
from tests.sources.exported_cluster import EXPORTED, LEFT_OUT

_SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: %s}
spec: {selector: {app: %s}, sessionAffinity: %s, ports: [{port: 80}]%s}
"""
_POD = "{apiVersion: v1, kind: Pod, metadata: {name: p%s, labels: {app: %s}}, status: {podIP: 127.0.0.%s}}\n"


def _service(name: str, affinity: str = "None", extra: str = "") -> str:
    return _SERVICE % (name, name, affinity, extra)


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, list[str], str]]:
    """Run it in tmp_path: exit status, lines of output, errors."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, list[str], str]:
        output, errors = io.StringIO(), io.StringIO()
        status = main(["check", *arguments], output, errors, {"HOME": str(tmp_path)})
        return status, output.getvalue().splitlines(), errors.getvalue()

    return run


Check = Callable[..., tuple[int, list[str], str]]


def test_good_manifests_are_counted(check: Check, tmp_path: Path) -> None:
    (tmp_path / "svc.yaml").write_text("---".join([_service("a"), _service("b")]))
    (tmp_path / "pods.yaml").write_text("---\n".join(_POD % (number, "a", number) for number in (1, 2, 3)))
    assert check("svc.yaml", "pods.yaml") == (0, ["2 Services, 3 endpoints, 0 problems"], "")


def test_a_problem_has_the_api_servers_words_and_its_place(check: Check, tmp_path: Path) -> None:
    (tmp_path / "svc.yaml").write_text(_service("myapp", "ClusterIP"))
    assert check("svc.yaml") == (
        1,
        [
            "svc.yaml (document 1): Service default/myapp: spec.sessionAffinity: "
            'Unsupported value: "ClusterIP": supported values: "ClientIP", "None"',
            "0 Services, 0 endpoints, 1 problem",
        ],
        "",
    )


def test_an_exported_cluster_is_no_problem_and_what_is_left_out_is_said(check: Check, tmp_path: Path) -> None:
    (tmp_path / "exported.yaml").write_text(EXPORTED)
    status, (left_out, summary), _ = check("exported.yaml")
    assert (status, summary) == (0, "2 Services, 2 endpoints, 0 problems")
    assert left_out.startswith(f"exported.yaml: {LEFT_OUT}")


def test_problems_of_allocation_and_of_the_plan_have_their_place_too(check: Check, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "b.yaml").write_text(_service("far", extra=", clusterIP: 10.1.2.3"))
    (tmp_path / "d" / "a.yaml").write_text(
        "---\n# none\n---"
        + _service("odd").replace("{name: odd}", "{name: odd, annotations: {svcproxy.io/scheduler: x}}")
    )
    status, lines, _ = check("--manifests", "d")
    assert status == 1
    assert lines[0].startswith(
        "d/a.yaml (document 2): Service default/odd: metadata.annotations[svcproxy.io/scheduler]: Unsupported value"
    )
    assert lines[1].startswith("d/b.yaml (document 1): Service default/far: spec.clusterIPs")
    assert lines[2] == "2 Services, 0 endpoints, 2 problems"


def test_what_the_proxy_has_no_use_for_is_counted(check: Check, tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(
        "---\n".join(f"{{apiVersion: x/v1, kind: {kind}}}\n" for kind in ("Deployment", "ConfigMap", "Deployment"))
    )
    assert check("all.yaml") == (0, ["0 Services, 0 endpoints, 1 ConfigMap, 2 Deployment ignored, 0 problems"], "")


def test_a_configuration_is_checked_with_its_manifests(check: Check, tmp_path: Path) -> None:
    header = "apiVersion: svcproxy.io/v1alpha1\nkind: ProxyConfiguration\n"
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a.yaml").write_text(_service("a", extra=", clusterIP: 10.1.2.3"))
    (tmp_path / "good.yaml").write_text(header + "manifests: [d]\nserviceClusterIPRange: 10.0.0.0/8\n")
    assert check("--config", "good.yaml") == (
        0,
        ["1 Service, 0 endpoints, 0 problems", "names are answered on 10.0.0.10:53 or 10.0.0.10:10053"],
        "",
    )
    (tmp_path / "bad.yaml").write_text(header + "grace: soon\nschedular: rr\n")
    assert check("--config", "bad.yaml") == (
        1,
        [
            'bad.yaml: grace: invalid duration "soon": use for example 30s, 5m or 1h30m',
            'bad.yaml: schedular: unknown key: did you mean "scheduler"?',
            "0 Services, 0 endpoints, 2 problems",
        ],
        "",
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("grace: 1s", "names are answered on 127.96.0.10:53 or 127.96.0.10:10053"),
        (
            "serviceClusterIPRange: 10.0.0.0/16,fd00::/112",
            "names are answered on 10.0.0.10:53 or 10.0.0.10:10053, [fd00::a]:53 or [fd00::a]:10053",
        ),
        ('dns: {bindAddress: "[::1]:5353"}', "names are answered on [::1]:5353"),
        ("dns: {bindAddress: off}", "no names are answered: dns.bindAddress is off"),
        (
            "inCluster: true",
            "no names are answered: the cluster has its own DNS; dns.bindAddress ADDR:PORT answers here as well",
        ),
        ("inCluster: true\ndns: {bindAddress: 127.0.0.1:53}", "names are answered on 127.0.0.1:53"),
        (
            "serviceClusterIPRange: 10.0.0.0/29",
            "no names are answered: the service range has no tenth address; give one as dns.bindAddress",
        ),
    ],
)
def test_it_says_where_names_will_be_answered(check: Check, tmp_path: Path, text: str, line: str) -> None:
    header = "apiVersion: svcproxy.io/v1alpha1\nkind: ProxyConfiguration\n"
    (tmp_path / "c.yaml").write_text(header + text)
    assert check("--config", "c.yaml") == (0, ["0 Services, 0 endpoints, 0 problems", line], "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone.yaml"], "gone.yaml does not exist"),
        (["a.yaml", "a.yaml"], "a.yaml is given twice"),
        (["a.yaml", "./a.yaml"], "./a.yaml is given twice, once as a.yaml"),
        (["--config", "gone.yaml"], "configuration gone.yaml does not exist: correct --config"),
        ([], "nothing to check: name files or directories of manifests, - for standard input, or --config FILE"),
    ],
)
def test_what_cannot_be_checked_is_one_line(check: Check, tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "a.yaml").write_text("")
    assert check(*arguments) == (2, [], f"svcproxy: {message}\n")


def test_nothing_is_written_anywhere(check: Check, tmp_path: Path) -> None:
    (tmp_path / "svc.yaml").write_text(_service("a"))
    check("svc.yaml")
    assert os.listdir(tmp_path) == ["svc.yaml"]


def test_standard_input_is_checked_like_a_file(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    standard_input = io.TextIOWrapper(io.BytesIO(_service("myapp", "ClusterIP").encode()))
    monkeypatch.setattr("sys.stdin", standard_input)
    status, lines, _ = check("-")
    assert status == 1
    assert lines[0].startswith("standard input (document 1): Service default/myapp: spec.sessionAffinity: ")


def test_a_line_is_checked_like_a_manifest(check: Check) -> None:
    assert check("--service", "web:80=:81,:82") == (0, ["1 Service, 2 endpoints, 0 problems"], "")
    status, lines, _ = check("--service", "web:80=[::1]:81")
    assert status == 1
    assert lines[0].startswith("--service (document 1): Service default/web: spec.ipFamilies[0]: ")
