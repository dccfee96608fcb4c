"""The board for people, mounted into the project."""

from unittest import mock

from django.contrib.auth.models import User
from django.db import connection, connections
from django.test import TransactionTestCase

from .tests_board import BOARD, event, is_in_memory, tell


class Mounted(TransactionTestCase):
    def setUp(self):
        if is_in_memory():
            self.skipTest("its threads see no database in memory")
        # Else Django keeps the connections of threads as long as it says there.
        kept = mock.patch.dict(connections.databases["default"], CONN_MAX_AGE=0)
        kept.start()
        self.addCleanup(kept.stop)
        self.client.force_login(User.objects.create_user("carla"))
        BOARD.handle(event("lead", title="A kitchen"))

    def test_it_shows_and_moves_what_is_there(self):
        self.assertContains(self.client.get("/sales/"), "A kitchen")
        told = {"deal": "d", "into": "lost", "properties": {"loss_reason": "price"}}
        browser = {"host": "testserver", "origin": "http://testserver"}
        moved = self.client.post("/sales/move", told, "application/json", headers=browser)
        self.assertIn(moved.status_code, (200, 303), moved.content)
        self.assertEqual(BOARD.deal("d").stage, "lost")

    def test_its_threads_leave_no_connection_open(self):
        for number in range(5):
            tell("lead", deal=f"n{number}")
            self.client.get("/sales/")
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                    "AND pid <> pg_backend_pid()"
                )
                self.assertEqual(cursor.fetchone(), (0,))
