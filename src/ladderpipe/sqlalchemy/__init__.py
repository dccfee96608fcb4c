"""The board's tables for those who work with SQLAlchemy and Alembic.

Needs the extra ``sqlalchemy``. A board on an engine's database is ``Board.open(ladder,
engine=engine)``, and one inside of a session's transaction is ``board.using(session)``.
"""

from typing import Final

from ..extras import how_to_install
from ..public import publish

try:
    from .schema import Tables, metadata, tables
except ModuleNotFoundError as error:
    if error.name != "sqlalchemy":
        raise
    raise ModuleNotFoundError(
        f"ladderpipe.sqlalchemy needs SQLAlchemy: {how_to_install('sqlalchemy')}", name=error.name
    ) from error

__all__ = ["Tables", "include_name", "include_object", "metadata", "tables"]

include_name: Final = tables.include_name
"""For Alembic's ``env.py``: leaves the store's tables alone that are in the database."""
include_object: Final = tables.include_object
"""For Alembic's ``env.py``: leaves them alone also where they are in the models' metadata."""

publish(__name__, Tables)
