"""What ``manage.py check`` says of settings, effects and database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.utils import DatabaseError

from ..board.findings import holidays_text, without_holidays
from ..errors import StoreError
from ..extras import how_to_install
from ..model.clock import SystemClock, instant
from ..model.stage import TASK, DoStep
from .boards import advised, get_boards
from .conf import configured, database
from .databases import dialect_of
from .schema import tables_version

__all__ = ["register_checks"]


def register_checks() -> None:
    """Let Django ask them."""
    checks.register(check_settings)
    checks.register(check_tables, checks.Tags.database)


def check_settings(app_configs: Any, **asked: Any) -> list[checks.CheckMessage]:
    """Say what is wrong with ``settings.LADDERPIPE`` and the database that it names."""
    try:
        configured()
        found = list(_database()) or [*_unhandled(), *_findings(), *_holidays()]
    except ImproperlyConfigured as error:
        found = [checks.Error(str(error), id="ladderpipe.E001")]
    return found


def check_tables(
    app_configs: Any, databases: Sequence[str] | None = None, **asked: Any
) -> list[checks.CheckMessage]:
    """Say that ``migrate`` was not run; asked only where a database may be asked."""
    try:
        alias = database()
        if alias not in (databases or ()) or list(_database()):
            return []
        found, needed = tables_version(alias)
        # Before its first `migrate`, a database has nothing at all, and needs nobody to say so.
        if found == needed or (not found and not connections[alias].introspection.table_names()):
            return []
    except (ImproperlyConfigured, DatabaseError, StoreError):
        return []  # what is wrong with either is told elsewhere
    if found > needed:
        return [
            checks.Error(
                f"the board's tables have schema version {found}, and this ladderpipe knows "
                f"{needed}",
                hint="Install a later ladderpipe.",
                id="ladderpipe.E004",
            )
        ]
    what = f"have schema version {found} and not {needed}" if found else "are missing"
    return [
        checks.Warning(
            f"the board's tables {what}", hint="Run 'manage.py migrate'.", id="ladderpipe.W003"
        )
    ]


def _database() -> Iterator[checks.CheckMessage]:
    alias = database()
    if alias not in connections.databases:
        known = ", ".join(map(repr, connections.databases))
        yield checks.Error(
            f"settings.LADDERPIPE['DATABASE'] is {alias!r}, and settings.DATABASES has {known}",
            id="ladderpipe.E002",
        )
        return
    connection = connections[alias]
    try:
        dialect_of(connection)
    except StoreError as error:
        yield checks.Error(str(error), id="ladderpipe.E003")
        return
    if not connection.settings_dict["AUTOCOMMIT"]:
        yield checks.Error(
            f"settings.DATABASES[{alias!r}] says AUTOCOMMIT: False, and then nobody is told when "
            "something is committed",
            hint="Take it out.",
            id="ladderpipe.E003",
        )


def _unhandled() -> Iterator[checks.CheckMessage]:
    """Name effects of sequences that nobody delivers; what hooks ask for nobody knows before."""
    for board in get_boards():
        handled = board.handlers
        asked = {
            step.name: stage
            for stage in board.pipeline.stages
            for step in stage.sequence
            if isinstance(step, DoStep) and step.name != TASK
        }
        for name, stage in asked.items():
            if name not in handled:
                mail = (
                    f"Install mail ({how_to_install('mail')}), or give"
                    if name == "email"
                    else "Give"
                )
                yield checks.Warning(
                    f"stage {stage.key!r} of pipeline {board.pipeline.name!r} asks for the effect "
                    f"{name!r}, which nobody delivers",
                    hint=f"{mail} it a handler in settings.LADDERPIPE['HANDLERS'].",
                    id="ladderpipe.W001",
                )


def _findings() -> Iterator[checks.CheckMessage]:
    """Tell what the ladders' own check finds."""
    for board in get_boards():
        for finding in board.pipeline.check():
            kind = checks.Info if finding.severity == "info" else checks.Warning
            yield kind(f"pipeline {board.pipeline.name!r}: {finding}", id="ladderpipe.W002")


def _holidays() -> Iterator[checks.CheckMessage]:
    """Name calendars whose holidays end; ``board.health()`` says the same, and asks a database."""
    found = configured()
    now = instant((found.board.get("clock") or SystemClock()).now())
    for pipeline in found.pipelines.values():
        calendars = {name: each.holidays for name, each in pipeline.calendars.items()}
        if told := holidays_text(without_holidays(calendars, now)):
            told = advised(told, pipeline.name)
            yield checks.Warning(f"pipeline {pipeline.name!r}: {told}", id="ladderpipe.W004")
