"""Handlers for the effect ``email``: over SMTP, or into a local mailbox file.

Needs the extra ``mail`` (Jinja2). Rendering, composing and sending are apart, so that
both handlers, and one of your own, send the same messages.
"""

from ..public import publish
from .handler import EmailHandler
from .mailbox import FileMailbox
from .smtp import Mailer
from .templating import Mail, MailTemplates

__all__ = ["EmailHandler", "FileMailbox", "Mail", "MailTemplates", "Mailer"]

publish(__name__, *(globals()[name] for name in __all__))
