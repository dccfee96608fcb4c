"""From a delivery to an e-mail message: who it goes to, its headers, its two parts.

Standards: RFC 5322 (message), RFC 3834 (automatic messages), RFC 2369 and 8058 (unsubscribing).
"""

from __future__ import annotations

import abc
import email.errors
import email.utils
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from email.headerregistry import Address, BaseHeader, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.policy import SMTP, Policy
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote, urlsplit

import attrs

from ..errors import UndeliverableError
from ..model.clock import Clock, SystemClock
from ..model.effect import Delivery
from .templating import Mail, MailTemplates

__all__ = ["EmailHandler"]

Link: TypeAlias = Callable[[Delivery], str | None]
"""Makes the link of one mail, or none."""

LONGEST_NAME = 100
LONGEST_SUBJECT = 250
LONGEST_LINE = 998
"""Octets that RFC 5322 allows in one line."""


class _OnOneLine(UnstructuredHeader, BaseHeader):
    """A header of addresses in angle brackets, which must be neither encoded nor folded.

    The email package encodes an address that is longer than a line, and then no mail program
    finds it.
    """

    def fold(self, *, policy: Policy) -> str:
        return f"{self.name}: {self}{policy.linesep}"


HEADERS = HeaderRegistry()
HEADERS.map_to_type("list-unsubscribe", _OnOneLine)
_POLICY = SMTP.clone(header_factory=HEADERS)


def _sender(text: str) -> Address:
    try:
        return address(text)
    except ValueError as error:
        raise ValueError(f"sender={text!r}: {error}; write 'Shop <shop@example.com>'") from error


def _reply_to(text: str | None) -> Address | None:
    return None if text is None else _sender(text)


def _hosts(given: Iterable[str]) -> frozenset[str]:
    hosts = [given] if isinstance(given, str) else list(given)
    if isinstance(given, str) or not all(re.fullmatch(r"[\w.-]+", host) for host in hosts):
        raise ValueError(
            f"allow_links_to={given!r}: give hosts by their names, for example "
            "allow_links_to=['shop.example']"
        )
    return frozenset(host.lower() for host in hosts)


@attrs.frozen(kw_only=True)
class EmailHandler(abc.ABC):
    """What every handler of the effect ``email`` has in common: it composes, then sends.

    Subclass it and write ``send`` to go another way than SMTP, a provider's API for example.

    Args:
        sender: ``"Shop <shop@example.com>"``; its domain is in every Message-ID.
        templates: a directory of your own templates, see :class:`MailTemplates`.
        language: of the mails, unless the effect or the contact names one.
        reply_to: where answers go, if not to the sender.
        link: address of a deal's page, for the button, with ``{deal}`` for the deal's id, or a
            function of the delivery, such as ``RestoreLink(…).link``; ``payload["link"]``, which
            your own hooks write, comes before it.
        allow_links_to: hosts, such as ``"shop.example"``, to which ``properties["link"]`` may
            lead where there is no other link. Properties are what events say, and whoever may
            send an event could lead your customers anywhere; so by default it leads nowhere.
        unsubscribe: ``https:`` or ``mailto:`` address for ``List-Unsubscribe``, with ``{deal}``
            for the deal's id, or a function of the delivery, such as ``UnsubscribeLink(…).link``.
            An ``https`` one must accept the one-click POST of RFC 8058.
        clock: what ``Date`` is taken from.

    Raises:
        ValueError: an address, the directory or the language is not what it should be.
    """

    sender: Address = attrs.field(converter=_sender)
    templates: str | Path | None = None
    language: str = "it"
    reply_to: Address | None = attrs.field(default=None, converter=_reply_to)
    link: str | Link | None = None
    allow_links_to: frozenset[str] = attrs.field(default=frozenset(), converter=_hosts)
    unsubscribe: str | Link | None = None
    clock: Clock = attrs.field(factory=SystemClock)
    _mails: MailTemplates = attrs.field(init=False, repr=False, eq=False)

    @_mails.default
    def _load_templates(self) -> MailTemplates:
        return MailTemplates(self.templates, language=self.language)

    def __call__(self, delivery: Delivery) -> None:
        """Compose the mail that an effect asks for, and send it.

        Raises:
            UndeliverableError: no retry can help.
        """
        self.send(self.compose(delivery))

    @abc.abstractmethod
    def send(self, message: EmailMessage) -> None:
        """Hand a message on; raise to have it tried again, ``UndeliverableError`` to give up."""

    def compose(self, delivery: Delivery) -> EmailMessage:
        """Return the message that an effect asks for.

        ``payload["template"]`` names the mail. It goes to ``payload["to"]``, otherwise to the
        deal's contact. The deal's id is in it only where your ``link`` or ``unsubscribe`` has it.

        Raises:
            UndeliverableError: there is no usable recipient, or no such template.
        """
        recipient = _recipient(delivery)
        unsubscribe = _for_deal(self.unsubscribe, delivery)
        mail = self._mails.render(
            delivery,
            sender=self.sender.display_name or self.sender.domain,
            link=self._link(delivery),
            unsubscribe=unsubscribe,
        )
        message = _with_parts(mail)
        message["From"] = self.sender
        message["To"] = recipient
        if self.reply_to is not None:
            message["Reply-To"] = self.reply_to
        message["Subject"] = _printable(mail.subject, LONGEST_SUBJECT)
        message["Date"] = self.clock.now()
        message["Message-ID"] = f"<{delivery.key}@{self.sender.domain}>"
        message["Auto-Submitted"] = "auto-generated"
        if unsubscribe is not None and len(unsubscribe) < LONGEST_LINE - 50:
            message["List-Unsubscribe"] = f"<{unsubscribe}>"
            if unsubscribe.startswith("https:"):
                message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        return message

    def _link(self, delivery: Delivery) -> str | None:
        asked = delivery.payload.get("link")
        link = str(asked) if asked else _for_deal(self.link, delivery)
        if link is None:
            link = delivery.deal.properties.get("link")
            return link if _leads_to(link, self.allow_links_to) else None
        return link if link.startswith(("https://", "http://")) else None


