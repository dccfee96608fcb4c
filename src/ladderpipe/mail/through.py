"""Handlers that hand mails to whatever the shop sends with already: Django, or any function."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any, Final

import attrs

from .handler import HEADERS, EmailHandler
from .smtp import undeliverable_if_refused

__all__ = ["DjangoMailer", "MailThrough"]


OWN_HEADERS: Final = (
    "Message-ID",
    "Date",
    "Auto-Submitted",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
)
"""What Django does not write by itself, or would write otherwise."""


def _way(given: Any) -> Callable[[EmailMessage], Any]:
    send = getattr(given, "send_message", given)
    if not callable(send):
        raise ValueError(
            f"MailThrough got {given!r}: give a function that takes an email.message.EmailMessage, "
            "or what has send_message, such as an smtplib.SMTP"
        )
    if inspect.iscoroutinefunction(send) or inspect.iscoroutinefunction(type(send).__call__):
        raise ValueError(
            f"MailThrough got {given!r}, which has to be awaited: give a plain function; for an "
            "AsyncBoard, compose the message in an async def handler of your own"
        )
    found: Callable[[EmailMessage], Any] = send
    return found


@attrs.frozen
class MailThrough(EmailHandler):
    """Hands mails to a function of yours, or to what has ``send_message``.

        board.handle_effect("email", MailThrough(client.send, sender="Shop <shop@example.com>"))

    What it raises has the mail tried again; ``UndeliverableError`` gives it up, and so does what
    ``smtplib`` raises where a server refuses recipient or message for good. Workers may run in
    several threads, each of which calls it.

    Args:
        send: takes an ``email.message.EmailMessage``; it has gone out when this returns.

    The other arguments are those of :class:`EmailHandler`.

    Raises:
        ValueError: it is neither, or has to be awaited.
    """

    through: Callable[[EmailMessage], Any] = attrs.field(alias="send", converter=_way)

    def send(self, message: EmailMessage) -> None:
        """Hand a message on."""
        with undeliverable_if_refused(message):
            self.through(message)


@attrs.frozen
class DjangoMailer(EmailHandler):
    """Sends through Django: its settings say how, its backends and those of others do it.

        board.handle_effect("email", DjangoMailer(sender="Shop <shop@example.com>"))

    Each mail is a ``django.core.mail.EmailMultiAlternatives`` with the headers that
    :class:`Mailer` would send. Django's own mails and these then go the same way.

    Args are those of :class:`EmailHandler`.

    Raises:
        ModuleNotFoundError: Django is not installed.
    """

    _multi: Any = attrs.field(init=False, repr=False, eq=False)

    @_multi.default
    def _of_django(self) -> Any:
        try:
            from django.core.mail import EmailMultiAlternatives
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "DjangoMailer needs Django, which is not installed: pip install django",
                name=error.name,
            ) from error

        def message(told: Any, **named: Any) -> Any:
            # Since Django 6, headers are written by Python's email package, which encodes an
            # address that is longer than a line: then no mail program finds it.
            if policy := named.get("policy"):
                named["policy"] = policy.clone(header_factory=HEADERS)
            return EmailMultiAlternatives.message(told, **named)

        return type("OnOneLine", (EmailMultiAlternatives,), {"message": message})

    def send(self, message: EmailMessage) -> None:
        """Hand a message to the backend that Django's settings name.

        Raises:
            UndeliverableError: a server refuses the recipient or the message for good.
            OSError: the backend says that nothing was sent.
        """
        plain, html = message.get_body(["plain"]), message.get_body(["html"])
        assert plain is not None and html is not None
        told = self._multi(
            subject=str(message["Subject"]),
            body=plain.get_content(),
            from_email=str(message["From"]),
            to=[str(message["To"])],
            reply_to=[str(message["Reply-To"])] if message["Reply-To"] else None,
            headers={name: str(message[name]) for name in OWN_HEADERS if name in message},
        )
        told.attach_alternative(html.get_content(), "text/html")
        with undeliverable_if_refused(message):
            if not told.send():
                raise OSError(f"Django's backend has not sent mail {message['Message-ID']}")
