"""A trigger of your own: so many *business* hours, with weekends and holidays, in Europe/Rome.

Any object with a method ``due_at(visit)`` is a timer: the library is not touched. It must be a
frozen attrs or data class, so that the store can tell whether the ladder changed, and it must be
pure: no clock, only the times of the visit and its own fields.

Time zones: ``zoneinfo`` reads the zone database of the operating system. Windows and many slim
container images have none; there, ``pip install tzdata``.

Holidays are part of the ladder, like a delay: a new list is a changed ladder, which
``board.migrate()`` adopts. So put in the years to come at once.

Run it without arguments.
"""

import datetime as dt
from collections.abc import Iterable, Iterator
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from ladderpipe import Board, Event, ManualClock, Pipeline, Stage, VisitTimes, after, by_hand, on

MONDAY_TO_FRIDAY = (0, 1, 2, 3, 4)

# Those that are not on a Saturday or Sunday anyway.
ITALY_2026 = ("2026-01-01", "2026-01-06", "2026-04-06", "2026-05-01", "2026-06-02", "2026-12-08")
ITALY_2026 += ("2026-12-25",)


def zone(name: str | ZoneInfo) -> ZoneInfo:
    try:
        return ZoneInfo(str(name))
    except ZoneInfoNotFoundError as error:
        raise ValueError(f"no time zone {name!s} on this machine: pip install tzdata") from error


def time(text: str | dt.time) -> dt.time:
    return text if isinstance(text, dt.time) else dt.time.fromisoformat(text)


def dates(texts: Iterable[str | dt.date]) -> tuple[dt.date, ...]:
    return tuple(t if isinstance(t, dt.date) else dt.date.fromisoformat(t) for t in texts)


# The converters take back what a YAML or TOML file holds: texts and lists.
@attrs.frozen
class BusinessHours:
    """Due after *hours* of business since the stage was entered; ``closes`` 00:00 is midnight."""

    hours: float = attrs.field(validator=attrs.validators.gt(0))
    opens: dt.time = attrs.field(default=dt.time(9), converter=time)
    closes: dt.time = attrs.field(default=dt.time(18), converter=time)
    weekdays: tuple[int, ...] = attrs.field(
        default=MONDAY_TO_FRIDAY, converter=tuple, validator=attrs.validators.min_len(1)
    )
    holidays: tuple[dt.date, ...] = attrs.field(default=(), converter=dates)
    zone: ZoneInfo = attrs.field(default="Europe/Rome", converter=zone)

    def due_at(self, visit: VisitTimes) -> dt.datetime:
        left = dt.timedelta(hours=self.hours)
        for opening, closing in self.business_days(visit.entered_at):
            start = max(opening, visit.entered_at)
            if start < closing:
                if start + left <= closing:
                    return start + left
                left -= closing - start
        raise AssertionError("there is always another business day")

    def business_days(self, since: dt.datetime) -> Iterator[tuple[dt.datetime, dt.datetime]]:
        """Yield opening and closing of each business day, in UTC: there, an hour is an hour."""
        day = since.astimezone(self.zone).date() - dt.timedelta(days=1)  # it may end after midnight
        while True:
            if day.weekday() in self.weekdays and day not in self.holidays:
                last = day if self.closes > self.opens else day + dt.timedelta(days=1)
                yield self.utc(day, self.opens), self.utc(last, self.closes)
            day += dt.timedelta(days=1)

    def utc(self, day: dt.date, at: dt.time) -> dt.datetime:
        return dt.datetime.combine(day, at, self.zone).astimezone(dt.UTC)

    def __str__(self) -> str:
        return f"after {self.hours:g} business hours"


# -- on a ladder ------------------------------------------------------------------------------

quote = Stage("quote_requested", title="Quote requested")
forgotten = Stage("forgotten", title="Nobody answered", status="abandoned")
won = Stage("won", status="won")
lost = Stage("lost", status="lost")

