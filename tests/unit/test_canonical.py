"""What may be inside an event, and the one text that stands for it."""

from __future__ import annotations

import datetime as dt
import enum
import json
import math
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladderpipe.errors import InvalidEventError
from ladderpipe.model.canonical import MAX_DEPTH, canonical, canonical_text, json_encoder

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | TEXT
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=10,
)


class Colour(enum.StrEnum):
    RED = "red"


@given(st.dictionaries(TEXT, JSON, max_size=4))
def test_json_stays_what_it_is_and_survives_a_round_trip(data: dict[str, Any]) -> None:
    assert canonical(data) == data
    assert json.loads(canonical_text(canonical(data))) == data


@given(st.dictionaries(TEXT, JSON, min_size=2, max_size=4))
def test_the_order_of_keys_does_not_show(data: dict[str, Any]) -> None:
    backwards = dict(reversed(data.items()))
    assert canonical_text(canonical(data)) == canonical_text(canonical(backwards))


def test_a_copy_is_deep_and_plain() -> None:
    inner = [1]
    given_data = MappingProxyType({"a": MappingProxyType({"b": inner}), "c": (1, 2)})
    copy = canonical(given_data)
    inner.append(2)
    assert copy == {"a": {"b": [1]}, "c": [1, 2]}


def test_decimals_and_enumerations_become_text() -> None:
    found = canonical({"price": Decimal("899.00"), "colour": Colour.RED})
    assert found == {"price": "899.00", "colour": "red"}
    assert type(found["colour"]) is str


class Odd(str):
    """Text that is a key of its own, whatever it says."""

    __slots__ = ()

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        return self is other


def test_two_keys_that_are_the_same_text_are_refused() -> None:
    with pytest.raises(InvalidEventError, match=r"data\.outer has two keys"):
        canonical({"outer": {Odd("a"): 1, "a": 2}})


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        Decimal("NaN"),
        dt.datetime(2026, 1, 5),
        b"bytes",
        {1, 2},
        object(),
        "\x00",
        "half \ud800 a pair",
        {1: "one"},
        {"a\x00": 1},
    ],
)
def test_what_is_not_json_is_refused_with_its_path(value: Any) -> None:
    with pytest.raises(InvalidEventError, match=r"data"):
        canonical({"outer": {"inner": [value]}})


def test_too_deep_is_refused_rather_than_a_recursion_error() -> None:
    deep: dict[str, Any] = {}
    for _ in range(MAX_DEPTH + 1):
        deep = {"deeper": deep}
    with pytest.raises(InvalidEventError, match="nested"):
        canonical(deep)


def test_data_must_be_a_mapping() -> None:
    with pytest.raises(InvalidEventError, match="mapping"):
        canonical([1, 2])  # type: ignore[arg-type]


@given(value=JSON, sort_keys=st.booleans())
def test_an_encoder_that_is_made_once_writes_what_the_library_writes(
    value: Any, sort_keys: bool
) -> None:
    plain = {"separators": (",", ":"), "ensure_ascii": False, "sort_keys": sort_keys}
    assert json_encoder(sort_keys=sort_keys)(value) == json.dumps(value, **plain)


def test_an_interpreter_without_the_compiled_encoder_writes_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    value = {"b": ["\u00e8", 1.5, None, True], "a": {}}
    compiled = json_encoder()(value)
    monkeypatch.setattr(json.encoder, "c_make_encoder", None)
    assert json_encoder()(value) == compiled


def test_a_number_that_json_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        json_encoder(allow_nan=False)({"a": math.inf})
