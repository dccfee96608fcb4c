"""The application: from a request to the page or the act it asks for, and back."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import attrs
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Receive, Scope, Send

from ..board.board import Board
from ..errors import DefinitionError
from ..extras import how_to_install
from ..observability.log_records import record
from ..problems import MEDIA_TYPE
from ..problems.words import asked_for
from ..stores.filters import Scope as DealScope
from .access import Access, User
from .call import Answer, Call, Document, Done, Other, Page, Unchanged, link
from .feed import Listening
from .live import EventStream
from .query import MAX_BODY, Params, form_of, query_of
from .refusal import Refusal, refusal_of
from .render import Templates
from .reports import Reports
from .routes import OVERVIEWS, ROUTES, Overview, Route
from .served import Served, served, titles
from .words import LANGUAGES, Words, words_in

if TYPE_CHECKING:
    from ..asynchronous import AsyncBoard

__all__ = ["BoardApp"]

SERVED: Final = logging.getLogger("ladderpipe.web")
STATIC: Final = "/static/"
DJANGO_USER: Final = "ladderpipe.user"
"""Where Django's view puts whom Django has signed in; no client can name it."""

HEADERS: Final = (
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "same-origin"),
)
"""Nothing inline, nothing from elsewhere, in nobody else's frame."""

TAKEN: Final = {"static", *(path.split("/")[1] for path in (*ROUTES, *OVERVIEWS))} - {""}
"""Names that no board among several can have."""


