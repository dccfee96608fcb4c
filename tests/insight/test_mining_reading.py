"""XES of other tools as events; and files that mean harm, or are damaged."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from ladderpipe import Board, Event, ManualClock, Pipeline, Stage, insight, on
from ladderpipe.errors import DefinitionError, InvalidEventError
from ladderpipe.logs.map_files import load_map
from ladderpipe.logs.readers import BadLine
from ladderpipe.logs.replay import replay
from ladderpipe.logs.xes import CHUNK, DEEPEST, MOST_ATTRIBUTES

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<log xmlns="http://www.xes-standard.org/">\n'
TYPES = {"Lead": "lead.came", "Order": "order", "*": "ignore"}


def event(activity: str, day: int, *attributes: str) -> str:
    return (
        f'<event><string key="concept:name" value="{activity}"/>'
        f'<date key="time:timestamp" value="2026-01-{day:02}T09:00:00.000+01:00"/>'
        f"{''.join(attributes)}</event>\n"
    )


def trace(deal: str, *events: str) -> str:
    return f'<trace><string key="concept:name" value="{deal}"/>{"".join(events)}</trace>\n'


LOG = HEAD + trace("one", event("Lead", 5), event("Call", 6), event("Order", 7)) + "</log>"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.xes"
    path.write_text(LOG, "utf-8")
    return path


def read(path: Path, text: str | bytes, **options: Any) -> tuple[list[Event], list[BadLine]]:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    bad: list[BadLine] = []
    options.setdefault("types", TYPES)
    return list(insight.read_xes(path, on_bad_row=bad.append, **options)), bad


def test_activities_become_the_events_that_the_types_name(log: Path):
    lead, order = insight.read_xes(log, types=TYPES)
    assert (lead.type, lead.deal, lead.source) == ("lead.came", "one", "log")
    assert lead.at.isoformat() == "2026-01-05T08:00:00+00:00"
    assert (order.type, order.seq) == ("order", 3)


def test_a_map_of_ones_own_fills_in_what_the_log_knows(log: Path, tmp_path: Path):
    mine = tmp_path / "mine.toml"
    mine.write_text(
        'extends = "xes"\n[types.Lead]\nevent = "lead.came"\n'
        'data = { value = "{case.amount|amount}", owner = "{org:resource}" }\n'
    )
    amount = '<float key="amount" value="99.5"/>'
    text = LOG.replace("<event>", f"{amount}<event>", 1).replace(
        "</event>", '<string key="org:resource" value="Ada"/></event>', 1
    )
    (found,), bad = read(log, text, types=None, map=mine)
    assert found.data == {"value": "99.5", "owner": "Ada"}
    assert [line.number for line in bad] == [2, 3]
    assert "type 'Call' is not under [types]" in bad[0].reason


def test_lists_and_containers_are_read_whole(log: Path):
    items = (
        '<list key="items"><values><container key="item"><string key="sku" value="A"/>'
        '<int key="quantity" value="2"/><boolean key="gift" value="true"/></container>'
        "</values></list>"
    )
    types = {
        "Lead": {
            "event": "lead.came",
            "data": {"lines": {"each": "items", "item": {"sku": "{sku}", "gift": "{gift}"}}},
        },
        "*": "ignore",
    }
    (found,), bad = read(log, HEAD + trace("one", event("Lead", 5, items)) + "</log>", types=types)
    assert not bad
    assert found.data == {"lines": [{"sku": "A", "gift": True}]}


def test_attributes_of_attributes_are_no_attributes_of_the_event(log: Path):
    meta = '<string key="note" value="x"><string key="concept:name" value="Order"/></string>'
    (found,), _ = read(log, HEAD + trace("one", event("Lead", 5, meta)) + "</log>")
    assert found.type == "lead.came"


@pytest.mark.parametrize("encoding", ["utf-16", "iso-8859-1"])
def test_other_encodings_are_read(log: Path, encoding: str):
    text = HEAD.replace("UTF-8", encoding) + trace("caffè", event("Lead", 5)) + "</log>"
    (found,), _ = read(log, text.encode(encoding))
    assert found.deal == "caffè"


def test_a_compressed_log_is_read(tmp_path: Path):
    path = tmp_path / "log.xes.gz"
    path.write_bytes(gzip.compress(LOG.encode()))
    assert len(list(insight.read_xes(path, types=TYPES))) == 2


def test_a_log_is_replayed_into_a_board(log: Path, tmp_path: Path):
    (tmp_path / "mine.toml").write_text(
        'extends = "xes"\n[types]\nLead = "lead.came"\nOrder = "order"\n"*" = "ignore"\n'
    )
    new, won = Stage("new"), Stage("won", status="won")
    rules = [on("lead.came", into=new, opens=True), on("order", into=won)]
    board = Board(
        Pipeline("leads", stages=[new, won], rules=rules), clock=ManualClock("2026-02-01T00:00Z")
    )
    report = replay(board, log, load_map(tmp_path / "mine.toml"))
    assert (report.lines, report.accepted, report.ignored) == (3, 2, 1)
    assert board.deal("one").stage == "won"
    assert replay(board, log, load_map(tmp_path / "mine.toml")).accepted == 0


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ('<int key="n" value="many"/>', "<int key='n'> has no int as its value (XML line 3)"),
        ('<float key="n"/>', "<float key='n'> has no float as its value"),
        ('<boolean key="n" value="1"/>', "has no boolean"),
        ('<string value="x"/>', "an attribute has no key"),
    ],
)
def test_a_bad_event_is_told_by_its_number_and_the_others_go_on(log: Path, bad: str, reason: str):
    events, told = read(log, HEAD + trace("one", event("Lead", 5, bad), event("Order", 6)))
    (first, *_) = told
    assert first.number == 1
    assert reason in first.reason
    assert [event.type for event in events] == ["order"]


def test_an_event_without_a_time_or_a_trace_is_bad(log: Path):
    timeless = '<event><string key="concept:name" value="Lead"/></event>'
    events, (first, second) = read(log, HEAD + event("Lead", 5) + trace("one", timeless) + "</log>")
    assert events == []
    assert "no deal" in first.reason
    assert (second.number, "no time" in second.reason) == (2, True)


def test_the_case_of_a_trace_is_not_that_of_the_next(log: Path):
    text = HEAD + trace("one", event("Lead", 5)) + f"<trace>{event('Lead', 6)}</trace></log>"
    events, (bad,) = read(log, text)
    assert [event.deal for event in events] == ["one"]
    assert "no deal" in bad.reason


def test_nobody_told_of_a_bad_event_hears_it_as_an_error(log: Path):
    with pytest.raises(InvalidEventError, match=r"log\.xes, event 2: type 'Call'"):
        list(insight.read_xes(log, types={"Lead": "lead.came"}))


BOMB = (
    '<?xml version="1.0"?>\n<!DOCTYPE log [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;">]>\n'
    '<log><trace><string key="concept:name" value="&c;"/></trace></log>'
)
THIEF = '<!DOCTYPE log [<!ENTITY x SYSTEM "file:///etc/passwd">]><log>&x;</log>'


@pytest.mark.parametrize("text", [BOMB, THIEF, '<!DOCTYPE log SYSTEM "log.dtd"><log/>'])
def test_a_document_type_is_refused(log: Path, text: str):
    with pytest.raises(InvalidEventError, match="a document type declaration is refused"):
        read(log, text)


def test_another_kind_of_xml_is_refused(log: Path):
    with pytest.raises(InvalidEventError, match="begins with <html> and is no XES log"):
        read(log, "<html><trace/></html>")


def test_what_nests_too_deep_is_not_read_on(log: Path):
    deep = '<list key="a">' * (DEEPEST + 1)
    events, (bad,) = read(log, HEAD + trace("one", event("Lead", 5), event("Lead", 6, deep)))
    assert len(events) == 1
    assert f"elements nest deeper than {DEEPEST}" in bad.reason


def test_a_tag_that_never_ends_is_not_kept_in_memory(log: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ladderpipe.logs.xes.LONGEST_LINE", 4 * CHUNK)
    endless = event("Lead", 6, f'<string key="a" value="{"x" * 9 * CHUNK}"/>')
    text = HEAD + trace("one", event("Lead", 5), endless, event("Order", 7)) + "</log>"
    events, (bad,) = read(log, text)
    assert [event.type for event in events] == ["lead.came"]
    assert "a tag is longer than" in bad.reason


def test_text_between_tags_may_be_as_long_as_it_likes(log: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ladderpipe.logs.xes.LONGEST_LINE", 4 * CHUNK)
    text = HEAD + "\n" * 9 * CHUNK + trace("one", event("Lead", 5)) + "</log>"
    events, bad = read(log, text)
    assert (len(events), bad) == (1, [])


def test_an_event_with_very_many_attributes_is_not_read_on(log: Path):
    many = "".join(f'<int key="a{n}" value="1"/>' for n in range(MOST_ATTRIBUTES + 1))
    events, (bad,) = read(log, HEAD + trace("one", event("Lead", 5), event("Order", 6, many)))
    assert len(events) == 1
    assert "attributes in one place" in bad.reason


def test_a_log_that_breaks_off_gives_what_was_before(log: Path):
    events, (bad,) = read(log, LOG[: LOG.index("</event>", 400)])
    assert [event.type for event in events] == ["lead.came"]
    assert "cannot be read any further (XML line" in bad.reason


def test_a_compressed_log_that_breaks_off_is_told(tmp_path: Path):
    whole = gzip.compress((HEAD + trace("one", event("Lead", 5)) * 50 + "</log>").encode())
    _, (bad,) = read(tmp_path / "log.xes.gz", whole[: len(whole) - 20])
    assert "cannot be read any further" in bad.reason


def test_a_map_and_types_together_are_refused(log: Path):
    with pytest.raises(DefinitionError, match="both were given"):
        list(insight.read_xes(log, "xes", types=TYPES))


def test_an_exported_event_that_was_tampered_with_is_bad(log: Path):
    for text in ("5", "[1]", "{}", '{"type": 5}', "no", '{"type": "a", "unknown": 1}'):
        own = event("Lead", 5, f"<string key='ladderpipe_event' value='{text}'/>")
        events, (bad,) = read(log, HEAD + trace("one", own) + "</log>", types=None)
        assert events == []
        assert "holds no event" in bad.reason
