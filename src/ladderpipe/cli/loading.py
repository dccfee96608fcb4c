"""From what is typed to objects: pipelines by import path or file, boards by store URL."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import json
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..board.board import Board
from ..errors import DefinitionError, StoreError
from ..model.clock import Clock
from ..pipeline import Pipeline, load
from ..stores import Store, open_store, seal
from ..stores.base import PipelineRow
from ..stores.sealed.renewal import holds_sealed

KEYS = "LADDERPIPE_KEYS"
"""The variable of the environment that says the URL of the ring of keys."""

__all__ = [
    "called",
    "existing_store",
    "find_modules_here",
    "imported",
    "keys_told",
    "loaded_pipeline",
    "only_existing",
    "opened_store",
    "pipelines_in",
    "reading_board",
    "stored_pipeline",
    "writing_board",
]

SUFFIXES = (".yaml", ".yml", ".toml", ".json")


def loaded_pipeline(named: str, allow: Sequence[str] | None = None) -> Pipeline:
    """Return the pipeline that ``module:name`` or the path of a definition file names.

    The name may be a pipeline's, or that of a function which returns one without arguments.

    Args:
        allow: modules that a definition file may import functions from.

    Raises:
        DefinitionError: there is none under that name.
        OSError: the file cannot be read.
    """
    find_modules_here()
    if Path(named).suffix.lower() in SUFFIXES:
        return load(named, allow or ())
    if ":" not in named:
        raise DefinitionError(
            f"{named!r} names no pipeline: write module:name, for example "
            f"ladderpipe.templates:sales_management, or a file ending in {', '.join(SUFFIXES)}"
        )
    found = imported(named)
    if not isinstance(found, Pipeline) and callable(found):
        found = called(named, found)
    if not isinstance(found, Pipeline):
        raise DefinitionError(
            f"{named!r} is a {type(found).__name__}, not a pipeline: name a Pipeline, or a "
            "function that returns one"
        )
    return found


def imported(named: str) -> Any:
    """Import what ``module:name`` names; the user typed it, so nothing needs to be allowed.

    Raises:
        DefinitionError: it leads nowhere, or the module does not import.
    """
    find_modules_here()
    module, _, name = named.partition(":")
    try:
        found: Any = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise _broken(named, error) from error
        raise DefinitionError(
            f"{named!r}: there is no module {error.name!r} here: run this in the folder that "
            "holds it, or install it"
        ) from error
    except Exception as error:
        raise _broken(named, error) from error
    try:
        for part in name.split("."):
            found = getattr(found, part)
    except AttributeError:
        raise DefinitionError(f"module {module!r} has no {name!r}: check the name") from None
    return found


def find_modules_here() -> None:
    """Let modules of the current folder be imported, as ``python -m`` does."""
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)


def called(named: str, function: Any, *arguments: Any) -> Any:
    """Call what *named* led to.

    Raises:
        DefinitionError: it cannot be called so, or it raised.
    """
    try:
        inspect.signature(function).bind(*arguments)
    except (TypeError, ValueError):
        how = f"with {len(arguments)} argument" if arguments else "without arguments"
        raise DefinitionError(f"{named!r} cannot be called {how}: name one that can") from None
    try:
        return function(*arguments)
    except Exception as error:
        raise _broken(named, error) from error


def _broken(named: str, error: Exception) -> DefinitionError:
    """Say where the user's own module failed; the traceback would show ours as well."""
    where = ""
    frames = traceback.extract_tb(error.__traceback__)
    if frames and not isinstance(error, SyntaxError):
        where = f" ({frames[-1].filename}, line {frames[-1].lineno})"
    return DefinitionError(
        f"{named!r} cannot be loaded: {type(error).__name__}: {error}{where}: mend it there"
    )


@contextlib.contextmanager
def existing_store(url: str) -> Iterator[Store]:
    """Open a store that is there, and close it at the end; a typo makes no empty database.

    It is opened with its keys, if the environment says where they are.

    Raises:
        StoreError: there is none.
    """
    with contextlib.closing(opened_store(url)) as store:
        yield store


