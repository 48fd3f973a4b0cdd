"""`svcproxy version` and `svcproxy api-resources`."""

from proxy import __version__
from tests.commands.answering import Answering, Run, Start, ok


def test_both_versions_are_told(answering: Start, run: Run) -> None:
    server = answering({"/api/v1/version": ok({"version": "9.9"})})
    assert run(server.address, "version") == (0, f"Client Version: {__version__}\nServer Version: 9.9\n", "")


def test_without_a_proxy_the_own_one_is_told(run: Run) -> None:
    status, output, errors = run("127.0.0.1:1", "version")
    assert (status, output) == (1, f"Client Version: {__version__}\n")
    assert errors.startswith("no svcproxy answers on 127.0.0.1:1")
    assert run("127.0.0.1:1", "version", "--client") == (0, f"Client Version: {__version__}\n", "")


def test_the_kinds_are_listed_with_their_short_names(run: Run) -> None:
    status, output, errors = run("127.0.0.1:1", "api-resources")
    assert (status, errors) == (0, "")
    assert output.splitlines()[0].split() == ["NAME", "SHORTNAMES", "NAMESPACED"]
    assert ["services", "service,svc", "true"] in [line.split() for line in output.splitlines()]
    assert run("127.0.0.1:1", "api-resources", "--no-headers")[1] == output.partition("\n")[2]


def test_a_token_that_is_not_the_proxys_is_named_with_its_file(answering: Start, run: Run, tmp_path: object) -> None:
    server: Answering = answering({"/api/v1/services": (401, b'{"error": "no"}')})
    file = f"{tmp_path}/token"
    with open(file, "w") as stream:
        stream.write("wrong")
    status, _, errors = run(server.address, "get", "svc", "--token-file", file)
    assert status == 2
    assert f"{server.address} refused: the token in {file} is not this proxy's" in errors


def test_a_variable_is_named_where_it_is_at_fault(run: Run) -> None:
    assert run("x", "get", "svc")[2] == (
        'svcproxy: $SVCPROXY_SERVER must be IP:PORT with a port from 1 to 65535, or unix:PATH, not "x"\n'
    )
    assert "--server must be IP:PORT" in run("x", "get", "svc", "--server", "127.0.0.1:99999")[2]
    assert (
        "$SVCPROXY_TOKEN_FILE: /nope cannot be read" in run("127.0.0.1:1", "get", "svc", SVCPROXY_TOKEN_FILE="/nope")[2]
    )
