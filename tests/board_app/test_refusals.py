"""What is refused, with which status, and that nothing is ever answered with an error of ours."""

from __future__ import annotations

import json
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladderpipe import Board, ManualClock
from ladderpipe.web import Access, BoardApp, User
from ladderpipe.web.routes import ROUTES
from tests.board_app.clients import Client, Clients
from tests.board_app.conftest import START
from tests.board_app.shop import application, pipeline, tell

JSON = {"Accept": "application/json"}
GETS = {"/live": "HEAD"}
"""An answer that goes on until its listener leaves is asked for without what it tells."""
POSTS = sorted(path for path, methods in ROUTES.items() if "POST" in methods)


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/nowhere", 404),
        ("/static/nothing.js", 404),
        ("/static/../app.py", 404),
        ("/?sort=nope", 400),
        ("/?view=nope", 400),
        ("/?view=list&after=%7Bbad", 400),
        ("/?view=list&limit=0", 400),
        ("/?view=list&limit=501", 400),
        ("/?search=%00", 400),
        ("/?search=%ff", 400),
        ("/column", 400),
        ("/column?stage=nope", 400),
        ("/deal", 400),
        ("/deal?deal=nobody", 404),
        ("/deal?deal=%00", 400),
        ("/deal?deal=%F0%9F%9B%92", 404),
        ("/deal?deal=" + "x" * 600, 404),
        ("/options?deal=d-1&into=nope", 400),
        ("/changes?after=nope", 400),
        ("/customer", 400),
        ("/move", 405),
    ],
)
def test_a_broken_address_is_answered_in_so_many_words(
    client: Clients, address: str, status: int
) -> None:
    assert client().get(address).status_code == status
    problem = client().get(address, headers=JSON)
    assert problem.status_code == status
    if not address.startswith("/static"):
        assert problem.json()["status"] == status
        assert problem.json()["detail"]


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"[" * 50_000, "application/json", 400),
        (b'{"deal": {"x": 1}, "into": "offer"}', "application/json", 400),
        (b'{"deal": "d-1", "into": "offer", "properties": 1}', "application/json", 400),
        (b'{"deal": "d-1", "into": "nope"}', "application/json", 400),
        (b'{"deal": "d-1\\u0000", "into": "offer"}', "application/json", 400),
        (b'{"deal": "\\ud800", "into": "offer"}', "application/json", 400),
        (b'{"into": "offer"}', "application/json", 400),
        (b"deal=d-1", "multipart/form-data", 415),
        (b"deal=d-1&into=%ff", "application/x-www-form-urlencoded", 400),
        (b"x=" + b"y" * 70_000, "application/x-www-form-urlencoded", 413),
        (
            b'{"deal": "d-1", "into": "offer", "id": "' + b"x" * 2_000 + b'"}',
            "application/json",
            422,
        ),
    ],
)
def test_a_broken_body_is_answered_in_so_many_words(
    client: Clients, body: bytes, kind: str, status: int
) -> None:
    answer = client().post("/move", content=body, headers={**JSON, "Content-Type": kind})
    assert answer.status_code == status, answer.text


def test_a_body_that_says_nothing_of_its_length_is_cut_off(client: Clients) -> None:
    async def parts() -> Any:
        for _ in range(100):
            yield b"x" * 1_000

    assert client().post("/move", content=parts()).status_code == 413


def test_nobody_is_let_in_unless_the_host_says_who_it_is(client: Clients) -> None:
    stranger = client(None)
    assert stranger.get("/").status_code == 401
    assert stranger.get("/deal?deal=d-1").status_code == 401
    assert stranger.post("/move", data={"deal": "d-1", "into": "offer"}).status_code == 401
    sent = client(None, login_url="/login").get("/deal?deal=a b&x=1")
    assert sent.status_code == 303
    assert sent.headers["location"] == "/login?next=%2Fdeal%3Fdeal%3Da%2520b%26x%3D1"
    assert client(None, login_url="/login").get("/", headers=JSON).status_code == 401


ELSEWHERE = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://other.testserver"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
]


def test_nothing_is_done_for_another_sites_page(client: Clients) -> None:
    # Not even who it is, or whether there is such a deal, can be learned.
    for user in ("anna", None):
        asking = client(user)
        for path in POSTS:
            for headers in ELSEWHERE:
                answer = asking.post(path, data={"deal": "x"}, headers=headers)
                assert answer.status_code == 403, (path, headers)


def test_the_pages_own_origin_and_trusted_ones_may_post(client: Clients, board: Board) -> None:
    move = {"deal": "d-1", "into": "offer"}
    own = {"Origin": "http://testserver", "Sec-Fetch-Site": "same-origin"}
    assert client().post("/move", data=move, headers=own).status_code == 303
    friend = {"Origin": "https://crm.example", "Sec-Fetch-Site": "cross-site"}
    trusting = client(trusted_origins=["https://crm.example"])
    assert trusting.post("/move", data={**move, "deal": "d-2"}, headers=friend).status_code == 303


def test_what_somebody_does_not_see_is_not_there(client: Clients, board: Board) -> None:
    bea = client("bea")
    for path in ("/deal", "/options"):
        hidden = bea.get(f"{path}?deal=d-1", headers=JSON)
        absent = bea.get(f"{path}?deal=nobody", headers=JSON)
        assert hidden.status_code == absent.status_code == 404
        assert hidden.content == absent.content
    move = {"into": "offer"}
    hidden = bea.post("/move", data={**move, "deal": "d-1"}, headers=JSON)
    absent = bea.post("/move", data={**move, "deal": "nobody"}, headers=JSON)
    assert (hidden.status_code, hidden.content) == (404, absent.content)
    assert board.deal("d-1").stage == "contact"


