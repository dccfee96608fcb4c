"""Replaying a log: quietly, line by line, as often as one likes."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from ladderpipe import Event, Outcome, Pipeline, Stage, on
from ladderpipe.board.verify import verify
from ladderpipe.errors import ClockError, DefinitionError
from ladderpipe.logs.map_reader import map_from_dict
from ladderpipe.logs.replay import BadLine, replay
from tests.shops import Shop, at, contents, lead_ladder, register

HEADER = "when,what,deal"
LEADS = map_from_dict(
    {
        "event": {"deal": "{deal}", "type": "{what}", "at": "{when}"},
        "types": {"look": "ignore", "lead": "keep", "call": "keep", "order": "keep"},
    }
)
ANYTHING = map_from_dict({"event": {"deal": "{deal}", "type": "{what}", "at": "{when}"}})
ROWS = [
    "2026-01-01T09:00:00Z,lead,ada",
    "2026-01-01T09:00:00Z,lead,bob",
    "2026-01-01T09:00:00Z,lead,ada",
    "2026-01-01T10:00:00Z,look,ada",
    "2026-01-01T11:00:00Z,call,ada",
]

PARTS = (slice(0, 3), slice(0, 5, 2))


@pytest.fixture
def shop(store: Any) -> Shop:
    return Shop(lead_ladder(sequence=True), store)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return written(tmp_path / "leads.csv", ROWS)


def written(path: Path, rows: Iterable[str], header: str | None = HEADER) -> Path:
    path.parent.mkdir(exist_ok=True)
    lines = rows if header is None else [header, *rows]
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return path


def bad_lines(shop: Shop, path: Path, **sections: Any) -> dict[int, str]:
    """Replay a log and return the reasons by line."""
    given = {"event": {"deal": "{deal}", "type": "{what}", "at": "{when}"}, **sections}
    report = replay(shop.board, path, map_from_dict(given))
    assert report.failed == len(report.bad_lines)
    return {bad.number: bad.reason for bad in report.bad_lines}


# -- what becomes of a log ----------------------------------------------------------------------


def test_a_log_goes_in_and_deals_come_out(shop: Shop, log: Path):
    report = replay(shop.board, log, LEADS)
    assert (report.lines, report.ignored, report.events, report.failed) == (5, 1, 4, 0)
    assert report.outcomes == {Outcome.OPENED: 2, Outcome.STAYED: 1, Outcome.MOVED: 1}
    assert {deal.id: deal.stage.key for deal in shop.board.deals()} == {
        "ada": "talking",
        "bob": "new",
    }


def test_rows_that_are_the_same_are_second_events(shop: Shop, log: Path):
    replay(shop.board, log, LEADS)
    ids = [event.id for event in shop.board.events("ada")]
    assert len(set(ids)) == len(ids) == 3
    assert f"{ids[0]}-2" in ids


def test_rows_of_one_instant_keep_the_files_order(shop: Shop, tmp_path: Path):
    path = written(tmp_path / "x.csv", [f"2026-01-01T09:00:00Z,call,d{n % 3}" for n in range(30)])
    replay(shop.board, path, LEADS)
    assert [event.seq for event in shop.board.events("d1")] == list(range(3, 32, 3))


def test_a_second_replay_changes_nothing(shop: Shop, log: Path):
    replay(shop.board, log, LEADS)
    before = contents(shop.store)
    report = replay(shop.board, log, LEADS)
    assert report.outcomes == {Outcome.DUPLICATE: 4}
    assert report.accepted == 0
    assert contents(shop.store) == before


def test_the_same_log_elsewhere_or_zipped_is_the_same_log(shop: Shop, log: Path, tmp_path: Path):
    replay(shop.board, log, LEADS)
    moved = written(tmp_path / "archive" / log.name, ROWS)
    zipped = tmp_path / "archive" / f"{log.name}.gz"
    zipped.write_bytes(gzip.compress(log.read_bytes()))
    for path in (moved, zipped):
        assert replay(shop.board, path, LEADS).outcomes == {Outcome.DUPLICATE: 4}


def test_a_log_that_has_grown_only_adds(shop: Shop, log: Path):
    replay(shop.board, log, LEADS)
    written(log, [*ROWS, "2026-01-01T12:00:00Z,order,ada"])
    report = replay(shop.board, log, LEADS)
    assert report.outcomes == {Outcome.DUPLICATE: 4, Outcome.MOVED: 1}
    assert shop.board.deal("ada").stage == "won"


def test_another_log_of_the_same_name_is_another_log(shop: Shop, log: Path, tmp_path: Path):
    replay(shop.board, log, LEADS)
    other = written(tmp_path / "b" / log.name, ["2026-01-02T09:00:00Z,lead,eve"])
    assert replay(shop.board, other, LEADS).outcomes == {Outcome.OPENED: 1}


def test_a_log_exported_anew_tells_only_what_is_new(shop: Shop, log: Path, tmp_path: Path):
    """Newest first, with a line more, columns in another order and one more, another name."""
    replay(shop.board, log, LEADS)
    rows = [*ROWS, "2026-01-01T12:00:00Z,order,ada"]
    turned = [f"{n},{','.join(reversed(row.split(',')))}" for n, row in enumerate(reversed(rows))]
    again = written(tmp_path / "second.csv", turned, header=",deal,what,when")
    for source in (None, "second-export"):
        report = replay(shop.board, again, LEADS, source=source)
        assert (report.failed, report.outcomes[Outcome.DUPLICATE]) == (0, 5 if source else 4)
    assert shop.board.deal("ada").stage == "won"
    assert len(shop.board.events("ada")) == 4
    assert verify(shop.board).agrees


def test_two_exports_that_overlap_tell_what_they_share_once(shop: Shop, tmp_path: Path):
    early, late = (written(tmp_path / f"{n}.csv", ROWS[part]) for n, part in enumerate(PARTS))
    replay(shop.board, early, LEADS)
    assert replay(shop.board, late, LEADS).outcomes[Outcome.DUPLICATE] == 2
    assert len(shop.board.events("ada")) == 3


def test_an_interrupted_replay_is_taken_up_again(shop: Shop, tmp_path: Path):
    rows = [f"2026-01-01T09:00:00Z,lead,d{n}" for n in range(2_500)]
    path = written(tmp_path / "long.csv", rows)

    def interrupt(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replay(shop.board, path, LEADS, on_progress=interrupt)
    assert len(list(shop.board.deals())) == 1_000
    report = replay(shop.board, path, LEADS)
    assert report.outcomes == {Outcome.DUPLICATE: 1_000, Outcome.OPENED: 1_500}


def test_progress_ends_with_the_size_of_the_file(shop: Shop, log: Path):
    told: list[int] = []
    replay(shop.board, log, LEADS, on_progress=told.append)
    assert told[-1] == log.stat().st_size


def test_cloudevents_are_replayed_without_a_map_under_their_own_names(shop: Shop, tmp_path: Path):
    sent = [
        Event("lead", deal="d", id="1", at="2026-01-05T08:00:00Z", source="crm"),
        Event("call", deal="d", id="2", at="2026-01-05T08:00:00Z", source="crm", seq=1),
    ]
    path = written(tmp_path / "x.jsonl", [json.dumps(e.to_cloudevent()) for e in sent], None)
    assert replay(shop.board, path).accepted == 2
    assert shop.board.events("d") == sent
    assert replay(
        shop.board, written(tmp_path / "y.jsonl", path.read_text().split("\n"), None)
    ).outcomes == {Outcome.DUPLICATE: 2}


def test_a_csv_without_a_map_is_refused(shop: Shop, log: Path):
    with pytest.raises(DefinitionError, match="needs a map"):
        replay(shop.board, log)


def test_a_column_that_the_log_does_not_have_is_refused_at_once(shop: Shop, tmp_path: Path):
    path = written(tmp_path / "x.csv", ROWS, header="when,what,customer")
    with pytest.raises(DefinitionError, match=r"no column 'deal'.*when, what, customer"):
        replay(shop.board, path, LEADS)
    assert not list(shop.board.deals())


def test_a_column_that_is_there_twice_is_refused(shop: Shop, tmp_path: Path):
    path = written(tmp_path / "x.csv", ["a,b,c,d"], header="when,what,deal,deal")
    with pytest.raises(DefinitionError, match="more than one column 'deal'"):
        replay(shop.board, path, LEADS)


def test_a_file_of_unknown_kind_is_refused(shop: Shop, tmp_path: Path):
    with pytest.raises(DefinitionError, match=r"write format = "):
        replay(shop.board, written(tmp_path / "access.log", ROWS), LEADS)


# -- quiet --------------------------------------------------------------------------------------


def test_nothing_of_the_past_is_sent_not_even_what_a_worker_notices_later(shop: Shop, log: Path):
    replay(shop.board, log, LEADS)
    for _ in range(40):
        shop.work()
        shop.wait(6)
    assert {deal.stage.key for deal in shop.board.deals()} == {"cold"}
    assert shop.sent == []
    assert shop.board.tasks() == []
    assert set(shop.states().values()) == {"expired"}


def test_a_worker_that_sweeps_between_two_batches_sends_nothing(store: Any, tmp_path: Path):
    pipeline = register(lead_ladder(), into_cold=lambda ctx: ctx.do("email", template="cold"))
    shop = Shop(pipeline, store)
    rows = [f"2025-01-01T09:00:00Z,lead,d{n}" for n in range(1_500)]
    replay(
        shop.board,
        written(tmp_path / "x.csv", rows),
        LEADS,
        on_progress=lambda done: shop.work(),
    )
    shop.work()
    assert {deal.stage.key for deal in shop.board.deals()} == {"cold"}
    assert shop.sent == []


def test_what_is_due_after_the_replay_is_sent(store: Any, tmp_path: Path):
    pipeline = register(lead_ladder(), into_cold=lambda ctx: ctx.do("email", template="cold"))
    shop = Shop(pipeline, store)
    replay(shop.board, written(tmp_path / "x.csv", ["2026-01-05T08:00:00Z,lead,d"]), LEADS)
    shop.wait(72)
    shop.work()
    assert shop.stage == "cold"
    assert shop.mails == ["cold"]


def test_a_live_event_after_the_replay_is_not_silenced_even_if_it_comes_late(
    store: Any, tmp_path: Path
):
    pipeline = register(lead_ladder(), into_won=lambda ctx: ctx.do("email", template="thanks"))
    shop = Shop(pipeline, store)
    replay(shop.board, written(tmp_path / "x.csv", ["2026-01-05T08:00:00Z,lead,d"]), LEADS)
    shop.tell("order", "d", hours=-0.5)
    shop.work()
    assert shop.mails == ["thanks"]


def test_deals_that_the_log_does_not_touch_send_as_before(store: Any, log: Path):
    pipeline = register(lead_ladder(), into_cold=lambda ctx: ctx.do("email", to=ctx.deal.id))
    shop = Shop(pipeline, store)
    shop.tell("lead", "live")
    shop.wait(73)
    replay(shop.board, log, LEADS)
    shop.work()
    assert [delivery.payload["to"] for delivery in shop.sent] == ["live"]


def test_a_replay_into_a_live_deal_puts_its_past_right_and_sends_nothing_of_it(
    store: Any, tmp_path: Path
):
    pipeline = register(lead_ladder(), into_talking=lambda ctx: ctx.do("email", template="talk"))
    shop = Shop(pipeline, store)
    shop.tell("lead")
    rows = ["2026-01-05T07:00:00Z,lead,d", "2026-01-05T08:00:00Z,call,d"]
    replay(shop.board, written(tmp_path / "x.csv", rows), LEADS)
    shop.work()
    assert shop.stages == ["new", "talking"]
    assert shop.sent == []
    assert verify(shop.board).agrees


def test_a_board_can_be_swept_to_an_instant_of_the_past(shop: Shop, log: Path):
    replay(shop.board, log, LEADS)
    shop.board.tick(until="2026-01-03T10:59:59Z")
    assert shop.board.deal("ada").stage == "talking"
    shop.board.tick(until="2026-01-03T11:00:00Z")
    assert shop.board.deal("ada").entered_at == at("2026-01-03T11:00:00Z")
    assert shop.board.deal("bob").stage == "new"
    shop.board.tick()
    assert shop.board.deal("bob").stage == "cold"
    assert verify(shop.board).agrees


def test_a_board_cannot_be_swept_into_the_future(shop: Shop):
    with pytest.raises(ClockError, match="lies after"):
        shop.board.tick(until="2026-01-05T09:00:01Z")


# -- bad lines ----------------------------------------------------------------------------------


def test_bad_lines_are_told_by_number_and_reason_and_the_rest_goes_on(shop: Shop, tmp_path: Path):
    rows = [
        "2026-01-01T09:00:00Z,lead,a",
        "2026-01-01T09:00:00Z,lead",
        "2026-01-01T09:00:00Z,lead,b,c",
        "today,lead,d",
        "",
        "2026-01-01T09:00:00,lead,d",
        "2026-01-01T09:00:00Z,,d",
        "2027-01-01T09:00:00Z,lead,d",
        "2026-01-01T09:00:00Z,ladder.by_hand,d",
        "2026-01-01T10:00:00Z,call,a",
    ]
    found = bad_lines(shop, written(tmp_path / "x.csv", rows))
    says = {
        3: "2 columns, where 3 were expected",
        4: "4 columns",
        5: "'today' is no time",
        7: "no time zone",
        8: "no type",
        10: "written by the board itself",
    }
    assert found.keys() == says.keys()
    assert all(says[line] in reason for line, reason in found.items()), found
    assert [held.kind for held in shop.board.held()] == ["future"]
    assert shop.board.deal("a").stage == "talking"


def test_a_line_that_the_reducer_refuses_is_no_bad_line_but_held(shop: Shop, tmp_path: Path):
    path = written(
        tmp_path / "x.csv", ["2026-01-01T09:00:00Z,lead,a", "2026-01-01T10:00:00Z,call,a"]
    )
    assert not bad_lines(shop, path, data={"value": "{what}"})
    held = shop.board.held()
    assert [each.event.type for each in held] == ["lead", "call"]
    assert "value is 'lead'" in held[0].reason


def test_an_unclosed_quote_spoils_one_line_only(shop: Shop, tmp_path: Path):
    rows = [ROWS[0], '2026-01-01T09:00:00Z,lead,"b', *ROWS[1:], '2026-01-01T09:00:00Z,lead,"c']
    assert bad_lines(shop, written(tmp_path / "x.csv", rows)).keys() == {3, 8}
    assert {deal.id for deal in shop.board.deals()} == {"ada", "bob"}


def test_a_quoted_field_may_span_lines_and_the_record_has_its_first_lines_number(
    shop: Shop, tmp_path: Path
):
    rows = ['2026-01-01T09:00:00Z,lead,"a', 'b"', "2026-01-01T09:00:00Z,lead,c"]
    replay(shop.board, written(tmp_path / "x.csv", rows), LEADS)
    assert [event.seq for event in shop.board.events("a\nb")] == [2]
    assert [event.seq for event in shop.board.events("c")] == [4]


def test_a_line_of_another_encoding_is_bad_and_the_map_may_declare_it(shop: Shop, tmp_path: Path):
    path = tmp_path / "x.csv"
    path.write_bytes(f"{HEADER}\n{ROWS[0]}\n2026-01-01T09:00:00Z,lead,perché\n".encode("cp1252"))
    assert "not utf-8" in bad_lines(shop, path)[3]
    assert bad_lines(shop, path, read={"encoding": "cp1252"}) == {}
    assert shop.board.deal("perché").stage == "new"


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(shop: Shop, tmp_path: Path):
    path = tmp_path / "x.csv"
    path.write_bytes(("\ufeff" + "\r\n".join([HEADER, *ROWS])).encode())
    assert replay(shop.board, path, LEADS).events == 4


def test_bad_json_lines_are_told(shop: Shop, tmp_path: Path):
    rows = [
        '{"when": "2026-01-01T09:00:00Z", "what": "lead", "deal": "a"}',
        "{nonsense",
        "[1]",
        "[" * 100_000,
        '{"when": "2026-01-01T09:00:00Z", "what": "lead", "deal": null}',
        '{"when": "2026-01-01T09:00:00Z", "what": "lead", "deal": "a\\u0000"}',
    ]
    found = bad_lines(shop, written(tmp_path / "x.jsonl", rows, None))
    assert found.keys() == {2, 3, 4, 5, 6}
    assert found[3] == "a JSON list, where an object was expected"


def test_a_zipped_log_that_breaks_off_is_taken_as_far_as_it_goes(shop: Shop, tmp_path: Path):
    whole = gzip.compress(("\n".join([HEADER, *ROWS]) + "\n").encode())
    path = tmp_path / "x.csv.gz"
    path.write_bytes(whole[:-12])
    found = bad_lines(shop, path)
    assert [reason for reason in found.values() if "cannot be read any further" in reason]


def test_a_line_that_never_ends_is_bad_and_needs_little_memory(shop: Shop, tmp_path: Path):
    path = tmp_path / "x.csv"
    path.write_text(f"{HEADER}\n{'x' * (9 * 2**20)}\n{ROWS[0]}\n")
    assert bad_lines(shop, path).keys() == {2}
    assert shop.board.deal("ada").stage == "new"


def test_all_bad_lines_are_counted_and_told_and_the_first_hundred_kept(shop: Shop, tmp_path: Path):
    path = written(tmp_path / "x.csv", ["never,lead,d"] * 250)
    told: list[BadLine] = []
    report = replay(shop.board, path, LEADS, on_bad_line=told.append)
    assert (report.failed, len(told)) == (250, 250)
    assert [bad.number for bad in report.bad_lines] == list(range(2, 102))


def test_bad_lines_are_grouped_by_their_reason_with_an_example(shop: Shop, tmp_path: Path):
    rows = [*(f"{what},lead,d" for what in ("never", "today", "today")), ROWS[0], "2026,lead"]
    path = written(tmp_path / "x.csv", rows)
    report = replay(shop.board, path, LEADS)
    (times, columns) = report.refusals
    assert (times.count, times.where) == (3, f"{path}:2")
    assert times.reason.startswith("'never' is no time")
    assert times.values == ("'never'", "'today'")
    assert columns.count == 1
    assert report.is_mostly_bad


def test_what_moved_nothing_is_told_with_the_reason(store: Any, tmp_path: Path):
    new, lost = Stage("new"), Stage("lost", status="lost", requires=["loss_reason"])
    ladder = Pipeline(
        "p",
        stages=[new, lost],
        rules=[on("lead", into=new, opens=True), on("deal.lost", into=lost)],
        events=["lead", "deal.lost", "deal.seen"],
    )
    shop = Shop(ladder, store)
    rows = [
        f"2026-01-0{day}T09:00:00Z,{what},{deal}"
        for deal in ("a", "b")
        for day, what in ((1, "lead"), (2, "deal.lost"), (3, "deal.seen"), (3, "deal.sene"))
    ]
    report = replay(shop.board, written(tmp_path / "x.csv", rows), ANYTHING)
    why = "'lost' requires loss_reason, which is not filled"
    assert report.unfilled == {("deal.lost", why): 2}
    assert report.unruled == {"deal.seen": 2}
    assert report.undeclared == {"deal.sene": 2}
    assert (report.first_at, report.last_at) == (
        at("2026-01-01T09:00:00Z"),
        at("2026-01-03T09:00:00Z"),
    )


def test_what_is_held_is_told_by_its_reason(shop: Shop, tmp_path: Path):
    rows = [f"2026-01-01T09:00:00Z,lead,{deal}" for deal in "abc"]
    path = written(tmp_path / "x.csv", rows)
    given = {"event": {"deal": "{deal}", "type": "{what}", "at": "{when}"}}
    report = replay(shop.board, path, map_from_dict({**given, "data": {"value": "{what}"}}))
    (group,) = report.held
    assert (group.count, group.where) == (3, "deal 'a'")
    assert "value is 'lead'" in group.reason


def test_timers_that_fire_between_events_are_told(shop: Shop, tmp_path: Path):
    rows = ["2026-01-01T09:00:00Z,lead,a", "2026-01-05T08:00:00Z,call,a"]
    report = replay(shop.board, written(tmp_path / "x.csv", rows), LEADS)
    assert sum(report.timers.values()) == 1


@pytest.mark.parametrize(
    ("when", "says"),
    [
        ("1970-01-20T09:00:00Z", "1970"),
        ("2026-01-05T11:00:00Z", "ahead of the clock, the last by 2 h"),
    ],
)
def test_times_that_cannot_be_are_warned_of(shop: Shop, tmp_path: Path, when: str, says: str):
    report = replay(shop.board, written(tmp_path / "x.csv", [f"{when},lead,a"]), LEADS)
    (warning,) = report.warnings
    assert says in warning


@pytest.mark.parametrize(
    ("written_at", "says"),
    [
        ("2026-01-01T09:00:30Z", []),
        ("2026-01-01T07:00:00Z", ["2 h after the file was written"]),
        ("2026-01-01T11:00:20Z", ["2 h before the file was written"]),
        ("2026-01-01T11:20:00Z", []),
        ("2026-01-03T09:00:00Z", []),
    ],
)
def test_times_that_all_lie_hours_off_are_warned_of(
    shop: Shop, tmp_path: Path, written_at: str, says: list[str]
):
    path = written(tmp_path / "x.csv", ["2026-01-01T09:00:00Z,lead,a"])
    stamp = at(written_at).timestamp()
    os.utime(path, (stamp, stamp))
    found = replay(shop.board, path, LEADS).warnings
    assert len(found) == len(says)
    assert all(part in warning for part, warning in zip(says, found, strict=True))


# -- ways of writing a log ----------------------------------------------------------------------


def test_other_delimiters_quotes_and_headers_are_declared(shop: Shop, tmp_path: Path):
    path = written(tmp_path / "x.log", ["2026-01-01T09:00:00Z;lead;'a;b'"], None)
    sections = {
        "format": "csv",
        "delimiter": ";",
        "quote": "'",
        "columns": ["when", "what", "deal"],
    }
    assert bad_lines(shop, path, read=sections) == {}
    assert [event.seq for event in shop.board.events("a;b")] == [1]


def test_a_tsv_is_divided_by_tabs(shop: Shop, tmp_path: Path):
    rows = [row.replace(",", "\t") for row in ROWS]
    path = written(tmp_path / "x.tsv", rows, HEADER.replace(",", "\t"))
    assert replay(shop.board, path, LEADS).events == 4


# -- memory -------------------------------------------------------------------------------------

MEASURE = r"""
import re, sys
from pathlib import Path
from ladderpipe import Board
from ladderpipe.logs.map_reader import map_from_dict
from ladderpipe.logs.replay import replay
from tests.shops import lead_ladder
leads = map_from_dict({"event": {"deal": "{deal}", "type": "{what}", "at": "{when}"}})
with Board.open(lead_ladder(), f"sqlite:///{sys.argv[2]}?synchronous=OFF") as board:
    replay(board, Path(sys.argv[1]), leads)
print(re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())[1])
"""
"""The kernel's own count: what ``getrusage`` says begins with what the parent held."""


def peak_memory(tmp_path: Path, rows: int) -> int:
    """Return the peak of a process that replays so many rows, in KiB."""
    lines = (f"2026-01-01T{n // 9000:02}:{n // 150 % 60:02}:00Z,lead,d{n}" for n in range(rows))
    path = written(tmp_path / f"{rows}.csv", lines)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path), str(tmp_path / f"{rows}.db")],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    return int(done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="no /proc to read")
def test_ten_times_the_log_needs_hardly_more_memory(tmp_path: Path):
    # With fewer rows the file's pages do not yet fill the 8 MB that SQLite may keep of them.
    small, large = peak_memory(tmp_path, 16_000), peak_memory(tmp_path, 160_000)
    assert large - small < 6_000, f"{small} KiB for 16,000 rows, {large} KiB for 160,000"
