"""Signatures of classes whose constructor is not written as ``__init__``: attrs classes and stages.

A griffe extension: mkdocstrings reads the source without running it, and would show none. It also
takes out of docstrings the roles (``:meth:``), which editors understand and Markdown does not.
"""

from __future__ import annotations

import importlib
import inspect
import re
from typing import Any

import attrs
import griffe

KINDS = {
    inspect.Parameter.POSITIONAL_ONLY: griffe.ParameterKind.positional_only,
    inspect.Parameter.POSITIONAL_OR_KEYWORD: griffe.ParameterKind.positional_or_keyword,
    inspect.Parameter.KEYWORD_ONLY: griffe.ParameterKind.keyword_only,
}
ROLE = re.compile(r":(?:attr|class|func|meth|mod):`[~.]?([^`]+)`")


class Signatures(griffe.Extension):
    """Gives such classes an ``__init__`` with the parameters they really take."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        """Go through all classes once a package is loaded."""
        _be_a_django_project()
        _visit(pkg)

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Show what a role names as code."""
        if obj.docstring:
            obj.docstring.value = ROLE.sub(r"``\1``", obj.docstring.value)


def _be_a_django_project() -> None:
    """Let what is about Django's models be imported, which is possible in a project only."""
    # Griffe looks into everything that stands in this module, and these settings answer nobody yet.
    import django
    from django.conf import settings

    if not settings.configured:
        apps = ("django.contrib.auth", "django.contrib.contenttypes", "ladderpipe.django")
        settings.configure(INSTALLED_APPS=apps)
        django.setup()


def _visit(found: griffe.Module | griffe.Class) -> None:
    for member in list(found.members.values()):
        if member.is_alias:
            continue
        if member.is_module:
            _visit(member)
        elif member.is_class and "__init__" not in member.members:
            _give_signature(member)


def _give_signature(cls: griffe.Class) -> None:
    parameters: griffe.Parameters | None = None
    if "__new__" in cls.members:
        parameters = griffe.Parameters(*list(cls.members["__new__"].parameters)[1:])
    elif any("attrs." in str(decorator.value) for decorator in cls.decorators):
        parameters = _of_attrs(cls)
    if parameters:
        this = griffe.Parameter("self", kind=griffe.ParameterKind.positional_or_keyword)
        init = griffe.Function("__init__", parameters=griffe.Parameters(this, *parameters))
        cls.set_member("__init__", init)


def _of_attrs(cls: griffe.Class) -> griffe.Parameters:
    actual = getattr(importlib.import_module(cls.module.path), cls.name)
    fields = {field.alias: field for field in attrs.fields(actual)}
    found = []
    for parameter in inspect.signature(actual).parameters.values():
        field = fields[parameter.name]
        known = cls.all_members.get(field.name)
        found.append(
            griffe.Parameter(
                parameter.name,
                annotation=getattr(known, "annotation", None),
                kind=KINDS[parameter.kind],
                default=_default(field.default),
            )
        )
    return griffe.Parameters(*found)


def _default(default: Any) -> str | None:
    if default is attrs.NOTHING:
        return None
    if isinstance(default, attrs.Factory):
        made = getattr(default.factory, "__name__", "")
        return f"{made}()" if made.isidentifier() else "..."
    return repr(default)
