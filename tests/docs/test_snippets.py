"""What the documentation shows is what happens.

On each page, in an empty directory and one namespace, in order: a block with a title is added to
the file of that name, from which later blocks may import; other Python blocks run; a ``text`` block
right after must be what was printed; YAML, TOML and JSON blocks that define a pipeline are loaded;
``console`` blocks run, if they call ``ladderpipe`` or ``pytest``, and what is shown below a command
must be its output, or stands in the file that it is redirected to.
"""

from __future__ import annotations

import ast
import contextlib
import doctest
import importlib
import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ladderpipe import Board, load

from .pages import PAGES, ROOT, Block, blocks

CHECKER = doctest.OutputChecker()
COMMANDS = ("ladderpipe", "pytest")
RUN_HERE = [page for page in PAGES if page.name != "tutorial.md"]
"""The tutorial is done step by step, in sessions of its own: ``test_tutorial.py``."""


class Page:
    """A page on its way through: what its blocks have defined and printed so far."""

    def __init__(self, path: Path, directory: Path) -> None:
        self.path = path
        self.directory = directory
        self.names: dict[str, Any] = {"__name__": "__main__"}
        self.printed: str | None = None

    def run(self, block: Block) -> None:
        """Do with a block what its language says."""
        if block.not_run:
            self.printed = None
        elif block.language == "python":
            self.printed = None if block.title else self._execute(block)
            self._write(block)
        elif block.language == "text" and block.follows and self.printed is not None:
            self._compare(block, block.text, self.printed)
            self.printed = None
        elif block.language in ("yaml", "toml", "json", "xml"):
            self._load(block)
        elif block.language == "console":
            self._console(block)

    def close(self) -> None:
        """Let go of what the page opened."""
        for value in self.names.values():
            if isinstance(value, Board):
                value.close()

    def _execute(self, block: Block) -> str:
        tree = ast.parse(block.text, self._where(block))
        ast.increment_lineno(tree, block.line - 1)
        code = compile(tree, str(self.path), "exec", dont_inherit=True)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, self.names)
        return printed.getvalue()

    def _write(self, block: Block) -> None:
        if block.title:
            path = self.directory / block.title
            with path.open("a", encoding="utf-8") as file:
                file.write(block.text)
            sys.modules.pop(path.stem, None)  # as in a session begun anew
            importlib.invalidate_caches()

    def _load(self, block: Block) -> None:
        self._write(block)
        if re.search(r"(?m)^\"?name\"?\s*[:=]", block.text) and "stages" in block.text:
            path = self.directory / (block.title or f"block-{block.line}.{block.language}")
            path.write_text(block.text, "utf-8")
            load(path, allow=["shop_rules", "business"])

    def _console(self, block: Block) -> None:
        for said in re.split(r"(?m)^\$ ", block.text)[1:]:
            command, _, shown = said.partition("\n")
            words = shlex.split(command, comments=True)
            if words and words[0] in COMMANDS:
                redirected = words[-2:-1] == [">"]
                output = self._call(words[:-2] if redirected else words)
                if redirected:
                    (self.directory / words[-1]).write_text(output, "utf-8")
                elif shown.strip():
                    self._compare(block, shown, output)

    def _call(self, words: list[str]) -> str:
        program = Path(sys.executable).with_name(words[0])
        path = os.pathsep.join(filter(None, (".", os.environ.get("PYTHONPATH"))))
        surroundings = os.environ | {"COLUMNS": "100", "NO_COLOR": "1", "PYTHONPATH": path}
        surroundings.pop("PYTEST_ADDOPTS", None)
        done = subprocess.run(
            [str(program), *words[1:]],
            cwd=self.directory,
            env=surroundings,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}{done.stderr}"
        return done.stdout

    def _compare(self, block: Block, shown: str, printed: str) -> None:
        flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        if not CHECKER.check_output(shown, printed, flags):
            pytest.fail(f"{self._where(block)} shows\n{shown}\nand this comes out\n{printed}")

    def _where(self, block: Block) -> str:
        return f"{self.path.relative_to(ROOT)}:{block.line}"


@pytest.mark.parametrize("path", RUN_HERE, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_page_shows_what_happens(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    page = Page(path, tmp_path)
    before = set(sys.modules)
    try:
        for block in blocks(path):
            page.run(block)
    finally:
        page.close()
        for name in set(sys.modules) - before:
            if (tmp_path / f"{name}.py").exists():
                del sys.modules[name]


def test_blocks_that_are_not_run_are_few() -> None:
    found = [block for page in PAGES for block in blocks(page)]
    python = [block for block in found if block.language == "python"]
    assert sum(block.not_run is not None for block in python) <= len(python) / 20
