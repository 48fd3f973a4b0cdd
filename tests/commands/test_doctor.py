"""`svcproxy doctor` on the machine that the tests run on."""

import io
import json
import os
import socket

import pytest

from proxy.cli import main

ANYWHERE = ("--metrics-bind-address", "127.0.0.1:0", "--healthz-bind-address", "127.0.0.1:0")


def doctor(*arguments: str, **environment: str) -> tuple[int, str, str]:
    output, errors = io.StringIO(), io.StringIO()
    status = main(["doctor", *arguments], output, errors, {"HOME": "/nonexistent", **environment})
    return status, output.getvalue(), errors.getvalue()


def test_it_fits_one_screen_and_tells_every_subject() -> None:
    status, output, errors = doctor(*ANYWHERE)
    assert (status, errors) == (0, "")
    lines = output.splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 100
    subjects = ("ports", "capabilities", "descriptors", "IPv6", "conntrack", "cgroup", "relay", "sklookup", "shortcut")
    assert [each for each in (*subjects, "nftables", "ipvs") if each not in output] == []
    assert lines[-1] == "What the configuration asks for is there."


def test_an_address_that_is_taken_fails_and_names_who_has_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        place = f"127.0.0.1:{holder.getsockname()[1]}"
        status, output, _ = doctor(*ANYWHERE[2:], "--metrics-bind-address", place)
        assert status == 1
        assert f"FAIL own address   {place}, which the proxy itself wants, is held by" in output
        assert f"(pid {os.getpid()})" in output
        assert output.splitlines()[-1] == "1 thing that the configuration asks for cannot be had here."


def test_programs_read_json() -> None:
    found = json.loads(doctor(*ANYWHERE, "-o", "json")[1])
    assert {each["state"] for each in found} <= {"ok", "-", "FAIL"}


@pytest.mark.parametrize(("arguments", "variables"), [(("--capture", "x"), {}), ((), {"SVCPROXY_CAPTURE": "x"})])
def test_a_mistake_is_named_where_it_is(arguments: tuple[str, ...], variables: dict[str, str]) -> None:
    status, _, errors = doctor(*arguments, **variables)
    assert status == 2
    assert errors.startswith("svcproxy: $SVCPROXY_CAPTURE: " if variables else "svcproxy: --capture: ")
