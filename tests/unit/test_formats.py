"""How numbers, amounts, dates and durations are written: one room for mails, pages, terminals."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladderpipe.formats import ENGLISH, ITALIAN, Format

LANGUAGES = ("en", "it", "de", "fr", "tlh")
SECONDS = {
    "second": 1, "minut": 60, "hour": 3600, "day": 86_400,
    "ora": 3600, "ore": 3600, "giorn": 86_400,
}  # fmt: skip
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**30),
                       max_value=10**30)  # fmt: skip


def read(text: str, form: Format) -> Decimal:
    marks = ",." if form is ENGLISH else ".,"
    kept = re.sub(rf"[^0-9{re.escape(marks[1])}-]", "", text)
    return Decimal(kept.replace(marks[1], "."))


@given(DECIMALS, st.sampled_from((ENGLISH, ITALIAN)))
def test_a_number_is_written_exactly_however_long_it_is(number: Decimal, form: Format) -> None:
    assert read(form.number(number, digits=None), form) == number


@given(DECIMALS, st.sampled_from((ENGLISH, ITALIAN)), st.integers(0, 4))
def test_a_rounded_number_is_at_most_half_a_unit_away(
    number: Decimal, form: Format, digits: int
) -> None:
    written = read(form.number(number, digits), form)
    assert abs(written - number) <= Decimal(1).scaleb(-digits) / 2


@given(st.timedeltas(dt.timedelta(seconds=1), dt.timedelta(days=5_000)),
       st.sampled_from((ENGLISH, ITALIAN)))  # fmt: skip
def test_a_duration_is_told_in_a_unit_that_it_fills(length: dt.timedelta, form: Format) -> None:
    text = form.duration(length)
    unit = next(seconds for name, seconds in SECONDS.items() if name in text)
    told = float(read(text.partition(" ")[0], form))
    assert told >= 1
    assert told * unit == pytest.approx(length.total_seconds(), rel=0.06)


@given(st.timedeltas(dt.timedelta(seconds=1), dt.timedelta(days=5_000)))
def test_an_age_is_rounded_down_and_never_to_nothing(length: dt.timedelta) -> None:
    number, symbol = ENGLISH.age(length).split(" ")
    one = dt.timedelta(seconds={"s": 1, "min": 60, "h": 3600, "d": 86_400}[symbol])
    told = int(number.replace(",", "")) * one
    assert told <= length < told + one
    assert told


@given(st.floats(1e-9, 1e6))
def test_some_days_are_never_none(days: float) -> None:
    assert read(ENGLISH.days(days), ENGLISH) > 0


@pytest.mark.parametrize(
    ("seconds", "english", "italian"),
    [
        (30, "30 seconds", "30 secondi"),
        (60, "1 minute", "1 minuto"),
        (5_400, "1.5 hours", "1,5 ore"),
        (86_400, "1 day", "1 giorno"),
        (129_600, "1.5 days", "1,5 giorni"),
        (86_400 * 1_234.56, "1,235 days", "1.235 giorni"),
    ],
)
def test_a_duration_in_words(seconds: float, english: str, italian: str) -> None:
    length = dt.timedelta(seconds=seconds)
    assert (ENGLISH.duration(length), ITALIAN.duration(length)) == (english, italian)


@pytest.mark.parametrize(
    ("amount", "currency", "italian", "english"),
    [
        ("1798", "EUR", "1.798,00_€", "€1,798.00"),
        ("0.005", "EUR", "0,01_€", "€0.01"),
        ("-5", "USD", "-5,00_USD", "-$5.00"),
        ("1234567.891", "CHF", "1.234.567,89_CHF", "CHF_1,234,567.89"),
        ("1234.5", "JPY", "1.235_JPY", "¥1,235"),
        ("1.5", None, "1,50", "1.50"),
        ("-0.001", "EUR", "0,00_€", "€0.00"),
        ("9" * 30, None, ".".join(["999"] * 10) + ",00", ",".join(["999"] * 10) + ".00"),
    ],
)
def test_money_is_written_as_the_language_does(
    amount: str, currency: str | None, italian: str, english: str
) -> None:
    for form, expected in ((ITALIAN, italian), (ENGLISH, english)):
        assert form.money(Decimal(amount), currency) == expected.replace("_", "\u00a0")


def test_an_amount_in_letters_has_no_sign_that_a_terminal_may_lack() -> None:
    assert ENGLISH.money(Decimal(-12), "EUR", in_letters=True) == "-EUR\u00a012.00"


@pytest.mark.parametrize(
    ("number", "italian"), [("2", "2"), ("2.000", "2"), ("1.50", "1,5"), ("1200", "1.200")]
)
def test_quantities_have_no_idle_zeros(number: str, italian: str) -> None:
    assert ITALIAN.number(Decimal(number), digits=None) == italian


def test_shares_are_written_as_cldr_writes_them() -> None:
    assert [Format(language).share(0.6321) for language in ("en", "it", "de")] == [
        "63.2%", "63,2%", "63,2\u00a0%",
    ]  # fmt: skip


def test_a_moment_in_full_keeps_the_clock_it_was_written_for() -> None:
    at = dt.datetime(2026, 9, 5, 9, 12, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    assert ENGLISH.moment_in_full(at) == "5 September 2026 at 09:12"
    assert ITALIAN.moment_in_full(at) == "5 settembre 2026 alle 09:12"
    assert ENGLISH.moment(at) == "5 Sep 2026, 07:12"
    assert Format("it", "Europe/Rome").moment(at) == "5 set 2026, 09:12"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_can_be_written_also_one_that_nobody_has_described(language: str) -> None:
    form = Format(language)
    at = dt.datetime(2026, 1, 5, 9, 12, tzinfo=dt.UTC)
    written = [
        form.number(1.5, 1), form.share(0.1), form.money(Decimal(1), "EUR"), form.moment(at),
        form.moment_in_full(at), form.duration(dt.timedelta(hours=5)), form.whole_month(at.date()),
    ]  # fmt: skip
    assert all(any(letter.isdigit() for letter in text) for text in written)
    assert not [text for text in written if "duration-" in text]


def test_what_is_not_there_is_a_dash() -> None:
    written = (ENGLISH.number(None), ENGLISH.share(None), ENGLISH.money(None, "EUR"),
               ENGLISH.days(None), ENGLISH.duration(None), ENGLISH.month(None),
               ENGLISH.moment(None))  # fmt: skip
    assert set(written) == {"–"}


@pytest.mark.parametrize(
    ("amount", "english", "italian"),
    [
        ("999.5", "999.50", "999,50"),
        ("2360.9093", "2.36K", "2.361"),
        ("10696827", "10.7M", "10,7 Mln"),
    ],
)
def test_a_number_in_few_letters_never_trails_decimals(
    amount: str, english: str, italian: str
) -> None:
    exact = Decimal(amount)
    assert Format("en").short(exact) == english
    assert Format("it").short(exact).replace("\N{NO-BREAK SPACE}", " ") == italian


@pytest.mark.parametrize("language", ["en", "it", "de", "fr", "ja", "xx"])
def test_a_card_tells_an_age_in_few_letters_of_the_language(language: str) -> None:
    told = [Format(language).narrow(dt.timedelta(seconds=s)) for s in (0, 59, 3_600, 400_000)]
    assert all(len(text) <= 12 and "duration" not in text for text in told), told
    assert len(set(told)) == 4


def test_a_card_tells_an_age_in_days_from_two_days_on() -> None:
    assert Format("it").narrow(dt.timedelta(days=4, hours=20)) == "4gg"
    assert Format("en").narrow(dt.timedelta(hours=47)) == "47h"
