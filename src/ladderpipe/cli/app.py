"""The program: its commands, and how every failure becomes one line and an exit code."""

from __future__ import annotations

import codecs
import contextlib
import os
import sqlite3
import sys
from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

import ladderpipe

from ..errors import LadderError
from .advice import as_commands
from .commands import PANELS, is_of_the_extra

__all__ = ["app", "run"]

# Typer has its own copy of click's exceptions or click's, depending on its version.
_UsageError: Final[Any] = typer.BadParameter.__mro__[1]
_ClickException: Final[Any] = typer.BadParameter.__mro__[2]

_INTERRUPTED: Final = 130
_PIPE_CLOSED: Final = 141

_SPELLINGS: Final = {"→": "->", "…": "~", "·": "-", "✉": "*"}


class _Program(TyperGroup):
    """Puts the command that is called in the place of its line in the help."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, line, rest = super().resolve_command(ctx, args)
        return name, line and _loaded(str(name)), rest


def _loaded(name: str) -> Any:
    found = next(panel[name] for panel in PANELS.values() if name in panel).load()
    if isinstance(found, typer.Typer):
        return get_group(found)
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    alone.command(name)(found)
    return get_command(alone)


app = typer.Typer(
    name="ladderpipe",
    cls=_Program,
    help="Sales pipelines in which a deal is always in exactly one stage.",
    epilog="Begin with: ladderpipe demo",
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def program(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and stop.")] = False,
) -> None:
    if version:
        typer.echo(f"ladderpipe {ladderpipe.__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _named_only() -> None:
    """Stand for a command until it is called."""


for _panel, _commands in PANELS.items():
    for _name, _command in _commands.items():
        app.command(_name, help=_command.help, rich_help_panel=_panel)(_named_only)


def run(arguments: Sequence[str]) -> int:
    """Run one command; tell every expected failure in one line on standard error."""
    _never_fail_to_encode()
    command = get_command(app)
    context = None
    try:
        with command.make_context("ladderpipe", list(arguments)) as context:
            command.invoke(context)
        sys.stdout.flush()
    except typer.Exit as stopped:
        return stopped.exit_code
    except BrokenPipeError:
        return _nobody_reads()
    except (KeyboardInterrupt, typer.Abort):
        return _INTERRUPTED
    except _UsageError as error:
        return _refused(_usage(error), 2)
    except _ClickException as error:
        return _refused(error.format_message(), 1)
    except OSError as error:
        return _refused(_system_error(error), 1)
    except sqlite3.Error as error:
        return _refused(f"SQLite: {error}", 1)
    except ModuleNotFoundError as error:
        if is_of_the_extra(error):
            raise
        return _refused(str(error), 1)
    except (LadderError, ImportError) as error:
        return _refused(str(error), 1)
    return 0


def _refused(message: str, code: int) -> int:
    line = " ".join(as_commands(message).split())
    with contextlib.suppress(BrokenPipeError):
        sys.stderr.write(f"ladderpipe: {line}\n")
        sys.stderr.flush()
    return code


def _usage(error: Any) -> str:
    path = error.ctx.command_path if error.ctx else "ladderpipe"
    return f"{error.format_message().rstrip('.')} (see {path} --help)"


def _system_error(error: OSError) -> str:
    if error.filename is None or error.strerror is None:
        return str(error)
    return f"{error.filename}: {error.strerror}"


def _nobody_reads() -> int:
    """Let the interpreter's last flush go nowhere: the reader, `head` say, has seen enough."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return _PIPE_CLOSED


def _never_fail_to_encode() -> None:
    """Spell out what the terminal's encoding has no letter for."""
    codecs.register_error("ladderpipe", _spelled_out)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="ladderpipe")


def _spelled_out(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return "".join(_SPELLINGS.get(letter, "?") for letter in letters), error.end
