"""Maps: what a row of a foreign log becomes, and what a map that makes no sense is told."""

from __future__ import annotations

import datetime as dt
import hashlib
import tracemalloc
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladderpipe import Event
from ladderpipe.errors import DefinitionError
from ladderpipe.logs.log_map import CloudEvents, LogMap
from ladderpipe.logs.map_files import load_map, shipped_maps
from ladderpipe.logs.map_reader import map_from_dict
from ladderpipe.logs.readers import BadLine, Row
from ladderpipe.logs.row_identity import Repeats

EVENT = {"deal": "{cart}", "type": "{what}", "at": "{when}"}
ROW = {"cart": "c1", "what": "add", "when": "2026-01-05T09:00:00Z", "sku": "A", "price": "1.50"}


def mapped(row: dict[str, Any] | None = None, **sections: Any) -> list[Any]:
    """Return what line 7 becomes."""
    found = map_from_dict({"event": EVENT, **sections})
    return list(found.events(Row(7, {**ROW, **(row or {})}), "shop.csv"))


def event(row: dict[str, Any] | None = None, **sections: Any) -> Event:
    (only,) = mapped(row, **sections)
    assert isinstance(only, Event), only
    return only


def reason(row: dict[str, Any] | None = None, **sections: Any) -> str:
    (only,) = mapped(row, **sections)
    assert isinstance(only, BadLine), only
    assert only.number == 7
    return only.reason


def refusal(data: dict[str, Any]) -> str:
    with pytest.raises(DefinitionError) as refused:
        map_from_dict(data)
    return str(refused.value)


# -- equal rows ---------------------------------------------------------------------------------


@given(
    st.lists(st.integers(0, 30), max_size=60),
    st.randoms(use_true_random=False),
)
def test_equal_rows_are_told_apart_by_their_count_in_whatever_order(rows: list[int], random: Any):
    """The names of a log's rows are the same, however it is sorted."""

    def names(order: list[int]) -> Counter[str]:
        repeats = Repeats()
        return Counter(repeats_name(n, repeats) for n in order)

    def repeats_name(n: int, repeats: Repeats) -> str:
        (made,) = map_from_dict({"event": EVENT}).events(
            Row(1, {**ROW, "cart": str(n)}), "log", repeats
        )
        assert isinstance(made, Event)
        return made.id

    shuffled = list(rows)
    random.shuffle(shuffled)
    found = names(rows)
    assert found == names(shuffled)
    assert set(found.values()) <= {1}


def test_counting_equal_rows_is_right_and_needs_few_bytes_a_row():
    repeats = Repeats()
    digests = [hashlib.blake2b(str(n).encode(), digest_size=16).digest() for n in range(50_000)]
    tracemalloc.start()
    assert all(repeats.count(digest) == 1 for digest in digests)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most / len(digests) < 40
    assert all(repeats.count(digest) == 2 for digest in digests[:100])
    assert repeats.count(digests[0]) == 3


# -- identity ---------------------------------------------------------------------------------


def test_a_row_is_known_by_what_the_map_reads_of_it_and_keeps_its_place_in_time():
    made = event()
    assert (made.source, made.seq) == ("shop.csv", 7)
    assert event({"": "8", "exported": "today"}).id == made.id
    assert event({"sku": "B"}).id == made.id
    assert event({"sku": "B"}, data={"note": "{sku}"}).id != event(data={"note": "{sku}"}).id
    assert len({made.id, event({"cart": "c2"}).id, event({"what": "x"}).id}) == 3
    assert (made.type, made.deal, made.at) == (
        "add",
        "c1",
        dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC),
    )


def test_a_log_with_ids_of_its_own_says_who_numbers_them():
    given = {**EVENT, "id": "{uid}", "seq": "{n}", "source": "shop"}
    found = map_from_dict({"event": given})
    assert found.source == "shop"
    (made,) = found.events(Row(7, {**ROW, "uid": 4711, "n": "12"}), "shop")
    assert (made.source, made.id, made.seq) == ("shop", "4711", 12)


def test_an_id_without_a_source_is_refused():
    assert "event.id" in refusal({"event": {**EVENT, "id": "{uid}"}})


def test_a_source_with_a_column_in_it_is_refused():
    assert "event.source" in refusal({"event": {**EVENT, "source": "{cart}"}})


def test_a_deal_may_combine_columns():
    given = {**EVENT, "deal": "{user}/{cart}"}
    assert event({"user": 5}, event=given).deal == "5/c1"


