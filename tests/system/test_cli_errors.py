"""Bad input: one clear line on standard error, nothing on standard output, and the exit status for it."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.system.harness.command import svcproxy_command
from tests.system.harness.manifests import ManifestDirectory, port, service
from tests.system.harness.process import PATIENCE
from tests.system.harness.svcproxy import environment_in

HEADER = "apiVersion: svcproxy.io/v1alpha1\nkind: ProxyConfiguration\n"

REFUSED: Mapping[str, list[str]] = MappingProxyType(
    {
        "rum": ['unknown command "rum"', 'did you mean "run"?'],
        "--manifests good": ['unknown argument "--manifests"', "run, check, doctor, init, demo, get"],
        "run": ["nothing to serve", "svcproxy run PATH", "--service web:8000=", "svcproxy demo"],
        "run --manifests": ["--manifests", "expected one argument", "--help"],
        "run --manifest good": ["--manifest"],
        "run --manifests nowhere": ["manifests nowhere do not exist", "--manifests"],
        "run nowhere": ["manifests nowhere do not exist"],
        "run --service web": ["--service", "NAME:PORT", "web:8000="],
        "init good": ["good is not empty"],
        "run --manifests good --scheduler fastest": ["--scheduler", '"fastest"', '"rr"', '"wlc"'],
        "run --manifests good --grace soon": ["--grace", "soon"],
        "run --manifests good --metrics-bind-address here": ["--metrics-bind-address", "127.0.0.1:10249"],
        "run --manifests good --node-port-addresses lo": ["--node-port-addresses", '"lo"', "CIDR"],
        "run --manifests good --log-format xml": ["--log-format", '"xml"', '"json"'],
        "run --manifests good --log-level loud": ["--log-level", '"loud"', '"info"'],
        "run --manifests good --state-dir a-file": ["state directory a-file", "--state-dir"],
        "run --manifests good --access-log nowhere/log": ["--access-log", "nowhere/log"],
        "run --config nowhere.yaml": ["nowhere.yaml", "No such file"],
        "check": ["nothing to check"],
        "check nowhere": ["nowhere does not exist"],
        "check good good": ["good is given twice"],
        "get": ["KIND", "--help"],
        "get pods": ['unknown kind "pods"', "services, endpoints"],
        "get services --server here": ["--server", "IP:PORT", '"here"'],
        "get services nothing -A": ["--all-namespaces goes with no NAME"],
        "describe pod": ['unknown kind "pod"', "service"],
        "explain web": ["ADDRESS:PORT", "brackets"],
        "explain 127.0.0.1:80 --from me": ["IP address", '"me"'],
        "top --once --sort-by size": ["--sort-by", '"size"', "CONN/S"],
        "top --delay 0": ["--delay", "0.1"],
        "completion tcsh": ["tcsh", "bash", "zsh", "fish"],
        "get services --server 127.0.0.1:1": ["no svcproxy answers on 127.0.0.1:1", "--server"],
    }
)
"""What a refusal must say, by the arguments."""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory with manifests in `good` and `bad`, and a state directory that is a file."""
    ManifestDirectory(tmp_path / "good").put(service("web", port(80)))
    ManifestDirectory(tmp_path / "bad").put(service("web", port(0)))
    (tmp_path / "a-file").write_text("not a directory")
    return tmp_path


def refusal(directory: Path, *arguments: str) -> str:
    """The one line that a refused command says."""
    completed = svcproxy_command(directory, *arguments)
    assert completed.returncode == 2, completed
    assert completed.stdout == ""
    (line,) = completed.stderr.splitlines()
    assert line.startswith("svcproxy: ")
    return line


@pytest.mark.parametrize("arguments", REFUSED)
def test_arguments(directory: Path, arguments: str) -> None:
    line = refusal(directory, *arguments.split())
    assert [words for words in REFUSED[arguments] if words not in line] == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["must hold one mapping"]),
        ("scheduler: rr: lc\n", ["line 1"]),
        ("kind: ProxyConfiguration\n", ["apiVersion: is missing"]),
        ("apiVersion: v1\nkind: Service\n", ["apiVersion", "svcproxy.io/v1alpha1"]),
        (HEADER + "sheduler: rr\n", ["sheduler", 'did you mean "scheduler"?']),
        (HEADER + "scheduler: fastest\n", ["scheduler", '"fastest"']),
        (HEADER + "grace: 5 minutes\n", ["grace", "5 minutes"]),
        (HEADER + "nodePortRange: 30000\n", ["nodePortRange", "30000"]),
        (HEADER + 'nodePortRange: "40000-30000"\n', ["nodePortRange", "30000-32767"]),
        (HEADER + "serviceCIDR: 10.96.0.0/12\n", ["serviceCIDR", "unknown key"]),
        (HEADER + "serviceClusterIPRange: 10.96.0.1/12\n", ["serviceClusterIPRange", "10.96.0.1/12"]),
        (HEADER + "mode: ebpf\n", ["mode", '"ebpf"', '"userspace"']),
        (HEADER + "affinityEntries: 0\n", ["affinityEntries"]),
        (HEADER + "healthzBindAddress: localhost:80\n", ["healthzBindAddress", "localhost:80"]),
    ],
)
def test_configuration_files(directory: Path, text: str, words: list[str]) -> None:
    file = directory / "svcproxy.yaml"
    file.write_text(text)
    line = refusal(directory, "run", "--config", str(file), "--manifests", "good")
    assert line.startswith(f"svcproxy: {file}: ")
    assert [word for word in words if word not in line] == []


def test_check_names_file_document_and_field_and_exits_1(directory: Path) -> None:
    completed = svcproxy_command(directory, "check", "bad", "good")
    assert completed.returncode == 1
    problems = completed.stdout.splitlines()
    assert any(
        line.startswith("bad/service-web.json")
        and "Service default/web: spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive" in line
        for line in problems
    )
    assert completed.stderr == ""


def test_check_accepts_what_is_good(directory: Path) -> None:
    completed = svcproxy_command(directory, "check", "good")
    assert (completed.returncode, completed.stderr) == (0, "")
    assert completed.stdout == "1 Service, 0 endpoints, 0 problems\n"


@pytest.mark.parametrize(
    "arguments", [["--help"], ["run", "--help"], ["check", "-h"], ["get", "--help"], ["demo", "-h"]]
)
def test_help_is_no_error(directory: Path, arguments: list[str]) -> None:
    completed = svcproxy_command(directory, *arguments)
    assert (completed.returncode, completed.stderr) == (0, "")
    assert "usage: svcproxy" in completed.stdout


def test_version_is_no_error(directory: Path) -> None:
    completed = svcproxy_command(directory, "--version")
    assert (completed.returncode, completed.stderr) == (0, "")
    assert completed.stdout.startswith("svcproxy ")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
@pytest.mark.parametrize("arguments", [["--help"], ["check", "good"], ["completion", "bash"]])
def test_a_full_disk_for_standard_output_is_one_line(directory: Path, arguments: list[str]) -> None:
    with open("/dev/full", "w") as full:
        completed = subprocess.run(
            [sys.executable, "-m", "proxy", *arguments],
            cwd=directory,
            env=environment_in(directory),
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=PATIENCE,
            check=False,
        )
    assert completed.returncode == 1
    assert completed.stderr == b"svcproxy: standard output cannot be written: No space left on device\n"
