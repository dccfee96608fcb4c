"""``ladderpipe serve`` and ``demo --serve``, run as somebody types them."""

from __future__ import annotations

import contextlib
import getpass
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ladderpipe import Board, ManualClock
from ladderpipe.cli.demo import ladder
from tests.board_app.shop import pipeline, renewals, tell
from tests.commands import run

pytest.importorskip("uvicorn")

ROOT = Path(__file__).parents[2]
PIPELINE = "tests.board_app.shop:pipeline"
JSON = {"Accept": "application/json"}


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'team.db'}"
    with Board.open(pipeline(), url) as board:
        tell(board, "d-1", ManualClock("2026-03-02T09:00:00Z").now(), owner="anna")
    return url


@contextlib.contextmanager
def serving(*arguments: str, folder: Path = ROOT) -> Iterator[httpx.Client]:
    """Run a command until the block ends; yield a client of the address that it prints."""
    command = [sys.executable, "-m", "ladderpipe.cli", *arguments, "--port", "0"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            told = next(line for line in server.stdout if line.startswith("The board is at"))
            address = re.search(r"http://\S+", told)
            assert address is not None
            with httpx.Client(base_url=address[0], timeout=30, trust_env=False) as client:
                yield client
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)
    assert server.returncode == 0


def test_whoever_runs_it_is_who_does_what_is_done_there(url: str) -> None:
    with serving("serve", PIPELINE, url) as client:
        assert client.get("/").status_code == 200
        assert client.get("/static/board.css").status_code == 200
        moved = client.post("/override", json={"deal": "d-1", "into": "won"}, headers=JSON)
        assert moved.json()["outcome"] == "moved"
    with Board.open(pipeline(), url, read_only=True) as board:
        event = board.history("d-1").moves[-1].event
        assert event is not None
        assert event.data["by"] == getpass.getuser()


def test_a_worker_runs_beside_it(url: str) -> None:
    with serving("serve", PIPELINE, url) as client:
        # What was moved long ago by hand is due, and goes cold on its own.
        with Board.open(pipeline(), url) as board:
            board.move("d-1", "offer", by="anna", at="2026-03-02T10:00:00Z")
        for _ in range(100):
            if client.get("/deal?deal=d-1", headers=JSON).json()["deal"]["stage"] == "cold":
                return
            signal.sigtimedwait([], 0.1)
    pytest.fail("no timer fired")


def test_several_pipelines_of_a_store_are_served_together(url: str) -> None:
    with Board.open(renewals(), url) as board:
        tell(board, "r-1", ManualClock("2026-03-02T09:00:00Z").now(), owner="anna")
    more = "tests.board_app.shop:renewals"
    with serving("serve", PIPELINE, more, url, "--language", "en") as client:
        assert client.get("/").headers["location"] == "team/"
        assert "Renewals" in client.get("/team/").text
        moved = client.post("/renewals/move", json={"deal": "r-1", "into": "renewed"}, headers=JSON)
        assert moved.json()["outcome"] == "moved"


def test_every_pipeline_has_its_worker(url: str) -> None:
    with serving("serve", "tests.board_app.shop:renewals", PIPELINE, url) as client:
        with Board.open(pipeline(), url) as board:
            board.move("d-1", "offer", by="anna", at="2026-03-02T10:00:00Z")
        for _ in range(100):
            if client.get("/team/deal?deal=d-1", headers=JSON).json()["deal"]["stage"] == "cold":
                return
            signal.sigtimedwait([], 0.1)
    pytest.fail("no timer fired")


def test_a_pipeline_that_is_named_twice_is_refused(url: str) -> None:
    refused = run("serve", PIPELINE, PIPELINE, url)
    assert refused.code == 2
    assert "twice" in refused.err


