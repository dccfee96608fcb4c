"""``template``: a ready ladder as a definition file to begin from."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from .. import templates
from .options import Language, Out
from .printing import console

__all__ = ["template"]


def template(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="which ladder; left out, all are listed")
    ] = None,
    language: Language = None,
    out: Out = None,
) -> None:
    """Write a ready ladder as a TOML file with comments, to begin a ladder of your own from."""
    if name is None:
        _list(language)
        return
    text = templates.text(name, language or "it")
    if out is not None:
        out.write_text(text, "utf-8")
        return
    # TOML is UTF-8, whatever the terminal's encoding is: the text is redirected to a file.
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(encoding="utf-8")
    sys.stdout.write(text)


def _list(language: Language) -> None:
    out = console()
    for name in templates.names():
        ladder = getattr(templates, name)(language or "it")
        out.print(name, style="bold")
        out.print(f"  {' · '.join(stage.title for stage in ladder.stages)}", soft_wrap=True)
