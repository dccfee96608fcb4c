"""Django's connection keeps every promise of a store's."""

from unittest import skipIf

from django.db import connection
from django.test import TransactionTestCase

from ladderpipe.django.schema import empty
from ladderpipe.django.store import DjangoStore
from ladderpipe.testing import assert_store_contract

from .tests_board import is_in_memory


def new_store():
    empty("default")
    return DjangoStore("default")


@skipIf(is_in_memory(), "no two connections write to one database in memory at a time")
class Contract(TransactionTestCase):
    def test_the_contract_of_stores(self):
        assert_store_contract(new_store, examples=10)
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                # Those of the contract's threads, which end without telling Django.
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
