"""Mails through what a shop sends with already: Django, smtplib, a function."""

from __future__ import annotations

import json
import smtplib
import subprocess
import sys
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from ladderpipe import Board, EffectState, Event, ManualClock, templates
from ladderpipe.errors import UndeliverableError
from ladderpipe.mail import DjangoMailer, MailThrough
from tests.mails import LINES, MORNING, delivery

from .test_mail_smtp import Inbox, inbox, port, server

__all__ = ["inbox", "port", "server"]

ROOT = Path(__file__).parents[2]
USUAL = {"sender": "Shop Ünïcode <shop@example.com>", "clock": ManualClock(MORNING)}
LINK = "https://hooks.shop.example/unsubscribe?token=" + "Wy" * 150

DJANGO = """
import json, sys
import django
from django.conf import settings

port = int(sys.argv[1])
backend = "django.core.mail.backends.smtp.EmailBackend"
if django.VERSION >= (6, 1):
    options = {"host": "127.0.0.1", "port": port}
    settings.configure(MAILERS={"default": {"BACKEND": backend, "OPTIONS": options}})
else:
    settings.configure(EMAIL_BACKEND=backend, EMAIL_HOST="127.0.0.1", EMAIL_PORT=port)
django.setup()

from ladderpipe import ManualClock
from ladderpipe.mail import DjangoMailer
from tests.mails import MORNING, deal, delivery

mailer = DjangoMailer(
    sender="Shop Ünïcode <shop@example.com>",
    reply_to="Sales <sales@example.com>",
    unsubscribe=sys.argv[2],
    clock=ManualClock(MORNING),
)
about = deal(contact={"name": 'Zoë "Ж" 山田, Ltd', "email": "zoe@example.com"})
try:
    mailer(delivery(about=about))
except Exception as error:
    print(json.dumps([type(error).__name__, str(error)]))
else:
    print(json.dumps(["sent"]))
"""


def through_django(port: int, link: str = LINK) -> list[str]:
    """Send a mail in a process of its own, since Django's settings are the process's."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", DJANGO, str(port), link],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    told: list[str] = json.loads(done.stdout)
    return told


@pytest.mark.usefixtures("server")
def test_django_sends_what_we_would_have_sent(inbox: Inbox, port: int) -> None:
    assert through_django(port) == ["sent"]
    (message,), (envelope,) = inbox.messages, inbox.envelopes
    assert envelope.mail_from == "shop@example.com"
    assert envelope.rcpt_tos == ["zoe@example.com"]
    assert message["From"].addresses[0].display_name == "Shop Ünïcode"
    assert message["To"].addresses[0].display_name == 'Zoë "Ж" 山田, Ltd'
    assert message["Reply-To"] == "Sales <sales@example.com>"
    assert message["Subject"] == "Il tuo carrello ti aspetta"
    assert message["Date"].datetime.isoformat() == "2026-01-05T09:00:00+00:00"
    assert message["Message-ID"] == f"<{delivery().key}@example.com>"
    assert message["Auto-Submitted"] == "auto-generated"
    plain, html = message.get_body(["plain"]), message.get_body(["html"])
    assert plain is not None
    assert html is not None
    assert "1.798,00\u00a0€" in plain.get_content()
    assert "1.798,00\u00a0€" in html.get_content()


@pytest.mark.usefixtures("server")
def test_a_long_way_out_stays_on_one_line_that_mail_programs_read(inbox: Inbox, port: int) -> None:
    assert through_django(port) == ["sent"]
    content = inbox.envelopes[0].content
    assert isinstance(content, bytes)
    # Django before 6 begins a new line before it, as RFC 5322 allows.
    unfolded = content.replace(b"List-Unsubscribe: \r\n <", b"List-Unsubscribe: <")
    assert f"List-Unsubscribe: <{LINK}>\r\n".encode() in unfolded
    assert b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in content


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    ("answer", "error"),
    [("550 5.1.1 nobody", "UndeliverableError"), ("450 later", "SMTPRecipientsRefused")],
)
def test_what_is_refused_for_good_through_django_is_given_up(
    answer: str, error: str, inbox: Inbox, port: int
) -> None:
    inbox.recipient_answer = answer
    assert through_django(port)[0] == error


def test_django_without_a_server_is_tried_again(port: int) -> None:
    assert through_django(port)[0] == "ConnectionRefusedError"


def test_any_function_sends(tmp_path: Path) -> None:
    sent: list[EmailMessage] = []
    clock = ManualClock(MORNING)
    with Board(templates.sales_management(), clock=clock) as board:
        board.handle_effect("email", MailThrough(sent.append, **USUAL))
        data = {"line": LINES[0], "contact": {"email": "ada@example.com"}}
        board.handle(Event("cart.item_added", deal="c", id="1", at=clock.now(), data=data))
        clock.advance(hours=49)
        board.tick()
        board.deliver()
        (message,) = sent
        assert message["To"] == "ada@example.com"
        states = {effect.state for effect in board.effects(states=[EffectState.DELIVERED])}
        assert states == {EffectState.DELIVERED}


@pytest.mark.usefixtures("server")
def test_what_has_send_message_sends(inbox: Inbox, port: int) -> None:
    with smtplib.SMTP("127.0.0.1", port, local_hostname="localhost") as client:
        MailThrough(client, **USUAL)(delivery())
    assert len(inbox.messages) == 1


@pytest.mark.usefixtures("server")
def test_what_smtplib_refuses_for_good_is_given_up(inbox: Inbox, port: int) -> None:
    inbox.data_answer = "554 5.7.1 spam"
    with (
        smtplib.SMTP("127.0.0.1", port, local_hostname="localhost") as client,
        pytest.raises(UndeliverableError, match=r"554 5\.7\.1 spam"),
    ):
        MailThrough(client, **USUAL)(delivery())


def test_what_a_function_raises_has_the_mail_tried_again() -> None:
    def send(message: EmailMessage) -> None:
        raise TimeoutError("the provider")

    with pytest.raises(TimeoutError):
        MailThrough(send, **USUAL)(delivery())


async def awaited(message: EmailMessage) -> None:
    """Send, some time."""


class Awaited:
    async def send_message(self, message: EmailMessage) -> None:
        """Send, some time."""


@pytest.mark.parametrize("way", [None, "smtp.example.com", 7, awaited, Awaited()])
def test_what_cannot_send_is_refused_when_configuring(way: Any) -> None:
    with pytest.raises(ValueError, match="MailThrough got"):
        MailThrough(way, **USUAL)


def test_django_is_asked_for_when_it_is_needed() -> None:
    assert DjangoMailer(sender="Shop <shop@example.com>").sender.domain == "example.com"
