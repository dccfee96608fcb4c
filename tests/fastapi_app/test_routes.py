"""The routes: what a shop tells, what people read and do, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from http import HTTPStatus
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Header, HTTPException, Request

from ladderpipe import (
    Board,
    Event,
    HookContext,
    ManualClock,
    Pipeline,
    Stage,
    by_hand,
    do,
    errors,
    on,
)
from ladderpipe.fastapi import install_error_handlers, router
from ladderpipe.problems import MEDIA_TYPE, STATUSES
from tests.board_app.clients import Client
from tests.fastapi_app.conftest import NINE, signed_in

FILLED: dict[str, Any] = {
    "type": "cart.item_added",
    "deal": "cart/1",
    "id": "1",
    "at": NINE,
    "data": {"line": {"sku": "NB-15", "quantity": 2, "unit_price": "899.00"}, "currency": "EUR"},
}
DEAL = "/api/deals/cart%2F1"


def tell(client: Client, **change: Any) -> httpx.Response:
    return client.post("/api/events", json={**FILLED, **change})


def refused(response: httpx.Response, status: int) -> dict[str, Any]:
    assert (response.status_code, response.headers["content-type"]) == (status, MEDIA_TYPE)
    told: dict[str, Any] = response.json()
    assert told["status"] == status
    return told


def test_an_event_is_told_once(client: Client) -> None:
    first, again = tell(client), tell(client)
    assert (first.status_code, first.json()["outcome"]) == (201, "opened")
    assert (again.status_code, again.json()["outcome"]) == (200, "duplicate")
    assert again.json()["deal"] == first.json()["deal"]


@pytest.mark.parametrize(
    "change",
    [
        {"data": {"line": {"sku": "OTHER", "quantity": 1}}},
        {"id": "2", "at": "2026-03-02T12:00:00Z"},
    ],
)
def test_a_fact_that_cannot_be_used_is_held(client: Client, change: dict[str, Any]) -> None:
    tell(client)
    held = tell(client, **change)
    assert (held.status_code, held.json()["outcome"]) == (202, "held")
    assert held.json()["reason"]


def test_an_event_that_is_none_is_refused_at_its_place(client: Client) -> None:
    told = refused(tell(client, at="2026-03-02T09:00:00", seq="1"), 422)
    places = {tuple(each["place"]): each["reason"] for each in told["findings"]}
    assert set(places) == {("body", "at"), ("body", "seq")}
    assert places["body", "at"].startswith("2026-03-02T09:00:00 has no time zone")


def test_only_the_board_writes_its_own_events(client: Client) -> None:
    told = refused(tell(client, type="ladder.override"), 422)
    assert told["type"] == "urn:ladderpipe:invalid-event"
    assert "use board.move" in told["detail"]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[1]", b'{"at": NaN}', b"[" * 5_000])
def test_what_is_no_json_is_no_mistake_of_the_servers(client: Client, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    assert client.post("/api/events", content=body, headers=headers).status_code in (400, 422)


def test_a_deal_is_read_as_the_board_has_it(client: Client) -> None:
    deal = tell(client).json()["deal"]
    assert client.get(DEAL).json() == client.get("/api/deals/cart/1").json() == deal
    history = client.get(f"{DEAL}/history").json()
    assert history["deal"] == deal
    assert [move["event"]["id"] for move in history["moves"]] == ["1"]
    steps = client.get(f"{DEAL}/explanation").json()["steps"]
    assert [step["outcome"] for step in steps] == ["opened"]


def test_a_deal_that_is_not_there_is_a_problem(client: Client) -> None:
    for view in ("", "/history", "/explanation"):
        told = refused(client.get(f"/api/deals/nobody{view}"), 404)
        assert "'nobody'" in told["detail"]


@pytest.mark.parametrize("address", ["/api/deals/nobody", "/api/deals?limit=0"])
def test_a_problem_is_told_in_the_language_that_is_asked_for(client: Client, address: str) -> None:
    told = {}
    for wishes, language in (("it-IT,it;q=0.9", "it"), ("de", "en"), ("", "en")):
        answer = client.get(address, headers={"Accept-Language": wishes})
        assert answer.headers["content-language"] == language
        assert "accept-language" in answer.headers["vary"].lower()
        told[language] = answer.json()
    english, italian = told["en"], told["it"]
    said = ("title", "detail")
    assert {**italian, **{name: english[name] for name in said}} == english
    assert italian["title"] != english["title"]


def test_deals_are_listed_page_by_page(client: Client) -> None:
    for n in range(3):
        tell(client, deal=f"cart-{n}", id=f"{n}")
    first = client.get("/api/deals?limit=2&sort=title").json()
    rest = client.get(f"/api/deals?limit=2&sort=title&after={first['next']}").json()
    assert [each["id"] for each in (*first["deals"], *rest["deals"])] == [
        *("cart-0", "cart-1", "cart-2"),
    ]
    assert (first["count"], rest["next"]) == (3, None)
    assert client.get("/api/deals?stage=order_confirmed").json()["deals"] == []
    assert client.get("/api/deals?search=nb-15&owner=ada").json()["deals"] == []


@pytest.mark.parametrize(
    ("query", "place"),
    [("stage=nowhere", ["query", "stage"]), ("limit=0", ["query", "limit"])],
)
def test_a_list_of_what_is_not_there_is_refused(
    client: Client, query: str, place: list[str]
) -> None:
    told = refused(client.get(f"/api/deals?{query}"), 422)
    assert [each["place"] for each in told["findings"]] == [place]


def test_a_cursor_that_is_none_is_refused(client: Client) -> None:
    assert refused(client.get("/api/deals?after=x"), 422)["type"] == "urn:ladderpipe:cursor"


def test_a_summary_adds_up(client: Client) -> None:
    for n in range(2):
        tell(client, deal=f"cart-{n}", id=f"{n}")
    totals = {each["stage"]: each for each in client.get("/api/summary").json()}
    assert totals["quote_requested"] == {
        "stage": "quote_requested",
        "currency": "EUR",
        "count": 2,
        "value": "3596.00",
        "weighted_value": "719.200",
        "unvalued": 0,
    }


def test_a_hand_moves_a_deal_as_the_rules_allow(client: Client) -> None:
    tell(client)
    options = {each["into"]: each for each in client.get(f"{DEAL}/options").json()}
    assert options["lost"]["missing"] == ["loss_reason"]
    lacking = refused(client.post(f"{DEAL}/move", json={"into": "lost"}), 422)
    assert lacking["missing"] == ["loss_reason"]
    not_so = refused(client.post(f"{DEAL}/move", json={"into": "order_confirmed"}), 409)
    assert "lost" in not_so["allowed"]
    hand = {"into": "lost", "properties": {"loss_reason": "price"}, "reason": "too dear"}
    done = client.post(f"{DEAL}/move", json=hand).json()
    assert done["deal"]["stage"] == "lost"
    told = client.get(f"{DEAL}/history").json()["moves"][-1]["event"]["data"]
    assert (told["by"], told["reason"]) == ("carla", "too dear")
    undone = client.post(f"{DEAL}/undo", json={"event": done["event"]}).json()
    assert undone["deal"]["stage"] == "quote_requested"


def test_a_stage_that_is_none_is_refused(client: Client) -> None:
    tell(client)
    assert (
        "nowhere" in refused(client.post(f"{DEAL}/move", json={"into": "nowhere"}), 409)["detail"]
    )


def test_a_request_that_is_sent_again_changes_nothing(client: Client) -> None:
    tell(client)
    key = {"Idempotency-Key": "click-1"}
    hand = {"into": "lost", "properties": {"loss_reason": "price"}}
    outcomes = [
        client.post(f"{DEAL}/move", json=hand, headers=key).json()["outcome"] for _ in range(2)
    ]
    assert outcomes == ["moved", "duplicate"]


def test_a_stale_hand_is_told_so(client: Client) -> None:
    tell(client)
    hand = {"into": "lost", "properties": {"loss_reason": "price"}, "expecting": "cart_saved"}
    assert refused(client.post(f"{DEAL}/move", json=hand), 409)["stale"] is True


def test_what_is_left_out_of_an_edit_stays(client: Client) -> None:
    tell(client)
    edited = client.request("PATCH", DEAL, json={"owner": "ada", "value": "1500.00"}).json()["deal"]
    assert (edited["owner"], edited["value"]) == ("ada", "1500.00")
    edited = client.request("PATCH", DEAL, json={"owner": None}).json()["deal"]
    assert (edited["owner"], edited["value"]) == (None, "1500.00")


@pytest.mark.parametrize(
    ("edit", "status"), [({"ownr": "ada"}, 422), ({}, 422), ({"currency": "euro"}, 422)]
)
def test_an_edit_that_says_nothing_is_refused(
    client: Client, edit: dict[str, Any], status: int
) -> None:
    tell(client)
    refused(client.request("PATCH", DEAL, json=edit), status)


def test_what_was_written_since_is_told(client: Client) -> None:
    tell(client)
    first = client.get("/api/changes").json()
    assert ([each["id"] for each in first["deals"]], first["gone"]) == (["cart/1"], [])
    now = client.get("/api/changes?limit=0").json()
    assert (now["deals"], client.get(f"/api/changes?after={now['cursor']}").json()["gone"]) == (
        [],
        [],
    )


def test_what_people_are_to_do_is_listed_and_done_once(clock: ManualClock) -> None:
    new = Stage("new", sequence=[do("task", title="Call", owner="ada")])
    ladder = Pipeline("p", stages=[new], rules=[on("lead", into=new, opens=True)])
    app = FastAPI()
    with Board(ladder, clock=clock) as board, Client(app) as client:
        app.include_router(router(board, actor=signed_in))
        board.handle(Event("lead", deal="d", id="1", at=NINE))
        found = client.get("/tasks?owner=ada&due_by=2026-03-02T10:00:00Z").json()
        (task,) = found["tasks"]
        assert (task["title"], task["deal"], found["count"]) == ("Call", "d", 1)
        assert client.post(f"/tasks/{task['key']}/complete").json() == task
        assert client.get("/tasks").json()["tasks"] == []
        refused(client.post(f"/tasks/{task['key']}/complete"), 404)
        refused(client.get("/tasks?due_by=2026-03-02"), 422)


# -- what is the application's ---------------------------------------------------------------


def test_without_an_actor_nothing_is_done_by_hand(board: Board) -> None:
    app = FastAPI()
    app.include_router(router(board))
    paths = app.openapi()["paths"]
    assert {path for path in paths if "post" in paths[path] or "patch" in paths[path]} == {
        "/events"
    }
    with Client(app) as client:
        client.post("/events", json=FILLED)
        options = client.get("/deals/cart/1/options").json()
    assert {each["into"] for each in options if each["missing"]} == {"lost"}


def test_who_may_call_is_asked_first(board: Board) -> None:
    def with_a_key(key: Annotated[str | None, Header()] = None) -> None:
        if key != "secret":
            raise HTTPException(401)

    app = FastAPI()
    app.include_router(router(board, actor=signed_in, dependencies=[Depends(with_a_key)]))
    with Client(app) as client:
        for path, methods in app.openapi()["paths"].items():
            for method in methods:
                assert client.request(method, path.format(deal="d", task="t")).status_code == 401
        assert client.get("/summary", headers={"key": "secret"}).status_code == 200


def test_the_actor_and_the_board_are_dependencies(clock: ManualClock) -> None:
    def by(request: Request) -> str:
        return request.headers["x-user"]

    def of_the_state(request: Request) -> Board:
        found: Board = request.app.state.board
        return found

    new = Stage("new")
    app = FastAPI()
    app.include_router(router(of_the_state, actor=by))
    ladder = Pipeline("p", stages=[new], rules=[on("lead", into=new, opens=True)])
    with Board(ladder, clock=clock) as board, Client(app) as client:
        app.state.board = board
        board.handle(Event("lead", deal="d", id="1", at=NINE))
        client.request("PATCH", "/deals/d", json={"owner": "ada"}, headers={"x-user": "bea"})
        assert board.events("d")[-1].data["by"] == "bea"


def test_two_boards_have_names_of_their_own(board: Board) -> None:
    app = FastAPI()
    for name in ("sales", "leads"):
        app.include_router(router(board, prefix=f"/{name}", tags=[name]))
    ids = [
        operation["operationId"]
        for methods in app.openapi()["paths"].values()
        for operation in methods.values()
    ]
    assert len(set(ids)) == len(ids)
    assert "sales-tell" in ids


# -- refusals in an application's own endpoints ----------------------------------------------


class CreditExceeded(Exception):
    """What a hook of the application's own refuses with."""


