"""Name answers: how many DNS questions a second one core answers with 1,000 Services, beside dnsmasq with the same
names.

Imports only rooms of the benchmark. Invariant: both servers answer the same questions from the same generator with
the same codes, or the run fails; no question leaves loopback.
"""

import argparse
import os
import pwd
import re
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import measurement
import yaml
from child import Child, ChildFailedError
from machine import Cores
from meter import Meter
from svcproxy import REPOSITORY, run_command
from wait import until

ZONE = "default.svc.cluster.local"
HOST, PORT = "127.0.0.1", 15353
READY_SECONDS = 60.0
CLIENTS, OUTSTANDING = 8, 100
DEBIAN_PACKAGES = ("dnsperf", "dnsmasq-base")
PROGRAMS = ("dnsperf", "dnsmasq", "taskset", "setpriv")


class Question(NamedTuple):
    """A name and a type, as dnsperf reads them."""

    name: str
    record_type: str


class Figures(NamedTuple):
    """One measurement: answers a second, processor time of the server, and the codes of the answers."""

    rate: float
    microseconds: float
    codes: str


class Rows(NamedTuple):
    """The measurements of each server by row."""

    services: int
    rows: dict[str, dict[str, list[Figures]]]

    def __str__(self) -> str:
        about = f"{self.services} Services, {CLIENTS} clients, {OUTSTANDING} questions outstanding; median (range)"
        return "\n".join((about, *(_line(row, found) for row, found in self.rows.items())))


def main() -> int:
    parser = measurement.parser("Measures DNS answers a second beside dnsmasq.", "name_answers")
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    return measurement.take(options, lambda cores: _measure_all(options, cores), PROGRAMS, DEBIAN_PACKAGES)


def _measure_all(options: argparse.Namespace, cores: Cores) -> Rows:
    with tempfile.TemporaryDirectory(prefix="svcproxy-bench-") as name:
        return Rows(options.services, _measure_rows(options, cores, Path(name)))


def _measure_rows(options: argparse.Namespace, cores: Cores, directory: Path) -> dict[str, dict[str, list[Figures]]]:
    directory.chmod(0o755)
    addresses = [f"127.96.{100 + number // 250}.{number % 250 + 1}" for number in range(options.services)]
    servers = {"svcproxy": _svcproxy(directory, addresses), "dnsmasq": _dnsmasq(directory, addresses)}
    rows = {}
    for row, questions in _rows(addresses).items():
        file = directory / f"{row}.txt"
        file.write_text("".join(f"{each.name} {each.record_type}\n" for each in questions))
        found: dict[str, list[Figures]] = {name: [] for name in servers}
        for _ in range(options.rounds):
            for name, command in servers.items():
                found[name].append(_measure(name, command, cores, file, options.seconds, directory))
        _check_codes(row, found)
        rows[row] = found
    return rows


def _rows(addresses: Sequence[str]) -> dict[str, list[Question]]:
    names = [f"web-{number}.{ZONE}" for number in range(len(addresses))]
    plain = [Question(name, "A") for name in names]
    mixed = [
        question
        for name, address in zip(names, addresses, strict=True)
        for question in (
            Question(name, "A"),
            Question(name, "AAAA"),
            Question(f"_http._tcp.{name}", "SRV"),
            Question(f"{'.'.join(reversed(address.split('.')))}.in-addr.arpa", "PTR"),
            Question(f"nobody-{name}", "A"),
        )
    ]
    return {"A": plain, "mixed": mixed}


def _svcproxy(directory: Path, addresses: Sequence[str]) -> list[str]:
    manifests, state = directory / "manifests", directory / "state"
    manifests.mkdir()
    state.mkdir()
    documents = [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": f"web-{number}"},
            "spec": {"clusterIP": address, "ports": [{"name": "http", "port": 8080}]},
        }
        for number, address in enumerate(addresses)
    ]
    (manifests / "bench.yaml").write_text(yaml.safe_dump_all(documents))
    return [*run_command(manifests, state), "--dns", f"{HOST}:{PORT}"]


