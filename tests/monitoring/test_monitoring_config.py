"""The shipped alerts and the dashboard: promtool takes them, and every metric in them is one that the proxy has."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from proxy.dataplane.close_reason import CloseReason
from tests.admin.test_metrics import busy_proxy, page_of

CONFIG = Path(__file__).parents[2] / "config" / "monitoring"
ALERTS = CONFIG / "alerts.yaml"
METRIC = re.compile(r"\b(?:svcproxy|kubeproxy|process)_[a-z_]+\b")


async def exposed() -> set[str]:
    text = await page_of(busy_proxy())
    return {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((CONFIG / "dashboard.json").read_text())
    return found


def expressions() -> Iterator[tuple[str, str]]:
    """What each expression is for, and its text."""
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            yield f"panel {panel['title']}", target["expr"]
    for variable in dashboard()["templating"]["list"]:
        yield f"variable {variable['name']}", variable["query"]
    for group in yaml.safe_load(ALERTS.read_text())["groups"]:
        for rule in group["rules"]:
            yield f"alert {rule['alert']}", rule["expr"]


async def test_every_metric_that_is_named_is_one_of_the_proxys() -> None:
    known = await exposed()
    unknown = {(where, name) for where, text in expressions() for name in METRIC.findall(text) if name not in known}
    assert unknown == set()
    assert sum(len(METRIC.findall(text)) for _, text in expressions()) > 40


def test_every_panel_has_a_place_of_its_own_and_a_number() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = {
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    }
    assert len(taken) == sum(panel["gridPos"]["w"] * panel["gridPos"]["h"] for panel in panels)
    assert max(x for x, _ in taken) < 24


def test_every_alert_says_what_to_do() -> None:
    for group in yaml.safe_load(ALERTS.read_text())["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in ("warning", "critical")
            assert {"summary", "description"} <= rule["annotations"].keys(), rule["alert"]


def test_labels_of_reasons_are_few() -> None:
    assert len(CloseReason) <= 32


@pytest.mark.requires("promtool")
@pytest.mark.parametrize(
    "words", [("check", "rules", str(ALERTS)), ("test", "rules", str(Path(__file__).with_name("alerts_test.yaml")))]
)
def test_promtool_takes_the_alerts(words: tuple[str, ...]) -> None:
    done = subprocess.run([shutil.which("promtool") or "promtool", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.requires("promtool")
def test_promtool_takes_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    queries = [text for where, text in expressions() if where.startswith("panel")]
    plain = [query.replace("$__rate_interval", "5m") for query in queries]
    rules = [{"record": f"panel:{number}", "expr": query} for number, query in enumerate(plain)]
    file = tmp_path / "rules.json"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    words = (shutil.which("promtool") or "promtool", "check", "rules", str(file))
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
