"""Mails over SMTP, against a real server in this process."""

from __future__ import annotations

import email
import shutil
import smtplib
import socket
import ssl
import subprocess
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword

from ladderpipe import Board, EffectState, Event, ManualClock, templates
from ladderpipe.errors import UndeliverableError
from ladderpipe.mail import Mailer
from tests.mails import KEY, LINES, MORNING, deal, delivery


class Inbox:
    """Keeps what a server accepts, and answers as it is told to."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.recipient_answer: str | None = None
        self.data_answer = "250 OK"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd looks the name up
        self, server: Any, session: Any, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.recipient_answer is not None:
            return self.recipient_answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, server: Any, session: Any, envelope: Envelope
    ) -> str:
        if self.data_answer.startswith("2"):
            self.envelopes.append(envelope)
        return self.data_answer

    @property
    def messages(self) -> list[EmailMessage]:
        return [
            email.message_from_bytes(envelope.content, policy=default)
            for envelope in self.envelopes
        ]


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def server(inbox: Inbox, port: int) -> Iterator[Controller]:
    yield from running(Controller(inbox, hostname="127.0.0.1", port=port))


def running(controller: Controller) -> Iterator[Controller]:
    controller.start()
    yield controller
    controller.stop(no_assert=True)


def mailer(port: int, **options: Any) -> Mailer:
    usual = {
        "sender": "Shop Ünïcode <shop@example.com>",
        "security": "none",
        "local_hostname": "localhost",
        "clock": ManualClock(MORNING),
    }
    return Mailer("127.0.0.1", port=port, **{**usual, **options})


# -- accepted -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("server")
def test_a_mail_arrives_with_both_parts(inbox: Inbox, port: int):
    mailer(port)(delivery())
    (envelope,), (message,) = inbox.envelopes, inbox.messages
    assert envelope.mail_from == "shop@example.com"
    assert envelope.rcpt_tos == ["ada@example.com"]
    assert message["Subject"] == "Il tuo carrello ti aspetta"
    assert message["Date"] == "Mon, 05 Jan 2026 09:00:00 +0000"
    plain, html = message.iter_parts()
    assert "1.798,00\u00a0€" in plain.get_content()
    assert "1.798,00\u00a0€" in html.get_content()


@pytest.mark.usefixtures("server")
def test_names_in_every_script_arrive(inbox: Inbox, port: int):
    about = deal(contact={"name": 'Zoë "Ж" 山田, Ltd', "email": "zoe@example.com"})
    mailer(port)(delivery(about=about))
    (message,) = inbox.messages
    assert message["To"].addresses[0].display_name == 'Zoë "Ж" 山田, Ltd'
    assert message["From"].addresses[0].display_name == "Shop Ünïcode"
    assert 'Gentile Zoë "Ж" 山田, Ltd,' in message.get_body(("plain",)).get_content()
    assert "Gentile Zoë &#34;Ж&#34; 山田, Ltd," in message.get_body(("html",)).get_content()


@pytest.mark.usefixtures("server")
def test_two_customers_are_written_to_in_their_languages(inbox: Inbox, port: int):
    send = mailer(port)
    for language in ("it", "en"):
        contact = {"email": f"{language}@example.com", "language": language}
        send(delivery("order-thanks", about=deal(contact=contact)))
    assert [message["Subject"] for message in inbox.messages] == [
        "Grazie per il tuo ordine",
        "Thank you for your order",
    ]


@pytest.mark.usefixtures("server")
def test_a_redelivery_is_recognisable(inbox: Inbox, port: int):
    send = mailer(port)
    send(delivery())
    send(delivery())
    assert [message["Message-ID"] for message in inbox.messages] == [f"<{KEY}@example.com>"] * 2


@pytest.mark.usefixtures("server")
def test_a_name_cannot_add_a_header_or_a_recipient(inbox: Inbox, port: int):
    name = "Ada\r\nBcc: evil@example.com\r\n\r\n<b>body</b>"
    mailer(port)(delivery(about=deal(contact={"name": name, "email": "ada@example.com"})))
    (envelope,), (message,) = inbox.envelopes, inbox.messages
    assert envelope.rcpt_tos == ["ada@example.com"]
    assert message["Bcc"] is None
    assert message.is_multipart()


@pytest.mark.usefixtures("server")
def test_a_line_with_a_single_dot_ends_nothing(inbox: Inbox, port: int):
    about = deal(lines=[{"sku": "x", "title": "\r\n.\r\nRSET", "quantity": 1}])
    mailer(port)(delivery(about=about))
    assert "RSET" in inbox.messages[0].get_body(("plain",)).get_content()


# -- refused ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("server")
def test_a_recipient_that_does_not_exist_is_given_up(inbox: Inbox, port: int):
    inbox.recipient_answer = "550 5.1.1 no such user"
    with pytest.raises(UndeliverableError, match=r"550 5\.1\.1 no such user"):
        mailer(port)(delivery())
    assert inbox.envelopes == []


@pytest.mark.usefixtures("server")
def test_a_full_mailbox_is_tried_again(inbox: Inbox, port: int):
    inbox.recipient_answer = "451 4.2.1 try later"
    send = mailer(port)
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        send(delivery())
    inbox.recipient_answer = None
    send(delivery())
    assert len(inbox.envelopes) == 1


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    ("answer", "error"),
    [("554 5.7.1 spam", UndeliverableError), ("452 4.3.1 disk full", smtplib.SMTPDataError)],
)
def test_a_refused_message_is_given_up_or_tried_again(inbox: Inbox, port: int, answer, error):
    inbox.data_answer = answer
    with pytest.raises(error, match=answer[:3]):
        mailer(port)(delivery())


def test_a_server_that_is_away_is_tried_again(port: int):
    with pytest.raises(ConnectionRefusedError):
        mailer(port)(delivery())


# -- on a board ---------------------------------------------------------------------------------


@pytest.fixture
def abandoned(tmp_path: Path, port: int) -> Iterator[tuple[Board, ManualClock]]:
    """A board in a file, on which Ada's cart was abandoned a moment ago."""
    clock = ManualClock(MORNING)
    ladder = templates.sales_management()
    with Board.open(ladder, f"sqlite:///{tmp_path}/shop.db", clock=clock) as board:
        board.handles("email")(mailer(port, clock=clock))
        facts = {"line": LINES[0], "contact": {"name": "Ada", "email": "ada@example.com"}}
        board.handle(Event("cart.item_added", deal="d", id="e", at=clock.now(), data=facts))
        clock.advance(hours=48)
        board.tick()
        yield board, clock


