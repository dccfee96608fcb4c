"""Property-testing your own ladder in fifteen lines, with ``ladderpipe.testing``.

Run it without arguments, or with pytest. The strategies read your ladder: they send the event types
its rules name, around the times its timers are due, with data that makes its guards change their
answer. You say what must hold.
"""

from hypothesis import given, settings
from hypothesis import strategies as st

from ladderpipe.templates import sales_management
from ladderpipe.testing import events, ladder_state_machine

ladder = sales_management()  # yours


@given(events(ladder))
def test_an_abandoned_cart_is_never_empty(happened):
    history = ladder.fold(happened)
    if history and history.deal.stage == "checkout_abandoned":
        assert history.deal.cart


@given(events(ladder), st.randoms(use_true_random=False))
def test_the_order_of_delivery_does_not_matter(happened, random):
    delivered = random.sample(happened * 2, 2 * len(happened))
    assert ladder.fold(delivered) == ladder.fold(happened)


# Events late, early and twice, sweeps, hands and overrides, on a board.
TestABadDay = ladder_state_machine(ladder).TestCase
TestABadDay.settings = settings(max_examples=10, deadline=None)


if __name__ == "__main__":
    import unittest

    for test in (
        test_an_abandoned_cart_is_never_empty,
        test_the_order_of_delivery_does_not_matter,
    ):
        test()
        print("holds:", test.__name__.removeprefix("test_").replace("_", " "))
    print("and a board on a bad day:")
    unittest.main()
