"""Trying changes: the project's tests once as they are, then once for each change.

Where the platform forks, they are collected once, by a pytest that then forks for each change.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, Literal

import attrs

from ladderpipe import Pipeline
from ladderpipe.errors import DefinitionError, LadderError
from ladderpipe.extras import how_to_install
from ladderpipe.testing.coverage import checked_excuses

from .changes import Change, applied, changes, is_reached
from .difference import Courses, Difference, is_the_same
from .warm import UNKNOWN, VARIABLE, CannotFork, Warm, can_fork, end

__all__ = ["Trial", "Tried", "Verdict"]

Verdict = Literal["noticed", "timed out", "survived", "unreached", "perhaps equivalent", "excused"]

_PASSED = (0, 5)
"""The exit codes of a run that noticed nothing, or had no test left that could."""

_FEW: Final = 3
"""So many changes are sooner tried one by one than a warm pytest is."""


@attrs.frozen
class Tried:
    """What became of one change.

    Attributes:
        name: what excuses call it by.
        verdict: ``survived`` when tests that could notice it passed, ``unreached`` when no test
            comes by what was changed.
        tests: how many tests were run.
        seconds: how long that took.
        reason: why it is excused.
        difference: a course of events that would show it, of one that no test noticed.
    """

    name: str
    verdict: Verdict
    tests: int = 0
    seconds: float = 0.0
    reason: str | None = None
    difference: Difference | None = None

    @property
    def is_missed(self) -> bool:
        """Whether a test is missing."""
        return self.verdict in ("survived", "unreached")

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; the keys stay."""
        shows = self.difference
        return {
            "change": self.name,
            "verdict": self.verdict,
            "tests": self.tests,
            "seconds": round(self.seconds, 3),
            "reason": self.reason,
            "events": None if shows is None else [event.to_dict() for event in shows.events],
            "until": None if shows is None else shows.until.isoformat(),
            "shows": None if shows is None else list(shows.lines())[-1],
        }