def application() -> FastAPI:
    app = FastAPI()
    install_error_handlers(app, refusals=(CreditExceeded,))

    @app.get("/raise/{name}")
    def fail(name: str, because: str = "no, because: do that") -> None:
        raise getattr(errors, name)("no, because: do that") from CreditExceeded(because)

    return app


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_is_answered_with_its_status(name: str) -> None:
    kind = getattr(errors, name)
    with Client(application()) as client:
        if kind not in STATUSES:
            with pytest.raises(kind):
                client.get(f"/raise/{name}")
            return
        response = client.get(f"/raise/{name}")
    told = refused(response, STATUSES[kind])
    assert told["detail"] == "no, because: do that"
    is_for_later = response.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert ("retry-after" in response.headers) == is_for_later


def test_what_a_hook_raises_that_is_no_refusal_is_a_mistake(clock: ManualClock) -> None:
    new, won = Stage("new"), Stage("won", status="won")
    rules = [on("lead", into=new, opens=True), by_hand(into=won)]
    ladder = Pipeline("p", stages=[new, won], rules=rules)
    raised: list[Exception] = [CreditExceeded("too much at once"), KeyError("price")]

    @ladder.move_into(won)
    def refuse(ctx: HookContext) -> None:
        raise raised.pop(0)

    with Board(ladder, clock=clock) as board:
        board.handle(Event("lead", deal="d", id="1", at=NINE))
        app = application()
        app.include_router(router(board, actor=signed_in))
        with Client(app) as client:
            told = refused(client.post("/deals/d/move", json={"into": "won"}), 409)
            assert (told["type"], told["detail"]) == ("urn:ladderpipe:hook", "too much at once")
            with pytest.raises(errors.HookError):
                client.post("/deals/d/move", json={"into": "won"})


def test_what_is_no_request_is_a_problem_and_repeats_nothing() -> None:
    app = FastAPI()
    install_error_handlers(app)

    @app.get("/deals/{n}")
    def deal(n: int) -> int:
        return n

    with Client(app) as client:
        told = refused(client.get("/deals/secret"), 422)
    assert [each["place"] for each in told["findings"]] == [["path", "n"]]
    assert "secret" not in json.dumps(told)


def test_a_mistake_of_the_servers_stays_an_error(board: Board) -> None:
    def broken() -> str:
        raise RuntimeError("no session")

    app = FastAPI()
    app.include_router(router(board, actor=broken))
    with Client(app) as client, pytest.raises(RuntimeError, match="no session"):
        client.get("/deals/d/options")


def test_without_fastapi_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['fastapi'] = None\n"
        "try: import ladderpipe.fastapi\n"
        "except ModuleNotFoundError as error: print(error)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install '.[fastapi]'" in shown.stdout