def opened_store(url: str) -> Store:
    """Return a store that is there, with its keys, if the environment says where they are.

    Raises:
        StoreError: there is none, or it has other keys.
    """
    store = open_store(url, **only_existing(url))
    try:
        keys = keys_told()
        # A plain one stays plain, whoever only looks at it: `ladderpipe seal` is there to seal it.
        return seal(store, keys) if keys is not None and holds_sealed(store) else store
    except BaseException:
        store.close()
        raise


def keys_told() -> str | None:
    """Return the URL of the ring of keys, if the environment says it."""
    return os.environ.get(KEYS) or None


def only_existing(url: str) -> dict[str, bool]:
    """Return the option by which a store of ours is opened only where it is there."""
    database = url.partition(":")[0].partition("+")[0]
    ours = ("sqlite", "postgresql", "postgres", "mariadb", "mysql")
    return {"create": False} if database in ours else {}


def stored_pipeline(
    store: Store,
    named: str | None = None,
    allow: Sequence[str] | None = None,
    name: str | None = None,
) -> Pipeline:
    """Return the pipeline to look at a store with: the one named, or the one the store keeps.

    What a store keeps has no hooks: enough for reading, not for moving deals.

    Args:
        named: see :func:`loaded_pipeline`.
        name: which of the store's pipelines, where there are several.

    Raises:
        DefinitionError: the store cannot keep that definition, or it names what is not allowed.
        StoreError: it is not clear which pipeline is meant.
    """
    if named is not None:
        pipeline = loaded_pipeline(named, allow)
        _row_of(store, pipeline.name)
        if name is not None and name != pipeline.name:
            raise StoreError(
                f"{named!r} is pipeline {pipeline.name!r}, not {name!r}: leave one out"
            )
        return pipeline
    row = _row_of(store, name)
    whole = json.loads(row.definition)["whole"]
    if whole is None:
        raise DefinitionError(
            f"pipeline {row.name!r} cannot be read from the store alone, because it holds a "
            "function without an import path: pass --pipeline module:name"
        )
    find_modules_here()
    return Pipeline.from_dict(whole, allow or ())


def pipelines_in(url: str) -> list[str | None]:
    """Return the names of the pipelines that a store holds; of none, nothing that is named."""
    with existing_store(url) as store, store.transaction(write=False) as transaction:
        names: list[str | None] = [row.name for row in transaction.pipelines()]
    return names or [None]


def _row_of(store: Store, name: str | None) -> PipelineRow:
    with store.transaction(write=False) as transaction:
        rows = {row.name: row for row in transaction.pipelines()}
    if name is None and len(rows) == 1:
        return next(iter(rows.values()))
    if name in rows:
        return rows[name]
    held = ", ".join(repr(known) for known in rows) or "none"
    if name is None:
        what = "pass --name NAME" if rows else "nothing was ever stored in it"
        raise StoreError(f"the store holds {len(rows)} pipelines ({held}): {what}")
    raise StoreError(f"the store holds no pipeline {name!r}; it holds {held}")


@contextlib.contextmanager
def reading_board(
    url: str,
    named: str | None = None,
    allow: Sequence[str] | None = None,
    name: str | None = None,
    clock: Clock | None = None,
) -> Iterator[Board]:
    """Open a board that writes nothing on a store that is there; see :func:`stored_pipeline`."""
    with existing_store(url) as store:
        pipeline = stored_pipeline(store, named, allow, name)
        yield Board(pipeline, store=store, clock=clock, read_only=True)


@contextlib.contextmanager
def writing_board(
    url: str,
    pipeline: str | None,
    allow: Sequence[str] | None = None,
    adopting: bool = False,
) -> Iterator[Board]:
    """Open a board with hooks on a store that is there.

    Args:
        adopting: open it although the store holds another definition.

    Raises:
        StoreError: no pipeline is named, or there is no such store.
    """
    if pipeline is None:
        raise StoreError(
            "this runs the pipeline's hooks, which a store does not keep: "
            "pass --pipeline module:name"
        )
    with existing_store(url) as store:
        yield Board(stored_pipeline(store, pipeline, allow), store=store, adopting=adopting)
