"""What stands in a hash chain: leaves of events, headers of links, and heads; pure.

A leaf is HMAC-SHA-256 of an event, keyed with its deal's salt. A link's header names the link
before it by its hash, the root of its leaves, and what was taken out of earlier links, and why.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
import hmac
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import attrs

from ..errors import CursorError
from ..model.clock import instant, instant_text
from ..model.event import Event
from ..stores.chain import FORGOTTEN, Link, RetiredLeaf

__all__ = ["Header", "Retirement", "head_of", "head_text", "leaf_of"]

SALT_BYTES: Final = 16
_CHECK: Final = 4
"""Bytes that tell a head that was cut or mistyped."""
_HEAD: Final = re.compile(r"([1-9][0-9]{0,17})-([a-z2-7]{58})")


def leaf_of(salt: bytes, pipeline: str, event: Event, recorded_at: dt.datetime) -> bytes:
    """Return the leaf of an event: all that is told of it, and when it was recorded.

    Without the salt nobody can find out by trying what the event was.
    """
    named = [pipeline, event.deal, event.source, event.id, event.type]
    told = [*named, instant_text(event.at), event.seq, instant_text(recorded_at)]
    text = f"{json.dumps(told, ensure_ascii=False)}\n{event.data_text()}"
    return hmac.digest(salt, text.encode(), "sha256")


def root_of(leaves: Iterable[bytes]) -> str:
    """Return what stands for leaves in whichever order."""
    return hashlib.sha256(b"".join(sorted(leaves))).hexdigest()


@attrs.frozen
class Retirement:
    """That leaves of an earlier link stand for nothing that is stored any more.

    Attributes:
        link: the number of that link.
        root: of those leaves.
    """

    link: int
    forgotten: int
    removed: int
    root: str

    @property
    def leaves(self) -> int:
        """How many they are."""
        return self.forgotten + self.removed


def retirements_of(leaves: Iterable[RetiredLeaf]) -> tuple[Retirement, ...]:
    """Return what a link says of leaves that are retired, by the links they stand in."""
    by_link: dict[int, list[RetiredLeaf]] = {}
    for leaf in leaves:
        by_link.setdefault(leaf.link, []).append(leaf)
    return tuple(_retirement(link, found) for link, found in sorted(by_link.items()))


def _retirement(link: int, leaves: Sequence[RetiredLeaf]) -> Retirement:
    forgotten = sum(leaf.kind == FORGOTTEN for leaf in leaves)
    # The reason is part of it: nobody may call afterwards forgotten what was removed.
    root = root_of(leaf.leaf + leaf.kind.encode() for leaf in leaves)
    return Retirement(link, forgotten, len(leaves) - forgotten, root)


@attrs.frozen(kw_only=True)
class Header:
    """What a link says.

    Attributes:
        n: its number, from 1.
        at: when it was made.
        until: what was recorded by then was all in the chain before this link, as far as anybody
            had committed it; ``None`` as long as that is not so.
        previous: hash of the link before it; empty in the first.
        added: how many leaves it adds.
        root: of those leaves.
        retired: what of earlier links stands for nothing any more.
        events: how many events are in the chain with this link.
        forgotten: how many leaves were retired because a person was forgotten, this link included.
        removed: how many because their deals were removed or archived.
        late: how many events had been recorded long before they came into the chain.
    """

    pipeline: str
    n: int
    at: dt.datetime
    until: dt.datetime | None
    previous: str
    added: int
    root: str
    retired: tuple[Retirement, ...]
    events: int
    forgotten: int
    removed: int
    late: int

    @classmethod
    def after(
        cls,
        previous: Link | None,
        pipeline: str,
        at: dt.datetime,
        until: dt.datetime | None,
        leaves: Sequence[bytes],
        retired: Iterable[RetiredLeaf],
        late: int,
    ) -> Header:
        """Return the header of the link that comes next."""
        last = None if previous is None else cls.of(previous.header)
        taken = retirements_of(retired)
        total: Counter[str] = Counter(added=len(leaves), late=late)
        for each in taken:
            total.update(forgotten=each.forgotten, removed=each.removed, leaves=each.leaves)
        return cls(
            pipeline=pipeline,
            n=1 if last is None else last.n + 1,
            at=at,
            until=until,
            previous="" if previous is None else previous.hash.hex(),
            added=len(leaves),
            root=root_of(leaves),
            retired=taken,
            events=(0 if last is None else last.events) + total["added"] - total["leaves"],
            forgotten=(0 if last is None else last.forgotten) + total["forgotten"],
            removed=(0 if last is None else last.removed) + total["removed"],
            late=(0 if last is None else last.late) + late,
        )

    def link(self) -> Link:
        """Return the link with this header."""
        told = attrs.asdict(self, recurse=False)
        told |= {"at": instant_text(self.at), "until": self.until and instant_text(self.until)}
        told["retired"] = [list(attrs.astuple(each)) for each in self.retired]
        text = json.dumps(told, ensure_ascii=False, sort_keys=True)
        return Link(self.n, hash_of(text), text)

    @classmethod
    def of(cls, text: str) -> Header:
        """Return what a header says.

        Raises:
            LookupError, TypeError, ValueError: it is none.
        """
        told: Mapping[str, Any] = json.loads(text)
        until = told["until"]
        return cls(
            **{
                **told,
                "at": instant(told["at"]),
                "until": None if until is None else instant(until),
                "retired": tuple(Retirement(*each) for each in told["retired"]),
            }
        )


def hash_of(header: str) -> bytes:
    """Return the hash of a link with this header."""
    return hashlib.sha256(header.encode()).digest()


def head_text(link: Link) -> str:
    """Return the head of a chain that ends with this link, to be noted elsewhere."""
    check = _check(link.n, link.hash)
    return f"{link.n}-{base64.b32encode(link.hash + check).decode().rstrip('=').lower()}"


def head_of(text: str) -> tuple[int, bytes]:
    """Return number and hash of the link that a head names, however it was typed.

    Raises:
        CursorError: it is none.
    """
    plain = re.sub(r"\s", "", text).lower() if isinstance(text, str) and len(text) < 500 else ""
    found = _HEAD.fullmatch(plain)
    try:
        raw = base64.b32decode(f"{found[2].upper()}======") if found else b""
    except binascii.Error:
        raw = b""
    # Told again and compared, as the last letter has bits that say nothing.
    if found and head_text(Link(int(found[1]), raw[:-_CHECK], "")) == plain:
        return int(found[1]), raw[:-_CHECK]
    shown = repr(text)
    raise CursorError(
        f"{shown if len(shown) <= 90 else f'{shown[:90]}…'} is no head of a chain: type it as it "
        "was noted, a number, a dash and 58 letters and digits"
    )


def _check(n: int, hash: bytes) -> bytes:
    return hashlib.blake2b(b"%d-%s" % (n, hash), digest_size=_CHECK).digest()
