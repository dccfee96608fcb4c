"""A stage is its key, never changes, and refuses what it cannot be."""

from __future__ import annotations

import copy
import datetime as dt
import json
import pickle
from typing import Any

import pytest

from ladderpipe import Stage, do, wait
from ladderpipe.errors import DefinitionError


def test_a_stage_is_its_key_as_an_enumeration_s_member_would_be() -> None:
    lost = Stage("lost", title="Trattativa persa", status="lost")
    assert lost == "lost"
    assert {lost: 1}["lost"] == 1
    assert f"{lost}" == str(lost) == lost.key == "lost"
    assert type(lost.key) is str
    assert json.dumps(lost) == '"lost"'


def test_titles_may_be_by_language() -> None:
    stage = Stage("won", title={"it": "Ottenuta", "en": "Won"}, status="won")
    assert stage.title == "Ottenuta"
    assert stage.title_in("en") == "Won"
    assert stage.title_in("de") == "Ottenuta"
    assert Stage("plain").title == "plain"


@pytest.mark.parametrize(
    ("status", "probability", "closed"),
    [("open", None, False), ("abandoned", None, False), ("won", 1.0, True), ("lost", 0.0, True)],
)
def test_won_is_certain_lost_is_hopeless_and_both_are_closed(
    status: Any, probability: float | None, closed: bool
) -> None:
    stage = Stage("s", status=status)
    assert stage.probability == probability
    assert stage.is_closed is closed


def test_a_stage_never_changes() -> None:
    stage = Stage("quote")
    with pytest.raises(AttributeError, match="never changes"):
        stage.status = "won"  # type: ignore[misc]


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))]
)
def test_a_copy_keeps_everything(again: Any) -> None:
    stage = Stage(
        "lost",
        title={"en": "Lost"},
        status="lost",
        requires=["why"],
        sequence=[do("email")],
        rots_after=dt.timedelta(days=14),
    )
    copied = again(stage)
    assert copied == stage
    for name in ("titles", "status", "probability", "requires", "sequence", "rots_after"):
        assert getattr(copied, name) == getattr(stage, name)


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": "x" * 513},
        {"key": ""},
        {"key": "two words"},
        {"key": "1st"},
        {"key": 3},
        {"status": "pending"},
        {"probability": 1.2},
        {"probability": True},
        {"requires": "loss_reason"},
        {"requires": [""]},
        {"title": ""},
        {"sequence": ["email"]},
        {"sequence": [do("email"), wait(hours=1)]},
        {"rots_after": 14},
        {"rots_after": dt.timedelta()},
        {"rots_after": dt.timedelta(days=-1)},
        {"rots_after": dt.timedelta(days=40_000)},
    ],
)
def test_what_a_stage_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError):
        Stage(**{"key": "quote", **wrong})


@pytest.mark.parametrize(
    "build",
    [
        lambda: do(""),
        lambda: do("email", expires=dt.timedelta()),
        lambda: do("email", to=object()),
        lambda: wait(),
        lambda: wait(hours=-1),
    ],
)
def test_a_step_that_cannot_be_taken_is_refused(build: Any) -> None:
    with pytest.raises(DefinitionError):
        build()