def _dnsmasq(directory: Path, addresses: Sequence[str]) -> list[str]:
    lines = [
        *("keep-in-foreground", "no-resolv", "no-hosts", "bind-interfaces", "pid-file"),
        *(f"listen-address={HOST}", f"port={PORT}", f"user={pwd.getpwuid(os.geteuid()).pw_name}"),
        *("local=/cluster.local/", "local-ttl=5", "cache-size=10000"),
    ]
    for number, address in enumerate(addresses):
        name = f"web-{number}.{ZONE}"
        lines += [f"host-record={name},{address}", f"srv-host=_http._tcp.{name},{name},8080"]
    file = directory / "dnsmasq.conf"
    file.write_text("\n".join(lines) + "\n")
    return ["dnsmasq", f"--conf-file={file}"]


def _measure(name: str, command: list[str], cores: Cores, questions: Path, seconds: int, directory: Path) -> Figures:
    with Child(name, command, cores.proxy, directory / f"{name}.log", REPOSITORY) as child:
        until(child, lambda: _answers(f"web-0.{ZONE}"), READY_SECONDS)
        _load(questions, 1, cores.load)
        with Meter(child.pids(), ()) as meter:
            report = _load(questions, seconds, cores.load)
    completed = int(_number(report, r"Queries completed: +(\d+)"))
    if _number(report, r"Queries lost: +(\d+)") > completed / 1000:
        raise ChildFailedError(f"{name} lost questions:\n{report}")
    codes = re.search(r"Response codes: +(.*)", report)
    assert codes is not None
    return Figures(
        rate=_number(report, r"Queries per second: +([\d.]+)"),
        microseconds=meter.proxy / completed * 1e6,
        codes=re.sub(r" \d+ \((\d+)\.\d+%\)", r" \1%", codes[1]),
    )


def _load(questions: Path, seconds: int, core: int) -> str:
    command = ["dnsperf", "-s", HOST, "-p", str(PORT), "-d", str(questions), "-l", str(seconds)]
    command += ["-c", str(CLIENTS), "-q", str(OUTSTANDING)]
    pinned = ["taskset", "--cpu-list", str(core), *command]
    return subprocess.run(pinned, check=True, capture_output=True, text=True).stdout


def _answers(name: str) -> bool:
    labels = b"".join(bytes((len(label),)) + label.encode() for label in name.split("."))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.2)
        try:
            client.connect((HOST, PORT))
            client.send(b"\0\1\1\0\0\1\0\0\0\0\0\0" + labels + b"\0\0\1\0\1")
            return client.recv(512)[3] & 15 == 0
        except OSError:
            return False


def _number(report: str, pattern: str) -> float:
    found = re.search(pattern, report)
    if found is None:
        raise ChildFailedError(f"dnsperf says nothing about {pattern}:\n{report}")
    return float(found[1])


def _check_codes(row: str, found: Mapping[str, Sequence[Figures]]) -> None:
    codes = {figures.codes for each in found.values() for figures in each}
    if len(codes) != 1:
        raise ChildFailedError(f"{row}: the servers do not answer alike: {', '.join(sorted(codes))}")


def _line(row: str, found: Mapping[str, Sequence[Figures]]) -> str:
    rates = {name: statistics.median(each.rate for each in figures) for name, figures in found.items()}
    costs = {name: statistics.median(each.microseconds for each in figures) for name, figures in found.items()}
    cells = [
        f"{name} {rates[name]:,.0f}/s ({min(each.rate for each in figures):,.0f}-"
        f"{max(each.rate for each in figures):,.0f}), {costs[name]:.1f} µs of CPU an answer"
        for name, figures in found.items()
    ]
    rate, cost = rates["svcproxy"] / rates["dnsmasq"], costs["dnsmasq"] / costs["svcproxy"]
    return f"{row} ({found['svcproxy'][0].codes}): {'; '.join(cells)}; ratio {rate:.2f} by rate, {cost:.2f} by CPU"


if __name__ == "__main__":
    sys.exit(main())
