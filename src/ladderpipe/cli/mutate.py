"""``mutate``: which change of a ladder no test notices."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Final

import typer

from ..errors import DefinitionError
from ..testing.mutation.trial import Trial, Tried, Verdict
from .loading import SUFFIXES, find_modules_here, loaded_pipeline
from .options import Json
from .printing import console, printable, progress, write_json

__all__ = ["mutate"]


def mutate(
    pipeline: Annotated[
        str,
        typer.Argument(
            metavar="MODULE:PIPELINE",
            help="the ladder as the tests import it, or a function that returns it",
        ),
    ],
    tests: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TESTS]...", help="what pytest is given; what it finds if not"),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="so many at a time; one for each core")
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout",
            metavar="SECONDS",
            help="for the tests with one change; five times what they take without",
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only", metavar="NAME", help="which changes; * stands for any letters; again for more"
        ),
    ] = None,
    excuse: Annotated[
        list[str] | None,
        typer.Option(
            "--excuse", metavar="'NAME -- REASON'", help="what nobody needs to notice, and why"
        ),
    ] = None,
    fork: Annotated[
        bool,
        typer.Option(
            "--fork/--no-fork",
            help="collect the tests once and fork for each change, where that can be; or start a "
            "process for each",
        ),
    ] = True,
    json: Json = False,
) -> None:
    """Change a ladder one thing at a time, run its tests, and say which change none noticed.

    Exits with 1 when there is one that is not excused.
    """
    excuses = {}
    for said in excuse or ():
        name, _, reason = said.partition(" -- ")
        excuses[name.strip()] = reason
    _check_named(pipeline)
    out = console()
    with _trial(pipeline, tests or (), excuses, only or (), timeout, fork) as trial:
        seconds = trial.begin()
        if not json:
            passing = "1 test passes" if len(trial.tests) == 1 else f"{len(trial.tests)} tests pass"
            out.print(f"{passing} in {seconds:.1f} s; {len(trial.names)} changes", style="dim")
        order = {name: place for place, (name, _) in enumerate(trial.names)}
        with progress() as bar:
            running = trial.run(jobs or os.cpu_count() or 1)
            found = list(bar.track(running, len(order), description="trying changes"))
    found.sort(key=lambda tried: order[tried.name])
    if json:
        write_json([tried.to_dict() for tried in found])
    else:
        _show(found, len(order) - len(found))
    if any(tried.is_missed for tried in found):
        raise typer.Exit(1)


def _check_named(named: str) -> None:
    """Refuse what the tests cannot be holding.

    Raises:
        DefinitionError: a file is named.
    """
    if ":" not in named or named.lower().endswith(SUFFIXES):
        raise DefinitionError(
            f"{named!r}: mutate changes the ladder that your tests import: name that as "
            "module:name, for example shop:ladder, also where it was loaded from a file"
        )


def _trial(
    pipeline: str,
    tests: Sequence[str],
    excuses: dict[str, str],
    only: Sequence[str],
    timeout: float | None,
    fork: bool,
) -> Trial:
    find_modules_here()
    try:
        return Trial(
            pipeline,
            lambda: loaded_pipeline(pipeline),
            tests,
            excuse=excuses,
            only=only,
            timeout=timeout,
            fork=fork,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _show(found: Sequence[Tried], same: int) -> None:
    out = console()
    counts = Counter(tried.verdict for tried in found)
    for verdict, title, style in _TOLD:
        listed = [tried for tried in found if tried.verdict == verdict]
        if not listed:
            continue
        out.print(f"\n{title}", style=style)
        for tried in listed:
            out.print(f"  {printable(tried.name)}", soft_wrap=True, highlight=False, markup=False)
            for line in _shown(tried):
                out.print(
                    f"      {printable(line)}",
                    style="dim",
                    soft_wrap=True,
                    highlight=False,
                    markup=False,
                )
    parts = [f"{counts[verdict]} {verdict}" for verdict in _ORDER if counts[verdict]]
    if same:
        parts.append(f"{same} that change nothing or cannot be, not tried")
    out.print(f"\n{', '.join(parts) or 'nothing to change'}", soft_wrap=True)


def _shown(tried: Tried) -> list[str]:
    if tried.reason is not None:
        return [tried.reason]
    return [] if tried.difference is None else list(tried.difference.lines())


_TOLD: Final[tuple[tuple[Verdict, str, str], ...]] = (
    ("unreached", "no test comes by what was changed", "red"),
    ("survived", "no test noticed", "red"),
    ("perhaps equivalent", "perhaps equivalent: nothing was found that shows it", "yellow"),
    ("excused", "excused", "dim"),
)
_ORDER: Final[tuple[Verdict, ...]] = ("noticed", "timed out", *(told[0] for told in _TOLD))
