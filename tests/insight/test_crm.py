"""A CRM's export as tables: what its dates tell, what they do not, and what is wrong with a row."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ladderpipe import insight
from ladderpipe.errors import DefinitionError
from ladderpipe.insight.frames.tables import Problem, unread
from ladderpipe.logs.crm_map import crm_map, crm_map_from_dict, shipped_crm_maps
from ladderpipe.model.clock import instant

from .boards import assert_same_tables

DATA = Path(os.environ.get("LADDERPIPE_DATA", Path(__file__).parents[3] / "shared" / "data"))
EXPORT = DATA / "crm" / "sales_pipeline.csv"
HEADER = "opportunity_id,sales_agent,product,account,deal_stage,engage_date,close_date,close_value"

ROWS = """\
won1,Ada,GTXPro,Marino,Won,2016-10-20,2017-03-01,1040
lost1,Ada,MG Special,,Lost,2016-11-01,2016-11-01,0
open1,Bruno,GTX Pro,Bianchi,Engaging,2017-01-10,,
new1,Bruno,GTX Pro,,Prospecting,,,
"""


def read(folder: Path, rows: str = ROWS, map: Any = "crm-sales", **options: Any) -> insight.Tables:
    file = folder / "export.csv"
    file.write_text(f"{HEADER}\n{rows}", "utf-8")
    return insight.read_crm(file, map, **options)


def test_a_row_becomes_the_stages_that_it_has_dates_of(tmp_path: Path) -> None:
    tables = read(tmp_path)
    assert tables.visits.select("deal", "stage", "entered_at", "left_at").rows() == [
        ("lost1", "engaging", instant("2016-11-01T00:00Z"), instant("2016-11-01T00:00Z")),
        ("lost1", "lost", instant("2016-11-01T00:00Z"), None),
        ("open1", "engaging", instant("2017-01-10T00:00Z"), None),
        ("won1", "engaging", instant("2016-10-20T00:00Z"), instant("2017-03-01T00:00Z")),
        ("won1", "won", instant("2017-03-01T00:00Z"), None),
    ]
    assert [stage.title for stage in tables.stages] == ["Prospecting", "Engaging", "Won", "Lost"]
    assert tables.as_of == instant("2017-03-01T00:00Z")
    assert tables.problems == ()


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("x,Ada,GTX,,Won,2016-10-20,,5", "nothing says since when"),
        ("x,Ada,GTX,,Won,2017-10-20,2017-03-01,5", "entered 'Engaging' later, on 2017-10-20"),
    ],
)
def test_a_row_that_contradicts_itself_counts_without_the_false_date(
    tmp_path: Path, row: str, reason: str
) -> None:
    tables = read(tmp_path, f"{ROWS}{row}\n")
    (found,) = tables.deals.filter(deal="x").to_dicts()
    assert (found["stage"], found["closed_at"]) == ("won", None)
    assert tables.visits.filter(deal="x").is_empty()
    (problem,) = tables.problems
    assert (problem.where, reason in problem.reason) == ("export.csv, line 6", True)
    assert reason in tables.notes[-1]["it"]


def test_a_deal_without_dates_counts_at_the_end_and_in_no_visit(tmp_path: Path) -> None:
    tables = read(tmp_path)
    (new,) = tables.deals.filter(deal="new1").to_dicts()
    assert (new["stage"], new["status"], new["owner"]) == ("prospecting", "open", "Bruno")
    assert new["opened_at"] is new["entered_at"] is new["visit"] is None
    assert tables.visits.filter(deal="new1").is_empty()
    assert tables.undated == 1
    assert "1" in tables.notes[0]["en"]
    assert "new1" not in tables.at("2017-02-28T00:00Z").deals["deal"].to_list()


def test_what_was_agreed_in_the_end_was_not_known_before(tmp_path: Path) -> None:
    tables = read(tmp_path)
    before = tables.at("2017-02-28T00:00Z")
    values = dict(tables.deals.select("deal", "value").rows())
    assert values == {"won1": Decimal(1040), "lost1": 0, "open1": None, "new1": None}
    (won,) = before.deals.filter(deal="won1").to_dicts()
    assert (won["stage"], won["closed_at"], won["value"]) == ("engaging", None, None)
    assert (won["owner"], won["product"]) == ("Ada", "GTX Pro")


def test_texts_are_renamed_and_blanks_are_nothing(tmp_path: Path) -> None:
    deals = read(tmp_path).deals
    assert deals["product"].to_list() == ["MG Special", "GTX Pro", "GTX Pro", "GTX Pro"]
    assert deals["account"].to_list() == [None, None, "Bianchi", "Marino"]
    assert deals["title"].to_list() == ["lost1", "new1", "Bianchi", "Marino"]
    assert deals["currency"].unique().to_list() == ["USD"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("x,Ada,GTX,,Won,2016-10-20,2017-13-01,5", "is no time of the format"),
        ("x,Ada,GTX,,Sold,2017-10-20,2017-03-01,5", "stage 'Sold' is not under [stages]"),
        ("x,Ada,GTX,,,2017-10-20,2017-03-01,5", "no stage"),
        (",Ada,GTX,,Won,2016-10-20,2017-03-01,5", "no id"),
        ("x,Ada,GTX,,Won,2016-10-20,2017-03-01,much", "closing_value is 'much'"),
        ("won1,Ada,GTX,,Won,2016-10-20,2017-03-01,5", "has a row already"),
        ("x,Ada,GTX", "3 columns, where 8 were expected"),
    ],
)
def test_a_bad_row_is_named_and_the_others_go_on(tmp_path: Path, row: str, reason: str) -> None:
    tables = read(tmp_path, f"{ROWS}{row}\n")
    assert_same_tables(tables, read(tmp_path))
    (problem,) = tables.problems
    assert (problem.place, problem.line) == ("export.csv", 6)
    assert reason in problem.reason
    assert "1" in tables.notes[-1]["en"]


def test_the_export_may_have_been_made_at_another_time(tmp_path: Path) -> None:
    later = read(tmp_path, as_of="2017-06-01T00:00Z")
    assert later.as_of == instant("2017-06-01T00:00Z")
    assert len(later.deals) == 4
    earlier = read(tmp_path, as_of="2016-12-31T00:00Z")
    assert_same_tables(earlier, later.at("2016-12-31T00:00Z"))
    assert earlier.deals["stage"].to_list() == ["lost", "engaging"]


def test_an_export_without_any_date_needs_to_be_told_when_it_was_made(tmp_path: Path) -> None:
    row = "new1,Bruno,GTX Pro,,Prospecting,,,\n"
    with pytest.raises(DefinitionError, match="nobody knows when it was made"):
        read(tmp_path, row)
    assert len(read(tmp_path, row, as_of="2017-01-01T00:00Z").deals) == 1


def test_several_files_are_one_export(tmp_path: Path) -> None:
    first, *others = ROWS.splitlines(keepends=True)
    for name, rows in {"one.csv": [first], "two.csv": others}.items():
        (tmp_path / name).write_text("".join([HEADER, "\n", *rows]), "utf-8")
    both = insight.read_crm([tmp_path / "one.csv", tmp_path / "two.csv"], "crm-sales")
    assert_same_tables(both, read(tmp_path), but=["event_source", "event_id"])


def test_columns_of_other_files_are_joined(tmp_path: Path) -> None:
    (tmp_path / "products.csv").write_text("product,price\nGTX Pro,4800\nGTX Pro,1\n", "utf-8")
    map = tmp_path / "ours.toml"
    map.write_text(
        'extends = "crm-sales"\n'
        'deal.value = "{products.price}"\n'
        'also.list_price = "{products.price}"\n'
        'join.products = { file = "products.csv", by = "product" }\n',
        "utf-8",
    )
    tables = read(tmp_path, map=map)
    prices = dict(tables.deals.select("deal", "list_price").rows())
    assert prices == {"won1": "4800", "open1": "4800", "new1": "4800", "lost1": None}
    values = dict(tables.deals.select("deal", "value").rows())
    assert values == {"won1": 1040, "open1": 4800, "new1": 4800, "lost1": 0}
    (problem,) = tables.problems
    assert str(problem) == (
        "products.csv, line 3: product 'GTX Pro' has a row already: only the first counts"
    )


def test_a_column_that_is_not_there_is_refused(tmp_path: Path) -> None:
    map = tmp_path / "ours.toml"
    map.write_text('extends = "crm-sales"\ndeal.source = "{campaign}"\n', "utf-8")
    with pytest.raises(DefinitionError, match="no column 'campaign'"):
        read(tmp_path, map=map)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"deal": {"id": "{a}"}}, "deal: 'stage' is missing"),
        ({"stages": {}}, "there is no stage"),
        ({"stages": {"won": {"status": "sold"}}}, "stages.won: stage 'won': status 'sold'"),
        ({"stages": {"a": {"called": "x"}, "b": {"called": "x"}}}, "another stage is called"),
        ({"also": {"value": "{a}"}}, "have a column 'value' already"),
        ({"read": {"explode": "a"}}, "a row of an export is one deal"),
        ({"join": {"a": {"file": "a.csv"}}}, "join.a: 'by' is missing"),
        ({"dael": {}}, "'dael' is not known here: did you mean 'deal'"),
    ],
)
def test_a_malformed_map_is_refused_with_the_place(changed: dict[str, Any], reason: str) -> None:
    good = {"pipeline": "p", "deal": {"id": "{a}", "stage": "{b}"}, "stages": {"won": {}}}
    crm_map_from_dict(good)
    with pytest.raises(DefinitionError) as refused:
        crm_map_from_dict(good | changed)
    assert reason in str(refused.value)


def test_an_unknown_map_is_refused_with_the_names_of_those_there_are() -> None:
    assert "hubspot" in shipped_crm_maps()
    with pytest.raises(DefinitionError, match="or one of brevo, crm-sales, "):
        crm_map("hubspots")


# -- a real export ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sales() -> insight.Tables:
    if not EXPORT.exists():
        pytest.skip(f"no export in {EXPORT.parent}: set LADDERPIPE_DATA to the folder that has it")
    return insight.read_crm(EXPORT, "crm-sales")


def test_the_export_has_the_figures_that_others_found(sales: insight.Tables) -> None:
    counts = dict(sales.deals.group_by("status").len().rows())
    assert counts == {"won": 4238, "lost": 2473, "open": 1589 + 500}
    won = sales.deals.filter(status="won")
    assert won.height / (won.height + counts["lost"]) == pytest.approx(0.6315, abs=5e-5)
    assert float(won["value"].sum()) / won.height == pytest.approx(2360.91, abs=0.005)
    cycle = (won["closed_at"] - won["opened_at"]).dt.total_days()
    assert cycle.mean() == pytest.approx(51.78, abs=0.005)


def test_every_row_of_the_export_is_read(sales: insight.Tables) -> None:
    assert sales.problems == ()
    assert (sales.deals.height, sales.undated) == (8800, 500)
    assert sales.as_of == instant("2017-12-31T00:00Z")
    engaged = sales.visits.filter(stage="engaging")
    assert (engaged.height, engaged["left_at"].null_count()) == (8300, 1589)
    assert "GTXPro" not in sales.deals["product"].to_list()


def test_what_could_not_be_read_is_told_by_the_reason_with_an_example() -> None:
    problems = [
        *(Problem("x.csv", n, f"it is in '{n}', and nothing says since when") for n in (4, 5)),
        Problem("deal 'a'", None, "its guard raised"),
    ]
    one, other = unread(problems)
    assert "2, for example x.csv, line 4: it is in '4', and nothing says" in one["en"]
    assert one["it"].startswith("Righe o trattative non lette, o non del tutto: 2")
    assert "deal 'a': its guard raised" in other["en"]