class Trial:
    """The changes of one ladder, and the tests that may notice them."""

    def __init__(
        self,
        target: str,
        load: Callable[[], Pipeline],
        paths: Sequence[str] = (),
        *,
        excuse: Mapping[str, str] | None = None,
        only: Sequence[str] = (),
        timeout: float | None = None,
        fork: bool = True,
    ) -> None:
        """Say what is to be tried.

        Args:
            target: ``module:name`` of the pipeline, or of a function that returns it.
            load: returns the pipeline, here.
            paths: what pytest is given.
            excuse: why nobody needs to notice a change, by name; ``*`` stands for any letters.
            only: the names of the changes to try; all when left out.
            timeout: seconds that the tests may take with one change; left out, five times what
                they take without.
            fork: whether to collect the tests once and fork for each change, where that can be.

        Raises:
            ValueError: an excuse has no reason.
        """
        self.target = target
        self.paths = tuple(paths)
        self.only = tuple(only)
        self.timeout = timeout
        self.excuses = checked_excuses(excuse or {})
        self.pipeline = load()
        self.fork = fork and can_fork()
        self._warm: Warm | None = None
        self._told: Mapping[str, Any] = {}
        self._courses = Courses(self.pipeline)
        self._scratch = tempfile.TemporaryDirectory(prefix="ladderpipe-mutate-")
        self.tests: dict[str, set[tuple[str, ...]]] = {}
        self.names: list[tuple[str, tuple[tuple[str, ...], ...]]] = []

    def __enter__(self) -> Trial:
        return self

    def __exit__(self, *raised: object) -> None:
        if self._warm is not None:
            self._warm.close()
        self._scratch.cleanup()

    def begin(self) -> float:
        """Run the tests on the ladder as it is; return how many seconds that took.

        Raises:
            LadderError: they fail, or they are none, or they do not know the ladder.
        """
        if importlib.util.find_spec("pytest") is None:
            raise ImportError(f"mutate runs pytest: {how_to_install('testing')}")
        report = Path(self._scratch.name, "report.json")
        began = time.monotonic()
        code, told = self._run({"report": str(report)}, None)
        seconds = time.monotonic() - began
        if code != 0:
            raise TestsFailed(
                f"the tests fail on the ladder as it is (pytest ended with {code}): make them pass "
                f"first: {_failures(told)}"
            )
        if not report.exists():
            raise TestsFailed(
                "pytest did not load ladderpipe's plugin: take '-p no:ladderpipe' and "
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD out of the way"
            )
        self._read(json.loads(report.read_text("utf-8")))
        if self.timeout is None:
            self.timeout = max(20.0, 5 * seconds)
        return seconds

    def _read(self, told: dict[str, Any]) -> None:
        name = told["pipeline"]
        if name is None:
            raise TestsFailed(
                f"no test imports {self.target!r}: name the pipeline as the tests import it"
            )
        self._told = told
        self.excuses = {**told["excuses"], **self.excuses}
        shared = {tuple(point) for pipeline, point in told["shared"] if pipeline == name}
        for test, noted in told["tests"].items():
            seen = {tuple(point) for pipeline, point in noted["seen"] if pipeline == name}
            self.tests[test] = seen | shared if seen else seen
        self.names = [
            (each["name"], tuple(tuple(point) for point in each["reach"]))
            for each in told["changes"]
            if not self.only or any(fnmatchcase(each["name"], name) for name in self.only)
        ]

    def run(self, jobs: int = 1) -> Iterator[Tried]:
        """Try each change, *jobs* at a time; yield what became of it as it is known."""
        own = {change.name: change for change in changes(self.pipeline)}
        tried = [Change(name, reach) for name, reach in self.names if self._can_be(own.get(name))]
        if len(tried) > _FEW:
            self._warm_up()
        with ThreadPoolExecutor(jobs) as pool:
            waiting = [pool.submit(self._try, change) for change in tried]
            for done in as_completed(waiting):
                yield self._judged(done.result(), own)

    def _can_be(self, change: Change | None) -> bool:
        """Whether a change makes a ladder, and another one than that which is there."""
        if change is None:
            return True
        try:
            return not is_the_same(self.pipeline, applied(self.pipeline, change))
        except DefinitionError:
            return False

    def _warm_up(self) -> None:
        """Have the tests collected once, if the forks of what did that pass without a change."""
        if not self.fork:
            return
        asked = {"scratch": self._scratch.name, **self._kept("at_import", "modules")}
        try:
            command, environment = self._command({"stand_still": asked})
            self._warm = Warm(command, environment, Path(self._scratch.name), self.timeout)
            code, _ = self._warm.run({}, self.timeout)
        except CannotFork:
            return
        if code != 0:
            self._warm.close()
            self._warm = None

    def _kept(self, *names: str) -> dict[str, Any]:
        return {name: self._told[name] for name in names}

    def _try(self, change: Change) -> Tried:
        reason = next(
            (why for name, why in self.excuses.items() if fnmatchcase(change.name, name)), None
        )
        if reason is not None:
            return Tried(change.name, "excused", reason=reason)
        # What folds nothing may look at the definition itself.
        reaching = [test for test, seen in self.tests.items() if is_reached(change, seen)]
        still = [test for test, seen in self.tests.items() if not seen]
        verdict: Verdict = "survived" if reaching else "unreached"
        if not reaching and not still:
            return Tried(change.name, verdict)
        began = time.monotonic()
        without = sorted(self.tests.keys() - {*reaching, *still})
        code, told = self._run({"change": change.name, "without": without}, self.timeout)
        seconds = time.monotonic() - began
        if code is None:
            verdict = "timed out"
        elif code == UNKNOWN:
            raise TestsFailed(f"{change.name}: {_failures(told)}")
        elif code not in _PASSED:  # Failed, could not be collected, crashed.
            verdict = "noticed"
        return Tried(change.name, verdict, len(reaching) + len(still), seconds)

    def _judged(self, tried: Tried, own: Mapping[str, Change]) -> Tried:
        """Look for what would show a change that no test noticed."""
        change = own.get(tried.name)
        if not tried.is_missed or change is None or not _changes_histories(change):
            return tried
        found = self._courses.telling(applied(self.pipeline, change))
        if found is None:
            return attrs.evolve(tried, verdict="perhaps equivalent")
        return attrs.evolve(tried, difference=found)

    def _command(self, asked: Mapping[str, Any]) -> tuple[list[str], dict[str, str]]:
        """Return what starts a run, and its environment."""
        command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=short", "--no-header"]
        command += ["-p", "no:cacheprovider"]
        installed = (("xdist", "-n0"), ("pytest_cov", "--no-cov"), ("hypothesis", _SEED))
        command += [said for name, said in installed if importlib.util.find_spec(name)]
        environment = {
            **os.environ,
            VARIABLE: json.dumps({"target": self.target, **asked}),
            "HYPOTHESIS_STORAGE_DIRECTORY": self._scratch.name,
        }
        return [*command, *self.paths], environment

    def _run(self, asked: Mapping[str, Any], timeout: float | None) -> tuple[int | None, str]:
        """Run pytest; return its exit code, ``None`` when it took too long, and what it said."""
        if self._warm is not None:
            with contextlib.suppress(CannotFork):
                return self._warm.run(asked, timeout)
        command, environment = self._command(asked)
        with subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                told, _ = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                end(process.pid)
                process.communicate()
                return None, ""
            except BaseException:
                end(process.pid)
                process.communicate()
                raise
        return process.returncode, told


_SEED = "--hypothesis-seed=0"


class TestsFailed(LadderError, RuntimeError):
    """The tests cannot be asked."""

    __test__ = False


def _failures(told: str) -> str:
    """Return the lines of pytest's output that say what failed, or its last ones."""
    lines = told.strip().splitlines()
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    return "; ".join((failed or lines)[-3:])


def _changes_histories(change: Change) -> bool:
    """Whether a change can show in a fold; what only hooks, sequences and ``may`` do does not."""
    no_fold = change.hook is not None or "sequence" in change.attributes
    return not no_fold and not change.name.endswith(": may dropped")
