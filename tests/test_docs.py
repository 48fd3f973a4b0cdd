"""README and docs: the tables name what the program has, all of it and nothing else, and every link leads somewhere.

Also the prose: no sentence has more than 30 words, since the reader should need to read it once.
"""

import argparse
import ast
import re
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
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

ROOT = Path(__file__).parents[1]
PAGES = (*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md")
MOST_WORDS = 30


@cache
def page(name: str) -> str:
    """The text of a page below docs/."""
    return (ROOT / "docs" / f"{name}.md").read_text()


def first_cells(name: str, heading: str) -> list[str]:
    """What stands in code in the first cells of the table after a heading of a page."""
    text = page(name)
    after = text[text.index(heading) :]
    table = re.search(r"(?:^\|.*\n)+", after, re.MULTILINE)
    assert table is not None
    return re.findall(r"^\| `([^`]+)` \|", table[0], re.MULTILINE)


def test_every_scheduler_has_a_row() -> None:
    assert sorted(first_cells("manifests", "## Schedulers")) == sorted(names())


def test_every_configuration_key_has_a_row() -> None:
    keys = {field.encode_name for field in msgspec.structs.fields(Configuration)}
    assert set(first_cells("configuration", "## Keys")) == keys


def test_every_flag_has_its_place() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    add_configuration_flags(parser)
    flags = {option for action in parser._actions for option in action.option_strings}
    assert {flag for flag in flags if flag not in page("configuration")} == set()


def test_every_close_reason_has_a_row_with_its_advice() -> None:
    assert first_cells("operations", "## Close reasons") == [reason.value for reason in CloseReason]
    assert all(reason.advice in page("operations") for reason in CloseReason)


async def test_every_metric_has_its_place() -> None:
    section = page("metrics")
    text = await page_of(busy_proxy())
    families = {*re.findall(r"^# HELP ([a-z_]+)", text, re.MULTILINE), *family_names()}
    own = {name for name in families if name.startswith("svcproxy_")}
    assert set(re.findall(r"`(svcproxy_[a-z_]+)`", section)) == own
    said = re.findall(r"`([a-z_]+\*?)`", section)
    assert [name for name in families if not any(fnmatch(name, each) for each in said)] == []


def test_every_field_of_a_log_line_has_its_place() -> None:
    text = page("operations")
    logs = text[text.index("## Logs") :].partition("## Close reasons")[0]
    of_events, _, of_flows = logs.partition("## The access log")
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
    everything = "".join(each.read_text() for each in PAGES)
    assert {name for name in COMMANDS if f"svcproxy {name}" not in everything} == set()
    kinds = re.search(r"^\| `svcproxy get KIND.*$", page("operations"), re.MULTILINE)
    assert kinds is not None
    assert {kind.names[0] for kind in KINDS} <= set(re.findall(r"`(\w+)`", kinds[0]))


@pytest.mark.parametrize("command", ["get", "describe", "top", "explain", "completion"])
def test_every_flag_of_what_looks_at_a_proxy_has_its_place(command: str) -> None:
    flags = {flag for action in parser_of(command)._actions for flag in action.option_strings[-1:]}
    common = {"--help", "--namespace", "--all-namespaces", "--output"}
    assert {flag for flag in flags - common if flag not in page("operations")} == set()


def test_every_annotation_has_a_row() -> None:
    known = {
        annotations.SCHEDULER,
        annotations.IDLE_TIMEOUT,
        annotations.CONNECT_TIMEOUT,
        annotations.PATH,
        WEIGHT_LABEL,
    }
    assert set(re.findall(r"`(svcproxy\.io/[a-z-]+)`", page("manifests"))) == known


def test_every_default_that_a_row_states_is_the_real_one() -> None:
    defaults = Configuration()
    for key, stated in re.findall(r"^\| `(\w+)` \| `([^`]+)`", page("configuration"), re.MULTILINE):
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


def test_the_readme_fits_on_three_screens() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 180


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(path: Path) -> None:
    missing = []
    for target in re.findall(r"\]\(([^)#\s]*(?:#[\w-]+)?)\)", path.read_text()):
        if target.startswith("http"):
            continue
        name, _, heading = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        if not file.exists() or (heading and heading not in anchors(file.read_text())):
            missing.append(target)
    assert missing == []


def anchors(text: str) -> set[str]:
    """The names by which a page's headings are linked to, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_in_the_table_of_contents() -> None:
    listed = set(re.findall(r"\]\(([\w-]+\.md)\)", page("README")))
    assert listed == {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_no_sentence_has_to_be_read_twice(path: Path) -> None:
    assert [each for each in sentences(path.read_text()) if len(each.split()) > MOST_WORDS] == []


def sentences(text: str) -> Iterator[str]:
    """The sentences of paragraphs and lists; code, tables and headings have none."""
    prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    for paragraph in re.split(r"\n\s*\n|\n(?= *(?:[-*]|\d+\.) )", prose):
        if not paragraph.lstrip().startswith(("|", "#", "---")):
            yield from re.split(r"(?<=[.:;!?])\s", " ".join(paragraph.split()))


def test_a_long_sentence_is_found() -> None:
    text = "# Head\n\nShort one. " + "word " * 31 + "end.\n\n```\n" + "code " * 40 + "\n```\n| " + "cell " * 40
    assert [len(each.split()) for each in sentences(text) if len(each.split()) > MOST_WORDS] == [32]


def test_the_readme_counts_the_libraries() -> None:
    numbers = {8: "eight", 9: "nine", 10: "ten", 11: "eleven"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"Python with {numbers[len(project['dependencies'])]} libraries" in (ROOT / "README.md").read_text()
