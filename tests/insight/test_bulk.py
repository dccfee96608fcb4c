"""Bulk replay gives exactly the histories of the ordinary fold."""

from __future__ import annotations

import datetime as dt
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from ladderpipe import Event, Pipeline, Stage, on
from ladderpipe.insight.bulk.fallback import events_of
from ladderpipe.templates import crm_default, kanban, new_to_won, prospecting, sales_management
from ladderpipe.testing.copies import copies
from ladderpipe.testing.strategies import events_and_hands, pipelines
from tests.insight.bulk_frames import (
    as_columns,
    in_each_way,
    told_by_the_fold,
    told_in_bulk,
    with_plain_properties,
)

fewer = settings(max_examples=max(10, settings.default.max_examples // 2))  # type: ignore[union-attr]

TEMPLATES = (crm_default, kanban, new_to_won, prospecting, sales_management)

STRANGE = ("deal.edited", "cart.merged", "ladder.withdraw", "ladder.told")
"""What only the ordinary fold understands."""

LADDERS = {template: template() for template in TEMPLATES}

GONE_ON = Stage("gone_on", status="merged")


@st.composite
def ladders_and_deals(
    draw: st.DrawFn, deals: int = 2, *, least: int = 0, most: int = 20, **options: Any
) -> tuple[Pipeline, list[Event]]:
    """Return a ladder without functions, and the events of several deals, in any order.

    The first deal has so many at the *least*, each so many at *most*.
    """
    template = draw(st.sampled_from([None, None, *TEMPLATES]))
    pipeline = draw(pipelines(**options)) if template is None else LADDERS[template]
    if template is None and draw(st.booleans()):
        pipeline = pipeline.extended(stages=[GONE_ON], rules=[on("cart.merged", into=GONE_ON)])
    streams = [
        draw(
            events_and_hands(pipeline, deal=f"deal-{n}", min_size=0 if n else least, max_size=most)
        )
        for n in range(deals)
    ]
    told = [told for stream in streams for told in stream]
    return pipeline, draw(st.permutations(told))


def some_instant(draw: Any, events: list[Event]) -> dt.datetime | None:
    hours = draw(st.sampled_from([None, 0, 1, 2, 3, 5, 48]))
    if hours is None or not events:
        return None
    at: dt.datetime = draw(st.sampled_from(events)).at + dt.timedelta(hours=hours)
    return at


def unusual_deals(events: list[Event]) -> set[str]:
    """Return the deals that were told more than columns hold; all others are stepped."""
    currencies: dict[str, set[str]] = {}
    found = set()
    for each in events:
        data = each.data
        cart = data.get("cart", {})
        lines = [*cart.get("lines", ()), *([data["line"]] if "line" in data else ())]
        keys = [line.get("sku") or line.get("variant_id") or line.get("title") for line in lines]
        named = {data.get("currency"), cart.get("currency")} - {None}
        currencies.setdefault(each.deal, set()).update(named)
        is_plain = all(
            "currency" not in line and line.get("unit_price") not in ("", "on request")
            for line in lines
        )
        is_plain &= all(line.get("quantity") != -1 for line in lines)
        # Columns know a line by its SKU.
        is_plain &= all(line.get("sku") for line in lines)
        if each.type.startswith("order.") or not is_plain or len(set(keys)) < len(keys):
            found.add(each.deal)
        if len(currencies[each.deal]) > 1 or each.type in STRANGE:
            found.add(each.deal)
        if each.type == "cart.item_added" and named and data["line"].get("quantity") == 0:
            found.add(each.deal)
    return found


@fewer
@given(ladders_and_deals(), st.data())
def test_a_bulk_replay_tells_the_histories_of_the_fold(
    case: tuple[Pipeline, list[Event]], data: st.DataObject
) -> None:
    pipeline, events = case
    until = some_instant(data.draw, events)
    expected = told_by_the_fold(pipeline, events, until)
    for replayed in in_each_way(pipeline, events, until):
        event(f"{replayed.one_by_one} deals one by one")
        assert replayed.one_by_one <= len(unusual_deals(events))
        assert told_in_bulk(replayed) == expected


@fewer
@given(ladders_and_deals(), st.data())
def test_data_in_columns_says_what_the_same_data_says_in_events(
    case: tuple[Pipeline, list[Event]], data: st.DataObject
) -> None:
    pipeline, told = case
    # What is taken back, or told by another system, has no columns.
    events = [each for each in told if each.type not in STRANGE[2:]]
    frame = as_columns(with_plain_properties(events))
    until = some_instant(data.draw, events)
    expected = told_by_the_fold(pipeline, events_of(frame), until)
    for replayed in in_each_way(pipeline, frame, until):
        assert replayed.one_by_one <= len(unusual_deals(events))
        assert told_in_bulk(replayed) == expected


@fewer
@given(ladders_and_deals(least=1, most=10), st.data())
def test_an_event_told_twice_counts_once(
    case: tuple[Pipeline, list[Event]], data: st.DataObject
) -> None:
    pipeline, events = case
    again = st.sampled_from(events).flatmap(copies)
    twice = data.draw(st.lists(again, min_size=1, max_size=3))
    told = data.draw(st.sampled_from([[*events, *twice], [*twice, *events]]))
    expected = told_by_the_fold(pipeline, told)
    for replayed in in_each_way(pipeline, told):
        assert replayed.one_by_one >= len({event.deal for event in twice})
        assert told_in_bulk(replayed) == expected
