"""Old closed deals go into a file and come back, and nothing is lost on the way."""

from __future__ import annotations

import contextlib
import gzip
import signal
import sqlite3
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ladderpipe import (
    Board,
    EffectState,
    Event,
    ManualClock,
    MemoryStore,
    Outcome,
    Pipeline,
    SqliteStore,
)
from ladderpipe.board.retention.check import check
from ladderpipe.board.retention.file import ArchiveFile
from ladderpipe.board.verify import verify
from ladderpipe.errors import ArchiveError, DealNotFoundError, StoreError
from ladderpipe.stores import MariadbStore, PostgresStore
from tests.driven import DrivenBoard
from tests.integration.test_verify import lived
from tests.shops import HOUR, Shop, assert_is_the_fold, lead_ladder, wide_rows

LIVED = ("d", "waits", "cold", "removed", "forgotten", "open")
YEAR = 24 * 365


def all_rows(shop: Shop, deals: tuple[str, ...] = LIVED) -> dict[str, Any]:
    return wide_rows(shop.store, shop.board._session.number, deals)


def at_rest(rows: dict[str, Any]) -> dict[str, Any]:
    """Return rows with what waited as expired."""
    waiting = ("pending", "open")
    return {
        deal: (
            row,
            data,
            moves,
            [e._replace(state="expired") if e.state in waiting else e for e in effects],
            events,
        )
        for deal, (row, data, moves, effects, events) in rows.items()
    }


@pytest.fixture
def old(store: Any) -> Shop:
    """A shop with a deal of every kind, a year later: ``d`` was won, ``cold`` was lost."""
    shop = lived(store)
    shop.wait(YEAR)
    shop.board.tick()
    return shop


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "closed.jsonl.gz"


def archive(shop: Shop, file: Path, **how: Any) -> Any:
    return shop.board.archive(before=shop.clock.now() - 10 * HOUR, to=file, **how)


@pytest.mark.parametrize("name", ["closed.jsonl.gz", "closed.jsonl"])
@pytest.mark.parametrize("batch", [1, 100])
def test_what_was_archived_comes_back_as_it_was(old: Shop, tmp_path: Path, name: str, batch: int):
    before = all_rows(old)
    report = archive(old, tmp_path / name, batch=batch)
    assert (report.deals, report.removed, report.kept) == (2, 2, ())
    assert [old.board.events(deal) for deal in ("d", "cold")] == [[], []]
    assert verify(old.board).agrees
    report = old.board.restore(tmp_path / name, batch=batch)
    assert (report.restored, report.present) == (2, 0)
    after = all_rows(old)
    for deal in ("d", "cold"):
        assert after[deal] == at_rest(before)[deal]
    assert verify(old.board).agrees
    assert_is_the_fold(old.board, ("d", "cold"))


def test_what_is_not_closed_or_not_for_long_stays(old: Shop, file: Path):
    old.tell("lead", "young")
    old.tell("order", "young")
    before = all_rows(old, (*LIVED, "young"))
    archive(old, file)
    after = all_rows(old, (*LIVED, "young"))
    for deal in ("waits", "open", "forgotten", "young"):
        assert after[deal] == before[deal]


def test_events_for_an_archived_deal_are_answered_archived_until_it_is_restored(
    old: Shop, file: Path
):
    archive(old, file)
    assert old.tell("call").outcome is Outcome.ARCHIVED
    with pytest.raises(DealNotFoundError, match="was removed at"):
        old.board.deal("d")
    old.board.restore(file, deals=["d"])
    assert old.tell("call").outcome is Outcome.STAYED
    with pytest.raises(DealNotFoundError, match="was removed at"):
        old.board.deal("cold")


def test_moves_before_a_baseline_come_back_too(store: Any, file: Path):
    shop = Shop(lead_ladder(), store)
    shop.tell("lead", contact={"email": "ada@example.com"})
    shop.tell("call", hours=1e-9)
    shop.board.forget(email="ada@example.com")
    shop.wait(1)
    shop.tell("order")
    shop.wait(YEAR)
    before = all_rows(shop, ("d",))
    archive(shop, file)
    shop.board.restore(file)
    assert all_rows(shop, ("d",)) == before
    assert shop.stages == ["new", "talking", "won"]
    assert any(event.type == "ladder.baseline" for event in shop.board.events("d"))