class BoardApp:
    """A board for people, as an ASGI application to serve or to mount.

    It holds no session and no cookie: the host application says who is asking. Pages work without
    JavaScript; the same addresses answer JSON to ``Accept: application/json``.

    Args:
        board: a ``Board``, used in threads, or an ``AsyncBoard``, awaited; or several of them by
            name, each of which has its pages in the folder of that name.
        user: called with each request, plain or ``async``; returns who it is, ``None`` for nobody.
            It is given Starlette's ``Request``, and by :func:`board_view` Django's ``HttpRequest``.
        access: what they may see and do; of several boards by name, if they differ.
        language: of the page, unless the user has one; the pipeline's own when left out.
        login_url: where somebody is sent who is not signed in, with ``?next=``; they are refused
            with 401 when left out.
        trusted_origins: further origins, such as ``"https://crm.example.com"``, whose pages may
            post here; the page's own always may.
        listeners: how many pages of a board at most are told of changes as they happen, each over
            an answer that is kept open; further ones ask every other moment, as all do under WSGI.
            With 0 all do: for servers and proxies that keep no answer open.

    Raises:
        DefinitionError: there is no such language, a name cannot stand in an address, the names of
            *access* are not those of the boards, or *listeners* is no such number.
    """

    def __init__(
        self,
        board: Board | AsyncBoard | Mapping[str, Board | AsyncBoard],
        *,
        user: Callable[[Any], Any],
        access: Access | Mapping[str, Access] | None = None,
        language: str | None = None,
        login_url: str | None = None,
        trusted_origins: Iterable[str] = (),
        listeners: int = 1_000,
    ) -> None:
        if language is not None and language not in LANGUAGES:
            raise DefinitionError(
                f"BoardApp(language={language!r}): its pages speak {', '.join(LANGUAGES)}"
            )
        if isinstance(listeners, bool) or not isinstance(listeners, int) or listeners < 0:
            raise DefinitionError(f"BoardApp(listeners={listeners!r}): give a number, 0 for none")
        self._served = served(board, access, TAKEN)
        self._is_alone = not isinstance(board, Mapping)
        self._who = user
        self._language = language
        self._login_url = login_url
        self._trusted = frozenset(trusted_origins)
        self._listeners = listeners
        self._templates = Templates()
        self._static = StaticFiles(directory=Path(__file__).parent / "static")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI has it."""
        if scope["type"] == "lifespan":
            return await _lifespan(receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": 1000})
        path = scope["path"].removeprefix(scope.get("root_path", "").rstrip("/"))

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                named = {name for name, _ in message["headers"]}
                ours = [(k.encode(), v.encode()) for k, v in HEADERS]
                message["headers"] += [each for each in ours if each[0] not in named]
            await send(message)

        if path.startswith(STATIC) and scope["method"] in ("GET", "HEAD"):
            return await self._file(path, scope, receive, guarded)
        try:
            response = await self._answered(Request(scope, receive), path)
        except ClientDisconnect:
            return None
        response.headers.setdefault("cache-control", "private, no-cache")
        response.headers.setdefault("vary", "Accept, Accept-Language, Cookie")
        return await response(scope, receive, guarded)

    def wsgi(self) -> Any:
        """Return it as a WSGI application, for Flask and any WSGI server.

        Raises:
            DefinitionError: the board is an ``AsyncBoard``, which has to be awaited.
            ModuleNotFoundError: the extra ``wsgi`` is not installed.
        """
        if not all(isinstance(each.board, Board) for each in self._served):
            raise DefinitionError(
                "an AsyncBoard has to be awaited, and WSGI awaits nothing: open a Board for it"
            )
        try:
            from a2wsgi import ASGIMiddleware
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                f"app.wsgi() needs a2wsgi: {how_to_install('wsgi')}", name=error.name
            ) from error
        application: Any = self
        return ASGIMiddleware(application)

    def user_of(self, request: Any) -> User | None:
        """Return whom the host application has signed in; Django's view asks it in its thread."""
        found: User | None = self._who(request)
        return found

    # -- one request --------------------------------------------------------------------------

    async def _file(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        from starlette.exceptions import HTTPException

        try:
            response = await self._static.get_response(path.removeprefix(STATIC), scope)
        except HTTPException as error:
            response = Response(status_code=error.status_code)
        # Asked about each time, so that an upgrade's pages never meet an older script.
        response.headers["cache-control"] = "no-cache"
        await response(scope, receive, send)

    async def _answered(self, request: Request, path: str) -> Response:
        place = self._place(path)
        place.is_live = self._is_live(request)
        user, words = None, self._words(request, None, self._served[0])
        try:
            if not place.page:
                return RedirectResponse(f"{request.scope.get('root_path', '')}{path}/")
            route = _route(place, request.method, words)
            if request.method == "POST":
                self._refuse_other_sites(request, words)
            user = await self._user(request)
            words = self._words(request, user, self._served[0])
            if user is None:
                return self._unknown(request, words)
            seen = await run_in_threadpool(self._seen_by, user)
            if isinstance(route, Overview):
                answer = await self._overview(route, request, user, words, seen)
            else:
                asked = next((each for each in seen if each.name == place.name), None)
                if asked is None:
                    raise _no_such_page(words)
                place.asked = asked
                words = self._words(request, user, asked)
                if not await run_in_threadpool(asked.access.may, user, route.action, None):
                    raise _not_allowed(words)
                answer = await self._done(route, asked, request, user, words, seen)
            return await self._response(answer, place, request, user, words)
        except ClientDisconnect:
            raise
        except Exception as error:
            refusal = refusal_of(error, words)
            if refusal is None:
                record(SERVED, logging.ERROR, "a page failed", error=error, path=path)
                detail = words.gettext("Something went wrong here. It was written down.")
                refusal = Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, detail)
            return await self._refused(refusal, place, request, user, words)

    def _place(self, path: str) -> Place:
        root = "../" * (path.count("/") - 1)
        if self._is_alone:
            return Place(path, root, asked=self._served[0])
        name, slash, rest = path[1:].partition("/")
        if slash:
            return Place(f"/{rest}", root, name)
        # A board's folder is asked for as one, whether there is such a board or not.
        return Place(path if path in OVERVIEWS else "", root, is_overview=True)

    def _seen_by(self, user: User) -> list[Served]:
        """Return the boards that somebody may know of; the only one is there for everybody."""
        return [each for each in self._served if self._is_alone or each.is_seen_by(user)]

    async def _done(
        self,
        route: Route,
        asked: Served,
        request: Request,
        user: User,
        words: Words,
        seen: Sequence[Served],
    ) -> Answer:
        query = query_of(request.scope["query_string"], words)
        form = Params({}, words)
        if request.method == "POST":
            kind = request.headers.get("content-type", "")
            form = form_of(await _body(request, words), kind, words)
        scope = await run_in_threadpool(asked.access.scope, user)
        called = titles(seen, words)
        others: tuple[Other, ...] = ()
        if route.is_wide:
            others = await run_in_threadpool(_others, asked, user, called, seen)
        etag = request.headers.get("if-none-match", "")
        heard = request.headers.get("last-event-id", "")
        feed = asked.feed(self._listeners) if self._is_live(request) else None

        def work(board: Board) -> Answer:
            return route.view(
                Call(
                    board,
                    user,
                    asked.access,
                    scope,
                    query,
                    form,
                    words,
                    asked.reports.page,
                    etag=etag,
                    name=asked.name,
                    title=called[asked.name],
                    others=others,
                    heard=heard,
                    feed=feed,
                )
            )

        return await (asked.ask_at_length(work) if route.is_long else asked.ask(work))

    async def _overview(
        self,
        route: Overview,
        request: Request,
        user: User,
        words: Words,
        seen: Sequence[Served],
    ) -> Answer:
        query, form = query_of(request.scope["query_string"], words), Params({}, words)
        called, found = titles(seen, words), []
        for asked in seen:
            scope = await run_in_threadpool(asked.access.scope, user)

            def work(board: Board, asked: Served = asked, scope: DealScope | None = scope) -> Any:
                return route.gather(
                    Call(
                        board,
                        user,
                        asked.access,
                        scope,
                        query,
                        form,
                        words,
                        asked.reports.page,
                        name=asked.name,
                        title=called[asked.name],
                        folder=f"{asked.name}/",
                    )
                )

            found.append(await asked.ask(work))
        if not found:
            raise _not_allowed(words)
        return route.show(found)

    def _is_live(self, request: Request) -> bool:
        """Whether pages are told of changes: under WSGI each of them would keep a thread."""
        return self._listeners > 0 and "wsgi_environ" not in request.scope

    async def _user(self, request: Request) -> User | None:
        environ = request.scope.get("wsgi_environ", {})
        if DJANGO_USER in environ:
            known: User | None = environ[DJANGO_USER]
            return known
        if inspect.iscoroutinefunction(self._who):
            awaited: User | None = await self._who(request)
            return awaited
        return await run_in_threadpool(self.user_of, request)

    def _unknown(self, request: Request, words: Words) -> Response:
        if self._login_url is None or request.method == "POST" or _wants_json(request):
            raise Refusal(HTTPStatus.UNAUTHORIZED, words.gettext("Sign in first."))
        asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(link(self._login_url, next=asked), HTTPStatus.SEE_OTHER)

    def _refuse_other_sites(self, request: Request, words: Words) -> None:
        """Let only the page's own origin post here, and those that are trusted.

        A browser says where a request comes from; what says nothing is no browser, and holds no
        cookie that somebody else's page could use.
        """
        origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
        if origin in self._trusted:
            return
        if site is not None:
            is_own = site == "same-origin"
        else:
            is_own = origin is None or urlsplit(origin).netloc == request.headers.get("host")
        if not is_own:
            raise Refusal(HTTPStatus.FORBIDDEN, words.gettext("This came from another site."))

    def _words(self, request: Request, user: User | None, asked: Served) -> Words:
        pipeline = asked.pipeline
        told = asked_for(request.headers.get("accept-language", ""), LANGUAGES)
        own = next((each for each in pipeline.titles if each in LANGUAGES), None)
        language = (user and user.language) or self._language or own or told
        return words_in(language[:20], pipeline.zone)

    async def _response(
        self, answer: Answer, place: Place, request: Request, user: User, words: Words
    ) -> Response:
        if isinstance(answer, Unchanged):
            return Response(status_code=HTTPStatus.NOT_MODIFIED)
        if isinstance(answer, Listening):
            return EventStream(answer)
        if isinstance(answer, Document):
            own = {"content-security-policy": answer.policy}
            return Response(answer.text, media_type="text/html", headers=own)
        headers = {"etag": answer.etag} if isinstance(answer, Page) and answer.etag else None
        is_data = isinstance(answer, Page) and not answer.template
        if is_data or _wants_json(request):
            return JSONResponse(answer.record, headers=headers)
        if isinstance(answer, Done):
            return RedirectResponse(answer.to, HTTPStatus.SEE_OTHER)
        text = await run_in_threadpool(self._shown, answer, place, user, words)
        return Response(text, media_type="text/html", headers=headers)

    def _shown(self, page: Page, place: Place, user: User | None, words: Words) -> str:
        seen = self._seen_by(user) if user is not None else []
        asked = place.asked
        called = titles(seen or ([asked] if asked is not None else []), words)
        if asked is not None:
            heading = called[asked.name]
        else:
            heading = words.gettext("All pipelines") if user else words.gettext("Board")
        return self._templates.rendered(
            page,
            words,
            user=user,
            heading=heading,
            pipeline=asked and asked.pipeline,
            root=place.root,
            home=place.home,
            is_live=place.is_live,
            boards=[(name, title, f"{place.root}{name}/") for name, title in called.items()],
            board=asked and asked.name,
            has_reports=asked is not None
            and user is not None
            and Reports.are_offered()
            and asked.access.may(user, "reports", None),
        )

    async def _refused(
        self,
        refusal: Refusal,
        place: Place,
        request: Request,
        user: User | None,
        words: Words,
    ) -> Response:
        if _wants_json(request):
            return JSONResponse(refusal.problem(), refusal.status, refusal.headers, MEDIA_TYPE)
        page = Page("refused.html", {"refusal": refusal}, {})
        text = await run_in_threadpool(self._shown, page, place, user, words)
        return Response(text, refusal.status, refusal.headers, "text/html")


