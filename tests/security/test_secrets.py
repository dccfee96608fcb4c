"""A password in the address of a store is never shown to anybody."""

from __future__ import annotations

import traceback

import pytest

from ladderpipe import Board, LadderError, Pipeline
from ladderpipe.stores import PostgresStore

PASSWORD = "s3cr3t"

UNUSABLE = [
    f"postgresql://shop:{PASSWORD}@127.0.0.1:1/shop",
    f"postgresql://shop:{PASSWORD}@[half/shop",
    f"postgresql://shop:{PASSWORD}@127.0.0.1:port/shop",
    f"postgresql://shop:{PASSWORD}@/shop?host=/nowhere&unknown_option=1",
    f"mysql://shop:{PASSWORD}@127.0.0.1/shop",
    f"shop:{PASSWORD}@127.0.0.1",
]


@pytest.mark.parametrize("url", UNUSABLE)
def test_no_error_shows_the_password(pipeline: Pipeline, url: str) -> None:
    with pytest.raises(LadderError) as refused:
        Board.open(pipeline, url)
    assert PASSWORD not in "".join(traceback.format_exception_only(refused.value))
    assert PASSWORD not in str(refused.value.__cause__)


def test_a_store_shows_where_it_is_without_the_password(postgres_url: str) -> None:
    store = PostgresStore(f"{postgres_url}&password={PASSWORD}")
    assert PASSWORD not in repr(store)
    store.close()
    with pytest.raises(LadderError) as refused, store.transaction():
        pass
    assert PASSWORD not in str(refused.value)
