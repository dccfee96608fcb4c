"""Links in mails that nobody else can make up: back to the cart, and out of the mails.

Each is an address of yours with a token, signed by ``itsdangerous``. Served by a ``Receiver``, or
read by your own view. RFC 8058 (one-click unsubscribing); mail scanners open every link, so what
opening one does is harmless.
"""

from __future__ import annotations

import abc
import datetime as dt
import hashlib
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

import attrs

from ..board.board import Board
from ..errors import DefinitionError
from ..extras import how_to_install
from ..model.clock import Clock, SystemClock, instant, instant_text
from ..model.deal import Deal
from ..model.event import LINK_CLICKED, Event
from .address import checked_url
from .connector import Refused, checked_secrets
from .pages import Page, page
from .reply import Reply
from .request import Headers

if TYPE_CHECKING:
    from ..model.effect import Delivery

__all__ = ["Clicked", "RestoreLink", "SignedLink", "UnsubscribeLink"]

SOURCE: Final = "ladderpipe.links"
LONGEST_TOKEN: Final = 8_000
AGAIN: Final = dt.timedelta(minutes=30)
"""A second click on one link within this time tells nothing new."""
EXPIRES: Final = dt.timedelta(days=30)


class SignedLink(abc.ABC):
    """An address with a token that only who has a secret can make.

    Args:
        url: where a ``Receiver``, or your own view, answers; ``https``, or this machine.
        secrets: long random texts, the same wherever links are made and read; several while one
            is being replaced: the first signs, and each is taken.
        clock: tells when a link is made or opened.

    Raises:
        DefinitionError: the address or a secret is none, or the extra ``connect`` is missing.
    """

    expires: dt.timedelta | None = None
    """How long after it was made a link is taken; for ever, if it is ``None``."""

    def __init__(self, url: str, *, secrets: Sequence[str], clock: Clock | None = None) -> None:
        self._url = checked_url(url, plain_http=False)
        self._clock = SystemClock() if clock is None else clock
        keys = checked_secrets(secrets, type(self).__name__)
        self._serializer = _serializer(list(keys), type(self).__name__, self._clock)

    def sign(self, told: Sequence[str]) -> str:
        """Return the address with a token that holds these texts, for whoever has it to read."""
        token = self._serializer.dumps(list(told))
        text = token.decode() if isinstance(token, bytes) else token
        return f"{self._url}{'&' if '?' in self._url else '?'}{urlencode({'token': text})}"

    def told(self, token: str, parts: int) -> list[str]:
        """Return the texts that a token holds.

        Raises:
            Refused: no secret has signed it, or it has expired.
        """
        if not isinstance(token, str) or not 0 < len(token) <= LONGEST_TOKEN:
            raise Refused("there is no token, or none of ours: take the link as it was sent")
        age = None if self.expires is None else self.expires // dt.timedelta(seconds=1)
        try:
            found = self._serializer.loads(token, max_age=age)
        except _library().SignatureExpired:
            raise Refused("the link is too old") from None
        except _library().BadData:
            raise Refused("no secret has signed this token: take the link as it was sent") from None
        if not isinstance(found, list) or len(found) != parts:
            raise Refused("the token is one of ours, and not for this")
        return [str(part) for part in found]

    @abc.abstractmethod
    def answer(self, board: Board, method: str, token: str, headers: Headers) -> Reply:
        """Answer a request for this link; the receiver has read the token.

        Raises:
            Refused: the token is none of ours, or too old.
        """


@attrs.frozen(kw_only=True)
class Clicked:
    """What a link back to a cart says: whose it is, and which mail it stood in.

    Attributes:
        deal: id of the deal.
        effect: key of the effect that the mail was.
        template: name of the mail; empty if it had none.
    """

    pipeline: str
    deal: str
    effect: str
    template: str

    def event(self, at: dt.datetime | str) -> Event:
        """Return the fact that somebody has clicked, ``link.clicked``."""
        at = instant(at)
        return Event(
            LINK_CLICKED,
            deal=self.deal,
            id=f"{self.effect}:{instant_text(at)}",
            at=at,
            source=SOURCE,
            data={"effect": self.effect, "template": self.template},
        )