def test_a_row_without_a_deal_is_bad():
    assert "no deal" in reason({"cart": " "})


def test_a_seq_that_is_no_number_is_bad():
    assert "seq is 'x'" in reason({"n": "x"}, event={**EVENT, "seq": "{n}"})


# -- types ------------------------------------------------------------------------------------


def test_without_types_the_logs_own_names_are_kept():
    assert event({"what": "cart.saved"}).type == "cart.saved"


def test_types_are_translated_ignored_or_kept():
    types = {"add": "cart.item_added", "look": "ignore", "*": "keep"}
    assert event(types=types).type == "cart.item_added"
    assert mapped({"what": "look"}, types=types) == [None]
    assert event({"what": "other"}, types=types).type == "other"


def test_a_type_the_map_does_not_name_is_bad_unless_the_rest_is_ignored():
    assert "'buy' is not under [types]" in reason({"what": "buy"}, types={"add": "x"})
    assert mapped({"what": "buy"}, types={"add": "x", "*": "ignore"}) == [None]


def test_a_log_of_one_kind_names_its_type_once():
    assert event(event={**EVENT, "type": "order.confirmed"}).type == "order.confirmed"


def test_a_types_own_data_goes_over_what_all_have():
    made = event(
        data={"owner": "Bea", "source": "log"},
        types={"add": {"event": "cart.item_added", "data": {"source": "cart"}}},
    )
    assert made.data == {"owner": "Bea", "source": "cart"}


PAID = {"type": "order.confirmed", "at": "{paid}"}


def test_a_row_may_mean_several_events_each_with_its_time():
    row = {"cart": "1", "when": "2026-01-05T09:00Z", "what": "opened", "paid": "2026-01-06"}
    time = {"columns": {"paid": "%Y-%m-%d"}, "zone": "UTC"}
    sections = {"types": {"opened": "cart.saved", "order.confirmed": "keep"}, "time": time}
    both = mapped(row, events=[PAID], **sections)
    assert [(event.type, f"{event.at:%d %H}") for event in both] == [
        ("cart.saved", "05 09"),
        ("order.confirmed", "06 00"),
    ]
    assert len({event.id for event in both}) == 2
    unpaid = mapped({**row, "paid": ""}, events=[PAID], **sections)
    assert [part and part.type for part in unpaid] == ["cart.saved", None]


def test_further_events_of_rows_with_ids_have_ids_of_their_own():
    named = {"deal": "{cart}", "type": "x", "at": "{when}", "id": "{n}", "source": "shop"}
    assert "'id' is missing" in refusal({"event": named, "events": [PAID]})


def test_only_some_rows_count():
    row = {"cart": "1", "when": "2026-01-05T09:00Z", "what": "opened"}
    assert mapped(row, only={"what": ["opened", "paid"], "gone": False})[0] is not None
    assert mapped(row, only={"what": "paid"}) == [None]
    assert mapped(row, only={"gone": True}) == [None]


def test_the_first_column_that_is_not_empty_counts():
    row = {"cart": "1", "when": "2026-01-05T09:00Z", "what": "opened", "a": "", "b": "1250"}
    assert event(row, data={"value": "{a ?? b|cents}"}).data == {"value": "12.50"}
    assert event(row, data={"x": "{what|upper} {a ?? b}"}).data == {"x": "OPENED 1250"}


def test_types_of_the_board_itself_are_refused():
    assert "types.add" in refusal({"event": EVENT, "types": {"add": "ladder.by_hand"}})


# -- data -------------------------------------------------------------------------------------


def test_columns_come_as_they_are_constants_as_written_and_text_is_put_together():
    made = event(
        {"n": 3, "tags": ["x"]},
        data={
            "line": {"sku": "{sku}", "quantity": 2, "title": "No. {n} ({sku})"},
            "tags": "{tags}",
        },
    )
    assert made.data == {
        "line": {"sku": "A", "quantity": 2, "title": "No. 3 (A)"},
        "tags": ["x"],
    }


def test_doubled_braces_are_braces():
    assert event(data={"title": "{{{sku}}}"}).data == {"title": "{A}"}


@pytest.mark.parametrize("value", ["", "  ", None])
def test_what_is_empty_is_left_out(value: str | None):
    assert event(
        {"price": value}, data={"line": {"sku": "{sku}", "unit_price": "{price}"}}
    ).data == {"line": {"sku": "A"}}


