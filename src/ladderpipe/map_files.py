"""Finding maps: in a TOML file, or among those that come with the library."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from .errors import DefinitionError
from .mapping import CloudEvents, LogMap
from .mapping_reader import map_from_dict
from .plain import Part

__all__ = ["load_map", "shipped_maps"]


def shipped_maps() -> list[str]:
    """Return the names of the maps that come with the library."""
    folder = resources.files("ladderpipe").joinpath("maps")
    return sorted(Path(f.name).stem for f in folder.iterdir() if f.name.endswith(".toml"))


def load_map(name: str | Path) -> LogMap | CloudEvents:
    """Return the map that a TOML file holds, or a shipped one by its name.

    Raises:
        DefinitionError: it is not there, no TOML, or malformed; the message names the place.
    """
    data = _load(str(name), ())
    try:
        return map_from_dict(data)
    except DefinitionError as error:
        raise DefinitionError(f"{name}: {error}") from error.__cause__


def _load(name: str, seen: tuple[str, ...], beside: Path | None = None) -> dict[str, Any]:
    """Return the plain data of a map, laid over the one it extends."""
    if name in seen:
        raise DefinitionError(f"{name} extends itself: {' extends '.join((*seen, name))}")
    text, folder = _map_text(name, beside)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DefinitionError(f"{name} is not TOML ({error}): mend it there") from None
    if "extends" not in data:
        return data
    base = _load(Part("extends", data.pop("extends")).text(), (*seen, name), folder)
    return _laid_over(base, data)


def _map_text(name: str, beside: Path | None) -> tuple[str, Path | None]:
    if name in shipped_maps():
        shipped = resources.files("ladderpipe").joinpath("maps", f"{name}.toml")
        return shipped.read_text("utf-8"), None
    path = Path(name) if beside is None else beside / name
    try:
        return path.read_text("utf-8-sig"), path.parent
    except UnicodeDecodeError as error:
        raise DefinitionError(f"{path} is not UTF-8 ({error}): save it as UTF-8") from None
    except OSError as error:
        raise DefinitionError(
            f"map {str(path)!r} cannot be read ({error.strerror}): give the path of a TOML file, "
            f"or one of {', '.join(shipped_maps())}"
        ) from None


def _laid_over(base: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    both = {
        name: _laid_over(base[name], part)
        for name, part in upper.items()
        if isinstance(part, dict) and isinstance(base.get(name), dict)
    }
    return {**base, **upper, **both}
