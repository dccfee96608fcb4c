"""The architecture page is drawn from the folders that are there."""

from __future__ import annotations

import re

from tests.unit.test_layers import LAYERS

from .pages import ROOT, blocks

PAGE = ROOT / "docs" / "explanation" / "architecture.md"
SOURCE = ROOT / "src" / "ladderpipe"
TEXT = PAGE.read_text("utf-8")


def section(title: str) -> str:
    return TEXT.partition(f"## {title}\n")[2].partition("\n## ")[0]


def drawn() -> set[str]:
    """Return what the tree names, by its path within the package."""
    found: set[str] = set()
    above: list[str] = []
    tree = next(block.text for block in blocks(PAGE) if block.text.startswith("src/ladderpipe/"))
    for line in tree.splitlines()[1:]:
        depth = (len(line) - len(line.lstrip())) // 2
        above = [*above[: depth - 1], line.split()[0].rstrip("/")]
        found.add("/".join(above))
    return found


def test_the_tree_has_every_folder_and_every_module_at_the_root() -> None:
    folders = {path.parent.relative_to(SOURCE) for path in SOURCE.glob("*/**/__init__.py")}
    modules = {path.relative_to(SOURCE) for path in SOURCE.glob("*.py")}
    assert drawn() == {path.as_posix() for path in folders | modules}


def test_the_layers_stand_in_their_order() -> None:
    there = {path.stem for path in SOURCE.iterdir()}
    lines = re.findall(r"(?m)^\d+\. (.+)$", section("The order of the layers"))
    assert [re.findall(r"`(\w+)`", line) for line in lines] == [
        rooms for layer in LAYERS if (rooms := [room for room in layer if room in there])
    ]


def test_twenty_questions_lead_to_what_is_there() -> None:
    rows = re.findall(r"(?m)^\| …(.+?) \| (.+) \|$", section("Where do I find…"))
    assert len(rows) == 20
    named = [path for _, where in rows for path in re.findall(r"`([\w/]+(?:\.py)?)`", where)]
    assert [path for path in named if not (SOURCE / path).exists()] == []
    assert all(re.search(r"`[\w/]+", where) for _, where in rows)


def test_the_map_names_every_folder_and_all_tests() -> None:
    rows = re.findall(r"(?m)^\| (.+?) \| (.+) \|$", section("Which tests hold what"))[2:]
    assert {name for what, _ in rows for name in re.findall(r"`(\w+)/`", what)} == {
        path.parent.name for path in SOURCE.glob("*/__init__.py")
    }
    named = [path for _, by in rows for path in re.findall(r"`(tests/[\w/]+(?:\.py)?)`", by)]
    assert [path for path in named if not (ROOT / path).exists()] == []
    kinds = {path.parent.name for path in (ROOT / "tests").glob("*/test_*.py")}
    assert {path.split("/")[1] for path in named} == kinds
