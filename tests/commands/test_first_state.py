"""Every command that looks at a proxy which knows nothing yet."""

import msgspec
import pytest

from tests.commands.answering import Run, Start

LISTS = (
    "services",
    "services/default/web",
    "endpoints",
    "workers",
    "names",
    "connections",
    "affinity",
    "explain",
)
WHY = "the first lists of the cluster are not there yet: API server https://a: cannot list services: no (500)"


@pytest.mark.parametrize(
    "command",
    [
        "get services",
        "get services web",
        "get services -A -o json",
        "get endpoints",
        "get workers",
        "get names",
        "get connections",
        "get affinity",
        "describe service web",
        "describe service",
        "explain 127.96.0.1:80",
        "explain service web",
        "top --once",
    ],
)
def test_every_command_says_that_nothing_is_there_yet_and_why(answering: Start, run: Run, command: str) -> None:
    body = msgspec.json.encode({"error": WHY, "reason": "NoFirstState"})
    proxy = answering({f"/api/v1/{name}": (503, body) for name in LISTS})
    assert run(proxy.address, *command.split()) == (1, "", f"svcproxy: {proxy.address}: {WHY}\n")
