"""Several pipelines in one application: each in its folder, seen by whoever may, one of another."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ladderpipe import Board, Event, ManualClock, Scope
from ladderpipe.asynchronous import AsyncBoard
from ladderpipe.errors import DefinitionError
from ladderpipe.web import Access, Action, BoardApp, User
from tests.board_app.clients import Client
from tests.board_app.conftest import START
from tests.board_app.shop import Team, application, pipeline, renewals, tell, who
from tests.board_app.test_pages import JSON, PAGES, form
from tests.board_app.test_refusals import ELSEWHERE, POSTS
from tests.shops import make_store

ADA = {"contact": {"name": "Ada Rossi", "email": "ada@example.com"}, "company": "Rossi"}


class Own(Access):
    """Everybody sees their own deals; carla sees nothing of this pipeline."""

    def scope(self, user: User) -> Scope | None:
        return Scope(owners=[user.id])

    def may(self, user: User, action: Action, deal: Any) -> bool:
        return user.id != "carla" and super().may(user, action, deal)


class Boards:
    """The team's board and that of renewals on one store, and a shop's elsewhere."""

    def __init__(self, store: Any, clock: ManualClock, kind: str) -> None:
        self.clock = clock
        self.team = Board(pipeline(), store=store, clock=clock)
        self.renewals = Board(renewals(), store=store, clock=clock)
        self.elsewhere = Board(renewals(), clock=clock)
        for board, deal, owner in (
            (self.team, "d-1", "anna"),
            (self.team, "d-2", "bea"),
            (self.renewals, "d-1", "bea"),
            (self.renewals, "r-2", "anna"),
            (self.renewals, "r-3", "bea"),
            (self.elsewhere, "e-1", "bea"),
        ):
            title = f"{board.pipeline.name} {deal}"
            tell(board, deal, clock.now(), owner=owner, title=title, **ADA)
            clock.advance(minutes=1)
        found = {"team": self.team, "renewals": self.renewals, "elsewhere": self.elsewhere}
        self.served: dict[str, Any] = {
            name: board
            if kind == "threads"
            else AsyncBoard(board.pipeline, store=board.store, clock=clock)
            for name, board in found.items()
        }


@pytest.fixture(params=["threads", "awaited"])
def boards(request: pytest.FixtureRequest) -> Boards:
    return Boards(make_store("memory", None), ManualClock(START), request.param)


@pytest.fixture
def client(boards: Boards) -> Iterator[Callable[..., Client]]:
    """Return what makes a client for somebody, of an application with three boards."""
    opened: list[Client] = []

    def make(user: str | None = "bea", **settings: Any) -> Client:
        access = {"team": Team(), "renewals": Own(), "elsewhere": Own()}
        app = application(boards.served, **{"access": access, **settings})
        opened.append(Client(app, user=user))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def boards_named(page: str) -> list[str]:
    """Return the addresses to which a page lets its reader go over."""
    nav = re.search(r'<nav class="boards".*?</nav>', page, re.DOTALL)
    return re.findall(r'href="([^"]+)"', nav[0]) if nav else []


def test_every_board_has_its_pages_in_a_folder_of_its_own(client: Any, boards: Boards) -> None:
    anna = client("anna")
    for page in PAGES:
        shown = anna.get(f"/team{page}")
        assert shown.status_code == 200, page
        assert 'href="../static/board.css"' in shown.text
        assert anna.get(f"/team{page}", headers=JSON).status_code == 200, page
    assert anna.get("/static/board.css").status_code == 200
    assert "renewals d-1" in client().get("/renewals/deal?deal=d-1").text
    moved = client().post("/renewals/move", data={"deal": "d-1", "into": "renewed"})
    assert (moved.status_code, moved.headers["location"]) == (303, "deal?deal=d-1")
    assert (boards.team.deal("d-1").stage, boards.renewals.deal("d-1").stage) == (
        "contact",
        "renewed",
    )
    told = anna.get("/team/api/openapi.json").json()
    assert told["info"]["title"] == "Team sales"


def test_a_board_without_its_slash_is_found(client: Any) -> None:
    assert client().get("/team").headers["location"] == "/team/"


def test_the_application_leads_to_the_first_board_that_somebody_sees(client: Any) -> None:
    assert client().get("/").headers["location"] == "team/"
    told = client().get("/", headers=JSON).json()["boards"]
    assert [(each["name"], each["pipeline"], each["at"]) for each in told] == [
        ("team", "team", "team/"),
        ("renewals", "renewals", "renewals/"),
        ("elsewhere", "renewals", "elsewhere/"),
    ]
    nobody = client("carla", access=Own())
    assert nobody.get("/").status_code == 403
    assert nobody.get("/tasks").status_code == 403


def test_people_go_over_from_board_to_board(client: Any) -> None:
    page = client().get("/team/").text
    assert boards_named(page) == ["../team/", "../renewals/", "../elsewhere/"]
    assert re.search(r'href="../team/" aria-current="true"', page)
    # Where two are called the same, it says which is which.
    assert "Renewals (elsewhere)" in page
    assert boards_named(client("carla").get("/team/").text) == []
    alone = client(access=Team()).get("/tasks").text
    assert boards_named(alone) == ["team/", "renewals/", "elsewhere/"]


def test_a_board_that_somebody_may_not_see_is_not_there(client: Any) -> None:
    carla = client("carla")
    for path in ("/", "/deal?deal=d-1", "/tasks", "/changes", "/customer?key=ada@example.com"):
        hidden, absent = carla.get(f"/renewals{path}"), carla.get(f"/nowhere{path}")
        assert hidden.status_code == absent.status_code == 404, path
        assert hidden.text == absent.text
        assert "Renewals" not in hidden.text
    for path in POSTS:
        data = {"deal": "d-1", "into": "renewed"}
        hidden = carla.post(f"/renewals{path}", data=data, headers=JSON)
        absent = carla.post(f"/nowhere{path}", data=data, headers=JSON)
        assert (hidden.status_code, hidden.content) == (404, absent.content), path
    assert carla.get("/", headers=JSON).json()["boards"][0]["name"] == "team"


def test_who_is_not_signed_in_learns_of_no_board(client: Any) -> None:
    stranger = client(None)
    for name in ("team", "nowhere"):
        assert stranger.get(f"/{name}").status_code == 307
        assert stranger.get(f"/{name}/", headers=JSON).status_code == 401
        shown = stranger.get(f"/{name}/")
        assert (shown.status_code, "Team" in shown.text) == (401, False)
        assert stranger.get(f"/{name}/nowhere").status_code == 404
        assert stranger.post(f"/{name}/move", data={"deal": "d-1"}).status_code == 401
    sent = client(None, login_url="/login").get("/team/deal?deal=d-1")
    assert sent.headers["location"] == "/login?next=%2Fteam%2Fdeal%3Fdeal%3Dd-1"


def test_nothing_is_done_for_another_sites_page_on_any_board(client: Any) -> None:
    for path in POSTS:
        for name in ("team", "renewals", "nowhere"):
            for headers in ELSEWHERE:
                answer = client().post(f"/{name}{path}", data={"deal": "x"}, headers=headers)
                assert answer.status_code == 403, (name, path, headers)


def test_what_needs_somebody_in_any_pipeline_is_on_one_page(client: Any, boards: Boards) -> None:
    boards.team.move("d-2", "offer", by="bea")
    bea = client()
    told = bea.get("/tasks", headers=JSON).json()["boards"]
    found = {name: [task["deal"] for task in each["tasks"]] for name, each in told.items()}
    assert found == {"team": ["d-2"], "renewals": ["d-1", "r-3"], "elsewhere": ["e-1"]}
    page = bea.get("/tasks").text
    assert page.index("renewals d-1") < page.index("team d-2")
    assert 'href="renewals/deal?deal=r-3"' in page
    # What is done from here leads back to here.
    fields = form(page, "renewals/done", deal="r-3")
    done = bea.post("/renewals/done", data=fields)
    assert (done.status_code, done.headers["location"]) == (303, "../tasks")
    assert [task.deal for task in boards.renewals.tasks(owner="bea")] == ["d-1"]
    # One pipeline's alone stands in its folder.
    own = bea.get("/team/tasks")
    assert "team d-2" in own.text
    assert "renewals d-1" not in own.text
    assert 'href="../tasks"' in own.text
    assert form(own.text, "done")["back"] == "tasks"


def test_nobody_is_shown_what_needs_others_where_they_do_not_see_it(client: Any) -> None:
    told = client("carla").get("/tasks?of=all", headers=JSON).json()["boards"]
    assert list(told) == ["team"]
    told = client().get("/tasks?of=all", headers=JSON).json()["boards"]
    assert [deal["id"] for deal in told["renewals"]["no_next_step"]] == []
    assert {task["deal"] for task in told["renewals"]["tasks"]} == {"d-1", "r-3"}


def test_a_customers_deals_of_other_pipelines_of_the_store_are_shown_to_whoever_sees_them(
    client: Any,
) -> None:
    bea = client()
    page = bea.get("/team/deal?deal=d-2").text
    others = page[page.index('id="others"') :]
    for deal in ("d-1", "r-3"):
        assert f'href="../renewals/deal?deal={deal}"' in others
    # Neither those of colleagues, nor those of another database.
    assert "r-2" not in others
    assert "e-1" not in others
    assert "deal?deal=d-1" not in others.replace("../renewals/deal?deal=d-1", "")
    for key in ("ada@example.com", "company:ROSSI"):
        told = bea.get(f"/renewals/customer?key={key}", headers=JSON).json()["deals"]
        found = [(deal["pipeline"], deal["id"]) for deal in told]
        assert found == [("renewals", "r-3"), ("renewals", "d-1"), ("team", "d-2")]
        shown = bea.get(f"/renewals/customer?key={key}").text
        assert re.findall(r"<h2>([^<]+)</h2>", shown) == ["Renewals (renewals)", "Team sales"]
        assert 'href="../team/options?deal=d-2"' in shown
    carla = client("carla").get("/team/customer?key=ada@example.com", headers=JSON)
    assert carla.json()["deals"] == []


def test_cards_of_other_pipelines_say_what_is_held_of_them(client: Any, boards: Boards) -> None:
    odd = Event("lead", deal="d-1", id="odd", at=boards.clock.now(), data={"value": "much"})
    boards.renewals.handle(odd, hold=True)
    told = client().get("/team/customer?key=ada@example.com", headers=JSON).json()["deals"]
    found = {(deal["pipeline"], deal["id"]): deal["is_held"] for deal in told}
    assert found == {("team", "d-2"): False, ("renewals", "d-1"): True, ("renewals", "r-3"): False}


def test_one_pipeline_may_be_shown_to_two_groups(boards: Boards) -> None:
    class Nothing(Access):
        def scope(self, user: User) -> Scope | None:
            return Scope(owners=[])

    served = {"all": boards.served["team"], "none": boards.served["team"]}
    access = {"all": Team(), "none": Nothing()}
    with Client(application(served, access=access), user="anna") as anna:
        page = "customer?key=ada@example.com"
        assert len(anna.get(f"/all/{page}", headers=JSON).json()["deals"]) == 2
        assert anna.get(f"/none/{page}", headers=JSON).json()["deals"] == []
        assert 'href="deal?deal=d-2"' in anna.get("/all/deal?deal=d-1").text


def test_a_pipeline_that_is_being_changed_keeps_no_others_page_back(
    client: Any, boards: Boards
) -> None:
    assert "r-3" in client().get("/team/deal?deal=d-2").text
    changed = renewals()
    with boards.renewals.store.transaction() as transaction:
        row = transaction.pipeline(changed.name, change=True)
        assert row is not None
        transaction.save_pipeline(changed.name, "another", row.definition, None)
    title = "Renewals (renewals)"
    for path in ("/team/deal?deal=d-2", "/team/customer?key=ada@example.com"):
        page = client().get(path)
        assert (page.status_code, "r-3" in page.text) == (200, False)
        assert re.search(rf"being changed: the deals of {re.escape(title)}", page.text)
        assert client().get(path, headers=JSON).json()["unread"] == [title]


def test_boards_that_were_opened_one_by_one_are_known_to_share_a_store(
    tmp_path: Any, clock: ManualClock
) -> None:
    url = f"sqlite:///{tmp_path / 'team.db'}"
    with Board.open(pipeline(), url, clock) as team, Board.open(renewals(), url, clock) as later:
        tell(team, "d-1", clock.now(), owner="anna", **ADA)
        tell(later, "r-1", clock.now(), owner="anna", **ADA)
        with Client(application({"team": team, "renewals": later}), user="anna") as anna:
            assert "../renewals/deal?deal=r-1" in anna.get("/team/deal?deal=d-1").text


def test_it_is_clear_who_may_see_what(tmp_path: Any) -> None:
    team, later = Board(pipeline()), Board(renewals())
    both = {"team": team, "renewals": later}
    for access in ({"team": Team()}, {**dict.fromkeys(both, Team()), "more": Team()}, {}):
        with pytest.raises(DefinitionError, match="who may see what"):
            BoardApp(both, user=who, access=access)
    with pytest.raises(DefinitionError, match="by name"):
        BoardApp(team, user=who, access={"team": Team()})
    with pytest.raises(DefinitionError, match="at least one"):
        BoardApp({}, user=who)


@pytest.mark.parametrize("name", ["", "a/b", "a b", "è", "tasks", "static", "deal", ".", "..", 7])
def test_a_name_that_cannot_stand_in_an_address_is_refused(name: Any) -> None:
    with pytest.raises(DefinitionError, match="part of its address"):
        BoardApp({name: Board(pipeline())}, user=who)


def test_several_boards_under_wsgi_are_all_plain(boards: Boards) -> None:
    team = Board(pipeline(), store=boards.team.store)
    mixed = {"team": team, "renewals": AsyncBoard(renewals(), store=boards.team.store)}
    with pytest.raises(DefinitionError, match="WSGI"):
        application(mixed).wsgi()
    assert application({"team": team}).wsgi()
