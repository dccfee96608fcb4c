"""Alerts and dashboard ask for what a real worker exports, and a real Prometheus answers them."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from .programs import (
    DEPLOY,
    ROOT,
    answer,
    checked,
    exported_to,
    free_port,
    is_well,
    started,
    tool,
    until,
)

RULES = DEPLOY / "prometheus" / "alerts.yml"
RULES_TEST = DEPLOY / "prometheus" / "alerts_test.yml"
CONFIGURATION = DEPLOY / "prometheus" / "prometheus.yml"
DASHBOARD = json.loads((DEPLOY / "grafana" / "ladderpipe.json").read_text())
COMPOSE = yaml.safe_load((DEPLOY / "docker" / "compose.yaml").read_text())

ALERTS = {
    rule["alert"]: rule
    for group in yaml.safe_load(RULES.read_text())["groups"]
    for rule in group["rules"]
}
PANELS = {panel["title"]: panel for panel in DASHBOARD["panels"]}


def asked_by(panel: dict[str, Any]) -> list[str]:
    """Return what a panel asks, with what Grafana puts into it."""
    return [
        target["expr"].replace("$pipeline", ".*").replace("$__rate_interval", "1m")
        for target in panel["targets"]
    ]


EXPRESSIONS = {name: [rule["expr"]] for name, rule in ALERTS.items()} | {
    name: asked_by(panel) for name, panel in PANELS.items()
}


def metrics_in(expression: str) -> set[str]:
    return set(
        re.findall(r"\bladderpipe_\w+(?=\{|\[|\)| |$)", re.sub(r"\bby \(.*?\)", "", expression))
    )


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Run a worker as the container does; return the port at which it exports."""
    port = free_port()
    folder = tmp_path_factory.mktemp("worker")
    program = COMPOSE["services"]["worker"]
    command = [program["entrypoint"][0], "python", "-m", "tests.deploy.busy_shop"]
    with started(command, folder, **exported_to(port, program["environment"])) as process:
        address = f"http://127.0.0.1:{port}/metrics"

        def has_measured() -> bool:
            found = answer(address)
            return found is not None and "ladderpipe_worker_seen_seconds{" in found.text

        until(has_measured, process, folder)
        yield port


ACCEPTED = {
    "text": "text/plain;version=0.0.4",
    # How a Prometheus 3 asks, which takes names with dots as well.
    "openmetrics": "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8",
}


@pytest.fixture(scope="module", params=ACCEPTED)
def exported(worker: int, request: pytest.FixtureRequest) -> dict[str, set[str]]:
    """Return the labels of every metric that the worker exports."""
    found = answer(f"http://127.0.0.1:{worker}/metrics", ACCEPTED[request.param])
    assert found is not None
    assert (request.param == "openmetrics") == found.text.endswith("# EOF\n")
    labels: dict[str, set[str]] = {}
    for name, told in re.findall(r"(?m)^(ladderpipe_\w+)\{(.*)\} ", found.text):
        labels.setdefault(name, set()).update(re.findall(r'(\w+)="', told))
    return labels


@pytest.mark.parametrize("name", sorted(EXPRESSIONS))
def test_what_is_asked_for_is_exported(name: str, exported: dict[str, set[str]]) -> None:
    for expression in EXPRESSIONS[name]:
        asked = metrics_in(expression)
        assert asked
        assert asked <= exported.keys()
        told = {label for metric in asked for label in exported[metric]}
        by = ",".join(re.findall(r"\bby \((.*?)\)", expression))
        assert set(re.findall(r"\w+", by)) <= told
        assert set(re.findall(r"(\w+)=~?\"", expression)) <= told


def test_everything_that_is_exported_is_shown(exported: dict[str, set[str]]) -> None:
    shown = {
        metric for name in PANELS for asked in EXPRESSIONS[name] for metric in metrics_in(asked)
    }
    parts = re.compile("_(bucket|sum|count)$")
    assert {parts.sub("", name) for name in exported} == {parts.sub("", name) for name in shown}


