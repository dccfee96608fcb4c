"""The program as a whole: exit codes, one-line errors, pipes and terminals."""

from __future__ import annotations

import importlib.metadata
import inspect
import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from ladderpipe import Board
from ladderpipe.cli import definitions, main
from ladderpipe.cli.advice import as_commands
from ladderpipe.cli.commands import PANELS, Command
from tests.commands import SALES, run, shop

EVERY = [(name, command) for panel in PANELS.values() for name, command in panel.items()]


def start(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run the program as a process of its own."""
    settings = {"capture_output": True, "text": True, "timeout": 60, **options}
    return subprocess.run([sys.executable, "-m", "ladderpipe.cli", *arguments], **settings)


def test_the_version_is_the_package_s() -> None:
    assert run("--version").out == f"ladderpipe {importlib.metadata.version('ladderpipe')}\n"


def test_without_a_command_it_tells_what_there_is() -> None:
    told = run()
    assert told.code == 0
    for command, _ in EVERY:
        assert command in told.out


@pytest.mark.parametrize(("name", "command"), EVERY, ids=[name for name, _ in EVERY])
def test_the_help_says_of_a_command_what_it_says_of_itself(name: str, command: Command) -> None:
    found = command.load()
    told = found.info.help if isinstance(found, typer.Typer) else inspect.getdoc(found)
    assert " ".join(told.split("\n\n")[0].split()) == command.help
    shown = run(name, "--help")
    assert shown.code == 0
    assert f"Usage: ladderpipe {name} " in shown.out


def test_the_help_loads_no_command() -> None:
    program = (
        "import sys; from ladderpipe.cli import main\n"
        "main(['--help'])\n"
        "print(*(name for name in sys.modules if name.startswith('ladderpipe.')))"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert {name.split(".")[1] for name in told.stdout.splitlines()[-1].split()} <= {
        *("cli", "errors", "extras")
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing-of-the-kind"],
        ["--nothing-of-the-kind"],
        ["deals"],
        ["deals", "sqlite:///shop.db", "--status", "happy"],
        ["deals", "sqlite:///shop.db", "--limit", "-1"],
        ["diagram", SALES, "--format", "svg"],
        ["board", "sqlite:///shop.db", "--now", "yesterday"],
        ["move", "sqlite:///shop.db", "cart-1", "lost", "--by", "me", "-p", SALES, "--set", "x"],
        ["move", "sqlite:///shop.db", "cart-1", "lost", "--by", "me", "-p", SALES, "--set", "x:={"],
        ["worker", "sqlite:///shop.db", "-p", SALES, "--smtp", "localhost"],
        ["worker", "sqlite:///shop.db", "-p", SALES, "--smtp", "a:b", "--sender", "a@b.example"],
        ["worker", "sqlite:///shop.db", "-p", SALES, "--mailbox", "m", "--sender", "nobody"],
    ],
)
def test_arguments_that_make_no_sense_are_refused_with_2(arguments: list[str]) -> None:
    assert "--help" in run(*arguments).refusal(2)


def test_ctrl_c_ends_it_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(definitions, "loaded_pipeline", interrupted)
    told = run("check", SALES)
    assert (told.code, told.err) == (130, "")


@pytest.mark.parametrize("missing", ["typer", "rich", "babel"])
def test_a_missing_extra_is_named_in_one_line(missing: str) -> None:
    program = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from ladderpipe.cli import main; sys.exit(main(['deals', 'sqlite:///shop.db']))"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert told.returncode == 1
    assert len(told.stderr.splitlines()) == 1
    assert "'.[cli]'" in told.stderr


def test_an_error_inside_our_own_modules_is_not_taken_for_a_missing_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "ladderpipe.cli.app", None)
    with pytest.raises(ModuleNotFoundError):
        main(["--version"])


@pytest.mark.parametrize("command", ["deals", "board"])
def test_a_reader_that_stops_reading_is_no_error(tmp_path: Path, command: str) -> None:
    url = shop(tmp_path / "shop.db")
    reader, writer = os.pipe()
    os.close(reader)
    told = start(command, url, stdout=writer, stderr=subprocess.PIPE, capture_output=False)
    os.close(writer)
    assert (told.returncode, told.stderr) == (141, "")


def test_a_terminal_without_the_letters_is_still_written_to(tmp_path: Path) -> None:
    url = shop(tmp_path / "shop.db")
    told = start("board", url, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert told.returncode == 0
    assert "EUR 1,798.00" in told.stdout


def test_nothing_is_coloured_when_colour_is_not_wanted(tmp_path: Path) -> None:
    url = shop(tmp_path / "shop.db")
    wanting = {**os.environ, "FORCE_COLOR": "1", "COLUMNS": "80"}
    assert "\x1b[36m" in start("deals", url, env=wanting).stdout
    assert "\x1b[36m" not in start("deals", url, env={**wanting, "NO_COLOR": "1"}).stdout


def test_progress_is_not_written_where_nobody_looks(tmp_path: Path) -> None:
    assert start("deals", shop(tmp_path / "shop.db"), "--json").stderr == ""


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("see board.held()", "see ladderpipe held list URL"),
        ("board.explain(id) says why", "ladderpipe explain URL DEAL says why"),
        (
            "or board.override(...) goes past the rules",
            "or ladderpipe move URL DEAL STAGE --by NAME --override goes past the rules",
        ),
        ("until Board(stale_effects=...) says what", "until --stale-effects says what"),
        (
            "with board.migrate({'old_stage': new_stage}) on a board that was opened with "
            "adopting=True, or go back",
            "with ladderpipe migrate URL --pipeline PIPELINE --rename OLD=NEW, or go back",
        ),
        ("board.send_again(…)", "ladderpipe dead-letters send-again URL KEY"),
    ],
)
def test_what_a_message_advises_can_be_typed(message: str, told: str) -> None:
    assert as_commands(message) == told


@pytest.mark.parametrize("method", sorted(name for name in vars(Board) if name[0] != "_"))
def test_what_is_advised_is_a_command_that_there_is(method: str) -> None:
    advised = as_commands(f"board.{method}(…)").split()
    if advised[0] == "ladderpipe":
        words = list(itertools.takewhile(lambda word: word[0].islower(), advised[1:]))
        assert run(*words, "--help").code == 0


def test_an_unknown_held_event_is_told_with_a_command(tmp_path: Path) -> None:
    url = shop(tmp_path / "shop.db")
    found = run("held", "discard", url, "nothing", "--by", "ann", "--reason", "x", "-p", SALES)
    assert "ladderpipe held list URL" in found.refusal()
