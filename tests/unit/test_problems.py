"""What each error is answered with over HTTP: one table, which goes through the tree of errors."""

from __future__ import annotations

import json
import sqlite3
from http import HTTPStatus

import jsonschema
import psycopg
import pytest

from ladderpipe import Board, Event, ManualClock, Pipeline, Stage, by_hand, errors, on
from ladderpipe.problems import MEDIA_TYPE, SCHEMA, STATUSES, Problem, invalid_request, problem_of
from ladderpipe.problems.words import asked_for

NINE = "2026-01-05T09:00:00Z"
OURS = {
    *(errors.ArchiveError, errors.ClockError, errors.DefinitionError, errors.LadderError),
    *(errors.MigrationError, errors.ReentrancyError, errors.SealedError),
    errors.UndeliverableError,
    errors.UnexpectedError,
}
"""What no request is to blame for."""
ALL = [getattr(errors, name) for name in errors.__all__]


class CreditExceeded(Exception):
    """What an application's own hook refuses with."""


def checked(problem: Problem | None) -> Problem:
    assert problem is not None
    told = json.loads(problem.body())
    jsonschema.validate(told, SCHEMA)
    assert set(told) <= set(SCHEMA["properties"])
    assert problem.headers["Content-Type"] == MEDIA_TYPE
    return problem


@pytest.mark.parametrize("kind", ALL)
def test_every_error_is_an_answer_or_a_mistake_of_ours(kind: type[errors.LadderError]) -> None:
    assert (kind in STATUSES) != (kind in OURS)
    error = kind("this was refused, because of that: do something else")
    problem = problem_of(error)
    if kind in (errors.HookError, errors.GuardError):
        assert problem is None
        error.__cause__ = CreditExceeded(str(error))
        problem = problem_of(error, refusals=(CreditExceeded,))
    if kind in OURS:
        assert problem is None
        return
    problem = checked(problem)
    assert problem.status is STATUSES[kind]
    assert problem.status < 500 or "Retry-After" in problem.headers
    assert problem.detail == "this was refused, because of that: do something else"


def test_each_kind_has_a_name_of_its_own() -> None:
    answers = [kind for kind in STATUSES if kind not in (errors.HookError, errors.GuardError)]
    kinds = {checked(problem_of(kind("…"))).type for kind in answers}
    assert len(kinds) == len(answers)
    assert "urn:ladderpipe:move-not-allowed" in kinds


class MineError(errors.EventConflictError):
    """An application's own."""


def test_an_error_of_ones_own_is_answered_as_what_it_is() -> None:
    assert checked(problem_of(MineError("…"))).type == "urn:ladderpipe:event-conflict"


@pytest.mark.parametrize("kind", [sqlite3.OperationalError, psycopg.OperationalError])
def test_a_database_that_is_away_may_be_asked_again(kind: type[Exception]) -> None:
    problem = checked(problem_of(kind("password=secret")))
    assert problem.status is HTTPStatus.SERVICE_UNAVAILABLE
    assert "secret" not in problem.detail


@pytest.mark.parametrize("error", [KeyError("x"), RuntimeError("x"), KeyboardInterrupt()])
def test_anything_else_is_a_mistake_of_ours(error: BaseException) -> None:
    assert problem_of(error) is None


def test_a_move_that_is_refused_says_where_the_deal_may_go() -> None:
    new, asked, won = Stage("new"), Stage("asked", requires=["budget"]), Stage("won", status="won")
    rules = [on("lead", into=new, opens=True), by_hand(into=asked)]
    ladder = Pipeline("p", stages=[new, asked, won], rules=rules)
    with Board(ladder, clock=ManualClock(NINE)) as board:
        board.handle(Event("lead", deal="d", id="1", at=NINE))
        told = {}
        for into in ("won", "asked"):
            with pytest.raises(errors.MoveNotAllowedError) as refused:
                board.move("d", into, by="ada")
            told[into] = checked(problem_of(refused.value))
        with pytest.raises(errors.MoveNotAllowedError) as refused:
            board.move("d", "asked", by="ada", expecting="won")
        stale = checked(problem_of(refused.value))
    assert (told["won"].status, told["asked"].status) == (409, 422)
    assert told["won"].members["allowed"] == ["asked"]
    assert told["asked"].members["missing"] == ["budget"]
    assert ["stale" in each.members for each in (*told.values(), stale)] == [False, False, True]
    assert {each.members["stage"] for each in told.values()} == {"new"}