@pytest.fixture(scope="module")
def prometheus(worker: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a Prometheus with our configuration, at its own pace, on that worker."""
    program = tool("prometheus", "Debian's package prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    settings = yaml.safe_load(CONFIGURATION.read_text())
    settings["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    settings["scrape_configs"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{worker}"]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
    shutil.copy(RULES, folder)
    port = free_port()
    command = [
        program,
        "--config.file=prometheus.yml",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    address = f"http://127.0.0.1:{port}"
    with started(command, folder) as process:
        until(lambda: is_well(f"{address}/-/ready"), process, folder)
        # What is asked for by the minute needs two samples.
        scraped = "count_over_time(ladderpipe_worker_seen_seconds[1m]) > 3"
        until(lambda: bool(result(address, scraped)), process, folder)
        yield address


def result(address: str, expression: str) -> list[Any]:
    found = answer(f"{address}/api/v1/query", query=expression)
    assert found is not None
    assert found.json()["status"] == "success", found.text
    told: list[Any] = found.json()["data"]["result"]
    return told


@pytest.mark.parametrize("title", sorted(PANELS))
def test_each_panel_of_the_dashboard_has_something_to_show(title: str, prometheus: str) -> None:
    for expression in asked_by(PANELS[title]):
        assert result(prometheus, expression), expression


def test_prometheus_evaluates_every_rule(prometheus: str) -> None:
    found = answer(f"{prometheus}/api/v1/rules")
    assert found is not None
    (group,) = found.json()["data"]["groups"]
    assert {rule["name"]: rule["health"] for rule in group["rules"]} == dict.fromkeys(ALERTS, "ok")
    told = {rule["name"]: rule["state"] for rule in group["rules"]}
    # The shop is in trouble: what needs no time is told at once, what does is noticed.
    assert told["LadderpipeSweepsFail"] == told["LadderpipeEventsConflict"] == "firing"
    assert told["LadderpipeDeadLetters"] == told["LadderpipeEventsHeld"] == "pending"
    assert told["LadderpipeNoWorker"] == told["LadderpipeWorkerHangs"] == "inactive"


def test_the_rules_hold_what_their_own_tests_say() -> None:
    promtool = tool("promtool", "Debian's package prometheus")
    checked(promtool, "check", "rules", RULES)
    checked(promtool, "check", "config", CONFIGURATION)
    checked(promtool, "test", "rules", RULES_TEST)


def test_of_every_alert_it_is_tested_when_it_fires_and_when_it_does_not() -> None:
    cases = [
        case
        for test in yaml.safe_load(RULES_TEST.read_text())["tests"]
        for case in test["alert_rule_test"]
    ]
    assert {case["alertname"] for case in cases if case.get("exp_alerts")} == ALERTS.keys()
    assert {case["alertname"] for case in cases if not case.get("exp_alerts")} == ALERTS.keys()


@pytest.mark.parametrize("alert", sorted(ALERTS))
def test_a_rule_that_never_fires_is_noticed(alert: str, tmp_path: Path) -> None:
    promtool = tool("promtool", "Debian's package prometheus")
    rules = yaml.safe_load(RULES.read_text())
    for rule in rules["groups"][0]["rules"]:
        if rule["alert"] == alert:
            rule["expr"] = f"({rule['expr']}) > 1e12"
    (tmp_path / RULES.name).write_text(yaml.safe_dump(rules))
    shutil.copy(RULES_TEST, tmp_path)
    with pytest.raises(AssertionError, match=f"(?s)FAILED.*{alert}"):
        checked(promtool, "test", "rules", tmp_path / RULES_TEST.name)


def test_every_alert_says_what_to_do() -> None:
    for rule in ALERTS.values():
        assert set(rule["annotations"]) == {"summary", "description"}
        assert rule["labels"]["severity"] in ("critical", "warning", "info")


def test_the_panels_lie_side_by_side() -> None:
    """Neither over each other nor beyond the 24 columns that a dashboard of Grafana's has."""
    cells = [
        (column, row)
        for panel in PANELS.values()
        for at in [panel["gridPos"]]
        for column in range(at["x"], at["x"] + at["w"])
        for row in range(at["y"], at["y"] + at["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(column for column, _ in cells) < 24
    assert len({panel["id"] for panel in PANELS.values()}) == len(DASHBOARD["panels"])
    known = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?([a-z]\w*)", json.dumps(DASHBOARD["panels"])))
    assert used == known


def test_the_documentation_tells_of_every_metric(exported: dict[str, set[str]]) -> None:
    page = (ROOT / "docs" / "how-to" / "observe.md").read_text()
    told = re.findall(r"(?m)^\| `(ladderpipe\.[\w.]+)` \| (?:counter|gauge|histogram)", page)
    plain = re.compile("_(total|seconds|bucket|sum|count|seconds_(bucket|sum|count))$")
    assert {plain.sub("", name) for name in exported} == {name.replace(".", "_") for name in told}
