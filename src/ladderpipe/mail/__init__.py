"""Handlers for the effect ``email``: over SMTP, through Django or a function, into a local file.

Needs the extra ``mail`` (Jinja2). Rendering, composing and sending are apart, so that
both handlers, and one of your own, send the same messages.
"""

from ..public import publish
from .coupons import Coupon, Coupons
from .handler import EmailHandler
from .mailbox import FileMailbox
from .smtp import Mailer
from .templating import Mail, MailTemplates
from .through import DjangoMailer, MailThrough

__all__ = [
    "Coupon",
    "Coupons",
    "DjangoMailer",
    "EmailHandler",
    "FileMailbox",
    "Mail",
    "MailTemplates",
    "MailThrough",
    "Mailer",
]

publish(__name__, *(globals()[name] for name in __all__))
