"""What of a ladder was reached by the folds and boards of a test run, and what was not."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple

from ladderpipe import Pipeline, Rule
from ladderpipe.board.hooks import hook_names
from ladderpipe.ladder.guards import AllOf, AnyOf, Guard, Not
from ladderpipe.ladder.machine import Candidate, Rung
from ladderpipe.ladder.rules import ByHand, OnEvents
from ladderpipe.ladder.watch import Point, Watch
from ladderpipe.pipeline import Direction
from ladderpipe.public import publish

__all__ = ["Coverage", "Part", "checked_excuses", "covering", "parts_of", "raise_below", "written"]


class Part(NamedTuple):
    """One thing of a ladder that a test can reach.

    Attributes:
        group: ``stages``, ``rules``, ``guards``, ``timers``, ``requires`` or ``hooks``.
        name: what excuses name it by, ``"rule order.confirmed into ordered: moved"``.
        unreached: what is to be said when no example reached it.
        point: what is seen when one does.
    """

    group: str
    name: str
    unreached: str
    point: Point


class Coverage:
    """Which parts of a pipeline were reached; :func:`covering` makes one.

    Attributes:
        pipeline: name of the pipeline.
        excuses: why some parts need not be reached: by name, in which ``*`` stands for anything.
        seen: what was seen of it, more than its parts.
    """

    def __init__(
        self,
        pipeline: str,
        parts: Callable[[], Iterable[Part]],
        excuse: Mapping[str, str] | None = None,
    ) -> None:
        """Begin with nothing reached.

        Raises:
            ValueError: an excuse has no reason.
        """
        self.pipeline = pipeline
        self.excuses = checked_excuses(excuse or {})
        self.seen: set[Point] = set()
        self._parts = parts

    @property
    def parts(self) -> tuple[Part, ...]:
        """All that can be reached of it, hooks that were registered meanwhile among it."""
        return tuple(self._parts())

    @property
    def missed(self) -> tuple[Part, ...]:
        """What no example reached and nothing excuses."""
        return tuple(part for part in self._left() if self._excuse(part) is None)

    @property
    def excused(self) -> tuple[tuple[Part, str], ...]:
        """What no example reached, each with the reason why it need not be."""
        found = ((part, self._excuse(part)) for part in self._left())
        return tuple((part, reason) for part, reason in found if reason is not None)

    @property
    def idle(self) -> tuple[str, ...]:
        """The excuses that excuse nothing: what they name was reached, or is not there."""
        return tuple(name for name in self.excuses if not self._excuses_any(name))

    @property
    def percent(self) -> float:
        """How much was reached of what is not excused, 0 to 100."""
        wanted = len(self.parts) - len(self.excused)
        return 100 * (1 - len(self.missed) / wanted) if wanted else 100.0

    def saw(self, pipeline: str, point: Point) -> None:
        """Note what a fold or board saw; of a ladder of another name it is nothing."""
        if pipeline == self.pipeline:
            self.seen.add(point)

    def report(self) -> str:
        """Say it in words: a line for each group, then what was missed."""
        return "\n".join(written(self))

    def check(self, at_least: float = 100) -> None:
        """Assert that enough was reached.

        Raises:
            AssertionError: it was not; the message names what no example reached.
        """
        raise_below([self], at_least)

    def _left(self) -> Iterator[Part]:
        for part in self.parts:
            if part.point not in self.seen:
                tried = part.point[0] == "rule" and (*part.point[:2], "tried") in self.seen
                only_tried = tried and part.point[2] == "moved"
                yield part._replace(unreached=_ONLY_TRIED) if only_tried else part

    def _excuse(self, part: Part) -> str | None:
        fitting = (name for name in self.excuses if fnmatchcase(part.name, name))
        return next((self.excuses[name] for name in fitting), None)

    def _excuses_any(self, name: str) -> bool:
        return any(fnmatchcase(part.name, name) for part in self._left())


@contextlib.contextmanager
def covering(pipeline: Pipeline, *, excuse: Mapping[str, str] | None = None) -> Iterator[Coverage]:
    """Note, while the block runs, what any fold or board reaches of a pipeline.

    Args:
        excuse: why parts need not be reached, by name; ``*`` stands for any letters.

    Raises:
        ValueError: an excuse has no reason.
    """
    found = Coverage(pipeline.name, functools.partial(parts_of, pipeline), excuse)
    ladder = pipeline.ladder
    own, before = vars(ladder).get("watch"), ladder.watch
    ladder.watch = found if before is None else _Both(found, before)
    try:
        yield found
    finally:
        if own is None:
            del ladder.watch
        else:
            ladder.watch = own


class _Both:
    """Tells two who watch, one inside the other."""

    def __init__(self, inner: Watch, outer: Watch) -> None:
        self.inner, self.outer = inner, outer

    def saw(self, pipeline: str, point: Point) -> None:
        self.inner.saw(pipeline, point)
        self.outer.saw(pipeline, point)


def checked_excuses(excuses: Mapping[str, str]) -> dict[str, str]:
    """Return the excuses if each has a reason.

    Raises:
        ValueError: one has none.
    """
    for name, reason in excuses.items():
        if not reason or not reason.strip():
            raise ValueError(
                f"the excuse {name!r} has no reason: say why no test needs to reach it"
            )
    return dict(excuses)


def raise_below(found: Iterable[Coverage], at_least: float) -> None:
    """Assert of each that enough was reached.

    Raises:
        AssertionError: it was not.
    """
    for each in found:
        if each.percent < at_least:
            raise AssertionError(
                f"{each.percent:.0f} % of ladder {each.pipeline!r} was reached, and "
                f"{at_least:g} % is asked for; reach what is missed, or excuse it with a reason:\n"
                + "\n".join(f"  {part.name} - {part.unreached}" for part in each.missed)
            )


def parts_of(pipeline: Pipeline) -> Iterator[Part]:
    """Yield all that a test can reach of a pipeline, in the order of its definition."""
    rungs = pipeline.ladder.rungs
    for stage in pipeline.stages:
        name = f"stage {stage.key}"
        if not any(rule.into is stage for rule in pipeline.rules):
            continue
        yield Part("stages", f"{name}: entered", "no deal was ever in it", _stage(stage, "entered"))
        if _ways_out(rungs[stage.key]):
            yield Part("stages", f"{name}: left", "no deal ever left it", _stage(stage, "left"))
        for required in stage.requires:
            for answer, told in (("missing", "never refused"), ("filled", "never filled")):
                point = ("requires", stage.key, required, answer)
                where = f"{name}: requires {required} {answer}"
                yield Part("requires", where, f"a move into it was {told}", point)
    for rule in pipeline.rules:
        yield from _parts_of_rule(rule, rungs.values())
    for direction, stage_key in pipeline.hooked:
        for hook in hook_names(pipeline.hooks(direction, stage_key)):
            yield _hook(direction, stage_key, hook)


def _parts_of_rule(rule: Rule, rungs: Iterable[Rung]) -> Iterator[Part]:
    key = rule.key or ""
    name, group = f"rule {key}", "rules"
    if not isinstance(rule.trigger, OnEvents | ByHand):
        group = "timers"
    point = ("rule", key, "moved")
    yield Part(group, f"{name}: moved", "it never moved a deal", point)
    if rule.when is not None:
        for place, guard in _questions(rule.when, "0"):
            what = "guard" if place == "0" else f"part '{guard}'"
            for answer in ("true", "false"):
                told = f"it was never {answer}"
                asked = ("guard", key, place, answer)
                yield Part("guards", f"{name}: {what} {answer}", told, asked)
    if group == "timers":
        if rule.when is not None or rule.into.requires:
            told = "it was never due while its guard was false"
            yield Part(group, f"{name}: blocked", told, ("rule", key, "blocked"))
        held = [rung for rung in rungs if any(timer.rule is rule for timer in rung.timers)]
        if any(way.rule is not rule for rung in held for way in _ways_out(rung)):
            told = "no deal ever left before it was due"
            yield Part(group, f"{name}: cancelled", told, ("rule", key, "cancelled"))


def _questions(guard: Guard, place: str) -> Iterator[tuple[str, Guard]]:
    """Yield a guard and what it is made of, but for what says no more than the whole."""
    yield place, guard
    if isinstance(guard, AllOf | AnyOf):
        for n, part in enumerate(guard.parts):
            yield from _questions(part, f"{place}.{n}")
    elif isinstance(guard, Not) and isinstance(guard.inner, AllOf | AnyOf):
        yield from list(_questions(guard.inner, f"{place}.0"))[1:]


def _ways_out(rung: Rung) -> list[Candidate]:
    return [*(way for ways in rung.by_trigger.values() for way in ways), *rung.timers]


def _stage(stage: str, what: str) -> Point:
    return ("stage", str(stage), what)


def _hook(direction: Direction, stage: str, hook: str) -> Part:
    where = f"hook {hook} on move {direction.replace('_', ' ')} {stage}: ran"
    told = "it never ran; hooks run on a board, not in a fold"
    return Part("hooks", where, told, ("hook", direction, stage, hook))


def written(found: Coverage) -> Iterator[str]:
    """Yield the lines of a report."""
    parts, missed = found.parts, found.missed
    excused = [part for part, _ in found.excused]
    yield f"{'':<12}{'parts':>7}{'missed':>8}{'cover':>7}"
    groups = list(dict.fromkeys(part.group for part in parts))
    for group in sorted(groups, key=_ORDER.index):
        yield _line(group, *(_count(each, group) for each in (parts, excused, missed)))
    if len(groups) != 1:
        yield _line("total", len(parts), len(excused), len(missed))
    if missed:
        yield ""
        yield "no example reached"
        yield from (f"  {part.name:<60} {part.unreached}".rstrip() for part in missed)
    if excused:
        yield ""
        yield "excused"
        yield from (f"  {part.name:<60} {reason}" for part, reason in found.excused)
    for name in found.idle:
        yield f"the excuse {name!r} excuses nothing: take it out, or mend the name"


_ONLY_TRIED = "it was tried, and never moved a deal"
_ORDER = ("stages", "rules", "timers", "guards", "requires", "hooks")


def _count(parts: Iterable[Part], group: str) -> int:
    return sum(part.group == group for part in parts)


def _line(what: str, parts: int, excused: int, missed: int) -> str:
    wanted = parts - excused
    percent = 100 * (wanted - missed) // wanted if wanted else 100
    return f"{what:<12}{wanted:>7}{missed:>8}{percent:>6}%"


publish("ladderpipe.testing", Coverage, Part, covering)