@pytest.mark.usefixtures("server")
def test_the_reminder_of_an_abandoned_cart_is_sent_with_its_key(inbox: Inbox, abandoned):
    board, _ = abandoned
    board.deliver()
    board.deliver()
    (message,) = inbox.messages
    (effect,) = board.effects("d", states=[EffectState.DELIVERED])
    assert message["Message-ID"] == f"<{effect.key}@example.com>"
    assert message["Date"] == "Wed, 07 Jan 2026 09:00:00 +0000"


@pytest.mark.usefixtures("server")
def test_a_refused_recipient_is_a_dead_letter_at_the_first_try(inbox: Inbox, abandoned):
    board, _ = abandoned
    inbox.recipient_answer = "550 5.1.1 no such user"
    board.deliver()
    (letter,) = board.dead_letters()
    assert letter.attempts == 1
    assert "550 5.1.1 no such user" in str(letter.error)


@pytest.mark.usefixtures("server")
def test_a_temporary_failure_is_tried_again_later(inbox: Inbox, abandoned):
    board, clock = abandoned
    inbox.recipient_answer = "451 4.2.1 try later"
    board.deliver()
    inbox.recipient_answer = None
    board.deliver()
    assert inbox.messages == []
    clock.advance(hours=1)
    board.deliver()
    assert len(inbox.messages) == 1
    assert board.dead_letters() == []


# -- encryption and login -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    certificate = path.with_suffix(".crt")
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(path), "-out", str(certificate)]
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "1",
            *subject,
            *files,
        ],
        check=True,
        capture_output=True,
    )
    path.write_text(path.read_text() + certificate.read_text())
    return path


@pytest.fixture
def secure_server(inbox: Inbox, port: int, certificate: Path) -> Iterator[Controller]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    yield from running(
        Controller(
            inbox,
            hostname="127.0.0.1",
            port=port,
            tls_context=context,
            require_starttls=True,
            auth_required=True,
            authenticator=knows_the_shop,
        )
    )


def knows_the_shop(server: Any, session: Any, envelope: Any, mechanism: str, data: Any):
    known = isinstance(data, LoginPassword) and data == LoginPassword(b"shop", b"secret")
    return AuthResult(success=known, handled=known)


def trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


@pytest.mark.usefixtures("secure_server")
def test_starttls_and_login(inbox: Inbox, port: int, certificate: Path):
    send = mailer(
        port,
        security="starttls",
        ssl_context=trusting(certificate),
        username="shop",
        password="secret",
    )
    send(delivery())
    assert len(inbox.envelopes) == 1


@pytest.mark.usefixtures("secure_server")
def test_a_wrong_password_is_no_fault_of_the_mail(port: int, certificate: Path):
    send = mailer(
        port,
        security="starttls",
        ssl_context=trusting(certificate),
        username="shop",
        password="wrong",
    )
    with pytest.raises(smtplib.SMTPAuthenticationError):
        send(delivery())


@pytest.mark.usefixtures("secure_server")
def test_an_unknown_certificate_is_refused(inbox: Inbox, port: int):
    with pytest.raises(ssl.SSLCertVerificationError):
        mailer(port, security="starttls")(delivery())
    assert inbox.envelopes == []


@pytest.mark.usefixtures("server")
def test_a_server_without_starttls_gets_no_mail(inbox: Inbox, port: int):
    with pytest.raises(smtplib.SMTPNotSupportedError):
        mailer(port, security="starttls")(delivery())
    assert inbox.envelopes == []


# -- configuration ------------------------------------------------------------------------------


def test_a_password_is_not_shown():
    assert "secret" not in repr(mailer(25, username="shop", password="secret"))


def test_an_unknown_security_is_refused():
    with pytest.raises(ValueError, match="choose from starttls, tls, none"):
        mailer(25, security="ssl")
