"""Django's test runner, with the board on the database of the tests."""

from django.test.runner import DiscoverRunner

from .sales import the_board


class LadderRunner(DiscoverRunner):
    """Opens the board on the test database before the first test, and closes it after the last."""

    def setup_databases(self, **options):
        found = super().setup_databases(**options)
        the_board.cache_clear()
        the_board()
        return found

    def teardown_databases(self, old_config, **options):
        the_board().close()
        the_board.cache_clear()
        super().teardown_databases(old_config, **options)
