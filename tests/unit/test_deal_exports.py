"""Exports of CRMs as deals to bring over: the shipped maps, and what a map can say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ladderpipe import Pipeline, RefusedDeal, Stage, ToldDeal, by_hand, insight
from ladderpipe.errors import DefinitionError
from ladderpipe.logs import CrmMap, crm_map, shipped_crm_maps, told_deals
from ladderpipe.logs.crm_map import crm_map_from_dict

LEAD, OFFER = Stage("lead", title="Lead"), Stage("offer", title="Offer made")
WON, GONE = Stage("won", status="won"), Stage("lost", status="lost")


def ladder(*stages: Stage) -> Pipeline:
    found = stages or (LEAD, OFFER, WON, GONE)
    return Pipeline("sales", stages=found, rules=[by_hand(into=s, opens=True) for s in found])


def own_ladder(crm: CrmMap) -> Pipeline:
    return ladder(*(known.stage for known in crm.stages))


def written(folder: Path, text: str, name: str = "export.csv") -> Path:
    file = folder / name
    file.write_text(text, "utf-8")
    return file


def read(folder: Path, text: str, map: Any, **options: Any) -> list[Any]:
    crm = crm_map_from_dict(map) if isinstance(map, dict) else crm_map(map)
    return list(told_deals(written(folder, text), crm, own_ladder(crm), **options))


def stays(deal: Any) -> list[tuple[str, str | None]]:
    assert isinstance(deal, ToldDeal), deal
    return [(stay.stage, stay.at and f"{stay.at:%Y-%m-%d %H:%M}") for stay in deal.stays]


SAMPLES = {file.stem: file for file in (Path(__file__).parent / "crm_exports").iterdir()}
"""One deal each, in the shape that the systems' documentation gives: created, closed, lost."""


@pytest.mark.parametrize("name", SAMPLES)
def test_a_shipped_map_reads_an_export_in_the_documented_shape(tmp_path: Path, name: str):
    (found,) = read(tmp_path, SAMPLES[name].read_text("utf-8"), name)
    assert found.doubts == ()
    entered = stays(found)
    assert entered[0][1] == "2025-09-17 03:52"
    assert entered[-1][0] in ("lost", "closedlost", "closed_lost")
    assert str(entered[-1][1]).startswith("2025-10-01")
    facts = found.facts
    assert (facts["title"], facts["owner"], float(facts["value"])) == ("Roof", "Ada", 22500)
    assert facts.get("currency") in ("EUR", None)
    assert found.closing["properties"] == {"loss_reason": "price"}


def test_every_shipped_map_is_tried():
    assert {*SAMPLES, "crm-sales"} == set(shipped_crm_maps())


def test_brevo_and_keap_are_read_as_their_apis_give_them(tmp_path: Path):
    created, updated = "2026-01-05T09:00:00Z", "2026-01-20T10:00:00Z"
    attributes = {"deal_stage": "Won", "created_at": created, "stage_updated_at": updated}
    lines = json.dumps({"id": "a", "attributes": attributes})
    crm = crm_map("brevo")
    file = written(tmp_path, lines, "deals.jsonl")
    (found,) = told_deals(file, crm, own_ladder(crm))
    assert stays(found) == [("new", "2026-01-05 09:00"), ("won", "2026-01-20 10:00")]
    dates = {"date_created": created, "last_updated": updated}
    lines = json.dumps({"id": 7, "stage": {"name": "Working"}, **dates})
    crm = crm_map("keap")
    (found,) = told_deals(written(tmp_path, lines, "deals.jsonl"), crm, own_ladder(crm))
    assert stays(found) == [("new", "2026-01-05 09:00"), ("working", "2026-01-20 10:00")]


HISTORY = {
    "pipeline": "p",
    "any_columns": True,
    "time": {"zone": "UTC"},
    "deal": {"id": "{id}", "stage": "{stage}", "title": "{title}", "since": "{since}"},
    "history": {"deal": "{deal}", "stage": "{value}", "at": "{at}", "only": {"name": "stage"}},
    "stages": {
        "lead": {"called": "Lead"},
        "offer": {"called": "Offer made"},
        "won": {"status": "won"},
        "lost": {"status": "lost"},
    },
}
CHANGES = """\
deal,at,name,value
1,2026-01-09 10:00,stage,lead
1,2026-01-05 10:00,stage,lead
1,2026-01-07 10:00,stage,Offer made
1,2026-01-08 10:00,owner,Ada
2,2026-01-07 10:00,stage,lost
2,2026-01-05 10:00,stage,offer
"""


