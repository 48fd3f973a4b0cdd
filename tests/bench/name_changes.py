"""Name changes: from a change to the right DNS record with 1,000 Services, for each source of Services: a saved
manifest, a write to the API that svcproxy carries, and the same write as another svcproxy that follows it sees it.

Imports only rooms of the benchmark. Invariant: the clock starts when the edited file has its name, or when the write is
sent, and stops when an answer has the new record; every wait is bounded.
"""

import base64
import http.client
import json
import random
import socket
import ssl
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import machine
import measurement
import msgspec
import yaml
from child import Child
from percentile import milliseconds
from svcproxy import REPOSITORY, run_command
from wait import until

NAME = "moving"
READY_SECONDS, EDIT_SECONDS = 60.0, 10.0
PAUSE_SECONDS = (0.05, 0.25)
"""Of random length, so that the changes do not fall in step with anything periodic in the proxy."""
API = "127.0.0.1:15360"
DNS = ("127.0.0.1", 15361)
_QUESTION = b"\0\7\1\0\0\1\0\0\0\0\0\0" + b"\6moving\7default\3svc\7cluster\5local\0" + b"\0\5\0\1"


class Figures(msgspec.Struct, frozen=True):
    """Seconds from each change to the right record, by what changed."""

    services: int
    rows: dict[str, list[float]]

    def __str__(self) -> str:
        about = f"from a change to its DNS record, {self.services} Services"
        return "\n".join((about, *(f"{row}: {milliseconds(found)}" for row, found in self.rows.items())))


class Subject:
    """svcproxy in a directory of its own, on manifests there or on the cluster that a kubeconfig leads to."""

    def __init__(
        self, directory: Path, name: str, cores: machine.Cores, *flags: str, follows: Path | None = None
    ) -> None:
        self.manifests, self.state = directory / name / "manifests", directory / name / "state"
        for each in (self.manifests, self.state):
            each.mkdir(parents=True)
        command = [*run_command(self.manifests, self.state), *flags]
        if follows is not None:
            source = command.index("--manifests")
            command[source : source + 2] = ["--kubeconfig", str(follows)]
        self.child = Child(f"svcproxy ({name})", command, cores.proxy, directory / f"{name}.log", REPOSITORY)

    @property
    def kubeconfig(self) -> Path:
        return self.state / "kubeconfig"


def main() -> int:
    parser = measurement.parser("Measures the time from a change to the right DNS record.", "name_changes")
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--edits", type=int, default=50)
    options = parser.parse_args()
    return measurement.take(options, lambda cores: _measure(options.services, options.edits, cores))


def _measure(services: int, edits: int, cores: machine.Cores) -> Figures:
    measurement.keep_to(cores.load)
    here = ("--dns", f"{DNS[0]}:{DNS[1]}")
    carried = ("--standalone", "--api-bind-address", API)
    rows: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="svcproxy-bench-") as name:
        directory = Path(name)
        with ExitStack() as stack:
            subject = _start(stack, Subject(directory, "manifests", cores, *here), services)
            rows["a saved manifest"] = _edit(subject.child, edits, lambda target: _save(subject.manifests, target))
        with ExitStack() as stack:
            subject = _start(stack, Subject(directory, "API", cores, *carried, *here), services)
            write = _writer(subject.kubeconfig)
            rows["a write to the API"] = _edit(subject.child, edits, write)
        with ExitStack() as stack:
            # Serves nothing itself, so that the addresses are the follower's.
            config = directory / "carrier.json"
            kind = {"apiVersion": "svcproxy.io/v1alpha1", "kind": "ProxyConfiguration"}
            config.write_text(json.dumps(kind | {"serviceProxyName": "nobody"}))
            others = ("--config", str(config), "--dns", "off")
            carrier = _start(stack, Subject(directory, "carrier", cores, *carried, *others), services)
            until(carrier.child, carrier.kubeconfig.exists, READY_SECONDS)
            follower = Subject(directory, "follower", cores, *here, follows=carrier.kubeconfig)
            stack.enter_context(follower.child)
            rows["a write to a followed API"] = _edit(follower.child, edits, _writer(carrier.kubeconfig))
    return Figures(services, rows)


def _start(stack: ExitStack, subject: Subject, services: int) -> Subject:
    """The running subject, with so many Services and the one that changes."""
    for number in range(services - 1):
        spec = {"ports": [{"name": "http", "port": 8080}]}
        (subject.manifests / f"{number}.yaml").write_text(_service(f"web-{number}", spec))
    _save(subject.manifests, "start")
    stack.enter_context(subject.child)
    return subject


def _service(name: str, spec: object) -> str:
    return yaml.safe_dump({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec})


def _spec(target: str) -> dict[str, str]:
    return {"type": "ExternalName", "externalName": f"{target}.example"}


def _save(manifests: Path, target: str) -> float:
    """Save the Service that changes; the time at which the file had its name."""
    draft = manifests / "moving.draft"
    draft.write_text(_service(NAME, _spec(target)))
    draft.rename(manifests / "moving.yaml")
    return time.perf_counter()


def _writer(kubeconfig: Path) -> Callable[[str], float]:
    """Writes the Service that changes to the API; the time at which that was begun."""

    def write(target: str) -> float:
        found = yaml.safe_load(kubeconfig.read_text())
        authority = base64.b64decode(found["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
        host, _, port = API.partition(":")
        context = ssl.create_default_context(cadata=authority)
        connection = http.client.HTTPSConnection(host, int(port), context=context, timeout=EDIT_SECONDS)
        connection.connect()
        headers = {
            "Authorization": f"Bearer {found['users'][0]['user']['token']}",
            "Content-Type": "application/merge-patch+json",
        }
        path = f"/api/v1/namespaces/default/services/{NAME}"
        began = time.perf_counter()
        connection.request("PATCH", path, json.dumps({"spec": _spec(target)}), headers)
        response = connection.getresponse()
        response.read()
        connection.close()
        if response.status != 200:
            raise measurement.MeasurementFailedError(f"the API answered {response.status}")
        return began

    return write


def _edit(child: Child, edits: int, change: Callable[[str], float]) -> list[float]:
    until(child, lambda: _target() is not None, READY_SECONDS)
    draw = random.Random(1)
    latencies = []
    for number in range(edits):
        time.sleep(draw.uniform(*PAUSE_SECONDS))
        target = f"target-{number}"
        began = change(target)
        latencies.append(_time_of(target, began) - began)
    return latencies


def _time_of(target: str, since: float) -> float:
    while time.perf_counter() < since + EDIT_SECONDS:
        if _target() == target:
            return time.perf_counter()
        time.sleep(0.0005)
    raise measurement.MeasurementFailedError(f"{target} was not answered within {EDIT_SECONDS:.0f} s of the change")


def _target() -> str | None:
    """The first label of what the Service's name is an alias of; None where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.5)
        try:
            client.connect(DNS)
            client.send(_QUESTION)
            answer = client.recv(512)
        except OSError:
            return None
    if answer[7] != 1:
        return None
    start = len(_QUESTION) + 12  # behind the pointer to the name, type, class, time to live and length
    return answer[start + 1 : start + 1 + answer[start]].decode()


if __name__ == "__main__":
    sys.exit(main())
