"""A definition is plain data that makes the same pipeline again, or is refused by its place."""

from __future__ import annotations

import copy
import datetime as dt
import json
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladderpipe import Deal, Event, Pipeline, Stage, after, by_hand, do, on, templates, wait
from ladderpipe.errors import DefinitionError
from ladderpipe.ladder.fingerprint import differences, fold_definition
from ladderpipe.ladder.guards import guard, property_equals
from tests.ladders import ladders, ladders_and_events, sales_ladder
from tests.unit.ladders import Greet, WorkingDays, everything

SHIPPED = [getattr(templates, name) for name in templates.names()]
ALLOWED = ["tests"]
START = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)


def again(pipeline: Pipeline) -> Pipeline:
    return Pipeline.from_dict(json.loads(json.dumps(pipeline.to_dict())), ALLOWED)


def definition(**changes: Any) -> dict[str, Any]:
    """The smallest definition, changed."""
    return {
        "name": "small",
        "stages": [{"key": "new"}, {"key": "won", "status": "won"}],
        "rules": [{"on": ["came"], "into": "new", "opens": True}],
        **changes,
    }


def rule(**changes: Any) -> dict[str, Any]:
    opening = {"on": ["came"], "into": "new", "opens": True}
    return definition(rules=[opening, {"on": ["paid"], "into": "won", **changes}])


def _hooked(name: str, args: Any) -> dict[str, Any]:
    hook = {"move_into": "new", "call": f"tests.unit.ladders:{name}", "args": args}
    return definition(hooks=[hook])


def _with_task(title: Any) -> dict[str, Any]:
    step = {"do": "task", "payload": {"title": title}}
    return definition(stages=[{"key": "new", "sequence": [step]}, {"key": "won"}])


def refusal(data: Any, allow: Any = ALLOWED) -> str:
    with pytest.raises(DefinitionError) as refused:
        Pipeline.from_dict(data, allow)
    return str(refused.value)


# -- round trips ------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [sales_ladder, everything, *SHIPPED])
def test_a_definition_makes_the_same_definition_again(make: Any) -> None:
    pipeline = make()
    assert again(pipeline).to_dict() == pipeline.to_dict()
    assert again(pipeline).fingerprint == pipeline.fingerprint


@given(ladders_and_events())
def test_a_pipeline_that_was_written_and_read_folds_the_same(
    case: tuple[Pipeline, list[Event]],
) -> None:
    pipeline, events = case
    until = START + dt.timedelta(days=4)
    assert again(pipeline).fold(events, until) == pipeline.fold(events, until)


@given(ladders())
def test_nothing_is_left_out_by_writing_null(pipeline: Pipeline) -> None:
    def nulls(value: Any) -> int:
        if isinstance(value, dict):
            return sum(map(nulls, value.values()))
        return sum(map(nulls, value)) if isinstance(value, list) else value is None

    assert nulls(pipeline.to_dict()) == 0


def test_stages_keep_their_titles_sequences_and_requirements() -> None:
    before, after_ = everything(), again(everything())
    for one, other in zip(before.stages, after_.stages, strict=True):
        assert (one.titles, one.status, one.probability) == (
            other.titles,
            other.status,
            other.probability,
        )
        assert (one.requires, one.sequence) == (other.requires, other.sequence)
        assert one.rots_after == other.rots_after


def test_hooks_are_registered_again_in_their_order() -> None:
    before, after_ = everything(), again(everything())
    for stage in before.stages:
        for direction in ("into", "out_of"):
            assert after_.hooks(direction, stage) == before.hooks(direction, stage)  # type: ignore[arg-type]


def test_derived_rule_keys_are_written() -> None:
    pipeline = sales_ladder()
    assert [r["key"] for r in pipeline.to_dict()["rules"]] == [r.key for r in pipeline.rules]


def test_a_users_timer_comes_back_with_its_arguments() -> None:
    timers = [r.trigger for r in again(everything()).rules if isinstance(r.trigger, WorkingDays)]
    holidays = frozenset({dt.date(2026, 1, 6), dt.date(2026, 12, 25)})
    assert timers == [WorkingDays(3, holidays)]


def test_changing_what_was_written_does_not_change_the_pipeline() -> None:
    pipeline = everything()
    before = copy.deepcopy(pipeline.to_dict())
    written = pipeline.to_dict()
    written["stages"][0]["sequence"][2]["payload"]["notes"].append("more")
    written["stages"][0]["title"]["en"] = "Other"
    assert pipeline.to_dict() == before


