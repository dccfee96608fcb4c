"""``demo``: what it promises holds in the files that it leaves behind."""

from __future__ import annotations

import email.utils
import shlex
import sqlite3
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

import pytest

from ladderpipe import Board, EffectState
from ladderpipe.cli.demo import ladder
from tests.commands import Ran, mails_in, run

REMINDERS = ("cart-reminder", "cart-last-reminder", "cart-saved-reminder")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def told(folder: Path) -> Ran:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("COLUMNS", "80")
        return run("demo")


@pytest.fixture
def board(told: Ran, folder: Path) -> Iterator[Board]:
    url = f"sqlite:///{folder}/ladderpipe-demo.db"
    with Board.open(ladder(), url, read_only=True) as board:
        yield board


def stages(board: Board, deal: str) -> list[str]:
    return [visit.stage.key for visit in board.history(deal).visits]


def sent(board: Board, deal: str) -> list[str]:
    delivered = board.effects(deal, states=[EffectState.DELIVERED])
    return [effect.payload["template"] for effect in delivered if effect.name == "email"]


def key_of(mail: Message) -> str:
    """Return the key of the effect that asked for a mail."""
    return mail["Message-ID"].strip("<>").partition("@")[0]


def test_it_ends_well_and_fits_80_columns(told: Ran) -> None:
    assert (told.code, told.err) == (0, "")
    story = told.out.partition("Try next")[0]
    assert max(map(len, story.splitlines())) <= 80


def test_every_stage_holds_a_deal_at_the_end(board: Board) -> None:
    assert {total.stage for total in board.summary()} == set(board.pipeline.stages)


def test_one_is_reminded_after_48_hours_and_comes_back(board: Board) -> None:
    assert stages(board, "cart-1") == [
        "quote_requested",
        "checkout_abandoned",
        "quote_requested",
        "order_review",
        "order_confirmed",
    ]
    first = board.history("cart-1").visits[0]
    assert first.duration is not None
    assert first.duration.total_seconds() == 48 * 3600
    assert sent(board, "cart-1") == ["cart-reminder", "order-thanks"]


def test_one_orders_while_the_reminder_waits_and_gets_none(board: Board) -> None:
    assert stages(board, "cart-4")[-2:] == ["checkout_abandoned", "order_confirmed"]
    assert sent(board, "cart-4") == ["order-thanks"]
    cancelled = board.effects("cart-4", states=[EffectState.CANCELLED])
    assert "cart-reminder" in {effect.payload.get("template") for effect in cancelled}


def test_no_reminder_was_sent_after_an_order(board: Board, folder: Path) -> None:
    template = {effect.key: effect.payload.get("template") for effect in board.effects()}
    ordered_at = {d.contact["email"]: d.closed_at for d in board.deals(status="won")}
    assert len(ordered_at) == 2
    for mail in mails_in(folder / "ladderpipe-demo.mbox"):
        at = ordered_at.get(mail["To"].rpartition("<")[2].strip(">"))
        if at is not None and template[key_of(mail)] in REMINDERS:
            assert email.utils.parsedate_to_datetime(mail["Date"]) < at
    for deal in board.deals(status="won"):
        pending = board.effects(deal.id, states=[EffectState.PENDING])
        assert not any(effect.payload["template"] in REMINDERS for effect in pending)


def test_the_late_webhook_stands_where_it_belongs(board: Board) -> None:
    review = board.history("cart-5").visits[-1]
    assert review.stage == "order_review"
    assert review.entered_at.isoformat() == "2026-01-10T10:30:00+00:00"
    received = board.history("cart-5").moves[-1].recorded_at
    assert received is not None
    assert received > review.entered_at
    assert sent(board, "cart-5") == []


def test_one_is_refunded_and_worth_nothing(board: Board) -> None:
    assert stages(board, "cart-2")[-2:] == ["order_confirmed", "refunded"]
    assert board.deal("cart-2").value == 0


def test_a_guests_cart_goes_on_in_the_one_of_the_account(board: Board) -> None:
    merged = board.deal("cart-0")
    assert (merged.stage, merged.status) == ("cart_merged", "merged")
    assert board.tasks(deal="cart-0") == []
    assert "sku:BK-02" in {line.key for line in board.deal("cart-5").cart}


def test_one_is_saved_one_is_parked_and_one_has_no_address(board: Board) -> None:
    assert stages(board, "cart-3") == [
        "quote_requested",
        "cart_parked",
        "quote_requested",
        "cart_saved",
    ]
    assert stages(board, "cart-9")[-1] == "cart_parked"
    assert stages(board, "cart-7")[-1] == "checkout_abandoned"
    assert sent(board, "cart-7") == []


def test_one_is_lost_by_hand_with_a_reason(board: Board) -> None:
    move = board.history("cart-6").moves[-1]
    assert move.into == "lost"
    assert move.event is not None
    assert move.event.data["by"] == "Marta"
    assert board.deal("cart-6").lost_from == "quote_requested"
    assert board.deal("cart-6").properties["loss_reason"]


def test_the_mailbox_holds_what_was_sent(board: Board, folder: Path) -> None:
    mails = mails_in(folder / "ladderpipe-demo.mbox")
    delivered = [e for e in board.effects(states=[EffectState.DELIVERED]) if e.name == "email"]
    assert sorted(map(key_of, mails)) == sorted(effect.key for effect in delivered)


def test_it_tells_the_same_every_time(
    told: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    assert run("demo").out == told.out
    assert run("demo").out == told.out


def suggested(told: Ran) -> list[list[str]]:
    """Return the arguments of every command that the demo suggests."""
    text = told.out.partition("Try next")[2].replace("\\\n", " ")
    lines = [
        shlex.split(line) for line in text.splitlines() if "sqlite:///" in line or " check " in line
    ]
    found = []
    for line in lines:
        start = next(
            n for n, word in enumerate(line) if word.endswith(("ladderpipe", "ladderpipe.cli"))
        )
        found.append(line[start + 1 :])
    return found


def test_what_it_suggests_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    commands = suggested(run("demo"))
    assert {command[0] for command in commands} >= {"history", "explain", "board", "verify", "move"}
    for command in commands:
        ran = run(*command)
        assert (ran.code, ran.err) == (0, ""), command


def test_a_path_with_awkward_letters_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told = run("demo", "--path", "my demo?#%.db")
    assert told.code == 0
    assert (tmp_path / "my demo?#%.db").exists()
    for command in suggested(told):
        assert run(*command).code == 0, command


@pytest.mark.parametrize("name", ["shop.db", "shop.mbox"])
def test_a_file_that_no_demo_made_is_not_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("something dear")
    assert name in run("demo", "--path", tmp_path / "shop.db").refusal()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "something dear"


def test_a_database_that_no_demo_made_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    Board.open(ladder(), f"sqlite:///{path}").close()
    before = path.read_bytes()
    run("demo", "--path", path).refusal()
    assert path.read_bytes() == before


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    assert "nowhere" in run("demo", "--path", tmp_path / "nowhere" / "demo.db").refusal()


def test_a_demo_that_was_broken_off_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "demo.db"
    run("demo", "--path", path)
    connection = sqlite3.connect(path)
    connection.execute("DROP TABLE ladder_effects")
    connection.close()
    assert run("demo", "--path", path).code == 0
