"""The declaration of a ladder's events: in Python, in files, and as JSON Schema for senders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladderpipe import Event, Pipeline, Stage, by_hand, dump, load, on, templates
from ladderpipe.errors import DefinitionError
from ladderpipe.model.event import RESERVED, STANDARD_TYPES
from ladderpipe.testing import events
from tests.commands import run

SALES = templates.sales_management()
NEW, WON = Stage("new"), Stage("won", status="won")
LEAD = on("lead.created", into=NEW, opens=True)


def ladder(*declared: str) -> Pipeline:
    return Pipeline("p", stages=[NEW, WON], rules=[LEAD, by_hand(into=WON)], events=declared)


def validator(pipeline: Pipeline) -> jsonschema.Draft202012Validator:
    schema = pipeline.event_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def message(kind: str, **data: Any) -> dict[str, Any]:
    return Event(kind, deal="d", id="e", at="2026-01-05T09:00:00Z", data=data).to_cloudevent()


def test_the_standard_events_and_those_of_rules_need_no_declaration() -> None:
    pipeline = Pipeline("p", stages=[NEW, WON], rules=[LEAD, by_hand(into=WON)])
    assert pipeline.events == (*STANDARD_TYPES, "lead.created")
    assert [f.code for f in pipeline.check() if f.code == "L010"] == []


def test_a_rule_for_what_nobody_tells_is_a_finding() -> None:
    assert [f.code for f in ladder("lead.created").check() if f.code == "L010"] == []
    (found,) = (f for f in ladder("lead.create").check() if f.code == "L010")
    assert (found.severity, found.rule) == ("warning", LEAD.key or "on lead.created into new")
    assert "'lead.created' (did you mean 'lead.create'?)" in found.message


@pytest.mark.parametrize(
    ("declared", "why"),
    [
        ("lead.created", "must be a list"),
        ([""], "not empty"),
        ([3], "must be text"),
        (["x" * 513], "more than the 512"),
        ([f"{RESERVED}by_hand"], "need"),
    ],
)
def test_a_type_that_no_event_can_have_is_refused(declared: Any, why: str) -> None:
    with pytest.raises(DefinitionError, match=why):
        Pipeline("p", stages=[NEW, WON], rules=[LEAD], events=declared)


@pytest.mark.parametrize("suffix", [".json", ".toml", ".yaml"])
@pytest.mark.parametrize("declared", [(), ("lead.created",), ("b", "a")])
def test_a_file_keeps_what_is_declared(
    declared: tuple[str, ...], suffix: str, tmp_path: Path
) -> None:
    dump(ladder(*declared), tmp_path / f"p{suffix}")
    again = load(tmp_path / f"p{suffix}")
    assert again.events == declared
    assert again.fingerprint == ladder(*declared).fingerprint


def test_a_file_without_it_has_the_usual_ones() -> None:
    assert "events" not in SALES.to_dict()
    assert Pipeline.from_dict(SALES.to_dict()).events == SALES.events


def test_whoever_builds_on_a_ladder_declares_with_it() -> None:
    rule = on("lead.lost", into=WON)
    strict = ladder("lead.created").extended(rules=[rule], events=["mail.read"])
    assert strict.events == ("lead.created", "mail.read")
    assert "L010" in [f.code for f in strict.check()]
    assert "lead.lost" in SALES.extended(rules=[on("lead.lost", into=SALES.stages[0])]).events
    more = SALES.extended(rules=[on("lead.lost", into=SALES.stages[0])], events=["mail.read"])
    assert {"lead.lost", "mail.read", *SALES.events} == set(more.events)


@given(events(SALES))
def test_what_a_shop_tells_is_valid_by_the_schema(told: list[Event]) -> None:
    valid = validator(SALES).is_valid
    for event in told:
        if not event.type.startswith(RESERVED):
            assert valid(event.to_cloudevent()) == SALES.ladder.declares(event.type)


@given(st.sampled_from(["id", "source", "type", "subject", "time"]))
def test_what_no_event_can_be_made_of_is_not_valid(missing: str) -> None:
    told = message("checkout.started")
    assert validator(SALES).is_valid(told)
    del told[missing]
    assert not validator(SALES).is_valid(told)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("cart.updated", {"cart": {"lines": []}}, {"lines": []}),
        ("cart.item_added", {"line": {"sku": 7}}, {"cart": {"lines": []}}),
        ("cart.merged", {"into": "cart-2"}, {}),
        ("order.refunded", {"refunded": "5.00"}, {"refunded": "5.00", "value": "5.00"}),
        ("order.confirmed", {"currency": "EUR"}, {"currency": "euro"}),
        ("lead.created", {"contact": {"email": None}}, {"contact": "Ada"}),
    ],
)
def test_the_data_is_what_the_type_asks_for(
    kind: str, good: dict[str, Any], bad: dict[str, Any]
) -> None:
    valid = validator(ladder(*STANDARD_TYPES, "lead.created")).is_valid
    assert valid(message(kind, **good))
    assert not valid(message(kind, **bad))


def test_every_standard_event_is_described() -> None:
    described = {
        part["if"]["properties"]["type"]["const"] for part in SALES.event_schema()["allOf"]
    }
    assert described == set(STANDARD_TYPES)


def test_the_schema_is_written_by_the_command_line(tmp_path: Path) -> None:
    sales = "ladderpipe.templates:sales_management"
    assert run("schema", sales).json() == SALES.event_schema()
    assert run("schema", sales, "--out", str(tmp_path / "s.json")).out == ""
    assert json.loads((tmp_path / "s.json").read_text("utf-8")) == SALES.event_schema()
