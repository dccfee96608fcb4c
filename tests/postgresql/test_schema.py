"""What the schema on PostgreSQL itself refuses, and that it keeps everything to the letter."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ladderpipe import Event
from ladderpipe.model.canonical import canonical_text
from ladderpipe.stores import PostgresStore
from tests.postgresql.conftest import OpenStore
from tests.shops import Shop, assert_is_the_fold, lead_ladder


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO ladder_moves SELECT * FROM ladder_moves",
        "UPDATE ladder_moves SET out_of_word = NULL",
        "UPDATE ladder_deals SET stage = NULL",
        "UPDATE ladder_deals SET due_at = entered_at - interval '1 second'",
        "UPDATE ladder_deals SET visit_key = NULL",
        "DELETE FROM ladder_deals",
        "INSERT INTO ladder_deals (pipeline, deal) SELECT pipeline, deal FROM ladder_deals",
        "INSERT INTO ladder_events SELECT * FROM ladder_events",
        "UPDATE ladder_events SET deal = 999",
        "UPDATE ladder_effects SET state = 'claimed'",
        "UPDATE ladder_effects SET state = 'nonsense'",
        "UPDATE ladder_events SET data = '{'",
    ],
)
def test_the_database_itself_refuses(store: PostgresStore, statement: str):
    shop = Shop(lead_ladder(sequence=True), store)
    shop.tell("lead")
    shop.tell("call")
    with (
        pytest.raises((psycopg.IntegrityError, psycopg.DataError)),
        store.transaction() as transaction,
    ):
        transaction.connection.execute(statement.encode())


def test_instants_are_utc_whatever_the_session_shows(open_store: OpenStore):
    store = open_store("&options=-c%20TimeZone%3DEurope%2FRome")
    shop = Shop(lead_ladder(), store, start="2026-07-05T09:00:00.123456Z")
    shop.tell("lead")
    shop.tell("call", at="0001-01-01T00:00:00Z")
    shop.tell("order", at="2026-07-05T11:00:00+02:00")
    deal = shop.board.deal("d")
    assert deal.opened_at.isoformat() == "2026-07-05T09:00:00.123456+00:00"
    assert deal.opened_at.tzinfo is dt.UTC
    assert [event.at.isoformat() for event in shop.board.events("d")] == [
        "0001-01-01T00:00:00+00:00",
        "2026-07-05T09:00:00+00:00",
        "2026-07-05T09:00:00.123456+00:00",
    ]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([1e22, -0.0, 1.0, 5e-324, 1.7976931348623157e308, 10**400, 2**63, ""])
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), inner
        )
    ),
    max_leaves=12,
)


@given(data=st.lists(JSON, min_size=1, max_size=3), at_once=st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_data_come_back_to_the_letter(store: PostgresStore, data: list[Any], at_once: bool):
    shop = Shop(lead_ladder(), store)
    number = len(list(shop.board.deals()))
    events = [
        Event("lead", deal=f"deal-{number}", id=f"{number}-{n}", at=shop.clock.now(), data=found)
        for n, found in enumerate({"properties": {"given": each}} for each in data)
    ]
    if at_once:
        assert not shop.board.handle_many(events).failures
    else:
        for event in events:
            shop.board.handle(event)
    texts = [canonical_text(event.data) for event in shop.board.events(f"deal-{number}")]
    assert texts == [canonical_text(event.data) for event in events]
    stored = shop.board.deal(f"deal-{number}").properties["given"]
    assert repr(stored) == repr(json.loads(json.dumps(events[-1].data))["properties"]["given"])


HOSTILE = [
    "'; DROP TABLE ladder_deals; --",
    "%s %(x)s %% {tables} ? $1",
    '\\x00 \\\' "" \x01\x1b\x7f\u2028\ufeff',
    "𝒟" * 250,
    "x" * 512,
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("at_once", [False, True])
def test_a_hostile_text_is_stored_intact(shop: Shop, text: str, at_once: bool):
    event = Event(
        "lead",
        deal=text,
        id=text,
        source=text,
        at=shop.clock.now(),
        data={"title": text, "contact": {text: text}, "properties": {"long": text * 2000}},
    )
    if at_once:
        other = shop.event("lead", "other")
        assert shop.board.handle_many([other, event, other]).accepted == 2
    else:
        shop.board.handle(event)
    assert shop.board.deal(text).title == text
    assert shop.board.events(text) == [event]
    assert shop.board.forget(name=text).deals == ()
    assert_is_the_fold(shop.board, [text])


def test_what_a_handler_complains_of_may_hold_anything(store: PostgresStore):
    shop = Shop(lead_ladder(sequence=True), store)

    def complain(delivery: object) -> None:
        raise ValueError("a NUL \0 and half a pair \ud800")

    shop.board._session.handlers["email"] = complain
    shop.tell("lead")
    assert shop.board.deliver().failed == 1
    (effect, *_) = shop.board.effects()
    assert effect.error == "ValueError: a NUL � and half a pair ?"