def test_pipelines_whose_names_cannot_stand_in_an_address_are_served(tmp_path: Path) -> None:
    file = tmp_path / "odd.py"
    file.write_text(
        "from ladderpipe import Pipeline, Stage, on\n"
        "new = Stage('new')\n"
        "rules = [on('lead', into=new, opens=True)]\n"
        "one, two, three = (Pipeline(n, stages=[new], rules=rules) for n in ('tasks', 'a/b', 'à'))"
    )
    url = f"sqlite:///{tmp_path / 'odd.db'}"
    Board.open(pipeline(), url).close()
    with serving("serve", "odd:one", "odd:two", "odd:three", url, folder=tmp_path) as client:
        boards = client.get("/", headers=JSON).json()["boards"]
        assert [board["pipeline"] for board in boards] == ["tasks", "a/b", "à"]
        for board in boards:
            assert client.get(f"/{board['at']}").status_code == 200


def test_another_sites_name_for_this_machine_is_not_served(url: str) -> None:
    with serving("serve", PIPELINE, url) as client:
        assert client.get("/", headers={"Host": "evil.example"}).status_code == 400
        assert client.get("/", headers={"Host": "localhost"}).status_code == 200


def test_this_machine_has_an_address_in_either_protocol(url: str) -> None:
    with serving("serve", PIPELINE, url, "--host", "::1") as client:
        assert client.get("/").status_code == 200


def test_others_are_let_in_by_the_token_alone(url: str) -> None:
    with serving("serve", PIPELINE, url, "--host", "0.0.0.0", "--token", "s3cret") as printed:
        address = printed.base_url.copy_with(host="127.0.0.1")
        with httpx.Client(base_url=str(address.copy_with(query=None)), trust_env=False) as client:
            assert client.get("/").status_code == 401
            assert client.get("/?token=wrong").status_code == 401
            bearer = {"Authorization": "Bearer s3cret"}
            assert client.get("/", headers=bearer).status_code == 200
            opened = client.get("/?token=s3cret")
            assert (opened.status_code, opened.headers["location"]) == (303, "./")
            assert "httponly" in opened.headers["set-cookie"].lower()
            assert client.get("/").status_code == 200


def test_an_address_that_others_reach_takes_a_token(url: str) -> None:
    refused = run("serve", PIPELINE, url, "--host", "0.0.0.0")
    assert refused.code == 2
    assert "--token" in refused.err


def test_the_pages_speak_the_language_that_is_asked_for(url: str) -> None:
    with serving("serve", PIPELINE, url, "--language", "it") as client:
        assert "Vendite del team" in client.get("/").text


def test_the_demo_is_served_where_its_week_ended(tmp_path: Path) -> None:
    file = tmp_path / "told.db"
    assert run("demo", "--path", str(file)).code == 0
    with Board.open(ladder(), f"sqlite:///{file}", read_only=True) as board:
        told = Counter(deal.stage.key for deal in board.deals())
    with serving("demo", "--serve", folder=tmp_path) as client:
        columns = client.get("/", headers=JSON).json()["columns"]
        assert {c["stage"]: c["count"] for c in columns if c["count"]} == told


def test_probes_are_answered_without_a_token_under_any_name(url: str) -> None:
    more = "tests.board_app.shop:renewals"
    with serving("serve", PIPELINE, more, url, "--token", "secret") as client:
        named = {"Host": "10.1.2.3:8000"}
        for path in ("/-/healthy", "/-/ready"):
            assert client.get(client.base_url.join(path), headers=named).status_code == 200
        assert client.get(client.base_url.join("/team/"), headers=named).status_code == 401
    with serving("serve", PIPELINE, url) as client:
        assert client.get("/-/ready", headers={"Host": "10.1.2.3:8000"}).text == "ready\n"
        assert client.get("/", headers={"Host": "10.1.2.3:8000"}).status_code == 400


def test_a_server_whose_store_does_not_answer_is_not_ready_and_is_healthy(url: str) -> None:
    path = Path(url.removeprefix("sqlite:///"))
    with serving("serve", PIPELINE, url) as client:
        path.write_bytes(b"no database any more" * 1000)
        for beside in ("-wal", "-shm"):
            path.with_name(path.name + beside).unlink(missing_ok=True)
        assert client.get("/-/ready").status_code == 503
        assert client.get("/-/healthy").status_code == 200