@given(st.timedeltas(dt.timedelta(0), dt.timedelta(days=999_999)))
def test_every_delay_comes_back_to_the_microsecond(delay: dt.timedelta) -> None:
    new = Stage("new")
    pipeline = Pipeline(
        "p",
        stages=[new],
        rules=[on("a", into=new, opens=True), after(delay, into=new, reenter=True)],
    )
    assert again(pipeline).rules[1].trigger == pipeline.rules[1].trigger


def test_a_payload_may_use_the_names_of_the_steps_own_options() -> None:
    data = definition(
        stages=[
            {"key": "new", "sequence": [{"do": "email", "payload": {"expires": 1, "name": "x"}}]}
        ]
    )
    [step] = Pipeline.from_dict(data).stages[0].sequence
    assert step == attrs.evolve(do("email"), payload={"expires": 1, "name": "x"})


def test_a_task_is_written_in_the_first_language_of_its_title() -> None:
    for titles in ({"it": "Chiamare", "en": "Call"}, {"en": "Call", "it": "Chiamare"}):
        step = {"do": "task", "payload": {"title": titles, "due_hours": 4}}
        data = definition(stages=[{"key": "new", "sequence": [step]}, {"key": "won"}])
        [read] = Pipeline.from_dict(data).stages[0].sequence
        assert read == do("task", title=next(iter(titles.values())), due_hours=4)


def test_what_only_a_task_says_by_language_stays_as_it_is_elsewhere() -> None:
    step = {"do": "webhook", "payload": {"title": {"it": "Chiamare"}}}
    data = definition(stages=[{"key": "new", "sequence": [step]}, {"key": "won"}])
    assert Pipeline.from_dict(data).stages[0].sequence == (do("webhook", title={"it": "Chiamare"}),)


def test_a_hook_that_is_a_class_is_built_once_from_its_arguments() -> None:
    args = {"words": "Hello", "after": {"days": 3}}
    hook = {"move_into": "new", "call": "tests.unit.ladders:Greet", "args": args}
    pipeline = Pipeline.from_dict(definition(hooks=[hook]), ALLOWED)
    assert pipeline.hooks("into", "new") == [Greet("Hello", dt.timedelta(days=3))]
    assert pipeline.to_dict()["hooks"] == [hook]


def test_one_type_and_one_stage_may_stand_without_a_list() -> None:
    short = Pipeline.from_dict(rule(on="paid", out_of="new"))
    assert short.fingerprint == Pipeline.from_dict(rule(on=["paid"], out_of=["new"])).fingerprint


def test_a_stage_called_any_is_not_every_stage() -> None:
    data = rule(out_of=["ANY"])
    data["stages"].append({"key": "ANY"})
    pipeline = Pipeline.from_dict(data)
    assert pipeline.rules[1].out_of == (pipeline.stage("ANY"),)


# -- what cannot be written -------------------------------------------------------------------


def _with_guard(condition: Any) -> Pipeline:
    new = Stage("new")
    return Pipeline("p", stages=[new], rules=[on("a", into=new, opens=True, when=condition)])


def _with_timer(timer: Any) -> Pipeline:
    new, old = Stage("new"), Stage("old")
    rules = [on("a", into=new, opens=True), after(timer, into=old)]
    return Pipeline("p", stages=[new, old], rules=rules)


class Judge:
    def judge(self, deal: Any, event: Any) -> bool:
        return True


@attrs.frozen
class Zones:
    """A timer whose argument changes its type when it is written."""

    names: tuple[str, ...]

    def due_at(self, visit: Any) -> None:
        return None


@attrs.frozen
class Anything:
    what: object

    def due_at(self, visit: Any) -> None:
        return None


def test_functions_without_an_import_path_are_refused() -> None:
    def local(deal: Any, event: Any) -> bool:
        return True

    for function in (lambda deal, event: True, local, Judge().judge):
        with pytest.raises(DefinitionError):
            _with_guard(function).to_dict()


@guard
def under_its_decorator(deal: Any, event: Any) -> bool:
    return True


def test_a_function_is_read_back_from_under_its_decorator() -> None:
    written = _with_guard(under_its_decorator).to_dict()
    read = Pipeline.from_dict(written, allow=[__name__])
    assert read.rules == _with_guard(under_its_decorator).rules
    with pytest.raises(DefinitionError, match="was not allowed"):
        Pipeline.from_dict(written, allow=["ladderpipe"])


