"""What a public class or function says of itself: the place that people import it from."""

from __future__ import annotations

from inspect import get_annotations
from types import FunctionType
from typing import ForwardRef

__all__ = ["publish"]

_packages = {"ladderpipe.errors"}
"""Whose classes say already where they are public; the errors are defined where they are."""


def publish(package: str, *found: object) -> None:
    """Let classes and functions say that they are *package*'s: ``<class 'ladderpipe.Board'>``.

    The package calls it at its end; a module that it loads only when asked calls it itself, since
    others may reach that module first. What another package has published stays that one's.
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
        if isinstance(text, str):
            annotations[name] = ForwardRef(
                text, is_argument=False, module=one.__module__, is_class=True
            )
    if annotations:
        one.__annotations__ = annotations
