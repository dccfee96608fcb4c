"""Where a PostgreSQL store's tables are: schema and prefix, and what is derived from them."""

from __future__ import annotations

import hashlib
import re
from typing import Final

import attrs

from ...errors import StoreError

__all__ = ["Names"]

_LONGEST: Final = len("effects_state_check")
CUSTOMER_LOCKS: Final = 256
"""A server has room for about 64 locks a connection, and a batch may bring thousands of keys."""
_NAME: Final = re.compile(r"[a-z_][a-z0-9_]*", re.ASCII)


@attrs.frozen
class Names:
    """Where the tables are.

    Raises:
        StoreError: schema or prefix is no plain identifier, or too long.
    """

    schema: str
    prefix: str

    def __attrs_post_init__(self) -> None:
        for what, name in (("schema", self.schema), ("prefix", self.prefix)):
            if not _NAME.fullmatch(name):
                raise StoreError(
                    f"{what}={name!r}: lower-case letters, digits and underscores make a name here"
                )
        if len(self.schema) > 63 or len(self.prefix) + _LONGEST > 63:
            raise StoreError(f"schema={self.schema!r}, prefix={self.prefix!r}: names are too long")

    @property
    def tables(self) -> str:
        """What the name of every table begins with."""
        return f'"{self.schema}".{self.prefix}'

    @property
    def lock(self) -> int:
        """The first half of the keys of the advisory locks."""
        digest = hashlib.blake2b(f"ladderpipe {self.tables}".encode(), digest_size=4).digest()
        return int.from_bytes(digest, "big", signed=True)

    def customer_lock(self, key: str) -> int:
        """Return the advisory lock of a customer's key: one of a few, so that a batch needs few.

        Locks on one number are apart from those on two, which pipelines have.
        """
        digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
        return self.lock * CUSTOMER_LOCKS + int.from_bytes(digest, "big") % CUSTOMER_LOCKS

    @property
    def channel(self) -> str:
        """Where workers are told of new work."""
        return f"{self.schema}.{self.prefix}work"[-63:]

    def fill(self, text: str) -> bytes:
        """Return a statement with the names put in."""
        filled = text.replace("{tables}", self.tables).replace("{prefix}", self.prefix)
        return (
            filled.replace("{schema}", f'"{self.schema}"')
            .replace("{lock}", str(self.lock))
            .encode()
        )
