"""``manage.py work``: fires timers and sends mails until it is told to stop."""

from django.core.management.base import BaseCommand

from shop.sales import the_board


class Command(BaseCommand):
    help = "Fire timers and send mails, until SIGTERM or Ctrl-C."

    def handle(self, **options):
        with the_board() as board:
            board.run()