def test_a_timer_that_does_not_take_its_arguments_back_is_refused() -> None:
    for timer in (Zones(("Europe/Rome",)), Anything(object())):
        with pytest.raises(DefinitionError):
            _with_timer(timer).to_dict()


# -- refusals by their place ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "place", "hint"),
    [
        ([], "", "mapping"),
        (definition(stagse=[]), "", "stages"),
        ({"name": "x", "stages": []}, "", "rules"),
        (definition(name=""), "name", "text"),
        (definition(title={"it": 1}), "title.it", "text"),
        (definition(stages={}), "stages", "list"),
        (definition(stages=[{"key": "a", "statsu": "won"}]), "stages[0]", "status"),
        (definition(stages=[{"key": "a b"}]), "stages[0]", "a b"),
        (
            definition(stages=[{"key": "a", "probability": "high"}]),
            "stages[0].probability",
            "number",
        ),
        (definition(stages=[{"key": "a", "status": "gone"}]), "stages[0]", "abandoned"),
        (
            definition(stages=[{"key": "a", "sequence": [{"wait": {"hour": 1}}]}]),
            "stages[0].sequence[0].wait",
            "hours",
        ),
        (
            definition(stages=[{"key": "a", "sequence": [{"do": "x", "payload": {"a": {1}}}]}]),
            "stages[0].sequence[0].payload",
            "JSON",
        ),
        (rule(into="wno"), "rules[1].into", "won"),
        (rule(out_of=["nwe"]), "rules[1].out_of[0]", "new"),
        (rule(out_of=[]), "rules[1]", "ANY"),
        (rule(after={"hours": 1}), "rules[1]", "one trigger"),
        (rule(opens="yes"), "rules[1].opens", "true or false"),
        (rule(on=[]), "rules[1]", "event type"),
        (rule(on=["ladder.by_hand"]), "rules[1]", "by_hand"),
        (rule(when="cart_has_item"), "rules[1].when", "cart_has_items"),
        (rule(when={"nott": "cart_is_empty"}), "rules[1].when", "'not'"),
        (rule(when={"all": [{"any": []}]}), "rules[1].when.all[0].any", "empty"),
        (rule(when={"not": "cart_is_empty", "any": []}), "rules[1].when", "all"),
        (
            rule(when={"value_at_least": {"amount": "much"}}),
            "rules[1].when.value_at_least",
            "amount",
        ),
        (rule(when={"value_at_most": {}}), "rules[1].when.value_at_most", "amount"),
        (rule(when={"property_equals": {"name": "x"}}), "rules[1].when.property_equals", "value"),
        (rule(when={True: 1}), "rules[1].when", "quotes"),
        (definition(hooks=[{"move_in": "new", "call": "a:b"}]), "hooks[0]", "move_into"),
        (definition(hooks=[{"call": "tests.unit.ladders:greet"}]), "hooks[0]", "move_into"),
        (_hooked("greet", {"words": "Hello"}), "hooks[0].args", "class"),
        (_hooked("Greet", {"word": "Hello"}), "hooks[0]", "word"),
        (_hooked("Greet", {"words": "Hello", "after": {"day": 1}}), "hooks[0]", "day"),
        (_hooked("Greet", "Hello"), "hooks[0].args", "mapping"),
        (_hooked("WorkingDays", {"days": 1}), "hooks[0].call", "__call__"),
        (_with_task(4), "stages[0].sequence[0].payload", "title"),
        (_with_task({}), "stages[0].sequence[0].payload.title", "language"),
        (_with_task({"it": 1}), "stages[0].sequence[0].payload.title.it", "text"),
    ],
)
def test_a_malformed_part_is_refused_by_its_place(data: Any, place: str, hint: str) -> None:
    message = refusal(data)
    assert message.startswith(f"{place}: " if place else "")
    assert hint in message


def _timed(trigger: Any) -> dict[str, Any]:
    data = rule(after=trigger)
    del data["rules"][1]["on"]
    return data


