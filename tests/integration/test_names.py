"""The longest names that an event may have, on every store."""

from __future__ import annotations

import random
from typing import Any

import pytest

from ladderpipe import Event, Outcome
from ladderpipe.errors import InvalidEventError
from tests.shops import Shop, assert_is_the_fold, lead_ladder


def incompressible(characters: int, first: int) -> str:
    """Return text in which nothing repeats, so that no index can hold it in fewer bytes."""
    dice = random.Random(first)
    return "".join(chr(first + dice.randrange(1000)) for _ in range(characters))


@pytest.mark.parametrize(
    ("characters", "first"),
    [(512, 0x100), (341, 0x4E00), (256, 0x20000)],
    ids=["2 bytes", "3 bytes", "4 bytes"],
)
@pytest.mark.parametrize("at_once", [False, True])
def test_the_longest_names_are_kept(store: Any, characters: int, first: int, at_once: bool):
    name = incompressible(characters, first)
    shop = Shop(lead_ladder(), store)
    event = Event("lead", deal=name, id=name[::-1], source=name, at=shop.clock.now())
    if at_once:
        assert not shop.board.handle_many([event]).failures
    else:
        shop.board.handle(event)
    assert shop.board.handle(event).outcome is Outcome.DUPLICATE
    assert shop.board.events(name) == [event]
    assert_is_the_fold(shop.board, [name])


@pytest.mark.parametrize("deal", ["x" * 513, "𝒟" * 257, ""])
@pytest.mark.parametrize("act", ["move", "override"])
def test_a_hand_cannot_name_a_deal_that_no_event_could(store: Any, deal: str, act: str):
    shop = Shop(lead_ladder(), store)
    with pytest.raises(InvalidEventError, match="deal"):
        getattr(shop.board, act)(deal, "new", by="Ada")
