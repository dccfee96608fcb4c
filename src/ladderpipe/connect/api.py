"""A shop's API, asked page by page: patiently while it is busy, and not for ever."""

from __future__ import annotations

import functools
import itertools
import logging
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import attrs

from ..errors import DefinitionError, InstantError, InvalidEventError, LadderError
from ..extras import how_to_install
from ..model.clock import SystemClock
from ..model.event import Event
from ..observability.log_records import record
from .address import checked_url
from .payload import Payload, loaded, parts
from .request import retry_after

if TYPE_CHECKING:
    import httpx

__all__ = ["Api", "Unreachable", "Wait"]

CONNECT: Final = logging.getLogger("ladderpipe.connect")
Wait: TypeAlias = Callable[[float], object]
"""Waits some seconds, as ``time.sleep`` does; whoever wants to stop meanwhile raises in it."""

TRIES: Final = 5
LONGEST_WAIT: Final = 120.0
"""Seconds; a shop that wants to be left alone for longer is, until it is its turn again."""
TIMEOUT: Final = 20.0
"""Seconds for each part of a request."""
MOST_BYTES: Final = 50_000_000


class Unreachable(LadderError, ConnectionError):
    """A shop's API that did not answer, or not as it should, though it was asked again."""


@attrs.frozen
class Page:
    """What an API answered: its JSON, and how to ask for the next page.

    Attributes:
        next: the parameters of the link that says ``rel="next"``, ``None`` where there is none.
    """

    content: Any
    next: Mapping[str, str] | None


@attrs.frozen
class Api:
    """Where an API is, and what it is asked with.

    Attributes:
        url: without the path that is asked for.
        headers: the secret one, with the token.
        auth: a name and a secret instead.

    Raises:
        DefinitionError: it is no address of the web, or a secret would be read on the way.
    """

    url: str
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    auth: tuple[str, str] | None = attrs.field(default=None, repr=False)
    wait: Wait = time.sleep

    def __attrs_post_init__(self) -> None:
        checked_url(self.url, plain_http=not (self.headers or self.auth))
        _library()

    def get(
        self, path: str, params: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> Page:
        """Return one page, after as many as five tries.

        Raises:
            Unreachable: there is none to be had now.
        """
        url = self.url.rstrip("/") + path
        for tried in itertools.count(1):
            problem, pause = "", 2.0**tried
            try:
                status, told, body = self._ask(url, params, headers)
            except _library().TransportError as error:
                problem = f"did not answer ({type(error).__name__})"
            else:
                if status == 200:
                    return _page(url, body, told)
                problem = f"answered {status}"
                if status != 429 and status < 500:
                    raise Unreachable(
                        f"{url} {problem}: look whether the token is the right one, and may read "
                        "what is asked for"
                    )
                asked = retry_after(told.headers.get("retry-after"), SystemClock().now())
                pause = pause if asked is None else asked.total_seconds()
            if tried == TRIES or pause > LONGEST_WAIT:
                raise Unreachable(f"{url} {problem}, {tried} times; it is asked again later")
            self.wait(pause)
        raise AssertionError("counting has no end")

    def _ask(
        self, url: str, params: Mapping[str, Any], headers: Mapping[str, str] | None
    ) -> tuple[int, httpx.Response, bytes]:
        library = _library()
        sent = {**self.headers, **(headers or {}), "Accept": "application/json"}
        auth = self.auth or library.USE_CLIENT_DEFAULT
        # A client for each: a page is as long as a connection, and nobody has to close it.
        with (
            library.Client(timeout=TIMEOUT, headers=sent, verify=_trusted()) as client,
            client.stream("GET", url, params=params, auth=auth) as answer,
        ):
            body = bytearray()
            for chunk in answer.iter_bytes():
                body += chunk
                if len(body) > MOST_BYTES:
                    raise Unreachable(f"{url} answered more than {MOST_BYTES} bytes")
            return answer.status_code, answer, bytes(body)


def _page(url: str, body: bytes, told: httpx.Response) -> Page:
    try:
        content = loaded(body)
    except InvalidEventError as error:
        raise Unreachable(f"{url} answered 200, and {error}") from None
    link = told.links.get("next", {}).get("url")
    # Only its parameters: whoever writes the link does not say who is asked, with our token.
    return Page(content, dict(_library().URL(link).params) if link else None)


@functools.cache
def _trusted() -> ssl.SSLContext:
    """Return whom to trust: reading the list of those takes longer than most answers."""
    context: ssl.SSLContext = _library().create_ssl_context()
    return context


def _library() -> Any:
    try:
        import httpx
    except ImportError as error:
        raise DefinitionError(
            f"a shop's API is asked through httpx: {how_to_install('connect')}"
        ) from error
    return httpx


def each_told(
    payloads: Any, read: Callable[[Payload], Iterable[Event]], sender: object
) -> Iterator[Event]:
    """Read a page's payloads; one that cannot be read keeps none of the others back."""
    for payload in parts(payloads):
        try:
            events = list(read(payload))
        except (InvalidEventError, InstantError) as error:
            text, name = "what a shop answered cannot be read", type(sender).__name__
            record(CONNECT, logging.ERROR, text, error=error, sender=name)
        else:
            yield from events
