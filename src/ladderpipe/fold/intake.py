"""Taking an event in: what it says of the deal, whatever it may move."""

from __future__ import annotations

from typing import Final

from ..errors import InvalidEventError, LadderError, shown
from ..model.event import BASELINE, BY_HAND, DISCARDED, OVERRIDE, Event
from .draft import Draft

__all__ = ["SPECIAL", "reduce", "take", "take_in", "take_properties"]

SPECIAL: Final = frozenset((BY_HAND, OVERRIDE, BASELINE, DISCARDED))
"""What the board itself writes: no reducer sees it."""


def take_in(draft: Draft, event: Event) -> None:
    """Let *draft* know what an event says of the deal, whatever it may move.

    Raises:
        InvalidEventError: the reducer cannot understand it.
    """
    draft.last_event = event
    take(draft, event)


def take(draft: Draft, event: Event) -> None:
    """Let the draft's data know what an event says.

    Raises:
        InvalidEventError: the reducer cannot understand it.
    """
    if event.type in SPECIAL:
        take_properties(draft, event)
    else:
        reduce(draft, event)


def take_properties(draft: Draft, event: Event) -> None:
    """Let the draft's data know the properties that a hand brings."""
    properties = event.data.get("properties")
    if properties:
        draft.changed = True
        draft.data.properties = {**draft.data.properties, **properties}


def reduce(draft: Draft, event: Event) -> None:
    """Let the ladder's reducer write on the draft's data.

    Raises:
        InvalidEventError: it cannot understand the event.
    """
    draft.changed = True
    try:
        draft.ladder.reducer(draft.data, event)
        if draft.ladder.reduces_without_data is None:
            draft.data.check()
    except LadderError as error:
        raise _refused(event, error) from error
    except Exception as error:
        raise InvalidEventError(
            f"the reducer cannot understand event {event.id!r} ({event.type}) for deal "
            f"{event.deal!r}: {shown(error)}"
        ) from error


def _refused(event: Event, error: LadderError) -> InvalidEventError:
    return InvalidEventError(
        f"event {event.id!r} ({event.type}) for deal {event.deal!r} is refused: {error}"
    )