def test_a_stage_history_is_told_as_it_is_in_whatever_order(tmp_path: Path):
    found = read(tmp_path, CHANGES, HISTORY)
    assert [stays(deal) for deal in found] == [
        [("lead", "2026-01-05 10:00"), ("offer", "2026-01-07 10:00"), ("lead", "2026-01-09 10:00")],
        [("offer", "2026-01-05 10:00"), ("lost", "2026-01-07 10:00")],
    ]


def test_a_map_of_a_stage_history_alone_needs_no_more_than_that(tmp_path: Path):
    crm = crm_map_from_dict({"history": HISTORY["history"], "time": HISTORY["time"]})
    found = list(told_deals(written(tmp_path, CHANGES), crm, ladder()))
    assert [stays(deal)[-1][0] for deal in found] == ["lead", "lost"]
    with pytest.raises(DefinitionError, match=r"no \[deal\]"):
        insight.read_crm(tmp_path / "export.csv", crm)


def test_a_wide_export_and_a_stage_history_are_joined(tmp_path: Path):
    wide = "id,title,stage,since\n1,Roof,Lead,\n2,Door,won,2026-02-01\n3,Wall,lead,\n"
    changes = written(tmp_path, f"{CHANGES}9,2026-01-05 10:00,stage,lead\n", "changes.csv")
    found = read(tmp_path, wide, HISTORY, history=changes)
    deals = {deal.id: deal for deal in found if isinstance(deal, ToldDeal)}
    assert stays(deals["1"])[-1] == ("lead", "2026-01-09 10:00")
    assert stays(deals["2"])[1:] == [("lost", "2026-01-07 10:00"), ("won", "2026-02-01 00:00")]
    assert stays(deals["3"]) == [("lead", None)]
    (refused,) = [deal for deal in found if isinstance(deal, RefusedDeal)]
    assert "no row of its own" in refused.reason


def test_a_history_that_ends_elsewhere_is_told_and_the_present_stage_has_no_date(tmp_path: Path):
    changes = written(tmp_path, CHANGES, "changes.csv")
    (found,) = read(tmp_path, "id,title,stage,since\n1,Roof,won,\n", HISTORY, history=changes)[:1]
    assert stays(found)[-2:] == [("lead", "2026-01-09 10:00"), ("won", None)]
    assert "ends in 'lead'" in found.doubts[0]


def wide(deal: dict[str, Any], **parts: Any) -> dict[str, Any]:
    stages = {"lead": {}, "offer": {}, "won": {"status": "won"}, "lost": {"status": "lost"}}
    named = {"id": "{id}", "stage": "{stage}", **deal}
    return {"pipeline": "p", "time": {"zone": "UTC"}, "deal": named, "stages": stages, **parts}


OPENED_AND_CLOSED = {"opened": "{o}", "since": "{s}", "closed": "{c}", "closed_from": "{f}"}
PAID = {"when": {"paid": True}, "then": "won", "else": "{stage}"}
ITALIAN = {"time": {"zone": "Europe/Rome", "columns": {"s": "%d/%m/%Y %H:%M"}}}
AT_ONCE = {"lead": "2026-01-05 09:12", "won": "2026-01-05 09:12"}
LOST = {"lead": "2026-01-05 00:00", "offer": "2026-01-07 00:00", "lost": "2026-01-09 00:00"}
SINCE = {"since": "{s}"}
OPENED = {"opened": "{o}"}
OFFERED = {"offer": "2026-01-09 00:00"}
BOTH = {"lead": "2026-01-05 00:00", **OFFERED}


@pytest.mark.parametrize(
    ("deal", "parts", "header", "row", "expected"),
    [
        (OPENED | {"closed": "{c}"}, {}, "o,c", "won,2026-01-05T09:12Z,2026-01-05", AT_ONCE),
        (OPENED | SINCE, {}, "o,s", "offer,2026-01-05,2026-01-09", BOTH),
        (OPENED_AND_CLOSED, {}, "o,s,c,f", "lost,2026-01-05,2026-01-07,2026-01-09,offer", LOST),
        (SINCE, ITALIAN, "s", "offer,09/01/2026 10:00", {"offer": "2026-01-09 09:00"}),
        ({"since": "{a ?? b}"}, {}, "a,b", "offer,,2026-01-09", OFFERED),
        (SINCE | {"stage": PAID}, {}, "s,paid", "offer,2026-01-09,yes", {"won": OFFERED["offer"]}),
        (SINCE, {"only": {"line": ["A", "B"]}}, "s,line", "offer,2026-01-09,A\n2,lead,,C", OFFERED),
        ({"entered_columns": r"in (?P<stage>\w+)"}, {}, "in Offer", "offer,2026-01-09", OFFERED),
    ],
    ids=["a day", "opened", "from", "a format", "the first", "a condition", "a filter", "columns"],
)
def test_a_map_can_say(
    tmp_path: Path,
    deal: dict[str, Any],
    parts: dict[str, Any],
    header: str,
    row: str,
    expected: dict[str, str],
):
    (found,) = read(tmp_path, f"id,stage,{header}\n1,{row}\n", wide(deal, **parts))
    assert (stays(found), found.doubts) == ([*expected.items()], ())


