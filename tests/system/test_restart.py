"""What outlives the process: addresses that were given out, and the claim on their directory."""

import json
import re
import signal
from functools import partial
from pathlib import Path

import pytest

from tests.system.harness.eventually import eventually
from tests.system.harness.manifests import Manifest, ManifestDirectory, port, service
from tests.system.harness.svcproxy import StartSvcproxy, Svcproxy

Given = dict[str, tuple[str, int | None]]


def web(name: str, **spec: object) -> Manifest:
    return service(name, port(80), **({"type": "NodePort"} | spec))


def given(proxy: Svcproxy) -> Given:
    """ClusterIP and first node port of every Service."""
    services = [each["service"] for each in json.loads(proxy.get("/api/v1/services")[1])["services"]]
    return {
        each["metadata"]["name"]: (each["spec"]["clusterIPs"][0], each["spec"]["ports"][0].get("nodePort"))
        for each in services
    }


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_restart_gives_the_same_addresses(svcproxy: StartSvcproxy, tmp_path: Path, end: signal.Signals) -> None:
    manifests = ManifestDirectory(tmp_path / "manifests")
    manifests.put(*(web(f"web-{number}") for number in range(8)))
    first = svcproxy(manifests)
    before = given(first)
    assert len(set(before.values())) == 8
    first.stop(end)
    manifests.put(*(web(f"added-{number}") for number in range(4)))
    after = given(svcproxy(manifests))
    assert {name: after[name] for name in before} == before
    assert len(set(after.values())) == 12


def test_a_service_keeps_its_addresses_for_life(svcproxy: StartSvcproxy) -> None:
    proxy = svcproxy([web("web"), web("other")])
    before = given(proxy)
    for changed in (
        web("web", sessionAffinity="ClientIP"),
        service("web", port(8080), type="NodePort", selector={"app": "web"}),
        web("web", type="LoadBalancer"),
    ):
        proxy.manifests.put(changed)
        eventually(partial(is_in_force, proxy, changed), "the edit in force")
        assert given(proxy) == before
    proxy.manifests.put(web("web", type="ClusterIP"))
    eventually(lambda: given(proxy)["web"][1] in (None, 0), "the node port given back")
    assert given(proxy)["web"][0] == before["web"][0]


def is_in_force(proxy: Svcproxy, manifest: Manifest) -> bool:
    spec, wanted = proxy.service("web")["service"]["spec"], manifest["spec"]
    return all(
        (
            spec["ports"][0]["port"] == wanted["ports"][0]["port"],
            spec.get("sessionAffinity", "None") == wanted.get("sessionAffinity", "None"),
            spec["type"] == wanted["type"],
            (spec.get("selector") or None) == wanted.get("selector"),
        )
    )


def one_line(process: Svcproxy) -> str:
    """What a process that would not start said: one line, and exit status 2."""
    assert process.wait() == 2
    (line,) = process.stderr
    assert process.stdout == []
    return line


def test_a_second_process_on_one_state_directory_is_refused_and_harms_nothing(svcproxy: StartSvcproxy) -> None:
    first = svcproxy([web("web")])
    before = given(first)
    line = one_line(svcproxy(first.manifests, wait=False))
    assert f"is in use by another svcproxy (pid {first.pid})" in line
    assert "--state-dir" in line
    assert given(first) == before
    assert first.stop() == 0
    assert given(svcproxy(first.manifests)) == before


@pytest.mark.parametrize("content", ["", "{", '{"version": 1}', '{"version": 99, "ledger": {}}', "\x00" * 100])
def test_a_damaged_ledger_is_refused_and_left_as_it_is(svcproxy: StartSvcproxy, tmp_path: Path, content: str) -> None:
    ledger = tmp_path / "state" / "ledger.json"
    ledger.parent.mkdir()
    ledger.write_text(content)
    line = one_line(svcproxy([web("web")], wait=False))
    assert str(ledger) in line
    assert re.search("restore it|use the newer svcproxy", line)
    assert ledger.read_text() == content
