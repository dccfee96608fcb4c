"""The tutorial as a newcomer does it: word for word, in a folder of its own, block after block.

A block with a title is written into the file of that name. Commands run in one shell, which finds
what the environment installed, as an activated one does. Python is typed into an interpreter; where
a block begins with an import, the reader has been told to begin a new session, and a fresh one
starts. What is shown below must come out.
"""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from .pages import ROOT, Block, blocks

TUTORIAL = ROOT / "docs" / "tutorial.md"
CHECKER = doctest.OutputChecker()
DONE = "-- done --"


class Typed:
    """A program that is typed into, as people do, and what it answers."""

    def __init__(self, command: list[str], folder: Path) -> None:
        beside = str(Path(sys.executable).parent)
        surroundings = os.environ | {
            "PATH": os.pathsep.join([beside, os.environ["PATH"]]),
            "COLUMNS": "100",
            "NO_COLOR": "1",
            "PYTHONUNBUFFERED": "1",
        }
        surroundings.pop("PYTEST_ADDOPTS", None)
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env=surroundings,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def answer(self, typed: str) -> str:
        """Type something that ends by saying that it is done; return what came out until then."""
        self._input.write(typed)
        self._input.flush()
        lines: list[str] = []
        for line in self._output:
            before, done, _ = line.partition(DONE)
            lines.append(before if done else line)
            if done:
                break
        return "".join(lines)

    def close(self) -> None:
        self._process.communicate()

    @property
    def _input(self) -> IO[str]:
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def _output(self) -> IO[str]:
        assert self._process.stdout is not None
        return self._process.stdout


class Interpreter(Typed):
    """A Python session; it shows no prompts, and not what an expression is worth."""

    def __init__(self, folder: Path) -> None:
        super().__init__([sys.executable, "-iq"], folder)
        quiet = "import sys; sys.ps1 = sys.ps2 = ''; sys.displayhook = lambda value: None\n"
        self.answer(f"{quiet}print({DONE!r})\n")

    def type(self, code: str) -> str:
        return self.answer(f"{code}\nprint({DONE!r})\n")


class Shell(Typed):
    """A shell that stays open, so that what a command sets is there for the next."""

    def __init__(self, folder: Path) -> None:
        super().__init__(["bash", "--norc", "--noprofile"], folder)

    def type(self, command: str) -> tuple[int, Path, str]:
        """Return the exit code, the folder it leaves one in, and what it said."""
        said = self.answer(f"{command}\necho $? $PWD '{DONE}'\n")
        output, _, last = said.rpartition("\n")
        code, folder = last.split()
        return int(code), Path(folder), output


class Newcomer:
    """Somebody who does what the page says, and compares."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._shell = Shell(folder)
        self._python: Interpreter | None = None
        self.printed: str | None = None

    def follow(self, block: Block) -> None:
        if block.not_run:
            return
        if block.language == "python" and block.title:
            with (self._folder / block.title).open("a", encoding="utf-8") as file:
                file.write(block.text)
        elif block.language == "python":
            self.printed = self._in_python(block)
            assert "Traceback" not in self.printed, f"line {block.line}\n{self.printed}"
            assert "SyntaxError" not in self.printed, f"line {block.line}\n{self.printed}"
        elif block.language == "text":
            assert self.printed is not None
            compare(block.line, block.text, self.printed)
        elif block.language == "console":
            for command, shown in commands(block):
                code, self._folder, output = self._shell.type(command)
                assert code == 0, f"line {block.line}: {command}\n{output}"
                if shown.strip():
                    compare(block.line, shown, output)

    def close(self) -> None:
        self._shell.close()
        if self._python is not None:
            self._python.close()

    def _in_python(self, block: Block) -> str:
        if re.match(r"(?:from|import) ", block.text):
            if self._python is not None:
                self._python.close()
            self._python = Interpreter(self._folder)
        assert self._python is not None, "the first session begins with an import"
        return self._python.type(block.text)


def commands(block: Block) -> Iterator[tuple[str, str]]:
    for said in re.split(r"(?m)^\$ ", block.text)[1:]:
        command, _, shown = said.partition("\n")
        yield command, shown


def compare(line: int, shown: str, printed: str) -> None:
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    if not CHECKER.check_output(shown, printed, flags):
        pytest.fail(f"docs/tutorial.md:{line} shows\n{shown}\nand this comes out\n{printed}")


def test_a_newcomer_gets_what_the_tutorial_shows(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    clone.mkdir()
    newcomer = Newcomer(clone)
    try:
        for block in blocks(TUTORIAL):
            newcomer.follow(block)
    finally:
        newcomer.close()