@attrs.define
class Place:
    """Where a request leads.

    Attributes:
        page: from a board's own folder on, or from that of an application with several.
        root: the way from there to the application's folder.
        name: the board's, among several.
        asked: the board, once it is known that there is one and that the user sees it.
        is_live: whether its page is told of changes.
    """

    page: str
    root: str
    name: str = ""
    is_overview: bool = False
    asked: Served | None = None
    is_live: bool = False

    @property
    def home(self) -> str:
        """The way to the folder in which the page stands with others of its board."""
        return "../" * (self.page.count("/") - 1) or "./"


def _others(
    asked: Served, user: User, called: Mapping[str, str], seen: Iterable[Served]
) -> tuple[Other, ...]:
    """Return the other boards that somebody sees of those in one store with the one asked.

    Of boards that show one pipeline, each to others, the first stands for it.
    """
    found = {asked.pipeline.name: asked}
    for each in seen:
        if each.is_in_the_store_of(asked):
            found.setdefault(each.pipeline.name, each)
    return tuple(
        Other(each.plain, each.access.scope(user), called[each.name], f"../{each.name}/")
        for each in found.values()
        if each is not asked
    )


def _route(place: Place, method: str, words: Words) -> Route | Overview:
    routes: Mapping[str, Mapping[str, Route | Overview]]
    routes = OVERVIEWS if place.is_overview else ROUTES
    at_path = routes.get(place.page)
    if at_path is None:
        raise _no_such_page(words)
    route = at_path.get("GET" if method == "HEAD" else method)
    if route is None:
        allowed = {"Allow": ", ".join(at_path)}
        detail = words.gettext("This address takes no such request.")
        raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, detail, headers=allowed)
    return route


def _no_such_page(words: Words) -> Refusal:
    return Refusal(HTTPStatus.NOT_FOUND, words.gettext("There is no such page."))


def _not_allowed(words: Words) -> Refusal:
    return Refusal(HTTPStatus.FORBIDDEN, words.gettext("You may not do this."))


def _wants_json(request: Request) -> bool:
    accepted = request.headers.get("accept", "")
    is_program = "json" in accepted or EventStream.media_type in accepted
    return is_program and "text/html" not in accepted


async def _body(request: Request, words: Words) -> bytes:
    """Return what was posted.

    Raises:
        Refusal: 413, it is too large.
    """
    body, length = bytearray(), request.headers.get("content-length", "0")
    too_large = Refusal(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, words.gettext("This is too much at once.")
    )
    if not (length.isascii() and length.isdigit() and int(length[:20]) <= MAX_BODY):
        raise too_large
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY:
            raise too_large
    return bytes(body)


async def _lifespan(receive: Receive, send: Send) -> None:
    for _ in ("startup", "shutdown"):
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
