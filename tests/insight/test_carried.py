"""A ladder that other processes are to fold by arrives there whole, or is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from ladderpipe import Calendar, Deal, Event, Pipeline, Stage, after, on
from ladderpipe.errors import DefinitionError
from ladderpipe.insight.bulk.carried import carried, received
from ladderpipe.templates import sales_management
from ladderpipe.testing.strategies import pipelines

NEW, OLD = Stage("new"), Stage("old")


def asked(deal: Deal, event: Event | None) -> bool:
    return True


def told(deal: Deal, event: Event | None) -> bool:
    return True


def ladder(when: Any = None) -> Pipeline:
    office = Calendar("office", zone="Europe/Rome", hours={"mon-fri": ["09:00-18:00"]})
    return Pipeline(
        "carried: there:and_back",
        stages=[NEW, OLD],
        rules=[
            on("lead.came", into=NEW, opens=True, when=when),
            after(hours=8, calendar=office, out_of=NEW, into=OLD),
        ],
    )


@given(pipelines())
def test_any_ladder_arrives_as_it_left(pipeline: Pipeline) -> None:
    arrived = received(carried(pipeline))
    assert arrived.fingerprint == pipeline.fingerprint
    assert (arrived.stages, arrived.rules) == (pipeline.stages, pipeline.rules)


def test_its_functions_and_calendars_come_with_it() -> None:
    arrived = received(carried(ladder(asked)))
    assert arrived.rules == ladder(asked).rules
    assert str(arrived.rules[0].when) == "asked"


def test_its_hooks_do_not() -> None:
    shop = sales_management()
    assert shop.has_hooks
    assert not received(carried(shop)).has_hooks


def test_it_is_built_once_in_each_process() -> None:
    assert received(carried(ladder(asked))) is received(carried(ladder(asked)))


def test_a_function_that_has_no_name_elsewhere_is_refused() -> None:
    with pytest.raises(DefinitionError, match=r"no import path.*define it with def at the top"):
        carried(ladder(lambda deal, event: True))


def test_a_function_of_the_program_that_runs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked, "__module__", "__main__")
    with pytest.raises(DefinitionError, match=r"program that runs \(__main__:asked\).* a module"):
        carried(ladder(asked))


def test_another_version_of_a_module_makes_another_ladder_and_is_refused() -> None:
    text = carried(ladder(asked))
    definition, modules, meant = json.loads(text)
    definition["rules"][0]["when"]["function"] = f"{__name__}:told"
    with pytest.raises(DefinitionError, match=f"another ladder .*the same version.*{__name__}"):
        received(json.dumps([definition, modules, meant]))
