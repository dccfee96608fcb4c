"""The contract that every store keeps, on MariaDB."""

from __future__ import annotations

import itertools

from ladderpipe.stores import MariadbStore
from ladderpipe.testing import assert_store_contract
from tests.mariadb import MariadbServer


def test_it_keeps_the_contract(mariadb_server: MariadbServer):
    numbers = itertools.count()
    url = mariadb_server.emptied_url()
    assert_store_contract(
        lambda: MariadbStore.from_url(f"{url}&prefix=p{next(numbers)}_"), examples=10
    )