@pytest.fixture(params=["memory", "sqlite", "postgresql", "mariadb"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """An empty store of each kind, beside the one that is full."""
    made: Any = MemoryStore()
    if request.param == "sqlite":
        made = SqliteStore(tmp_path / "empty.db")
    elif request.param == "postgresql":
        made = PostgresStore(request.getfixturevalue("postgres_url"), schema="empty")
    elif request.param == "mariadb":
        made = MariadbStore.from_url(f"{request.getfixturevalue('mariadb_url')}&prefix=empty_")
    yield made
    made.close()


def test_it_can_be_restored_into_an_empty_store_of_any_kind(old: Shop, file: Path, empty: Any):
    before = at_rest(all_rows(old, ("d", "cold")))
    archive(old, file)
    elsewhere = Shop(old.pipeline, empty, start=old.clock.now().isoformat())
    elsewhere.board.restore(file, batch=1)
    assert all_rows(elsewhere, ("d", "cold")) == before


def test_restoring_again_changes_nothing(old: Shop, file: Path):
    archive(old, file)
    old.board.restore(file, deals=["cold"])
    report = old.board.restore(file)
    assert (report.restored, report.present) == (1, 1)
    before = all_rows(old)
    assert old.board.restore(file).restored == 0
    assert all_rows(old) == before


def test_nothing_is_sent_because_a_deal_was_restored(store: Any, file: Path):
    shop = Shop(lead_ladder(sequence=True), store)
    shop.tell("lead")
    shop.work()
    shop.board.override("d", "won", by="Bea")
    shop.wait(YEAR)
    archive(shop, file)
    shop.board.restore(file)
    shop.tell("call", hours=-YEAR - 1)
    shop.tell("lead", hours=-YEAR - 2)
    shop.work()
    assert shop.mails == ["first"]
    assert EffectState.PENDING not in {effect.state for effect in shop.board.effects("d")}


def test_a_dead_letter_comes_back_with_its_tries_and_its_error(store: Any, file: Path):
    shop = Shop(lead_ladder(sequence=True), store)

    def fail(delivery: object) -> None:
        raise OSError("the mail server is away")

    shop.board._session.handlers["email"] = fail
    shop.tell("lead")
    for _ in range(12):
        shop.work()
        shop.wait(5)
    shop.tell("order")
    shop.wait(YEAR)
    before = all_rows(shop, ("d",))
    assert max(effect.attempts for effect in before["d"][3]) > 1
    archive(shop, file)
    shop.board.restore(file)
    assert all_rows(shop, ("d",)) == at_rest(before)


# -- what changes in between --------------------------------------------------------------------


@pytest.mark.parametrize(
    "happens",
    [
        lambda shop: shop.tell("lead", hours=-1),
        lambda shop: shop.tell("unknown", hours=-2 * YEAR),
        lambda shop: shop.board.forget(email="ada@example.com"),
        lambda shop: shop.board.override("d", "talking", by="Bea"),
    ],
    ids=["an event", "a very old event", "forgetting", "an override"],
)
def test_a_deal_that_something_happened_to_since_it_was_written_stays(
    old: Shop, file: Path, happens: Callable[[Shop], Any]
):
    before = old.clock.now() - 10 * HOUR
    written = old.board.archive(before=before, to=file, remove=False)
    assert (written.deals, written.removed) == (2, 0)
    happens(old)
    rows = all_rows(old, ("d",))
    report = old.board.archive(before=before, to=file)
    assert (report.deals, report.removed, report.kept) == (2, 1, ("d",))
    assert all_rows(old, ("d",)) == rows
    assert old.board.events("cold") == []


def test_a_deal_stays_while_one_of_its_effects_is_being_delivered(store: Any, file: Path):
    shop = Shop(lead_ladder(sequence=True), store)
    shop.tell("lead")
    reports = []

    def archive_meanwhile(delivery: object) -> None:
        shop.tell("order")
        elsewhere = Board(shop.pipeline, store=shop.store, clock=ManualClock(shop.clock.now()))
        elsewhere.clock.advance(hours=1)
        reports.append(elsewhere.archive(before=elsewhere.clock.now(), to=file))

    shop.board._session.handlers["email"] = archive_meanwhile
    shop.board.deliver()
    assert [(report.deals, report.kept) for report in reports] == [(0, ("d",))]
    assert not file.exists()
    assert shop.stage == "won"


def test_without_old_deals_there_is_no_file(store: Any, file: Path):
    shop = Shop(lead_ladder(), store)
    shop.tell("lead")
    report = archive(shop, file)
    assert (report.deals, report.removed) == (0, 0)
    assert list(file.parent.glob("closed*")) == []


def test_an_archive_is_never_replaced(old: Shop, file: Path):
    archive(old, file)
    written = file.read_bytes()
    with pytest.raises(ArchiveError, match="never replaced: name another file"):
        old.board.archive(before=old.clock.now(), to=file)
    assert file.read_bytes() == written


def test_a_board_that_only_reads_may_write_a_file_and_remove_nothing(old: Shop, file: Path):
    reader = Board(old.pipeline, store=old.store, clock=old.clock, read_only=True)
    before = old.clock.now() - 10 * HOUR
    assert reader.archive(before=before, to=file, remove=False).deals == 2
    with pytest.raises(StoreError, match="only reads"):
        reader.archive(before=before, to=file)


# -- what is refused ----------------------------------------------------------------------------


def test_a_deal_that_lives_is_never_overwritten(old: Shop, file: Path):
    archive(old, file, remove=False)
    old.tell("lead", hours=-1)
    rows = all_rows(old)
    with pytest.raises(ArchiveError, match="deal 'd' of the archive is in the store and not as"):
        old.board.restore(file)
    assert all_rows(old) == rows


def test_an_event_whose_identity_another_deal_has_now_is_not_restored(old: Shop, file: Path):
    archive(old, file)
    old.tell("lead", "thief", id="e1")
    with pytest.raises(ArchiveError, match="its identity"):
        old.board.restore(file)
    assert old.board.events("d") == []


def test_an_archive_of_another_definition_is_refused_with_the_difference(old: Shop, file: Path):
    archive(old, file)
    changed = Pipeline("leads", stages=old.pipeline.stages, rules=old.pipeline.rules[:-1])
    with pytest.raises(ArchiveError, match=r"rule 'by hand into lost' was removed"):
        Board(changed).restore(file)


def test_an_archive_of_another_pipeline_is_refused(old: Shop, file: Path):
    archive(old, file)
    other = Pipeline("others", stages=old.pipeline.stages, rules=old.pipeline.rules)
    with pytest.raises(ArchiveError, match="holds deals of pipeline 'leads', and this is 'others'"):
        Board(other).restore(file)


def test_a_deal_that_is_not_in_the_archive_is_told(old: Shop, file: Path):
    archive(old, file)
    with pytest.raises(DealNotFoundError, match="holds no deal 'x'"):
        old.board.restore(file, deals=["x"])


# -- damaged files ------------------------------------------------------------------------------


@attrs.frozen
class Written:
    """A shop, the archive of its deals, and the archive's bytes."""

    shop: Shop
    file: Path
    whole: bytes


@pytest.fixture(params=["closed.jsonl", "closed.jsonl.gz"], scope="module")
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Written:
    shop = lived(MemoryStore())
    shop.wait(YEAR)
    file = tmp_path_factory.mktemp("archive") / request.param
    archive(shop, file, remove=False)
    return Written(shop, file, file.read_bytes())


def text_in(file: bytes) -> bytes | None:
    """Return what is packed in a file, which not every bit of gzip's has to do with."""
    if file[:2] != b"\x1f\x8b":
        return file
    try:
        return gzip.decompress(file)
    except (OSError, EOFError, zlib.error):
        return None


def assert_refused(written: Written, damaged: bytes) -> None:
    written.file.write_bytes(damaged)
    with pytest.raises(ArchiveError):
        archive(written.shop, written.file)
    with pytest.raises(ArchiveError):
        written.shop.board.restore(written.file)
    assert written.shop.board.deal("d").stage.key == "won"


@given(data=st.data())
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_that_was_cut_short_is_noticed_and_nothing_is_removed(
    written: Written, data: st.DataObject
):
    # A line end alone may be missing.
    length = data.draw(st.integers(0, len(written.whole) - 2))
    assert_refused(written, written.whole[:length])


@given(data=st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_that_was_altered_is_noticed_and_nothing_is_removed(
    written: Written, data: st.DataObject
):
    place = data.draw(st.integers(0, len(written.whole) - 1))
    other = data.draw(st.integers(1, 255))
    damaged = bytearray(written.whole)
    damaged[place] ^= other
    assume(text_in(bytes(damaged)) != text_in(written.whole))
    assert_refused(written, bytes(damaged))


def test_a_missing_deal_is_noticed(written: Written):
    is_packed = written.file.suffix == ".gz"
    text = gzip.decompress(written.whole) if is_packed else written.whole
    lines = text.splitlines(keepends=True)
    without = b"".join([*lines[:1], *lines[2:]])
    assert_refused(written, gzip.compress(without) if is_packed else without)


def test_a_deal_whose_recorded_history_is_not_the_fold_is_told(tmp_path: Path):
    shop = lived(SqliteStore(tmp_path / "shop.db"))
    shop.wait(YEAR)
    with contextlib.closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.execute("UPDATE ladder_deals SET owner = 'Eve' WHERE deal = 'd'")
        connection.commit()
    report = archive(shop, tmp_path / "closed.jsonl")
    assert (report.deals, report.removed, report.kept) == (1, 1, ("d",))
    assert check(ArchiveFile(tmp_path / "closed.jsonl"), shop.pipeline).agrees


# -- crashes ------------------------------------------------------------------------------------


class Breaking(MemoryStore):
    """A store on which the n-th transaction from now fails, at its end or its beginning."""

    left: float = float("inf")
    at_end = False

    @contextlib.contextmanager
    def transaction(self, write: bool = True) -> Iterator[Any]:
        self.left -= 1
        if not self.left and not self.at_end:
            raise ConnectionError("broken")
        with super().transaction(write) as transaction:
            yield transaction
            if not self.left:
                raise ConnectionError("broken")


@pytest.mark.parametrize("at_end", [False, True])
def test_whichever_transaction_fails_every_deal_is_stored_or_in_the_file(
    tmp_path: Path, at_end: bool
):
    shop = Shop(lead_ladder(), Breaking())
    names = tuple(f"deal-{n}" for n in range(7))
    for name in names:
        shop.tell("lead", name)
        shop.tell("order", name, hours=1e-9)
    shop.wait(YEAR)
    before = all_rows(shop, names)
    shop.store.at_end = at_end
    for number in range(1, 100):
        file = tmp_path / f"{number}.jsonl"
        shop.store.left = number
        try:
            archive(shop, file, batch=2)
            break
        except ConnectionError:
            archived = [d.id for d in ArchiveFile(file).deals()] if file.exists() else []
            stored = [deal.id for deal in shop.board.deals()]
            assert set(archived) | set(stored) == set(names)
        shop.store.left = float("inf")
        archive(shop, file, batch=2)
        shop.board.restore(file)
        assert all_rows(shop, names) == before
    assert number > 5


CHILD = """
import contextlib, os, signal, sys
from ladderpipe import Board, ManualClock, SqliteStore
from tests.shops import lead_ladder

path, file, moment = sys.argv[1:]

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

class Dying(SqliteStore):
    left = int(moment) if moment.isdigit() else 0

    @contextlib.contextmanager
    def transaction(self, write=True):
        with super().transaction(write) as transaction:
            yield transaction
            self.left -= 1
            if not self.left:
                die()

board = Board(lead_ladder(), store=Dying(path), clock=ManualClock("2030-01-01T00:00:00Z"))
sys.addaudithook(lambda event, _: event == moment and die())
board.archive(before="2029-01-01T00:00:00Z", to=file, batch=1)
"""
"""Archives deals, and kills itself before the n-th transaction is committed, or at some call."""


@pytest.mark.parametrize("moment", ["2", "20", "os.link", "43", "44", "60", "80"])
def test_a_process_killed_at_its_work_loses_nothing(tmp_path: Path, moment: str):
    path, file = tmp_path / "shop.db", tmp_path / "closed.jsonl"
    shop = Shop(lead_ladder(), SqliteStore(path))
    names = tuple(f"deal-{n}" for n in range(40))
    shop.board.handle_many(shop.event(kind, name) for name in names for kind in ("lead", "order"))
    before = all_rows(shop, names)
    command = [sys.executable, "-c", CHILD, str(path), str(file), moment]
    child = subprocess.run(command, cwd=Path(__file__).parents[2], check=False)
    assert child.returncode == -signal.SIGKILL
    archived = {deal.id for deal in ArchiveFile(file).deals()} if file.exists() else set()
    stored = {deal.id for deal in shop.board.deals()}
    assert archived | stored == set(names)
    report = shop.board.archive(before="2029-01-01T00:00:00Z", to=file)
    assert (report.deals, report.removed, report.kept) == (40, len(stored), ())
    assert list(shop.board.deals()) == []
    shop.board.restore(file)
    assert all_rows(shop, names) == before


def test_an_asynchronous_board_archives_and_restores(store: Any, file: Path):
    clock = ManualClock("2026-01-05T09:00:00Z")
    with contextlib.closing(DrivenBoard(lead_ladder(), store=store, clock=clock)) as board:
        for kind in ("lead", "order"):
            board.handle(Event(kind, deal="d", id=kind, at=clock.now()))
        before = board.history("d").visits
        assert board.archive(before="2027-01-01T00:00:00Z", to=file).removed == 1
        assert board.restore(file).restored == 1
        assert board.history("d").visits == before
        assert board.deal("d").stage.key == "won"