@pytest.mark.parametrize(
    "trigger",
    [
        {},
        {"hours": -1},
        {"hours": float("nan")},
        {"hours": 10**30},
        {"hours": True},
        {"hour": 1},
        {"hours": 1, "since": "yesterday"},
        {"timer": "tests.unit.ladders:greet"},
        {"timer": "tests.unit.ladders:WorkingDays", "args": {"dayz": 1}},
        {"timer": "tests.unit.ladders:WorkingDays", "args": [1]},
        {"timer": "tests.unit.ladders:WorkingDays", "hours": 1},
    ],
)
def test_a_malformed_delay_is_refused_by_its_place(trigger: Any) -> None:
    assert refusal(_timed(trigger)).startswith("rules[1].after")


def test_a_timer_opens_no_deals() -> None:
    data = _timed({"hours": 1})
    data["rules"][1]["opens"] = True
    assert refusal(data).startswith("rules[1]")


def test_guards_that_contain_themselves_are_refused() -> None:
    guard: dict[str, Any] = {}
    guard["not"] = guard
    assert "deep" in refusal(rule(when=guard))


def test_a_schema_reference_for_editors_is_accepted() -> None:
    assert Pipeline.from_dict(definition(**{"$schema": "x.json"})).name == "small"


# -- what may be imported ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        rule(when={"function": "tests.unit.ladders:is_from_rome"}),
        definition(reducer="tests.unit.ladders:count_visits"),
        definition(hooks=[{"move_into": "new", "call": "tests.unit.ladders:greet"}]),
        _timed({"timer": "tests.unit.ladders:WorkingDays", "args": {"days": 1}}),
    ],
)
def test_functions_are_imported_only_from_modules_that_are_allowed(data: Any) -> None:
    assert Pipeline.from_dict(data, ["tests.unit.ladders"]).name == "small"
    assert Pipeline.from_dict(data, "tests").name == "small"
    for allow in ((), ("test",), ("tests.unit.ladders_too",), ("os",)):
        assert "allow" in refusal(data, allow)


@pytest.mark.parametrize(
    "path",
    [
        "tests.unit.ladders:dt.datetime.fromisoformat",
        "tests.unit.ladders:attrs.frozen",
        "ladderpipe.ladder.import_path:importlib.import_module",
        "ladderpipe.templates.hooks:attrs.frozen",
    ],
)
def test_what_an_allowed_module_has_imported_is_not_allowed_with_it(path: str) -> None:
    refusal(rule(when={"function": path}))


@pytest.mark.parametrize(
    "path",
    [
        "tests.unit.ladders",
        ":x",
        "tests.unit.ladders:nothing",
        "tests.nowhere:x",
        "tests.unit.ladders:__name__",
    ],
)
def test_a_path_that_leads_to_no_function_is_refused(path: str) -> None:
    assert refusal(rule(when={"function": path})).startswith("rules[1].when.function")


# -- fingerprints -----------------------------------------------------------------------------


def _ladder(*, stages: Any = None, rules: Any = None, **more: Any) -> Pipeline:
    new, won = stages or (Stage("new"), Stage("won", status="won"))
    return Pipeline(
        "p",
        stages=[new, won],
        rules=rules or [on("a", into=new, opens=True, key="in"), on("b", into=won, key="out")],
        **more,
    )


def test_titles_probabilities_sequences_and_hooks_do_not_matter_to_the_fold() -> None:
    plain = _ladder()
    decorated = _ladder(
        stages=(
            Stage(
                "new",
                title="Neu",
                probability=0.3,
                sequence=[do("x"), wait(hours=1), do("y")],
                rots_after=dt.timedelta(days=14),
            ),
            Stage("won", status="won", probability=0.8),
        ),
        title="Other",
    )
    decorated.move_into(decorated.stage("won"))(lambda ctx: None)
    assert decorated.fingerprint == plain.fingerprint
    assert differences(fold_definition(plain.ladder), fold_definition(decorated.ladder)) == []


