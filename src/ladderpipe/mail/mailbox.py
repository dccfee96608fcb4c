"""The handler that sends nothing: it appends every mail to a local mailbox file."""

from __future__ import annotations

import io
import time
from email.generator import BytesGenerator
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import attrs

from .handler import EmailHandler

__all__ = ["FileMailbox"]


@attrs.frozen
class FileMailbox(EmailHandler):
    """Appends mails to a file in mbox format, which mail programs and ``mailbox.mbox`` read.

        board.handle_effect("email", FileMailbox("sent.mbox", sender="Shop <shop@example.com>"))

    For trying things out: the messages are the ones :class:`ladderpipe.mail.Mailer` would send.

    Args:
        path: the file; made when the first mail comes. Its directory must exist.

    The other arguments are those of :class:`EmailHandler`.
    """

    path: Path = attrs.field(converter=Path)

    def send(self, message: EmailMessage) -> None:
        """Append a message, in one write: readers and other writers see all of it or nothing."""
        sender = message["From"].addresses[0].addr_spec
        sent_at = time.asctime(message["Date"].datetime.utctimetuple())
        entry = io.BytesIO()
        entry.write(f"From {sender} {sent_at}\n".encode())
        BytesGenerator(entry, mangle_from_=True, policy=default).flatten(message)
        entry.write(b"\n")
        with self.path.open("ab", buffering=0) as file:
            file.write(entry.getvalue())