def test_a_table_whose_columns_are_all_empty_is_left_out_with_its_constants():
    contact = {"contact": {"email": "{email}", "kind": "customer"}}
    assert event({"email": ""}, data=contact).data == {}


def test_other_words_for_nothing_are_declared():
    assert event({"price": "NULL"}, data={"value": "{price}"}, read={"empty": ["NULL"]}).data == {}


def test_nested_values_are_reached_by_their_path():
    row = {"user": {"mail": "ada@example.com"}, "items": [{"sku": "B"}], "a.b": "plain"}
    made = event(
        row, data={"m": "{user.mail}", "first": "{items.0.sku}", "p": "{a.b}", "x": "{a.c}"}
    )
    assert made.data == {"m": "ada@example.com", "first": "B", "p": "plain"}


def test_a_list_in_the_log_becomes_a_list_of_lines_that_see_the_row_around_them():
    lines = {"each": "items", "item": {"sku": "{sku}", "quantity": "{qty}", "cart": "{cart}"}}
    row = {"items": [{"sku": "A", "qty": 1}, {"sku": "B", "qty": 2}]}
    assert event(row, data={"cart": {"lines": lines}}).data["cart"]["lines"] == [
        {"sku": "A", "quantity": 1, "cart": "c1"},
        {"sku": "B", "quantity": 2, "cart": "c1"},
    ]


def test_an_emptied_list_is_told_and_a_missing_one_is_not():
    lines = {"cart": {"lines": {"each": "items", "item": {"sku": "{sku}"}}}}
    assert event({"items": []}, data=lines).data == {"cart": {"lines": []}}
    assert event(data=lines).data == {}


def test_a_list_that_is_none_is_bad():
    lines = {"cart": {"lines": {"each": "items", "item": {"sku": "{sku}"}}}}
    assert "items is 'A', not a list" in reason({"items": "A"}, data=lines)


def test_an_items_own_emptiness_hides_the_row_around_it():
    lines = {"lines": {"each": "items", "item": {"sku": "{sku}", "n": 1, "q": "{q}"}}}
    assert event({"items": [{"sku": None, "q": 2}]}, data=lines).data == {
        "lines": [{"n": 1, "q": 2}]
    }


@pytest.mark.parametrize(
    ("reference", "value", "read", "expected"),
    [
        ("{v|text}", 4711, {}, "4711"),
        ("{v|amount}", " 5.20 ", {}, "5.20"),
        ("{v|amount}", "1.234,50", {"decimal": ",", "thousands": "."}, "1234.50"),
        ("{v|amount}", 19.99, {}, "19.99"),
        ("{v|amount}", "1.234,50", {"decimal": ","}, "1234.50"),
        ("{v|amount}", "1.234", {"decimal": ","}, "1234"),
        ("{v|number}", "12", {}, 12),
        ("{v|number}", "1,5", {"decimal": ","}, 1.5),
    ],
)
def test_columns_are_converted_where_the_map_says_so(
    reference: str, value: Any, read: dict[str, str], expected: Any
):
    made = event({"v": value}, data={"x": reference}, read=read).data["x"]
    assert made == expected
    assert type(made) is type(expected)


def test_an_amount_that_is_none_is_bad():
    assert "price is 'cheap'" in reason({"price": "cheap"}, data={"value": "{price|amount}"})


@pytest.mark.parametrize("price", ["12.50", "1.23,4", "1234.500", "1.234.5"])
def test_a_point_in_a_file_with_commas_is_bad_unless_it_groups_three_digits(price: str):
    read = {"decimal": ","}
    assert "no number" in reason({"price": price}, data={"value": "{price|amount}"}, read=read)


# -- time -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "time", "expected"),
    [
        ("2026-07-01T12:00:00+02:00", {}, "2026-07-01T10:00:00+00:00"),
        ("2026-07-01 12:00:00", {"zone": "Europe/Rome"}, "2026-07-01T10:00:00+00:00"),
        ("2026-07-01T12:00:00Z", {"zone": "Europe/Rome"}, "2026-07-01T12:00:00+00:00"),
        (
            "01/07/2026 12:00",
            {"format": "%d/%m/%Y %H:%M", "zone": "Europe/Rome"},
            "2026-07-01T10:00:00+00:00",
        ),
        ("01/07/26 12 -0100", {"format": "%d/%m/%y %H %z"}, "2026-07-01T13:00:00+00:00"),
        (1659304800025, {"format": "epoch-ms"}, "2022-07-31T22:00:00.025000+00:00"),
        ("1659304800.5", {"format": "epoch-s"}, "2022-07-31T22:00:00.500000+00:00"),
        (1659304800000001, {"format": "epoch-us"}, "2022-07-31T22:00:00.000001+00:00"),
    ],
)
def test_times_are_read_as_the_log_writes_them(value: Any, time: dict[str, str], expected: str):
    assert event({"when": value}, time=time).at.isoformat() == expected


