"""Changes as they happen: streams of a server in earnest, who may listen, and what ends them."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import httpx
import psycopg
import pytest

pytest.importorskip("uvicorn")

import uvicorn

from ladderpipe import Board
from tests.board_app.clients import Clients
from tests.board_app.shop import application, pipeline
from tests.board_app.sites import Site, site
from tests.web.servers import DEADLINE, free_port, wait_until

JSON = {"Accept": "application/json"}


@attrs.define
class Heard:
    """One event of a stream."""

    event: str = ""
    id: str = ""
    data: str = ""
    retry: str = ""


@contextlib.contextmanager
def listening(address: str, user: str = "anna", **headers: str) -> Iterator[Iterator[Heard]]:
    """Listen as a browser does; yield what is heard."""
    with (
        httpx.Client(cookies={"user": user}, timeout=DEADLINE, trust_env=False) as client,
        client.stream("GET", address, headers=headers) as response,
    ):
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"].startswith("text/event-stream")
        yield events(response.iter_lines())


def events(lines: Iterator[str]) -> Iterator[Heard]:
    found = Heard()
    for line in lines:
        name, _, value = line.partition(": ")
        if line:
            setattr(found, name, value)
        elif found.event:
            yield found
            found = Heard()


def next_news(stream: Iterator[Heard]) -> Heard:
    return next(heard for heard in stream if heard.event == "changed")


@pytest.fixture(params=["uvicorn-sqlite", "uvicorn-postgresql", "awaited-postgresql"])
def team(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    kind, _, database = request.param.partition("-")
    url = f"sqlite:///{tmp_path / 'team.db'}"
    if database == "postgresql":
        url = request.getfixturevalue("postgres_server").new_database()
    with site(kind, url, tmp_path) as found:
        yield found


@contextlib.contextmanager
def served(app: Any) -> Iterator[str]:
    """Serve an application in a thread; yield its address."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, "127.0.0.1", port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.should_exit = True
        thread.join()


def since(page: str) -> str:
    """Return the cursor of a page."""
    found = re.search(r'data-since="([^"]+)"', page)
    assert found is not None
    return found[1]


def shown(address: str, user: str = "anna") -> str:
    return httpx.get(address, cookies={"user": user}, trust_env=False).text


def test_what_happens_is_told_at_once_and_what_was_missed_at_the_next_call(team: Site) -> None:
    deal = team.deal()
    address = f"{team.address}live?after={since(shown(team.address))}"
    with listening(address) as stream:
        first = next(stream)
        assert (first.event, first.data) == ("alive", first.id)
        assert int(first.retry) > 0
        team.board.move(deal, "offer", by="bea")
        news = next_news(stream)
    with listening(address, **{"Last-Event-ID": news.id}) as stream:
        assert next(stream).event == "alive"
    team.board.move(deal, "won", by="bea")
    with listening(address, **{"Last-Event-ID": news.id}) as stream:
        assert next(stream).event == "changed"


def test_without_a_cursor_it_begins_with_what_comes(team: Site) -> None:
    deal = team.deal()
    with listening(f"{team.address}live") as stream:
        assert next(stream).event == "alive"
        team.board.move(deal, "offer", by="bea")
        next_news(stream)


def test_many_listen_and_none_is_told_what_it_was_that_changed(team: Site) -> None:
    hers, his = team.deal(owner="anna"), team.deal(owner="bea")
    with contextlib.ExitStack() as stack:
        streams = {
            user: stack.enter_context(listening(f"{team.address}live", user))
            for user in ("anna", "bea", "carla")
        }
        for stream in streams.values():
            assert next(stream).event == "alive"
        team.board.move_many([hers, his], "offer", by="dora")
        heard = {user: next_news(stream) for user, stream in streams.items()}
    assert all(news.data == news.id for news in heard.values())
    asked = f"{team.address}changes"
    for user, ids in (("anna", {hers, his}), ("bea", {his}), ("carla", set())):
        told = httpx.get(asked, cookies={"user": user}, headers=JSON, trust_env=False).json()
        assert {deal["id"] for deal in told["deals"]} == ids


