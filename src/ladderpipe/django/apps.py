"""The app that ``INSTALLED_APPS`` names."""

from __future__ import annotations

import sys
from typing import Any

from django.apps import AppConfig
from django.core.signals import setting_changed
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate

from ..errors import PipelineChangedError
from . import boards, conf, schema

__all__ = ["LadderpipeConfig"]


class LadderpipeConfig(AppConfig):
    """Tables, models, admin, commands and checks of ladderpipe's."""

    name = "ladderpipe.django"
    label = "ladderpipe"
    verbose_name = "Ladderpipe"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Listen to what happens to the database and to the settings."""
        from . import checks

        checks.register_checks()
        post_migrate.connect(_after_migrate, sender=self, dispatch_uid="ladderpipe")
        setting_changed.connect(_after_change, dispatch_uid="ladderpipe")
        connection_created.connect(_after_connecting, dispatch_uid="ladderpipe")


def _after_migrate(using: str, **told: Any) -> None:
    """Note the pipelines after ``migrate``; after ``flush``, which tells the same, empty first."""
    if using != conf.database() or not schema.is_up_to_date(using):
        return
    if "plan" not in told:
        # Django empties the tables of models that it has made; TransactionTestCase lives on that.
        schema.empty(using)
    boards.forget_boards()
    for board in boards.get_boards():
        try:
            boards.open_board(board)
        except PipelineChangedError as error:
            # The tables are as they should be; what becomes of deals is nothing to do in passing.
            (told.get("stdout") or sys.stderr).write(f"  {error}\n")


def _after_change(setting: str, **told: Any) -> None:
    if setting in (conf.NAME, "DATABASES", "LANGUAGE_CODE", "DEFAULT_FROM_EMAIL"):
        boards.forget_boards()


def _after_connecting(connection: Any, **told: Any) -> None:
    """Have SQLite overwrite what is removed, so that a person who is forgotten is not in it."""
    if connection.vendor == "sqlite" and connection.alias == conf.database():
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA secure_delete = ON")
