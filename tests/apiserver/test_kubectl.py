"""The kubectl of this machine, unmodified, against the API."""

import asyncio
import json
import os
import re
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from proxy.apiserver.embedded_api import EmbeddedAPI

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")

Kubectl = Callable[..., Awaitable[tuple[int, str]]]

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {name: a, labels: {app: web}}
spec: {containers: [{name: c, image: nginx, ports: [{containerPort: 8080}]}]}
status: {phase: Running, podIP: 127.0.0.9}
"""


@pytest.fixture
def environment(api: EmbeddedAPI, tmp_path: Path) -> dict[str, str]:
    """The environment of a kubectl that knows this API and has no cache of another."""
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "KUBECONFIG": api.kubeconfig}


@pytest.fixture
def kubectl(environment: dict[str, str]) -> Kubectl:
    """`code, output = await kubectl("get", "svc", stdin="...")`; the output is both streams together."""

    async def run(*words: str, stdin: str = "") -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            "kubectl",
            *words,
            env=environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await asyncio.wait_for(process.communicate(stdin.encode()), 30)
        assert process.returncode is not None
        return process.returncode, output.decode()

    return run


async def test_apply_is_created_then_unchanged_then_configured(kubectl: Kubectl) -> None:
    manifest = f"{SERVICE}---{POD}"
    assert await kubectl("apply", "-f", "-", stdin=manifest) == (0, "service/web created\npod/a created\n")
    assert await kubectl("apply", "-f", "-", stdin=manifest) == (0, "service/web unchanged\npod/a unchanged\n")
    changed = SERVICE.replace("port: 80,", "port: 81,")
    assert await kubectl("apply", "-f", "-", stdin=changed) == (0, "service/web configured\n")
    _, output = await kubectl("get", "svc", "web", "-o", "jsonpath={.spec.ports[*].port}")
    assert output == "81"


async def test_get_and_describe_show_the_endpoints(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", "-", stdin=f"{SERVICE}---{POD}")
    _, output = await kubectl("get", "svc,endpoints,endpointslices", "-o", "wide")
    assert "SELECTOR" in output
    assert "127.0.0.9:8080" in output
    _, output = await kubectl("describe", "svc", "web")
    lines = {line.partition(":")[0]: line.partition(":")[2].strip() for line in output.splitlines()}
    assert lines["Endpoints"] == "127.0.0.9:8080"
    assert lines["Selector"] == "app=web"
    assert lines["Events"] == "<none>"


async def test_a_bad_patch_is_refused_with_the_apis_words_and_changes_nothing(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", "-", stdin=SERVICE)
    assert await kubectl("patch", "svc", "web", "-p", '{"spec":{"sessionAffinity":"ClientIP"}}') == (
        0,
        "service/web patched\n",
    )
    _, before = await kubectl("get", "svc", "web", "-o", "json")
    code, output = await kubectl("patch", "svc", "web", "-p", '{"spec":{"sessionAffinity":"ClusterIP"}}')
    assert code == 1
    assert output == (
        'The Service "web" is invalid: spec.sessionAffinity: Unsupported value: "ClusterIP": '
        'supported values: "ClientIP", "None"\n'
    )
    _, after = await kubectl("get", "svc", "web", "-o", "json")
    assert json.loads(after) == json.loads(before)


async def test_server_side_apply_dry_run_label_replace_and_delete(kubectl: Kubectl) -> None:
    assert await kubectl("apply", "--server-side", "-f", "-", stdin=SERVICE) == (0, "service/web serverside-applied\n")
    assert await kubectl("apply", "--server-side", "-f", "-", stdin=SERVICE) == (0, "service/web serverside-applied\n")
    code, output = await kubectl("apply", "--dry-run=server", "-f", "-", stdin=POD)
    assert (code, output) == (0, "pod/a created (server dry run)\n")
    assert (await kubectl("get", "pod", "a"))[0] == 1
    assert await kubectl("label", "svc", "web", "x=y") == (0, "service/web labeled\n")
    assert await kubectl("replace", "-f", "-", stdin=SERVICE) == (0, "service/web replaced\n")
    assert await kubectl("delete", "svc", "web") == (0, 'service "web" deleted\n')


async def test_an_unknown_field_is_named(kubectl: Kubectl) -> None:
    code, output = await kubectl("apply", "-f", "-", stdin=SERVICE.replace("selector", "selektor"))
    assert code == 1
    # Newer kubectl leaves the finding to the server, which gives the whole path; older kubectl finds it itself.
    assert re.search(r'unknown field "(spec\.)?selektor"', output)


async def test_a_watch_sees_everything_in_order(kubectl: Kubectl, environment: dict[str, str]) -> None:
    await kubectl("apply", "-f", "-", stdin=SERVICE)
    words = ("get", "svc", "--watch", "--output-watch-events", "--no-headers")
    process = await asyncio.create_subprocess_exec("kubectl", *words, env=environment, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    lines = [await asyncio.wait_for(process.stdout.readline(), 30)]
    await kubectl("patch", "svc", "web", "-p", '{"spec":{"type":"NodePort"}}')
    lines.append(await asyncio.wait_for(process.stdout.readline(), 30))
    await kubectl("delete", "svc", "web")
    lines.append(await asyncio.wait_for(process.stdout.readline(), 30))
    process.terminate()
    await process.wait()
    seen = [tuple(line.decode().split()[:3]) for line in lines]
    assert seen == [("ADDED", "web", "ClusterIP"), ("MODIFIED", "web", "NodePort"), ("DELETED", "web", "NodePort")]


async def test_typed_commands_create_what_they_say(kubectl: Kubectl) -> None:
    assert await kubectl("create", "namespace", "shop") == (0, "namespace/shop created\n")
    assert await kubectl("get", "ns", "shop", "-o", "jsonpath={.status.phase}") == (0, "Active")
    create = ("create", "-n", "shop", "service")
    words = ("--tcp=80:8080", "--tcp=443")
    assert await kubectl(*create, "clusterip", "a", *words) == (0, "service/a created\n")
    assert await kubectl(*create, "clusterip", "b", "--clusterip=None") == (0, "service/b created\n")
    assert await kubectl(*create, "nodeport", "c", "--tcp=80", "--node-port=30005") == (0, "service/c created\n")
    assert await kubectl(*create, "loadbalancer", "d", "--tcp=53:dns") == (0, "service/d created\n")
    assert await kubectl(*create, "externalname", "e", "--external-name=bar.com") == (0, "service/e created\n")
    template = (
        "{range .items[*]}{.metadata.name} {.spec.type} {.spec.clusterIP} {.spec.externalName} {.spec.selector} "
        "{range .spec.ports[*]}{.name}/{.port}/{.targetPort}/{.protocol}/{.nodePort} {end}\n{end}"
    )
    _, output = await kubectl("get", "svc", "-n", "shop", "-o", f"jsonpath={template}")
    lines = [re.sub(r"10\.0\.0\.\d+", "IP", line).split() for line in output.splitlines()]
    assert [[word for word in line if word != "/"] for line in lines] == [
        ["a", "ClusterIP", "IP", '{"app":"a"}', "80-8080/80/8080/TCP/", "443/443/443/TCP/"],
        ["b", "ClusterIP", "None", '{"app":"b"}'],
        ["c", "NodePort", "IP", '{"app":"c"}', "80/80/80/TCP/30005"],
        ["d", "LoadBalancer", "IP", '{"app":"d"}', lines[3][4]],
        ["e", "ExternalName", "bar.com", '{"app":"e"}'],
    ]
    assert re.fullmatch(r"53-dns/53/dns/TCP/300\d\d", lines[3][4])


async def test_typed_commands_may_be_a_dry_run(kubectl: Kubectl) -> None:
    words = ("create", "service", "clusterip", "a", "--tcp=80", "--dry-run=server")
    assert await kubectl(*words) == (0, "service/a created (server dry run)\n")
    _, output = await kubectl(*words, "-o", "json")
    assert json.loads(output)["spec"]["ports"] == [{"name": "80", "port": 80, "protocol": "TCP", "targetPort": 80}]
    assert (await kubectl("get", "svc", "a"))[0] == 1
    assert await kubectl("create", "ns", "x", "--dry-run=server") == (0, "namespace/x created (server dry run)\n")


async def test_typed_commands_that_fail_say_why_in_the_apis_words(kubectl: Kubectl) -> None:
    assert await kubectl("create", "namespace", "default") == (
        1,
        'Error from server (AlreadyExists): namespaces "default" already exists\n',
    )
    await kubectl("create", "service", "nodeport", "a", "--tcp=80", "--node-port=30005")
    assert await kubectl("create", "service", "clusterip", "a", "--tcp=80") == (
        1,
        'error: failed to create ClusterIP service: services "a" already exists\n',
    )
    code, output = await kubectl("create", "service", "nodeport", "b", "--tcp=80", "--node-port=99")
    assert code == 1
    assert output.startswith(
        'error: failed to create NodePort service: Service "b" is invalid: spec.ports[0].nodePort: Invalid value: 99: '
        "provided port is not in the valid range. The range of valid ports is 30000-30009"
    )
    assert await kubectl("create", "service", "nodeport", "b", "--tcp=80", "--node-port=30005") == (
        1,
        'error: failed to create NodePort service: Service "b" is invalid: spec.ports[0].nodePort: '
        "Invalid value: 30005: provided port is already allocated\n",
    )
    assert await kubectl("create", "service", "clusterip", "b", "--tcp=80", "-n", "nowhere") == (
        1,
        'error: failed to create ClusterIP service: namespaces "nowhere" not found\n',
    )


async def test_a_drained_node_has_its_pods_deleted(kubectl: Kubectl) -> None:
    node = "apiVersion: v1\nkind: Node\nmetadata: {name: here}\n"
    pod = POD.replace("spec: {", "spec: {nodeName: here, terminationGracePeriodSeconds: 1, ")
    await kubectl("create", "-f", "-", stdin=f"{pod}---\n{node}")
    code, output = await kubectl("drain", "here", "--force", "--disable-eviction")
    assert (code, output.splitlines()[-1]) == (0, "node/here drained")
    assert (await kubectl("get", "pod", "a"))[0] == 1


async def test_unknown_kinds_in_a_file_cost_themselves_alone(kubectl: Kubectl) -> None:
    kinds = {"ConfigMap": "v1", "Secret": "v1", "ServiceAccount": "v1", "Deployment": "apps/v1"}
    unknown = "".join(f"---\napiVersion: {kinds[kind]}\nkind: {kind}\nmetadata: {{name: a}}\n" for kind in kinds)
    code, output = await kubectl("apply", "-f", "-", stdin=f"{unknown}---{SERVICE}")
    assert code == 1
    assert "service/web created" in output
    for kind, version in kinds.items():
        assert f'no matches for kind "{kind}" in version "{version}"' in output


async def test_a_user_learns_who_they_are_and_what_they_may(kubectl: Kubectl) -> None:
    assert (await kubectl("auth", "can-i", "delete", "services")) == (0, "yes\n")
    code, output = await kubectl("auth", "can-i", "--list")
    assert (code, "*.*" in output) == (0, True)
    code, output = await kubectl("get", "--raw", "/readyz?verbose")
    assert (code, output.splitlines()[-1]) == (0, "readyz check passed")
