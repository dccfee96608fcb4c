"""What changed since somebody looked: what a page asks every other second, and costs little."""

from __future__ import annotations

import hashlib

from ..board.listing import Changes
from ..errors import CursorError
from .call import Answer, Call, Page, Unchanged

__all__ = ["changes", "changes_since", "cursor_now"]


def changes(call: Call) -> Answer:
    """Tell which deals have changed since a cursor; 304 where the browser knows that already."""
    told = changes_since(call, call.query.text("after"))
    etag = f'"{hashlib.blake2b(told.cursor.encode(), digest_size=12).hexdigest()}"'
    if etag == call.etag:
        return Unchanged()
    seen = [deal for deal in told.deals if call.sees(deal)]
    record = {
        "cursor": told.cursor,
        # A deal may have left what the user sees, and its id is not for them then.
        "is_news": bool(told.deals or told.gone),
        "deals": [deal.to_dict() for deal in seen],
        "gone": list(told.gone) if call.scope is None else [],
    }
    return Page("changes.html", {"deals": seen}, record, etag)


def changes_since(call: Call, after: str) -> Changes:
    """Return what has changed since a cursor, whoever may see it.

    Raises:
        Refusal: 400, it is none.
    """
    try:
        return call.board.changes(after=after or None)
    except CursorError as error:
        detail = call.words.gettext("“%(name)s” cannot be “%(value)s”.", name="after", value=after)
        raise call.query.refused(detail) from error


def cursor_now(call: Call) -> str:
    """Return the cursor from which on a page that is shown now has to ask.

    The last minute and a half is read, so that what the page shows already is no news to it.
    """
    return call.board.changes(after=call.board.changes(limit=0).cursor).cursor
