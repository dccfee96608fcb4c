"""``--ladder-cov``: watching every ladder of a test run, and what is said of it at the end."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Generator, Iterator, Mapping
from importlib import import_module
from typing import Any

import pytest

from ladderpipe import Pipeline
from ladderpipe.ladder.ladder import Ladder
from ladderpipe.ladder.watch import Point

from .coverage import Coverage, Part, checked_excuses, parts_of, written

__all__ = ["LadderCoverage", "Recorder", "read_excuses"]

FIXTURE = "ladder_pipeline"
OUTPUT = "ladderpipe_coverage"
"""Under this name an xdist worker hands what it saw to the run that started it."""


class Recorder:
    """Notes what folds and boards see of every ladder, by the name of its pipeline."""

    def __init__(self) -> None:
        self.seen: dict[str, set[Point]] = defaultdict(set)

    def saw(self, pipeline: str, point: Point) -> None:
        """Note it."""
        self.seen[pipeline].add(point)

    def __enter__(self) -> Recorder:
        Ladder.watch = self
        return self

    def __exit__(self, *raised: object) -> None:
        Ladder.watch = None


class LadderCoverage:
    """One run: what was seen of which ladder, by this process and by xdist's workers."""

    def __init__(self, config: pytest.Config) -> None:
        named = [name for name in config.getoption("ladder_cov") or () if name]
        self.named = named or config.getini("ladder_cov")
        self.fail_under: float | None = config.getoption("ladder_fail_under")
        self.excuses = read_excuses(config)
        self.recorder = Recorder()
        self.of_fixture: dict[str, Pipeline] = {}
        self.told: dict[str, dict[str, Any]] = {}
        self.found: list[Coverage] = []
        self.recorder.__enter__()

    def pytest_unconfigure(self) -> None:
        """Watch no longer."""
        self.recorder.__exit__()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Collect the excuses that stand at tests."""
        for item in items:
            for mark in item.iter_markers("ladder_excuse"):
                self.excuses |= _excuse_of(*mark.args, **mark.kwargs)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any]
    ) -> Generator[None, object, object]:
        """Note which ladder the fixture ``ladder_pipeline`` returned."""
        result = yield
        if fixturedef.argname == FIXTURE and isinstance(result, Pipeline):
            self.of_fixture[result.name] = result
        return result

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take what a worker of xdist saw."""
        for name, told in getattr(node, "workeroutput", {}).get(OUTPUT, {}).items():
            self._merge(name, told)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Work out what was missed; a run that reached too little fails."""
        for pipeline in self._asked_for(session):
            parts = [list(part) for part in parts_of(pipeline)]
            seen = sorted(self.recorder.seen[pipeline.name])
            told = {"parts": parts, "seen": seen, "excuses": self.excuses}
            self._merge(pipeline.name, told)
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output[OUTPUT] = self.told
            return
        self.found = [_coverage(name, told) for name, told in sorted(self.told.items())]
        if session.exitstatus == pytest.ExitCode.OK and self._fails():
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say it."""
        for found in self.found:
            terminalreporter.section(f"ladder coverage: {found.pipeline}")
            for line in written(found):
                terminalreporter.write_line(line)
        if not self.found:
            terminalreporter.section("ladder coverage")
            terminalreporter.write_line(
                "no ladder: no test asked for the fixture ladder_pipeline, and none folded one "
                "that a module holds; say --ladder-cov=module:pipeline"
            )
        least = self.fail_under or 0
        for found in self.found:
            if found.percent < least:
                line = f"FAIL {found.pipeline}: {least:g} % of the ladder is asked for, "
                terminalreporter.write_line(f"{line}and {found.percent:.1f} % is reached", red=True)

    def _fails(self) -> bool:
        least = self.fail_under
        if least is None:
            return False
        return not self.found or any(found.percent < least for found in self.found)

    def _merge(self, name: str, told: Mapping[str, Any]) -> None:
        known = self.told.setdefault(name, {"parts": [], "seen": [], "excuses": {}})
        known["parts"] += [list(part) for part in told["parts"] if list(part) not in known["parts"]]
        known["seen"] = sorted({tuple(point) for point in (*known["seen"], *told["seen"])})
        known["excuses"] |= told["excuses"]

    def _asked_for(self, session: pytest.Session) -> list[Pipeline]:
        if _is_controller(session.config):
            return []
        if self.named:
            return [_named(name) for name in self.named]
        return list(self.of_fixture.values()) or list(_in_modules(self.recorder.seen))


def _is_controller(config: pytest.Config) -> bool:
    """Whether this run leaves the tests to workers of xdist."""
    has_workers = getattr(config.option, "numprocesses", None) or getattr(config.option, "tx", None)
    return bool(has_workers) and not hasattr(config, "workerinput")


def _coverage(name: str, told: Mapping[str, Any]) -> Coverage:
    parts = [Part(part[0], part[1], part[2], tuple(part[3])) for part in told["parts"]]
    found = Coverage(name, lambda: parts, told["excuses"])
    found.seen = {tuple(point) for point in told["seen"]}
    return found


def _named(path: str) -> Pipeline:
    module, _, name = path.partition(":")
    found: Any = import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    if not isinstance(found, Pipeline) and callable(found):
        found = found()
    if not isinstance(found, Pipeline):
        raise pytest.UsageError(f"--ladder-cov={path}: that is a {type(found).__name__}")
    return found


def _in_modules(seen: Mapping[str, object]) -> Iterator[Pipeline]:
    """Yield the pipelines that modules hold and tests folded."""
    known: set[int] = set()
    for module in list(sys.modules.values()):
        for found in list(vars(module).values()) if hasattr(module, "__dict__") else ():
            if isinstance(found, Pipeline) and found.name in seen and id(found) not in known:
                known.add(id(found))
                yield found


def read_excuses(config: pytest.Config) -> dict[str, str]:
    """Return the excuses of the configuration file.

    Raises:
        pytest.UsageError: one has no reason.
    """
    found: dict[str, str] = {}
    for line in config.getini("ladder_excuse"):
        name, _, reason = line.partition(" -- ")
        found |= _excuse_of(name.strip(), reason=reason)
    return found


def _excuse_of(name: str, reason: str = "") -> dict[str, str]:
    try:
        return checked_excuses({name: reason})
    except ValueError as error:
        raise pytest.UsageError(f"ladder_excuse: {error}") from None