ladder = Pipeline(
    "quotes",
    stages=[quote, forgotten, won, lost],
    rules=[
        on("quote.requested", into=quote, opens=True),
        after(BusinessHours(48, holidays=ITALY_2026), out_of=quote, into=forgotten),
        by_hand(into=won),
        by_hand(into=lost),
    ],
)


def show() -> None:
    timer = ladder.rules[1].trigger
    rome = timer.zone
    starts = {
        "an ordinary Monday morning": "2026-02-02T09:00+01:00",
        "Friday evening, after closing": "2026-02-06T19:30+01:00",
        "Thursday, before summer time begins": "2026-03-26T15:00+01:00",
        "Thursday, before Easter": "2026-04-02T15:00+02:00",
        "before Christmas": "2026-12-22T12:00+01:00",
    }
    print("48 business hours (9 to 18, Monday to Friday, Europe/Rome) after")
    for words, text in starts.items():
        entered = dt.datetime.fromisoformat(text)
        until = due(timer, entered.astimezone(dt.UTC)).astimezone(rome)
        print(f"  {words:<38}{entered:%a %d %b %H:%M} → {until:%a %d %b %H:%M}")

    clock = ManualClock("2026-02-02T08:00:00Z")
    board = Board(ladder, clock=clock)
    board.handle(Event("quote.requested", deal="q-1", id="e1", at=clock.now()))
    due_at = board.deal("q-1").due_at
    clock.advance(hours=48)
    board.tick()
    assert board.deal("q-1").stage == quote, "48 hours are not 48 business hours"
    clock.set(due_at)
    board.tick()
    assert board.deal("q-1").stage == forgotten
    print(f"\nOn the board: {board.history('q-1').moves[-1].rule}, at {due_at:%a %d %b %H:%M} UTC")

    again = Pipeline.from_dict(ladder.to_dict(), allow=[__name__])
    assert again.fingerprint == ladder.fingerprint
    print("In a definition file:", ladder.to_dict()["rules"][1]["after"]["timer"])


# -- checked a little -------------------------------------------------------------------------

new_year = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
instants = st.integers(0, 365 * 24 * 60).map(lambda n: new_year + dt.timedelta(minutes=n))
hours = st.integers(1, 200)
reproducible = settings(derandomize=True, database=None)


def due(timer: BusinessHours, entered: dt.datetime) -> dt.datetime:
    return timer.due_at(VisitTimes(entered, entered, entered))


@reproducible
@given(instants, hours)
def test_without_weekends_holidays_and_nights_it_is_a_plain_delay(entered, n):
    always = BusinessHours(n, opens="00:00", closes="00:00", weekdays=range(7))
    assert due(always, entered) == entered + dt.timedelta(hours=n)


@reproducible
@given(instants, hours, hours)
def test_waiting_twice_is_waiting_for_the_sum(entered, n, m):
    first = due(BusinessHours(n, holidays=ITALY_2026), entered)
    both = due(BusinessHours(n + m, holidays=ITALY_2026), entered)
    assert due(BusinessHours(m, holidays=ITALY_2026), first) == both


@reproducible
@given(instants, instants, hours)
def test_whoever_enters_later_is_never_due_earlier(one, other, n):
    timer = BusinessHours(n, holidays=ITALY_2026)
    assert due(timer, min(one, other)) <= due(timer, max(one, other))


@reproducible
@given(instants, hours)
def test_it_is_due_in_business_hours(entered, n):
    timer = BusinessHours(n, holidays=ITALY_2026)
    local = due(timer, entered).astimezone(timer.zone)
    assert timer.opens < local.time() <= timer.closes
    assert local.weekday() in timer.weekdays
    assert local.date() not in timer.holidays


if __name__ == "__main__":
    show()
    for test in [value for name, value in globals().items() if name.startswith("test_")]:
        test()
        print("checked:", test.__name__.removeprefix("test_").replace("_", " "))