def test_of_an_hour_that_summer_time_repeats_the_first_is_meant():
    made = event({"when": "2026-10-25T02:30:00"}, time={"zone": "Europe/Rome"})
    assert made.at.isoformat() == "2026-10-25T00:30:00+00:00"


def test_a_time_without_a_zone_is_bad_and_says_what_to_declare():
    assert 'zone = "Europe/Rome"' in reason({"when": "2026-01-05 09:00:00"})


@pytest.mark.parametrize("value", ["yesterday", 5, True, None, "2026-13-01T00:00:00Z"])
def test_a_time_that_is_none_is_bad(value: Any):
    assert "time" in reason({"when": value})


@pytest.mark.parametrize("value", ["soon", True, [1], "1e400", "NaN", -(10**18)])
def test_seconds_that_are_none_are_bad(value: Any):
    assert "no time of the format 'epoch-s'" in reason({"when": value}, time={"format": "epoch-s"})


@pytest.mark.parametrize(
    ("time", "place"),
    [
        ({"format": "%d/%m/%Y"}, "time.format"),
        ({"format": "epoch"}, "time.format"),
        ({"zone": "Middle/Earth"}, "time.zone"),
        ({"zone": "../../etc/passwd"}, "time.zone"),
        ({"format": "epoch-ms", "zone": "UTC"}, "time.zone"),
    ],
)
def test_a_time_format_that_names_no_instant_is_refused(time: dict[str, str], place: str):
    assert refusal({"event": EVENT, "time": time}).startswith(f"{place}: ")


# -- checks and nested logs -------------------------------------------------------------------


def test_a_damaged_column_is_bad_even_where_the_row_is_ignored():
    sections = {"check": {"cart": "c[0-9]"}, "types": {"add": "ignore"}}
    assert mapped(**sections) == [None]
    assert "cart is 'c12'" in reason({"cart": "c12"}, **sections)
    assert "cart is empty" in reason({"cart": ""}, **sections)


def test_every_item_of_a_nested_log_is_an_event_of_its_own():
    sections = {
        "read": {"explode": "events"},
        "types": {"add": "cart.item_added", "look": "ignore"},
    }
    row = {"cart": 5, "events": [{"what": "add"}, {"what": "look"}, {"what": "add"}]}
    first, second, third = mapped(row, **sections)
    assert (first.deal, second) == ("5", None)
    assert third.id == first.id
    assert first.seq < third.seq < 8 * 1_000_000


def test_one_bad_item_spares_the_others():
    sections = {"read": {"explode": "events"}, "types": {"add": "x"}}
    bad, good = mapped({"events": [{"what": "?"}, {"what": "add"}]}, **sections)
    assert bad.reason.startswith("item 1: type '?'")
    assert (good.type, good.seq) == ("x", 7_000_002)


@pytest.mark.parametrize("events", [None, "x", [1], {"a": 1}])
def test_a_nested_log_without_its_list_is_bad(events: Any):
    assert "not a list of objects" in reason({"events": events}, read={"explode": "events"})


def test_cloudevents_need_no_map():
    found = map_from_dict({"read": {"format": "cloudevents"}})
    assert isinstance(found, CloudEvents)
    sent = Event("lead", deal="d", id="1", at="2026-01-05T09:00:00Z", source="crm", seq=4)
    assert list(found.events(Row(1, sent.to_cloudevent()), "x.jsonl")) == [sent]
    (bad,) = found.events(Row(2, {"id": "1"}), "x.jsonl")
    assert "subject must name the deal" in bad.reason


def test_cloudevents_take_no_other_sections():
    assert "event: " in refusal({"read": {"format": "cloudevents"}, "event": EVENT})


