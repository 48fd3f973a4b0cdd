"""The README's tables name what the program has, all of it and nothing else."""

import argparse
import ast
import re
from fnmatch import fnmatch
from pathlib import Path

import msgspec
import pytest

import proxy
from proxy.admin.traffic_metrics import family_names
from proxy.cli import COMMANDS, parser_of
from proxy.client.kinds import KINDS
from proxy.configuration.config import Configuration
from proxy.configuration.flags import add_configuration_flags
from proxy.dataplane.access_log import AccessLogLine
from proxy.dataplane.close_reason import CloseReason
from proxy.model.pod_weight import WEIGHT_LABEL
from proxy.plan import annotations
from proxy.schedulers.registry import names
from tests.admin.test_metrics import busy_proxy, page_of

README = (Path(__file__).parent.parent / "README.md").read_text()


def first_cells(heading: str) -> list[str]:
    """What stands in code in the first cells of the table after a heading or line that begins so."""
    after = README[README.index(heading) :]
    table = re.search(r"(?:^\|.*\n)+", after, re.MULTILINE)
    assert table is not None
    return re.findall(r"^\| `([^`]+)` \|", table[0], re.MULTILINE)


def test_every_scheduler_has_a_row() -> None:
    assert sorted(first_cells("### Schedulers")) == sorted(names())


def test_every_configuration_key_has_a_row() -> None:
    keys = {field.encode_name for field in msgspec.structs.fields(Configuration)}
    assert set(first_cells("### Configuration")) == keys


def test_every_flag_has_its_place() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    add_configuration_flags(parser)
    flags = {option for action in parser._actions for option in action.option_strings}
    assert {flag for flag in flags if flag not in README} == set()


def test_every_close_reason_has_a_row_with_its_advice() -> None:
    assert first_cells("### Logs") == [reason.value for reason in CloseReason]
    assert all(reason.advice in README for reason in CloseReason)


async def test_every_metric_has_its_place() -> None:
    section = README[README.index("### Metrics") :].partition("\n### ")[0]
    text = await page_of(busy_proxy())
    families = {*re.findall(r"^# HELP ([a-z_]+)", text, re.MULTILINE), *family_names()}
    own = {name for name in families if name.startswith("svcproxy_")}
    assert set(re.findall(r"`(svcproxy_[a-z_]+)`", section)) == own
    said = re.findall(r"`([a-z_]+\*?)`", section)
    assert [name for name in families if not any(fnmatch(name, each) for each in said)] == []


def test_every_field_of_a_log_line_has_its_place() -> None:
    logs = README[README.index("### Logs") :].partition("\n| reason")[0]
    of_events, _, of_flows = logs.partition("`--access-log`")
    said = set(re.findall(r"`(\w+)`", of_events))
    assert said == logged_fields() | {"time", "level", "event", "exception"}
    written = {field.encode_name for field in msgspec.structs.fields(AccessLogLine)}
    assert written <= set(re.findall(r"`(\w+)`", of_flows))


def logged_fields() -> set[str]:
    """The names of the fields that the program's log calls give, read from its syntax trees."""
    return {
        keyword.arg
        for path in Path(proxy.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.keyword) and node.arg == "extra" and isinstance(node.value, ast.Call)
        for keyword in node.value.keywords
        if keyword.arg is not None
    }


def test_every_command_and_kind_has_its_place() -> None:
    assert {name for name in COMMANDS if f"svcproxy {name}" not in README} == set()
    kinds = re.search(r"^\| `svcproxy get KIND.*$", README, re.MULTILINE)
    assert kinds is not None
    assert {kind.names[0] for kind in KINDS} <= set(re.findall(r"`(\w+)`", kinds[0]))


@pytest.mark.parametrize("command", ["get", "describe", "top", "explain", "completion"])
def test_every_flag_of_what_looks_at_a_proxy_has_its_place(command: str) -> None:
    flags = {flag for action in parser_of(command)._actions for flag in action.option_strings[-1:]}
    common = {"--help", "--namespace", "--all-namespaces", "--output"}
    assert {flag for flag in flags - common if f"{flag}" not in README} == set()


def test_every_annotation_has_a_row() -> None:
    known = {
        annotations.SCHEDULER,
        annotations.IDLE_TIMEOUT,
        annotations.CONNECT_TIMEOUT,
        annotations.PATH,
        WEIGHT_LABEL,
    }
    assert set(re.findall(r"`(svcproxy\.io/[a-z-]+)`", README)) == known


def test_every_default_that_a_row_states_is_the_real_one() -> None:
    defaults = Configuration()
    for key, stated in re.findall(r"^\| `(\w+)` \| `([^`]+)`", README, re.MULTILINE):
        fields = {field.encode_name: field.name for field in msgspec.structs.fields(Configuration)}
        if key in fields and key != "stateDirectory":
            assert as_written(getattr(defaults, fields[key])) == stated, key


def as_written(value: object) -> str:
    """A value as a person writes it in the file."""
    if isinstance(value, float):
        return f"{value:g}s" if value else "0"
    if isinstance(value, tuple):
        separator = "-" if all(isinstance(part, int) for part in value) else ":"
        return separator.join(map(str, value))
    return str(value)