def _leads_to(link: object, hosts: Collection[str]) -> bool:
    """Whether a text that anybody may have written is a web address on one of *hosts*."""
    # Browsers read a backslash as a slash, and Python does not: then each sees another host.
    if not isinstance(link, str) or not link.isprintable() or "\\" in link or " " in link:
        return False
    try:
        parts = urlsplit(link)
        parts.port  # noqa: B018 - raises when it is none
    except ValueError:
        return False
    is_web = parts.scheme in ("https", "http") and "@" not in parts.netloc
    return is_web and parts.hostname in hosts


def address(text: str, name: str = "") -> Address:
    """Return *text*, ``a@b.example`` or ``Name <a@b.example>``, as an address.

    Args:
        name: display name when *text* has none; whatever is in it, it stays within the name.

    Raises:
        ValueError: it is no single address.
    """
    if not text.isprintable():
        raise ValueError("an address must not contain line breaks or control characters")
    spec = text.strip()
    if spec.endswith(">"):
        own_name, spec = email.utils.parseaddr(spec)
        name = own_name or name
    local, at, domain = spec.rpartition("@")
    if not local.isascii():
        raise ValueError("no address that every server takes: it is not ASCII before the @")
    try:
        ascii_domain = domain.encode("idna").decode()
        found = Address(_printable(name, LONGEST_NAME), addr_spec=f"{local}{at}{ascii_domain}")
    except (ValueError, IndexError, email.errors.MessageError) as error:
        raise ValueError(f"no e-mail address ({error})") from error
    if not found.username or not found.domain:
        raise ValueError("no e-mail address, which is written name@domain")
    return found


def _recipient(delivery: Delivery) -> Address:
    contact: Mapping[str, Any] = delivery.deal.contact
    to = delivery.payload.get("to") or contact.get("email")
    if not to:
        raise UndeliverableError(
            f"effect {delivery.key}: deal {delivery.deal.id!r} has no contact with an e-mail "
            'address, and the payload has no "to": ask for the mail only where there is one'
        )
    name = contact.get("name") if to == contact.get("email") else None
    try:
        return address(str(to), str(name or ""))
    except ValueError as error:
        raise UndeliverableError(
            f"effect {delivery.key}: the recipient of deal {delivery.deal.id!r} is {error}: "
            "correct the contact, then ask for the mail again"
        ) from error


def _with_parts(mail: Mail) -> EmailMessage:
    """Return a message with both parts; quoted-printable passes servers without 8BITMIME."""
    message = EmailMessage(policy=_POLICY)
    message.set_content(mail.text, cte="quoted-printable")
    message.add_alternative(mail.html, subtype="html", cte="quoted-printable")
    for part in message.iter_parts():
        part["Content-Language"] = mail.language
    return message


def _for_deal(pattern: str | Link | None, delivery: Delivery) -> str | None:
    if callable(pattern):
        return pattern(delivery)
    return pattern and pattern.replace("{deal}", quote(delivery.deal.id, safe=""))


def _printable(text: str, longest: int) -> str:
    """Return *text* on one line: no header can be begun from within it."""
    spaced = "".join(letter if letter.isprintable() else " " for letter in text)
    line = " ".join(spaced.split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"
