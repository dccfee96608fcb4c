"""The shop that is deployed here: its ladder, and what delivers its effects.

``python shop.py URL`` makes the tables, or brings older ones up to date: once, before anything else
is started.
"""

import sys

from ladderpipe import Board, templates

ladder = templates.sales_management(language="en")


def register(board):
    @board.handles("warehouse")
    def tell_the_warehouse(delivery):
        print("packing", delivery.payload.get("order"), "once:", delivery.key, flush=True)


if __name__ == "__main__":
    Board.open(ladder, sys.argv[1]).close()