# -- refusals and files -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({}, "[event] is missing"),
        ({"event": {"deal": "{a}"}}, "event: 'type' is missing"),
        ({"event": EVENT, "checks": {}}, "did you mean 'check'"),
        ({"event": {**EVENT, "deal": "{cart"}}, "event.deal: '{cart' has a brace"),
        ({"event": {**EVENT, "deal": "{}"}}, "event.deal: an empty {}"),
        ({"event": EVENT, "data": {"x": "{a|ammount}"}}, "data.x: 'ammount' is no conversion"),
        ({"event": EVENT, "data": {"x": dt.date(2026, 1, 5)}}, "data.x: "),
        ({"event": EVENT, "data": {"x": {"each": "items"}}}, "data.x: 'item' is missing"),
        ({"event": EVENT, "read": {"format": "xml"}}, "read.format: 'xml'"),
        ({"event": EVENT, "read": {"delimiter": "||"}}, "read.delimiter: "),
        ({"event": EVENT, "read": {"encoding": "klingon"}}, "read.encoding: "),
        ({"event": EVENT, "read": {"decimal": ",", "thousands": ","}}, "read.thousands: "),
        ({"event": EVENT, "check": {"cart": "("}}, "check.cart: '(' is no regular expression"),
        ({"event": EVENT, "types": {"add": {"data": {}}}}, "types.add: 'event' is missing"),
        ({"event": EVENT, "types": {"add": 5}}, "types.add: "),
    ],
)
def test_a_map_that_makes_no_sense_is_refused_with_its_place(data: dict[str, Any], says: str):
    assert says in refusal(data)


SIGNS: list[dict[str, str]] = [
    {},
    {"decimal": ","},
    {"decimal": ",", "thousands": "."},
    {"decimal": ".", "thousands": ","},
    {"decimal": ",", "thousands": " "},
]


@given(
    st.decimals(-(10**9), 10**9, places=2),
    st.sampled_from(SIGNS),
    st.sampled_from(SIGNS),
)
def test_an_amount_is_read_in_the_signs_it_was_written_in_or_refused(
    amount: Decimal, wrote: dict[str, str], reads: dict[str, str]
):
    """Taken for another number it would be in every report: "12.50" is never 1,250."""
    table = str.maketrans({",": wrote.get("thousands", ""), ".": wrote.get("decimal", ".")})
    text = f"{amount:,.2f}".translate(table)
    found = map_from_dict({"event": EVENT, "data": {"value": "{v|amount}"}, "read": reads})
    (made,) = found.events(Row(1, {**ROW, "v": text}), "log")
    if isinstance(made, BadLine):
        assert wrote != reads
    else:
        assert made is not None
        assert Decimal(made.data["value"]) == amount


@pytest.mark.parametrize("name", shipped_maps())
def test_shipped_maps_are_there_by_name(name: str):
    assert isinstance(load_map(name), LogMap)


def test_a_map_extends_another_and_says_only_what_differs(tmp_path: Path):
    path = tmp_path / "mine.toml"
    path.write_text('extends = "cart-events"\n[types]\nview = "product.viewed"\n')
    mine, shipped = load_map(path), load_map("cart-events")
    assert mine.kinds["view"].type == "product.viewed"
    assert mine.kinds["cart"] == shipped.kinds["cart"]
    assert mine.time == shipped.time


def test_a_map_extends_a_file_beside_it(tmp_path: Path):
    (tmp_path / "base.toml").write_text('[event]\ndeal = "{d}"\ntype = "{t}"\nat = "{a}"\n')
    (tmp_path / "upper.toml").write_text('extends = "base.toml"\n[event]\ndeal = "{e}"\n')
    assert load_map(tmp_path / "upper.toml").columns == {"e", "t", "a"}


def test_maps_that_extend_each_other_are_refused(tmp_path: Path):
    (tmp_path / "a.toml").write_text('extends = "a.toml"\n')
    with pytest.raises(DefinitionError, match="extends itself"):
        load_map(tmp_path / "a.toml")


@pytest.mark.parametrize("text", [b"[event", b"\xff\xfe", b'[event]\ndeal = "{a}"\n'])
def test_a_map_file_that_cannot_be_read_is_named(tmp_path: Path, text: bytes):
    path = tmp_path / "broken.toml"
    path.write_bytes(text)
    with pytest.raises(DefinitionError, match=r"broken\.toml"):
        load_map(path)


def test_a_map_that_is_not_there_names_those_that_are():
    with pytest.raises(DefinitionError, match="cart-events, otto"):
        load_map("cart-event")