class RestoreLink(SignedLink):
    """A link that leads whoever has it back to their cart.

        shown = "https://shop.example/cart?token={token}"
        restore = RestoreLink("https://hooks.shop.example/cart", secrets=[secret], to=shown)
        mailer = Mailer("smtp.example.com", sender="Shop <shop@example.com>", link=restore.link)
        Receiver(board, {"/cart": restore})

    The receiver notes the click as an event ``link.clicked`` and leads on to *to*. Nobody can work
    out another cart's link. A mail scanner's click cannot be told from a person's.

    Args:
        to: where the cart is shown: an address with ``{token}``, which your view reads again, or
            ``{deal}``; or a function of the deal and the token. Where it leads is written here,
            and never by an event.
        expires: how long after the mail the link is taken.
    """

    def __init__(
        self,
        url: str,
        *,
        secrets: Sequence[str],
        to: str | Callable[[Deal, str], str],
        expires: dt.timedelta = EXPIRES,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(url, secrets=secrets, clock=clock)
        if expires < dt.timedelta(seconds=1):
            raise DefinitionError(f"expires={expires!r}: a link has to be taken for a while")
        self._to = to if callable(to) else _pattern(to)
        self.expires = expires

    def link(self, delivery: Delivery) -> str:
        """Return the link of a mail; what ``EmailHandler(link=…)`` takes."""
        deal, template = delivery.deal.id, str(delivery.payload.get("template") or "")
        return self.sign([delivery.pipeline, deal, delivery.key, template])

    def read(self, token: str) -> Clicked:
        """Return what a token says; nothing is noted.

        Raises:
            Refused: no secret has signed it, or it has expired.
        """
        pipeline, deal, effect, template = self.told(token, 4)
        return Clicked(pipeline=pipeline, deal=deal, effect=effect, template=template)

    def open(self, board: Board, token: str) -> Deal:
        """Note that a link was clicked, and return the deal that it leads back to.

        Raises:
            Refused: no secret has signed it, it has expired, or it is another board's.
            DealNotFoundError: the deal is not there any more.
        """
        clicked = self.read(token)
        if clicked.pipeline != board.pipeline.name:
            raise Refused("the link is of another board")
        deal = board.deal(clicked.deal)
        now = board.clock.now()
        if _is_known(board, clicked, now):
            return deal
        board.handle(clicked.event(now), hold=True)
        return board.deal(clicked.deal)

    def answer(self, board: Board, method: str, token: str, headers: Headers) -> Reply:
        """Note the click, and lead on to the cart."""
        if method == "POST":
            return Reply.told(HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": "GET, HEAD"})
        is_ahead = "prefetch" in f"{headers.get('sec-purpose')} {headers.get('purpose')}".lower()
        try:
            if method == "HEAD" or is_ahead:
                deal = board.deal(self.read(token).deal)
            else:
                deal = self.open(board, token)
        except LookupError:
            return page(Page.NO_CART, HTTPStatus.NOT_FOUND, headers)
        where = checked_url(self._to(deal, token), plain_http=False)
        return Reply(HTTPStatus.SEE_OTHER, b"", {"Location": where, **QUIET})


class UnsubscribeLink(SignedLink):
    """A link by which whoever has a mail ends them, in one click (RFC 8058).

        unsubscribe = UnsubscribeLink("https://hooks.shop.example/unsubscribe", secrets=[secret])
        mailer = Mailer(…, unsubscribe=unsubscribe.link)
        Receiver(board, {"/unsubscribe": unsubscribe})

    Opening it shows a page with a button and changes nothing, since mail scanners open links; the
    button's ``POST``, or the mail program's, unsubscribes. It never expires, holds no address, and
    is about the very address that the mail went to, whatever the contact has by now.
    """

    def link(self, delivery: Delivery) -> str | None:
        """Return the link of a mail; ``None`` of one that is not for the deal's customer."""
        return None if delivery.recipient is None else self.sign([delivery.recipient])

    def take(self, board: Board, token: str) -> None:
        """Unsubscribe the address that a link stands for.

        Raises:
            Refused: no secret has signed it.
        """
        (recipient,) = self.told(token, 1)
        board.unsubscribe(recipient)

    def answer(self, board: Board, method: str, token: str, headers: Headers) -> Reply:
        """Show the button, or do what it says."""
        if method == "POST":
            self.take(board, token)
            return page(Page.DONE, HTTPStatus.OK, headers)
        self.told(token, 1)
        return page(Page.ASK, HTTPStatus.OK, headers)


QUIET: Final[Mapping[str, str]] = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
}
"""Whoever is led on does not tell the token to others."""


def _is_known(board: Board, clicked: Clicked, now: dt.datetime) -> bool:
    return any(
        event.type == LINK_CLICKED
        and event.source == SOURCE
        and event.data.get("effect") == clicked.effect
        and now - event.at < AGAIN
        for event in board.events(clicked.deal)
    )


def _pattern(to: Any) -> Callable[[Deal, str], str]:
    url = checked_url(str(to).replace("{token}", "t").replace("{deal}", "d"), plain_http=False)
    if url == to:
        raise DefinitionError(
            f"to={to!r} is the same for every cart: write {{token}} or {{deal}} into it"
        )

    def lead(deal: Deal, token: str) -> str:
        named = {"{token}": quote(token, safe=""), "{deal}": quote(deal.id, safe="")}
        return str(to).replace("{token}", named["{token}"]).replace("{deal}", named["{deal}"])

    return lead


def _serializer(keys: list[str], purpose: str, clock: Clock) -> Any:
    library = _library()

    def get_timestamp(signer: object) -> int:
        return int(clock.now().timestamp())

    return library.URLSafeTimedSerializer(
        keys[::-1],  # it signs with the last
        salt=f"ladderpipe.{purpose}",
        # By default it reads the machine's clock.
        signer=type("Signer", (library.TimestampSigner,), {"get_timestamp": get_timestamp}),
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
    )


def _library() -> Any:
    try:
        import itsdangerous
    except ImportError as error:
        raise DefinitionError(
            f"links are signed by the library itsdangerous: {how_to_install('connect')}"
        ) from error
    return itsdangerous
