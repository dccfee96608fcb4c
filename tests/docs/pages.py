"""Reading the documentation's pages: their fenced blocks, in order, with where each one stands."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import attrs

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [ROOT / "README.md", *(p for p in (ROOT / "docs").rglob("*.md") if "overrides" not in p.parts)]
)

_FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,})(?P<info>.*)$")
_TITLE = re.compile(r'title="([^"]+)"')
_INCLUDED = re.compile(r'(?m)^--8<-- "([^"]+)"\n')
_NOT_RUN = re.compile(r"^ *<!-- not run: (.+) -->$")


@attrs.frozen
class Block:
    """A fenced block.

    Attributes:
        line: number of its first line of content, from 1.
        follows: whether only blank lines stand between it and the block before.
        not_run: the reason, when a comment ``<!-- not run: ... -->`` stands above it.
    """

    language: str
    title: str | None
    text: str
    line: int
    follows: bool
    not_run: str | None


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page."""
    return list(_blocks(page.read_text("utf-8").splitlines()))


def _included(text: str) -> str:
    """Put files in the place of lines that name them, as the page that is built does."""
    return _INCLUDED.sub(lambda found: (ROOT / found[1]).read_text("utf-8"), text)


def _blocks(lines: list[str]) -> Iterator[Block]:
    opened: re.Match[str] | None = None
    start = end = 0
    for number, line in enumerate(lines):
        found = _FENCE.match(line)
        if opened is None:
            if found:
                opened, start = found, number + 1
        elif found and found["fence"] == opened["fence"] and not found["info"].strip():
            above = lines[end : start - 1]
            words = [text for text in above if text.strip()]
            said = _NOT_RUN.match(words[-1]) if words else None
            title = _TITLE.search(opened["info"])
            yield Block(
                language=opened["info"].strip().partition(" ")[0],
                title=title and title[1],
                text=_included(textwrap.dedent("\n".join(lines[start:number])) + "\n"),
                line=start + 1,
                follows=not words,
                not_run=said and said[1],
            )
            opened, end = None, number + 1
    assert opened is None, f"a fenced block that begins in line {start} never ends"