def test_a_server_ends_though_somebody_listens(team: Site) -> None:
    with listening(f"{team.address}live") as stream:
        assert next(stream).event == "alive"
        team.stop()  # fails where the server does not end in time
        with contextlib.suppress(httpx.TransportError):
            for heard in stream:
                assert heard.event == "alive"


def test_a_database_that_is_away_for_a_while_ends_no_stream(
    postgres_server: Any, tmp_path: Path
) -> None:
    url = postgres_server.new_database()
    name = url.partition("@/")[2].partition("?")[0]
    with site("uvicorn", f"{url}&pool_timeout=1", tmp_path) as team:
        deal = team.deal()
        with listening(f"{team.address}live") as stream:
            assert next(stream).event == "alive"
            with psycopg.connect(postgres_server.url(), autocommit=True) as control:
                control.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
                control.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                    [name],
                )
                wait_until(lambda: "changes cannot be read" in (tmp_path / "log.txt").read_text())
                asked = httpx.get(f"{team.address}live", cookies={"user": "anna"}, trust_env=False)
                assert asked.status_code == 503
                control.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
            with Board.open(pipeline(), url) as board:
                board.move(deal, "offer", by="bea")
            next_news(stream)


def test_who_comes_when_enough_listen_is_sent_away_until_somebody_leaves(tmp_path: Path) -> None:
    with (
        Board.open(pipeline(), f"sqlite:///{tmp_path / 'team.db'}") as board,
        served(application(board, listeners=1)) as address,
    ):
        with listening(f"{address}live") as stream:
            assert next(stream).event == "alive"
            refused = httpx.get(
                f"{address}live",
                cookies={"user": "anna"},
                headers={"Accept": "text/event-stream"},
                trust_env=False,
            )
            assert refused.status_code == 503
            assert refused.headers["retry-after"].isdigit()
            assert refused.headers["content-type"] == "application/problem+json"
        wait_until(lambda: is_let_in(f"{address}live"))


def is_let_in(address: str) -> bool:
    with httpx.stream("GET", address, cookies={"user": "anna"}, trust_env=False) as response:
        return response.status_code == 200


def test_who_may_not_listen_is_refused_before_anything_is_sent(client: Clients) -> None:
    stream = {"Accept": "text/event-stream"}
    anna = client()
    assert anna.get("/live?after=nope", headers=stream).status_code == 400
    assert anna.get("/live", headers={**stream, "Last-Event-ID": "nope"}).status_code == 400
    assert (
        anna.request("HEAD", "/live", headers=stream)
        .headers["content-type"]
        .startswith("text/event-stream")
    )
    nobody = client(None, login_url="/login").get("/live", headers=stream)
    assert nobody.status_code == 401
    assert nobody.headers["content-type"] == "application/problem+json"


def test_pages_are_told_where_to_listen_unless_nobody_may(client: Clients) -> None:
    assert 'data-live="live"' in client().get("/").text
    assert "/live" in client().get("/api/openapi.json").json()["paths"]
    silent = client(listeners=0)
    assert "data-live" not in silent.get("/").text
    assert silent.get("/live").status_code == 404
    assert "/live" not in silent.get("/api/openapi.json").json()["paths"]


@pytest.mark.parametrize("kind", ["wsgi", "django"])
def test_a_server_that_cannot_tell_says_that_it_is_not_there(kind: str, tmp_path: Path) -> None:
    with site(kind, f"sqlite:///{tmp_path / 'team.db'}", tmp_path) as team:
        assert "data-live" not in shown(team.address)
        asked = httpx.get(f"{team.address}live", cookies={"user": "anna"}, trust_env=False)
        assert asked.status_code == 404