def test_what_cannot_be_used_is_named() -> None:
    error = errors.InvalidEventError("…")
    error.event = Event("lead", deal="d", id="1", at=NINE, source="shop")
    assert checked(problem_of(error)).members == {"event": {"source": "shop", "id": "1"}}


def test_what_is_quoted_may_be_no_unicode() -> None:
    assert b"\\ud800" in checked(problem_of(errors.InvalidEventError("\ud800 is refused"))).body()


def test_what_is_wrong_with_a_request_has_its_places() -> None:
    problem = checked(invalid_request([(("body", "lines", 0), "is no line"), (("at",), "…")]))
    assert problem.status is HTTPStatus.UNPROCESSABLE_ENTITY
    assert problem.detail == "body.lines.0: is no line; at: …"
    assert problem.members["findings"][0] == {"place": ["body", "lines", 0], "reason": "is no line"}


@pytest.mark.parametrize(
    ("wishes", "language"),
    [
        *(("it", "it"), ("it-CH", "it"), ("IT_it", "it"), ("", "en"), ("de", "en"), ("*", "en")),
        *(("de, it;q=0.5", "it"), ("it;q=0.4, en-GB;q=0.8", "en"), ("en;q=0.1,it; q=1.0", "it")),
        *(("it;q=0", "en"), ("it;q=nan", "en"), (";;,,q=1", "en"), ("it" * 100_000, "en")),
    ],
)
def test_the_language_is_the_one_wished_for_most(wishes: str, language: str) -> None:
    assert asked_for(wishes) == language


@pytest.mark.parametrize("kind", STATUSES)
def test_a_refusal_is_told_in_italian_and_a_program_reads_the_same(
    kind: type[errors.LadderError],
) -> None:
    error = kind("this was refused")
    error.__cause__ = CreditExceeded("troppo")
    english, italian = (
        checked(problem_of(error, (CreditExceeded,), language)) for language in ("en", "it-IT")
    )
    assert (english.type, english.status) == (italian.type, italian.status)
    assert english.members == italian.members
    assert {english.title, english.detail}.isdisjoint({italian.title, italian.detail})
    for problem, language in ((english, "en"), (italian, "it")):
        assert problem.headers["Content-Language"] == language
        assert problem.headers["Vary"] == "Accept-Language"
    plain = checked(problem_of(error, (CreditExceeded,)))
    assert (plain.title, plain.detail) == (english.title, english.detail)
    assert not {"Content-Language", "Vary"} & plain.headers.keys()


def test_a_move_is_refused_in_the_words_of_the_stages() -> None:
    cart = Stage("cart", title={"en": "Cart", "it": "Carrello"})
    lost = Stage("lost", title={"it": "Persa"}, status="lost", requires=["loss_reason"])
    won = Stage("won", title={"it": "Vinta"}, status="won")
    rules = [on("x", into=cart, opens=True), by_hand(into=lost)]
    ladder = Pipeline("p", stages=[cart, lost, won], rules=rules)
    with Board(ladder, clock=ManualClock(NINE)) as board:
        board.handle(Event("x", deal="d", id="1", at=NINE))
        told = []
        for into in ("lost", "won"):
            with pytest.raises(errors.MoveNotAllowedError) as refused:
                board.move("d", into, by="Ada")
            told.append(checked(problem_of(refused.value, language="it")).detail)
    assert told[0] == "Per “Persa” serve: Motivo della perdita."
    assert told[1].startswith("Non si può spostare in “Vinta”")


def test_a_database_that_is_away_and_a_request_that_is_none_are_told_in_italian() -> None:
    away = checked(problem_of(sqlite3.OperationalError("password=secret"), language="it"))
    assert away.title == "Il database non risponde."
    assert "secret" not in away.detail
    request = checked(invalid_request([(["at"], "no time")], "it"))
    assert (request.title, request.detail) == ("Richiesta non valida", "at: no time")
