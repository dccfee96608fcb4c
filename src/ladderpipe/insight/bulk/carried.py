"""A ladder on its way to other processes: its definition as text, from which they build it again.

Hooks stay behind, since no history hangs on them.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from typing import Any, Final

from ...errors import DefinitionError
from ...pipeline import Pipeline

__all__ = ["carried", "received"]

_IMPORT_PATH: Final = re.compile(r"([A-Za-z_][\w.]*):[A-Za-z_][\w.]*")


def carried(pipeline: Pipeline) -> str:
    """Return the text from which another process builds the same ladder.

    Raises:
        DefinitionError: a guard, reducer or timer of it has no import path, or one that is this
            program's alone.
    """
    definition = pipeline.to_dict(hooks=False)
    modules = sorted({path[1] for path in _import_paths(definition)})
    if "__main__" in modules:
        own = [path[0] for path in _import_paths(definition) if path[1] == "__main__"]
        raise DefinitionError(
            f"pipeline {pipeline.name!r} has a function of the program that runs ({own[0]}), which "
            "no other process can import: put it into a module that the other processes have, too"
        )
    return json.dumps([definition, modules, pipeline.fingerprint])


@functools.lru_cache(maxsize=8)
def received(text: str) -> Pipeline:
    """Build the pipeline that :func:`carried` wrote; what a process has built once, it keeps.

    Raises:
        DefinitionError: a module is not there, or what stands in it makes another ladder.
    """
    definition, modules, meant = json.loads(text)
    # Whoever wrote the text has run these functions: it was written by the same program.
    pipeline = Pipeline.from_dict(definition, allow=modules)
    if pipeline.fingerprint != meant:
        raise DefinitionError(
            f"pipeline {pipeline.name!r} is another ladder in this process (fingerprint "
            f"{pipeline.fingerprint}) than in the one that asks ({meant}): give both the same "
            f"version of ladderpipe{' and of ' + ', '.join(modules) if modules else ''}"
        )
    return pipeline


def _import_paths(part: Any) -> Iterator[re.Match[str]]:
    """Yield what may be an import path; a title that looks like one allows what nobody names."""
    if isinstance(part, dict):
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            yield from _import_paths(each)
    elif isinstance(part, str) and (path := _IMPORT_PATH.fullmatch(part)):
        yield path
