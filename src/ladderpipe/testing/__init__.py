"""A test kit for ladders of your own: strategies, a state machine, assertions, fixtures.

The strategies and the state machine need the extra ``testing`` (Hypothesis); the pytest fixtures
``ladder_pipeline``, ``ladder_clock`` and ``ladder_board`` are there as soon as pytest is.
Everything is imported when it is first asked for, since pytest imports this package whenever it
starts.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ladderpipe.extras import how_to_install

if TYPE_CHECKING:
    from .assertions import assert_single_stage
    from .bounded import shrinking_within
    from .conformance.cases import ConformanceCase, conformance_cases
    from .coverage import Coverage, Part, covering
    from .machine import LadderStateMachine, ladder_state_machine
    from .store_contract import assert_store_contract
    from .strategies import events, events_and_hands, events_of_many_deals, pipelines

__all__ = [
    "ConformanceCase",
    "Coverage",
    "LadderStateMachine",
    "Part",
    "assert_single_stage",
    "assert_store_contract",
    "conformance_cases",
    "covering",
    "events",
    "events_and_hands",
    "events_of_many_deals",
    "ladder_state_machine",
    "pipelines",
    "shrinking_within",
]

_HOMES = {
    "ConformanceCase": "conformance.cases",
    "Coverage": "coverage",
    "LadderStateMachine": "machine",
    "Part": "coverage",
    "assert_single_stage": "assertions",
    "assert_store_contract": "store_contract",
    "conformance_cases": "conformance.cases",
    "covering": "coverage",
    "events": "strategies",
    "events_and_hands": "strategies",
    "events_of_many_deals": "strategies",
    "ladder_state_machine": "machine",
    "pipelines": "strategies",
    "shrinking_within": "bounded",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = importlib.import_module(f"{__name__}.{home}")
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
        raise ImportError(
            f"ladderpipe.testing.{name} needs Hypothesis: {how_to_install('testing')}"
        ) from error
    return getattr(module, name)