def _changed_ladders() -> dict[str, Pipeline]:
    new, won = Stage("new"), Stage("won", status="won")
    opening = on("a", into=new, opens=True, key="in")

    def out(**changes: Any) -> Pipeline:
        given = {"into": won, "key": "out", **changes}
        return _ladder(stages=(new, won), rules=[opening, on("b", **given)])

    return {
        "stage status": _ladder(stages=(Stage("new", status="abandoned"), won)),
        "stage requires": _ladder(stages=(new, Stage("won", status="won", requires=["x"]))),
        "stage order": Pipeline(
            "p", stages=[won, new], rules=[opening, on("b", into=won, key="out")]
        ),
        "stage added": Pipeline(
            "p", stages=[new, won, Stage("x")], rules=[opening, on("b", into=won, key="out")]
        ),
        "rule order": _ladder(stages=(new, won), rules=[on("b", into=won, key="out"), opening]),
        "rule removed": _ladder(stages=(new, won), rules=[opening]),
        "rule added": _ladder(
            stages=(new, won),
            rules=[opening, on("b", into=won, key="out"), on("c", into=won, key="more")],
        ),
        "rule renamed": out(key="away"),
        "target": out(into=new, out_of=[won]),
        "out_of": out(out_of=[new]),
        "guard": out(when=property_equals("x", 1)),
        "like guard": out(when=property_equals("x", True)),
        "opens": out(opens=True),
        "reenter": out(reenter=True),
        "timer": _ladder(stages=(new, won), rules=[opening, after(hours=1, into=won, key="out")]),
        "since": _ladder(
            stages=(new, won), rules=[opening, after(hours=1, since="opened", into=won, key="out")]
        ),
        "reducer": _ladder(reducer=lambda data, event: None),
    }


def test_whatever_matters_to_the_fold_changes_the_fingerprint() -> None:
    found = {"": _ladder(), **_changed_ladders()}
    assert len({pipeline.fingerprint for pipeline in found.values()}) == len(found)


@pytest.mark.parametrize("what", _changed_ladders())
def test_a_change_that_matters_is_told_in_words(what: str) -> None:
    told = differences(
        fold_definition(_ladder().ladder), fold_definition(_changed_ladders()[what].ladder)
    )
    assert told
    assert all(isinstance(line, str) and line for line in told)


@given(ladders(), ladders())
def test_two_ladders_differ_exactly_when_their_fingerprints_do(
    one: Pipeline, two: Pipeline
) -> None:
    told = differences(
        fold_definition(one.ladder), json.loads(json.dumps(fold_definition(two.ladder)))
    )
    assert bool(told) == (one.fingerprint != two.fingerprint)


@given(ladders())
def test_a_ladder_does_not_differ_from_its_stored_self(pipeline: Pipeline) -> None:
    stored = json.loads(json.dumps(fold_definition(pipeline.ladder)))
    assert differences(stored, fold_definition(pipeline.ladder)) == []


def test_the_module_a_guard_was_imported_from_does_not_matter() -> None:
    def guard_in(module: str) -> Any:
        names: dict[str, Any] = {"__name__": module}
        exec("def is_big(deal, event):\n    return True", names)
        return names["is_big"]

    one, other = _with_guard(guard_in("__main__")), _with_guard(guard_in("shop"))
    assert one.fingerprint == other.fingerprint


def test_lambdas_and_local_functions_have_a_fingerprint() -> None:
    assert _with_guard(lambda deal, event: True).fingerprint


def test_a_timer_nobody_could_compare_has_no_fingerprint() -> None:
    with pytest.raises(DefinitionError, match=r"rule .*\.what"):
        _ = _with_timer(Anything(object())).fingerprint


def test_a_timers_arguments_matter_and_their_order_in_a_set_does_not() -> None:
    days = [dt.date(2026, 1, day) for day in range(1, 29)]
    one = _with_timer(WorkingDays(1, frozenset(days)))
    assert one.fingerprint == _with_timer(WorkingDays(1, frozenset(days[::-1]))).fingerprint
    assert one.fingerprint != _with_timer(WorkingDays(1, frozenset(days[1:]))).fingerprint


def only_the_boss(by: str, deal: Deal) -> bool:
    return by == "boss"


def test_who_may_move_by_hand_stands_in_a_definition_and_changes_no_history() -> None:
    def ladder(**given: Any) -> Pipeline:
        new = Stage("new")
        won = Stage("won", status="won")
        rules = [on("lead", into=new, opens=True), by_hand(into=won, **given)]
        return Pipeline("p", stages=[new, won], rules=rules)

    pipeline = ladder(may=only_the_boss)
    written = pipeline.to_dict()
    path = f"{only_the_boss.__module__}:only_the_boss"
    assert written["rules"][1]["may"] == path
    read = Pipeline.from_dict(written, allow=[only_the_boss.__module__])
    assert read.rules[1].may is only_the_boss
    assert read.fingerprint == ladder().fingerprint
    with pytest.raises(DefinitionError, match="allow"):
        Pipeline.from_dict(written)
    written["rules"][0]["may"] = path
    with pytest.raises(DefinitionError, match="may"):
        Pipeline.from_dict(written, allow=[only_the_boss.__module__])
