"""Finding maps: in a TOML file, or among those that come with the library."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..errors import DefinitionError
from ..ladder.plain import Part
from .log_map import CloudEvents, LogMap
from .map_reader import map_from_dict

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

__all__ = ["load_map", "map_data", "shipped_maps"]

LOG_MAPS: Final = "ladderpipe.logs.maps"
"""Where the maps lie that make events of logs."""


def shipped_maps(package: str = LOG_MAPS) -> list[str]:
    """Return the names of the maps that come with the library; *package* is where one kind lies."""
    folder = _folder(package)
    return sorted(Path(f.name).stem for f in folder.iterdir() if f.name.endswith(".toml"))


def load_map(name: str | Path) -> LogMap | CloudEvents:
    """Return the map that a TOML file holds, or a shipped one by its name.

    Raises:
        DefinitionError: it is not there, no TOML, or malformed; the message names the place.
    """
    data = map_data(name)
    try:
        return map_from_dict(data)
    except DefinitionError as error:
        raise DefinitionError(f"{name}: {error}") from error.__cause__


def map_data(name: str | Path, package: str = LOG_MAPS) -> dict[str, Any]:
    """Return the plain data of a map, laid over the one it extends.

    Raises:
        DefinitionError: it is not there or no TOML.
    """
    return _load(str(name), (), package)


def _load(
    name: str, seen: tuple[str, ...], package: str, beside: Path | None = None
) -> dict[str, Any]:
    if name in seen:
        raise DefinitionError(f"{name} extends itself: {' extends '.join((*seen, name))}")
    text, folder = _map_text(name, package, beside)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DefinitionError(f"{name} is not TOML ({error}): mend it there") from None
    if "extends" not in data:
        return data
    base = _load(Part("extends", data.pop("extends")).text(), (*seen, name), package, folder)
    return _laid_over(base, data)


def _folder(package: str) -> Traversable:
    parent, _, folder = package.rpartition(".")
    return resources.files(parent).joinpath(folder)


def _map_text(name: str, package: str, beside: Path | None) -> tuple[str, Path | None]:
    if name in shipped_maps(package):
        return _folder(package).joinpath(f"{name}.toml").read_text("utf-8"), None
    path = Path(name) if beside is None else beside / name
    try:
        return path.read_text("utf-8-sig"), path.parent
    except UnicodeDecodeError as error:
        raise DefinitionError(f"{path} is not UTF-8 ({error}): save it as UTF-8") from None
    except OSError as error:
        raise DefinitionError(
            f"map {str(path)!r} cannot be read ({error.strerror}): give the path of a TOML file, "
            f"or one of {', '.join(shipped_maps(package))}"
        ) from None


def _laid_over(base: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    both = {
        name: _laid_over(base[name], part)
        for name, part in upper.items()
        if isinstance(part, dict) and isinstance(base.get(name), dict)
    }
    return {**base, **upper, **both}