def test_what_somebody_does_not_see_is_in_no_count_and_no_total(client: Clients) -> None:
    column = client("bea").get("/", headers=JSON).json()["columns"][0]
    assert [deal["id"] for deal in column["deals"]] == ["d-3", "d-4"]
    assert column["count"] == 2
    assert Decimal(column["totals"][0]["value"]) == 2400
    assert client("bea").get("/?owner=anna", headers=JSON).json()["columns"][0]["totals"] == []
    assert client("bea").get("/?view=list", headers=JSON).json()["count"] == 2
    assert client("bea").get("/customer?key=d-1@example.com", headers=JSON).json()["deals"] == []
    told = client("bea").get("/changes", headers=JSON).json()
    assert {deal["id"] for deal in told["deals"]} == {"d-3", "d-4"}


def test_what_is_not_allowed_is_refused_before_anything_is_looked_up(client: Clients) -> None:
    for path in ("/override", "/discard", "/release", "/unsubscribe"):
        assert client("bea").post(path, data={"deal": "nobody"}).status_code == 403


def test_access_is_closed_until_it_is_opened() -> None:
    access, user = Access(), User("bea")
    everyday = {"see", "move", "undo", "edit", "task"}
    actions = everyday | {"override", "release", "discard", "unsubscribe", "reports", "new one"}
    assert {each for each in actions if access.may(user, each, None)} == everyday  # type: ignore[arg-type]


def test_access_may_depend_on_the_deal(clock: ManualClock) -> None:
    class Own(Access):
        def may(self, user: User, action: Any, deal: Any) -> bool:
            return super().may(user, action, deal) and (deal is None or deal.owner == user.id)

    board = Board(pipeline(), clock=clock)
    tell(board, "mine", clock.now(), owner="anna")
    tell(board, "hers", clock.now(), owner="bea")
    app = BoardApp(board, user=lambda request: User("anna"), access=Own())
    with Client(app) as anna:
        assert anna.post("/move", data={"deal": "mine", "into": "offer"}).status_code == 303
        assert anna.post("/move", data={"deal": "hers", "into": "offer"}).status_code == 403


def test_a_database_that_is_busy_is_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "team.db"
    monkeypatch.setattr("ladderpipe.stores.sqlite.store.BUSY_SECONDS", 0.05)
    with (
        Board.open(pipeline(), f"sqlite:///{file}") as board,
        Client(application(board), user="anna") as anna,
    ):
        tell(board, "d-1", ManualClock(START).now(), owner="anna")
        other = sqlite3.connect(file, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        busy = anna.post("/move", data={"deal": "d-1", "into": "offer"}, headers=JSON)
        other.close()
        assert (busy.status_code, busy.headers["retry-after"]) == (503, "5")
        assert anna.post("/move", data={"deal": "d-1", "into": "offer"}).status_code == 303


TEXTS = st.text(max_size=20) | st.sampled_from(
    ["d-1", "offer", "lost", "-1", "1e9", "%00", "{", "[]"]
)
NAMES = st.sampled_from(
    (
        *(
            "deal",
            "into",
            "key",
            "event",
            "value",
            "owner",
            "note",
            "id",
            "expecting",
            "entered",
            "after",
        ),
        *("sort", "limit", "stage", "search", "property.x", "contact.email", "channel", "to"),
        *("currency", "properties", "fold", "of", "view"),
    )
)


@given(
    path=st.sampled_from(sorted(ROUTES)),
    query=st.dictionaries(NAMES, TEXTS, max_size=4),
    told=st.dictionaries(NAMES, TEXTS | st.integers() | st.lists(TEXTS, max_size=2), max_size=5),
    is_json=st.booleans(),
)
def test_nothing_that_anybody_sends_is_an_error_of_ours(
    path: str, query: dict[str, str], told: dict[str, Any], is_json: bool
) -> None:
    board = Board(pipeline(), clock=ManualClock(START))
    tell(board, "d-1", board.clock.now(), owner="anna")
    method = "POST" if "POST" in ROUTES[path] else GETS.get(path, "GET")
    clean = {name: value.encode("utf-8", "replace").decode() for name, value in query.items()}
    body = json.dumps({"deal": "d-1", **told}).encode()
    sent: dict[str, Any] = {"content": body, "headers": {"Content-Type": "application/json"}}
    if not is_json:
        sent = {
            "data": {
                "deal": "d-1",
                **{n: str(v).encode("utf-8", "replace") for n, v in told.items()},
            }
        }
    with Client(application(board), user="anna") as anna:
        answer = anna.request(method, path, params=clean, **(sent if method == "POST" else {}))
    assert answer.status_code < 500, answer.text


def test_what_openapi_says_is_needed_is_asked_for(client: Clients) -> None:
    anna = client()
    told = anna.get("/api/openapi.json").json()
    assert set(told["paths"]) == set(ROUTES)
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"].endswith(".")
            if method == "get":
                needed = [each for each in operation["parameters"] if each["required"]]
            else:
                schema = operation["requestBody"]["content"]["application/json"]["schema"]
                needed = schema["required"]
            asked = GETS.get(path, "GET") if method == "get" else "POST"
            answer = anna.request(asked, path, headers=JSON)
            assert (answer.status_code == 400) == bool(needed), path