def test_won_when_a_joined_row_exists(tmp_path: Path):
    written(tmp_path, "id,order\n1,A7\n", "orders.csv")
    stage = {"when": {"orders.order": True}, "then": "won", "else": "{stage}"}
    map = wide({"stage": stage}, join={"orders": {"file": "orders.csv", "by": "id"}})
    found = read(tmp_path, "id,stage\n1,offer\n2,offer\n", map)
    assert [stays(deal) for deal in found] == [[("won", None)], [("offer", None)]]


@pytest.mark.parametrize(
    ("value", "row", "expected"),
    [
        ("{a|cents}", "12345,", "123.45"),
        ({"sum": ["{a|amount}", "{b|amount}"]}, "1.10,2.20", "3.30"),
        ("{a|money}", '"USD 1,000.00",', "1000.00"),
        ("{a|money}", "12.50 EUR,", "12.50"),
    ],
)
def test_an_amount_may_be_cents_a_sum_or_beside_its_currency(
    tmp_path: Path, value: Any, row: str, expected: str
):
    map = wide({"value": value, "currency": "{a|code}"}, read={"thousands": ","})
    (found,) = read(tmp_path, f"id,stage,a,b\n1,offer,{row}\n", map)
    assert (stays(found), found.facts["value"]) == ([("offer", None)], expected)


def test_what_a_ladder_calls_its_stages_the_export_may_too(tmp_path: Path):
    crm = crm_map_from_dict(wide({}))
    stages = [Stage("first", title={"it": "Primo", "en": "First"}), Stage("signed", status="won")]
    file = written(tmp_path, "id,stage\n1,primo\n2,FIRST\n3,won\n4,offer\n")
    found = list(told_deals(file, crm, ladder(*stages)))
    assert [stays(deal) for deal in found if isinstance(deal, ToldDeal)] == [
        [("first", None)],
        [("first", None)],
        [("signed", None)],
    ]
    assert "stage 'offer' is not under [stages]" in found[0].reason


def test_rows_that_cannot_be_read_are_refused_with_their_place(tmp_path: Path):
    twice = "1,offer,2026-01-09\n1,offer,2026-01-09\n"
    text = f"id,stage,s\n{twice}2,offer,yesterday\n,offer,\n3,offer\n"
    found = read(tmp_path, text, wide({"since": "{s}"}))
    refused = {deal.where: deal.reason for deal in found if isinstance(deal, RefusedDeal)}
    assert {where: reason[:12] for where, reason in sorted(refused.items())} == {
        "export.csv:3": "deal '1' has",
        "export.csv:4": "'yesterday' ",
        "export.csv:5": "no id: the c",
        "export.csv:6": "2 columns, w",
    }


def test_what_the_filter_left_out_is_counted(tmp_path: Path):
    crm = crm_map_from_dict(wide({}, only={"line": "A"}))
    deals = told_deals(written(tmp_path, "id,stage,line\n1,offer,A\n2,offer,B\n"), crm, ladder())
    assert (len(list(deals)), deals.left_out) == (1, 1)


def test_a_stage_history_needs_a_map_that_says_so(tmp_path: Path):
    file = written(tmp_path, CHANGES)
    with pytest.raises(DefinitionError, match=r"no \[history\]"):
        told_deals((), crm_map_from_dict(wide({})), ladder(), history=file)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"only": {}}, "it names no column"),
        ({"deal": {"id": "{a}", "stage": "{b}", "entered_columns": "("}}, "no regular expression"),
        ({"deal": {"id": "{a}", "stage": "{b}", "entered_columns": "x"}}, "has no group"),
        ({"deal": {"id": "{a}", "stage": {"when": {"a": True}}}}, "'then' is missing"),
        ({"time": {"columns": {"a": "%d/%m/%Y"}}}, "has no %z"),
    ],
)
def test_a_malformed_part_is_refused_with_the_place(changed: dict[str, Any], reason: str):
    with pytest.raises(DefinitionError) as refused:
        crm_map_from_dict(wide({}) | {"time": {}} | changed)
    assert reason in str(refused.value)
