"""``forget``: a person is taken out of the store, if somebody says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands import SALES, run, shop


@pytest.fixture
def url(tmp_path: Path) -> str:
    return shop(tmp_path / "shop.db")


def stored(url: str) -> bytes:
    path = Path(url.removeprefix("sqlite:///"))
    return b"".join(each.read_bytes() for each in path.parent.glob(f"{path.name}*"))


def test_with_a_yes_nothing_of_the_person_is_left(url: str) -> None:
    told = run("forget", url, "email=cart-3@example.com", "--yes", "-p", SALES, "--json").json()
    assert told == {"deals": ["cart-3"], "failures": []}
    assert b"cart-3@example.com" not in stored(url)
    assert b"cart-1@example.com" in stored(url)


def test_without_one_and_nobody_to_ask_it_is_refused(url: str) -> None:
    assert "--yes" in run("forget", url, "email=cart-3@example.com", "-p", SALES).refusal(2)
    assert b"cart-3@example.com" in stored(url)


@pytest.mark.parametrize("contact", ["cart-3@example.com", "=x"])
def test_what_names_nobody_is_one_line(url: str, contact: str) -> None:
    run("forget", url, contact, "--yes", "-p", SALES).refusal(2)
