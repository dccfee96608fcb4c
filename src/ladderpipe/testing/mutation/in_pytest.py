"""Inside the pytest of a project: the ladder is changed as soon as its module is imported.

It is changed itself, not replaced: whoever imported it from where it is defined, before or after,
holds the changed one. A function that returns it is wrapped, and each of its ladders is changed.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Generator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import pytest

from ladderpipe import Pipeline
from ladderpipe.ladder.watch import Point
from ladderpipe.testing.pytest_coverage import Recorder, read_excuses

from .changes import apply, changes
from .reading import Reads
from .warm import UNKNOWN, VARIABLE, forked, leave

__all__ = ["MutationRun"]


class MutationRun:
    """One run of pytest: the first one, in which all is noted, one with a change, or a warm one.

    The last stands still where others make their change: as soon as the ladder is imported or, if
    nothing was made of it until then, when all tests are collected. Its forks are runs with a
    change from there on.
    """

    def __init__(self, config: pytest.Config, asked: dict[str, Any]) -> None:
        self.config = config
        self.module, _, self.name = asked["target"].partition(":")
        self.report: str | None = asked.get("report")
        self.stands: dict[str, Any] | None = asked.get("stand_still")
        self._ask(asked)
        self.recorder = Recorder()
        self.shared: set[tuple[str, Point]] = set()
        self.tests: dict[str, dict[str, Any]] = {}
        self.is_applied = False
        self.excuses: dict[str, str] = {}
        self.reads: Reads | None = None
        self.is_read = True
        self.collected: set[str] = set()
        _do_not_shrink()
        if self.module in sys.modules:
            self.imported(sys.modules[self.module])
        else:
            sys.meta_path.insert(0, _Finder(self.module, self.imported))

    @classmethod
    def of_environment(cls, config: pytest.Config) -> MutationRun:
        """Return the run that the environment asks for."""
        return cls(config, json.loads(os.environ[VARIABLE]))

    def _ask(self, asked: dict[str, Any]) -> None:
        self.change: str | None = asked.get("change")
        self.without = frozenset(asked.get("without", ()))

    def _stand_still(self) -> None:
        """In a warm run, go on as a fork of it."""
        if self.stands is not None:
            scratch, modules = self.stands["scratch"], self.stands["modules"]
            self.stands = None
            self._ask(forked(self.config, scratch, modules))

    def imported(self, module: ModuleType) -> None:
        """Change the ladder of a module that was imported just now."""
        holder, name, found = _found_in(module, self.name)
        if self.report is not None and isinstance(found, Pipeline):
            self.reads = Reads(found)
        if self.stands is not None and self.stands["at_import"]:
            self._stand_still()
        if self.change is None or self.is_applied:
            return
        if isinstance(found, Pipeline):
            self.is_applied = self._apply(found)
        elif callable(found):
            self.is_applied = True
            setattr(holder, name, self._changing(found))

    def _apply(self, pipeline: Pipeline) -> bool:
        change = next((each for each in changes(pipeline) if each.name == self.change), None)
        if change is not None:
            apply(pipeline, change)
        return change is not None

    def _changing(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def changed(*args: Any, **kwargs: Any) -> Any:
            found = function(*args, **kwargs)
            if isinstance(found, Pipeline):
                self._apply(found)
            return found

        return changed

    # -- what pytest calls --------------------------------------------------------------------

    def pytest_configure(self, config: pytest.Config) -> None:
        """Begin to note what is seen, in the first run."""
        self.excuses = read_excuses(config)
        if self.report is not None:
            self.recorder.__enter__()

    def pytest_unconfigure(self) -> None:
        """Note no more."""
        if self.report is not None:
            self.recorder.__exit__()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Leave out the tests that cannot notice the change; change what was imported oddly."""
        self._note_shared()
        if self.reads is not None:
            self.is_read = self.reads.end()
        self.collected = _own_modules()
        self._stand_still()
        left = [item for item in items if item.nodeid in self.without]
        items[:] = [item for item in items if item.nodeid not in self.without]
        if left:
            config.hook.pytest_deselected(items=left)
        if self.change is None:
            return
        if not self.is_applied and self.module in sys.modules:
            self.imported(sys.modules[self.module])
        if not self.is_applied and not self._take_late_hook():
            pytest.exit(f"no ladder {self.module}:{self.name} to change", UNKNOWN)

    def _take_late_hook(self) -> bool:
        """Take away a hook that another module than the ladder's registered."""
        pipeline = self._pipeline()
        return pipeline is not None and self._apply(pipeline)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any]
    ) -> Generator[None, object, object]:
        """What a fixture sees that several tests share counts for all of them."""
        before = {name: set(points) for name, points in self.recorder.seen.items()}
        result = yield
        if fixturedef.scope != "function":
            seen = self._seen()
            self.shared |= {(n, p) for n, p in seen if p not in before.get(n, ())}
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Note what one test sees."""
        self.recorder.seen.clear()
        result = yield
        self.tests[item.nodeid] = {"seen": sorted(self._seen())}
        self.recorder.seen.clear()
        return result

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Write down what the first run saw, and what can be changed."""
        if self.report is None:
            return
        pipeline = self._pipeline()
        told: dict[str, Any] = {"tests": self.tests, "shared": sorted(self.shared)}
        told["excuses"], told["pipeline"] = self.excuses, None
        told["at_import"] = self.is_read
        told["modules"] = sorted(_own_modules() - self.collected)
        if pipeline is not None:
            told["pipeline"] = pipeline.name
            told["changes"] = [
                {"name": change.name, "reach": change.reach} for change in changes(pipeline)
            ]
        with open(self.report, "w", encoding="utf-8") as file:
            json.dump(told, file)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_cmdline_main(self) -> Generator[None, object, object]:
        """End a fork here: nothing of what its parent has to end is its own."""
        code = yield
        leave(int(code) if isinstance(code, int) else 0)
        return code

    def _note_shared(self) -> None:
        self.shared |= self._seen()
        self.recorder.seen.clear()

    def _seen(self) -> set[tuple[str, Point]]:
        return {(name, point) for name, points in self.recorder.seen.items() for point in points}

    def _pipeline(self) -> Pipeline | None:
        module = sys.modules.get(self.module)
        if module is None:
            return None
        _, _, found = _found_in(module, self.name)
        if not isinstance(found, Pipeline) and callable(found):
            found = found()
        return found if isinstance(found, Pipeline) else None


