"""Import paths ``module:name``: how a definition file refers to code, and who allows it."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable
from typing import Any

import attrs

from ..errors import DefinitionError

__all__ = ["built_from", "import_path", "resolve"]


def import_path(target: Any, what: str) -> str:
    """Return the ``module:name`` under which *target* can be imported again.

    Raises:
        DefinitionError: it cannot, as with a lambda, a function inside a function or a method
            bound to an object.
    """
    module = getattr(target, "__module__", None)
    name = getattr(target, "__qualname__", None)
    bound = inspect.ismethod(target) and not isinstance(target.__self__, type)
    if not module or not name or "<" in name or bound:
        raise DefinitionError(
            f"{what} {name or target!r} has no import path, so a definition cannot name it: "
            "define it with def at the top of a module"
        )
    return f"{module}:{name}"


def built_from(made: object) -> dict[str, Any] | None:
    """Return the arguments that an object's class was called with.

    ``None`` when nobody can tell, because it is of neither an attrs nor a data class.
    """
    kind: Any = type(made)
    if attrs.has(kind):
        return {a.alias: getattr(made, a.name) for a in attrs.fields(kind) if a.init}
    declared = getattr(kind, "__dataclass_fields__", None)
    if declared is None:
        return None
    return {name: getattr(made, name) for name, field in declared.items() if field.init}


def resolve(path: str, allow: Iterable[str]) -> Any:
    """Import what *path* (``module:name``) names, if its module is allowed.

    Allowing a module allows what it defines, not what it has imported from elsewhere.

    Args:
        allow: modules that may be imported, each with everything below it.

    Raises:
        DefinitionError: the path is malformed, not allowed, or leads nowhere.
    """
    allow = (allow,) if isinstance(allow, str) else tuple(allow)
    module_name, colon, name = str(path).partition(":")
    if not colon or not module_name or not name:
        raise DefinitionError(f"{path!r} is no import path: write module:name")
    _check_allowed(path, module_name, allow)
    try:
        found: Any = importlib.import_module(module_name)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise DefinitionError(f"{path!r} cannot be imported: {error}") from error
    if not callable(found):
        # The name of a function that was decorated with `guard` is the guard's.
        found = getattr(found, "function", found)
    _check_allowed(path, getattr(found, "__module__", None), allow)
    return found


def _check_allowed(path: str, module: str | None, allow: tuple[str, ...]) -> None:
    if module is None:
        raise DefinitionError(f"{path!r} is no function or class: name one that a module defines")
    if not any(module == a or module.startswith(f"{a}.") for a in allow):
        raise DefinitionError(
            f"the definition names {path!r}, and importing from {module!r} was not allowed: "
            f"if you trust it, pass allow=[{module!r}] (on the command line, --allow)"
        )
