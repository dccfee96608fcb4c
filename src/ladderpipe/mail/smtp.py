"""The handler that sends mail over SMTP."""

from __future__ import annotations

import contextlib
import smtplib
import ssl
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any, Literal, get_args

import attrs

from ..errors import UndeliverableError
from .handler import EmailHandler

__all__ = ["Mailer"]

Security = Literal["starttls", "tls", "none"]

_PORTS = {"starttls": 587, "tls": 465, "none": 25}


@attrs.frozen
class Mailer(EmailHandler):
    """Sends the mails that effects ask for over SMTP, each on a connection of its own.

        board.handle_effect("email", Mailer("smtp.example.com", sender="Shop <shop@example.com>"))

    What the server refuses for good (5xx for the recipient or the message) is a dead letter; any
    other failure, a wrong password included, is raised and tried again.

    Args:
        host: name of the server.
        port: 587, 465 or 25 for ``starttls``, ``tls`` or ``none`` when it is left out.
        security: ``"starttls"`` and ``"tls"`` check the server's certificate.
        ssl_context: for a certificate authority of your own.
        local_hostname: what to greet the server with; looked up when it is left out.
        timeout: seconds to wait for the server at each step.

    The other arguments are those of :class:`EmailHandler`.
    """

    host: str
    port: int | None = attrs.field(default=None, kw_only=True)
    username: str | None = attrs.field(default=None, kw_only=True)
    password: str | None = attrs.field(default=None, kw_only=True, repr=False)
    security: Security = attrs.field(default="starttls", kw_only=True)
    ssl_context: ssl.SSLContext | None = attrs.field(default=None, kw_only=True, repr=False)
    local_hostname: str | None = attrs.field(default=None, kw_only=True)
    timeout: float = attrs.field(default=10.0, kw_only=True)

    @security.validator
    def _check_security(self, attribute: Any, value: str) -> None:
        if value not in get_args(Security):
            raise ValueError(f"security={value!r}: choose from {', '.join(get_args(Security))}")

    def send(self, message: EmailMessage) -> None:
        """Hand a message to the server.

        Raises:
            UndeliverableError: the server refuses the recipient or the message for good.
            OSError: anything else that a later try may not meet again.
        """
        sender, recipient = (message[field].addresses[0].addr_spec for field in ("From", "To"))
        server = self._connect()
        try:
            with undeliverable_if_refused(message):
                server.send_message(message, sender, [recipient])
        finally:
            # The server has taken the message or refused it: what comes after changes nothing.
            with contextlib.suppress(OSError):
                server.quit()
            server.close()

    def _connect(self) -> smtplib.SMTP:
        port = self.port or _PORTS[self.security]
        context = self.ssl_context or ssl.create_default_context()
        where: dict[str, Any] = {"timeout": self.timeout, "local_hostname": self.local_hostname}
        if self.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(self.host, port, context=context, **where)
        else:
            server = smtplib.SMTP(self.host, port, **where)
        try:
            if self.security == "starttls":
                server.starttls(context=context)
            if self.username is not None:
                server.login(self.username, self.password or "")
        except BaseException:
            server.close()
            raise
        return server


@contextlib.contextmanager
def undeliverable_if_refused(message: EmailMessage) -> Iterator[None]:
    """Give up what a server refuses for good while this message is handed to it.

    Raises:
        UndeliverableError: it refuses the recipient or the message.
    """
    try:
        yield
    except (smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError) as error:
        refusal = _permanent_refusal(error)
        if refusal is None:
            raise
        raise UndeliverableError(
            f"mail {message['Message-ID']} is refused for good by the server: {refusal}"
        ) from error


def _permanent_refusal(
    error: smtplib.SMTPRecipientsRefused | smtplib.SMTPDataError,
) -> str | None:
    """Return the server's words if no later try can help, otherwise ``None``."""
    code: int
    words: bytes | str
    if isinstance(error, smtplib.SMTPDataError):
        code, words = error.smtp_code, error.smtp_error
    else:
        ((code, words),) = error.recipients.values()
    text = words.decode(errors="replace") if isinstance(words, bytes) else words
    return f"{code} {text}" if 500 <= code < 600 else None