def _own_modules() -> set[str]:
    return {name for name in sys.modules if name.startswith("ladderpipe.")}


def _found_in(module: ModuleType, name: str) -> tuple[Any, str, Any]:
    holder: Any = module
    *path, last = name.split(".")
    for part in path:
        holder = getattr(holder, part, None)
    return holder, last, getattr(holder, last, None)


class _Finder(MetaPathFinder):
    """Has a module found as ever, and says when it was imported."""

    def __init__(self, module: str, then: Callable[[ModuleType], None]) -> None:
        self.module, self.then = module, then

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec that the others find, whose loader says when it is done."""
        if fullname != self.module:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        loader = None if spec is None else spec.loader
        if loader is not None and hasattr(loader, "exec_module"):
            execute = loader.exec_module

            def executed(module: ModuleType) -> None:
                execute(module)
                self.then(module)

            # One that takes no attribute is told at the end of the collection instead.
            with contextlib.suppress(AttributeError):
                loader.exec_module = executed  # type: ignore[method-assign]
        return spec


def _do_not_shrink() -> None:
    """Have Hypothesis be content with any failing example: only whether there is one counts."""
    with contextlib.suppress(ImportError):
        from hypothesis import Phase, settings

        phases = [Phase.explicit, Phase.generate]
        settings.register_profile("ladderpipe-mutation", phases=phases, database=None)
        settings.load_profile("ladderpipe-mutation")
