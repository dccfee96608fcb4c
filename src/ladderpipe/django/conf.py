"""What ``settings.LADDERPIPE`` says, read when it is first asked for."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from typing import Any, Final

import attrs
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from ..model.effect import Handler
from ..model.stage import TASK
from ..pipeline import Pipeline

__all__ = ["NAME", "LadderSettings", "configured", "database", "forget_settings"]

NAME: Final = "LADDERPIPE"
KEYS: Final = ("PIPELINES", "DATABASE", "HANDLERS", "MAIL", "BOARD")
_EXAMPLE: Final = 'LADDERPIPE = {"PIPELINES": ["shop.ladder.pipeline"]}'
_OURS: Final = ("store", "adopting", "read_only")
"""What the app sees to itself."""


@attrs.frozen
class LadderSettings:
    """The settings, with everything imported that they name.

    Attributes:
        pipelines: by their names, in the order of the settings.
        handlers: of effects, by the effects' names.
        board: what else :class:`ladderpipe.Board` is given.
    """

    pipelines: Mapping[str, Pipeline]
    handlers: Mapping[str, Handler]
    board: Mapping[str, Any]


@functools.cache
def configured() -> LadderSettings:
    """Return the settings.

    Raises:
        ImproperlyConfigured: something in them cannot be what it is to be.
    """
    told = _told()
    return LadderSettings(_pipelines(told), _handlers(told), _board(told))


def database() -> str:
    """Return Django's alias of the database that the board is in."""
    return str(_told().get("DATABASE", "default"))


def forget_settings() -> None:
    """Read the settings anew when they are asked for next."""
    configured.cache_clear()


def _told() -> Mapping[str, Any]:
    told = getattr(settings, NAME, None)
    if not isinstance(told, Mapping):
        raise ImproperlyConfigured(f"settings.{NAME} is {told!r}: write {_EXAMPLE}")
    unknown = sorted(set(map(str, told)) - set(KEYS))
    if unknown:
        raise ImproperlyConfigured(
            f"settings.{NAME} has {unknown[0]!r}, which means nothing: it takes {', '.join(KEYS)}"
        )
    return told


def _pipelines(told: Mapping[str, Any]) -> Mapping[str, Pipeline]:
    named = told.get("PIPELINES")
    if not isinstance(named, list | tuple) or not named:
        raise ImproperlyConfigured(
            f"settings.{NAME}['PIPELINES'] is {named!r}: list where your pipelines are, {_EXAMPLE}"
        )
    found: dict[str, Pipeline] = {}
    for path in named:
        pipeline = _imported(path, "PIPELINES")
        if not isinstance(pipeline, Pipeline):
            raise ImproperlyConfigured(
                f"settings.{NAME}['PIPELINES'] names {path!r}, which is {pipeline!r} and no "
                "ladderpipe.Pipeline: name the object, not its module or what makes it"
            )
        if found.setdefault(pipeline.name, pipeline) is not pipeline:
            raise ImproperlyConfigured(
                f"settings.{NAME}['PIPELINES'] names two pipelines that are called "
                f"{pipeline.name!r}: one database has one pipeline of a name"
            )
    return found


def _handlers(told: Mapping[str, Any]) -> Mapping[str, Handler]:
    named = told.get("HANDLERS", {})
    if not isinstance(named, Mapping):
        raise ImproperlyConfigured(
            f"settings.{NAME}['HANDLERS'] is {named!r}: map names of effects to functions, "
            '{"webhook": "shop.effects.call_the_till"}'
        )
    found: dict[str, Handler] = {}
    for name, path in named.items():
        handler = _imported(path, "HANDLERS")
        if not callable(handler) or inspect.iscoroutinefunction(handler) or name == TASK:
            raise ImproperlyConfigured(
                f"settings.{NAME}['HANDLERS'][{name!r}] is {handler!r}: effects are delivered by "
                "plain functions, and tasks by people"
            )
        found[str(name)] = handler
    mail = told.get("MAIL", {})
    if mail is not None and "email" not in found:
        found.update(_mailer(mail, is_asked="MAIL" in told))
    return found


def _mailer(mail: Any, *, is_asked: bool) -> dict[str, Handler]:
    """Return the handler of mails by Django's own settings; none where mail is not installed."""
    try:
        from ..mail import DjangoMailer
    except ModuleNotFoundError:
        if is_asked:
            raise
        return {}
    language = str(settings.LANGUAGE_CODE).partition("-")[0]
    given = {"sender": settings.DEFAULT_FROM_EMAIL, "language": language, **mail}
    try:
        return {"email": DjangoMailer(**given)}
    except (TypeError, ValueError) as error:
        if not is_asked:
            # A project whose language has no mails of ours, and that has not asked for any.
            return {}
        raise ImproperlyConfigured(
            f"settings.{NAME}['MAIL'] is {mail!r}: it is what ladderpipe.mail.DjangoMailer takes "
            f"({error})"
        ) from error


def _board(told: Mapping[str, Any]) -> Mapping[str, Any]:
    given = told.get("BOARD", {})
    if not isinstance(given, Mapping) or set(given) & set(_OURS):
        raise ImproperlyConfigured(
            f"settings.{NAME}['BOARD'] is {given!r}: it is what ladderpipe.Board takes besides "
            f"pipeline, {', '.join(_OURS)}, for example {{'stale_effects': 'hold'}}"
        )
    return given


def _imported(path: Any, key: str) -> Any:
    if not isinstance(path, str):
        return path
    try:
        return import_string(path)
    except ImportError as error:
        raise ImproperlyConfigured(
            f"settings.{NAME}[{key!r}] names {path!r}, which cannot be imported ({error}): write "
            "module and name, 'shop.ladder.pipeline'"
        ) from error
