"""What a public class or function says of itself: the place that people import it from."""

from __future__ import annotations

import builtins
from functools import cache
from inspect import get_annotations
from types import FunctionType
from typing import ForwardRef

__all__ = ["publish"]

_packages = {"ladderpipe.errors"}
"""Whose classes say already where they are public; the errors are defined where they are."""

_EVERYWHERE = frozenset(vars(builtins))
"""Names that need no module to be looked up in."""


def publish(package: str, *found: object) -> None:
    """Let classes and functions say that they are *package*'s: ``<class 'ladderpipe.Board'>``.

    A module that its package loads only when asked calls it at its own end, since others may reach
    that module first; else the package does. What another package has published stays that one's.
    """
    _packages.add(package)
    for one in found:
        if isinstance(one, type | FunctionType) and one.__module__ not in _packages:
            if isinstance(one, type):
                _keep_annotations(one)
            one.__module__ = package


def _keep_annotations(one: type) -> None:
    # typing.get_type_hints, and so attrs and cattrs, look names up in the module that a class says
    # it is from, where those that its own file imports are not: each annotation says where to look.
    annotations = get_annotations(one)
    for name, annotation in annotations.items():
        text = getattr(annotation, "__forward_arg__", annotation)  # as a named tuple keeps it
        if isinstance(text, str) and text not in _EVERYWHERE:
            annotations[name] = _looked_up_in(one.__module__, text)
    if annotations:
        one.__annotations__ = annotations


@cache  # each compiles its text, and most of a module's records have the same few
def _looked_up_in(module: str, text: str) -> ForwardRef:
    return ForwardRef(text, is_argument=False, module=module, is_class=True)
