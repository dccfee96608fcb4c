"""Sealing texts with keys of a ring, and opening them: AES-256-GCM, a key for each deal.

Every sealed text says which key it needs, so that sealed rows and plain ones may stand beside each
other, and is bound to its place: what is copied elsewhere does not open there.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
import re
import secrets
import time
from collections import deque
from collections.abc import Collection
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from ...errors import SealedError, StoreError
from ...extras import how_to_install
from ..listing import SEALED_DOCUMENT, short_key
from ..sql import SEALED
from .inner import sealable
from .ring import KeyRing, holds_keys

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = ["Sealer", "key_of_document", "key_of_json", "key_of_text"]

_VERSION: Final = "s1"
_SEALED: Final = re.compile(rf"{_VERSION}\.([0-9a-f]{{24}})\.[\w-]+=*")
_JSON: Final = f'"{_VERSION}.'
_NONCE: Final = 12
AT_ONCE: Final = 64
"""How many keys are made together: the ring is asked to keep them for good, which takes a while."""
_MOST: Final = 10_000
_MISSING_SECONDS: Final = 10.0
HASHED: Final = "k-"
"""What a keyed hash begins with, where what it stands for may stand too."""


_TOGETHER: Final = (
    "the keys stand in the database that they are for, so that every copy of it has them: give "
    "keys= another database"
)


class Sealer:
    """What the boards and transactions of one sealed store share: keys, and how they are used.

    Args:
        secret: what hashes are keyed with: those of customers' keys, of sources and companies.
    """

    def __init__(self, ring: KeyRing, secret: bytes) -> None:
        self.ring = ring
        self.secret = secret
        self._aead = _aead()
        self._fresh: deque[tuple[str, bytes]] = deque()
        self._process = os.getpid()
        self._known: dict[str, AESGCM] = {}
        self._missing: dict[str, float] = {}

    def fresh(self) -> str:
        """Return the name of a key that seals nothing yet."""
        if self._process != os.getpid():
            # A child process would give other deals the keys that its parent still has to give.
            self._fresh, self._process = deque(), os.getpid()
        try:
            name, key = self._fresh.popleft()
        except IndexError:
            made = {secrets.token_hex(12): secrets.token_bytes(32) for _ in range(AT_ONCE)}
            self.ring.add(made)
            (name, key), *rest = made.items()
            self._fresh.extend(rest)
        self._remember(name, key)
        return name

    def seal(self, key: str, text: str, place: str) -> str:
        """Return a text encrypted with a key, as it may stand in one place only.

        Raises:
            SealedError: the key is not in the ring.
        """
        nonce = os.urandom(_NONCE)
        sealed = self._key(key, place).encrypt(nonce, text.encode(), place.encode())
        return f"{_VERSION}.{key}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"

    def seal_json(self, key: str, text: str, place: str) -> str:
        """Return JSON, encrypted, as JSON."""
        return f'"{self.seal(key, text, place)}"'

    def open(self, sealed: str, place: str) -> str:
        """Return what :meth:`seal` sealed.

        Raises:
            SealedError: its key is not in the ring, or it was altered or stood elsewhere.
        """
        from cryptography.exceptions import InvalidTag

        key = key_of_text(sealed)
        if key is None:
            raise SealedError(f"{_words(place)} is sealed by a later version of ladderpipe")
        known = self._key(key, place)
        raw = base64.urlsafe_b64decode(sealed.rpartition(".")[2])
        try:
            return known.decrypt(raw[:_NONCE], raw[_NONCE:], place.encode()).decode()
        except InvalidTag:
            raise SealedError(
                f"{_words(place)} does not open with its key {key}: it was altered, or stood in "
                "another place. Take it from a backup"
            ) from None

    def hash(self, kind: str, text: str) -> str:
        """Return what stands for a text that is only compared."""
        told = f"{kind}\x00{text}".encode(errors="replace")
        return HASHED + hmac.new(self.secret, told, sha256).hexdigest()[:32]

    def destroy(self, keys: Collection[str]) -> None:
        """Destroy keys for good."""
        self.ring.destroy(keys)
        for key in keys:
            self._known.pop(key, None)

    # -- documents ----------------------------------------------------------------------------

    def seal_document(self, key: str, document: str, deal: int) -> str:
        """Return a deal's document encrypted, with what deals are filtered by as hashes."""
        told = json.loads(document)
        company = told.get("company")
        if isinstance(company, dict):
            company = company.get("name")
        kept = {SEALED_DOCUMENT: self.seal(key, document, _of_document(deal))}
        if isinstance(told.get("source"), str):
            kept["source"] = self.source(told["source"])
        if isinstance(company, str):
            kept["company"] = self.company(company)
        return json.dumps(kept)

    def open_document(self, deal: int, name: str, document: str | None) -> str | None:
        """Return a document that may be sealed; of one that cannot be opened, one that says why."""
        sealed = _sealed_part(document)
        if sealed is None:
            return document
        try:
            return self.open(sealed, _of_document(deal))
        except SealedError as error:
            return json.dumps({SEALED_DOCUMENT: sealed, "why": f"deal {name!r}: {error}"})

    def source(self, source: str) -> str:
        """Return what stands for the source of a deal."""
        return self.hash("source", short_key(source) or "")

    def company(self, company: str) -> str:
        """Return what stands for a company, whichever letters are large."""
        from ..listing import folded

        return self.hash("company", short_key(folded(company)) or "")

    # -- keys ---------------------------------------------------------------------------------

    def _key(self, name: str, place: str) -> AESGCM:
        known = self._known.get(name)
        if known is not None:
            return known
        missed = self._missing.get(name)
        if missed is None or time.monotonic() - missed > _MISSING_SECONDS:
            for found in self.ring.get([name]).values():
                return self._remember(name, found)
            self._missing[name] = time.monotonic()
        raise SealedError(
            f"{_words(place)} cannot be opened: its key {name} is not in the ring of keys. If its "
            "person was forgotten since this was written, that is as it should be; otherwise give "
            "the ring back that had it"
        )

    def _remember(self, name: str, key: bytes) -> AESGCM:
        if len(self._known) >= _MOST:
            self._known.clear()
        self._missing.pop(name, None)
        self._known[name] = known = self._aead(key)
        return known


def sealer_for(transaction_of: Any, ring: KeyRing, may_write: bool) -> Sealer:
    """Return the sealer of a store, which is sealed with this ring from now on.

    Args:
        transaction_of: begins a transaction of the store's, as its own method does.
        may_write: whether a store that is plain may become a sealed one.

    Raises:
        StoreError: the store is sealed with another ring, holds a ring itself, or is no database.
    """
    while True:
        with transaction_of(write=False) as opened:
            transaction = sealable(opened)
            if holds_keys(transaction):
                raise StoreError(_TOGETHER)
            told = transaction.note("hashes")
        if told is not None and told.startswith(SEALED):
            _, name, check = told.split(":")
            secret = ring.get([name]).get(name)
            if secret is None or not hmac.compare_digest(_check(secret), check):
                raise StoreError(
                    "this store is sealed with another ring of keys: open it with the one that "
                    "it was written with, or give that one back from its backup"
                )
            return Sealer(ring, secret)
        # A plain store's secret goes with it: whoever said no to mail is known by it.
        secret = os.urandom(32) if told is None else bytes.fromhex(told)
        if not may_write:
            return Sealer(ring, secret)
        name = f"secret-{secrets.token_hex(12)}"
        ring.add({name: secret})
        with transaction_of(write=False) as opened:
            is_together = holds_keys(sealable(opened))
        if is_together:
            ring.destroy([name])
            raise StoreError(_TOGETHER)
        with transaction_of(write=True) as opened:
            transaction = sealable(opened)
            if transaction.note("hashes") == told:
                transaction.remove_note("hashes")
                transaction.add_note("hashes", f"{SEALED}{name}:{_check(secret)}")


def key_of_text(text: str | None) -> str | None:
    """Return the name of the key that a text is sealed with; ``None`` for a plain one."""
    found = None if text is None else _SEALED.fullmatch(text)
    return found and found[1]


def key_of_json(text: str | None) -> str | None:
    """Return the name of the key that JSON is sealed with; ``None`` for plain JSON."""
    if text is None or not text.startswith(_JSON):
        return None
    return key_of_text(text[1:-1])


def key_of_document(document: str | None) -> str | None:
    """Return the name of the key that a document is sealed with; ``None`` for a plain one."""
    return key_of_text(_sealed_part(document))


def _sealed_part(document: str | None) -> str | None:
    if document is None or not document.startswith(f'{{"{SEALED_DOCUMENT}"'):
        return None
    sealed: str = json.loads(document)[SEALED_DOCUMENT]
    return sealed


def _of_document(deal: int) -> str:
    return f"document\x00{deal}"


def _words(place: str) -> str:
    kind, _, rest = place.partition("\x00")
    return f"what is stored of {kind} {rest.replace(chr(0), ' ')}"


def _check(secret: bytes) -> str:
    return hmac.new(secret, b"ladderpipe: whose ring", sha256).hexdigest()[:32]


def _aead() -> type[AESGCM]:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ModuleNotFoundError as error:
        raise StoreError(
            f"keys= needs the package cryptography: {how_to_install('encryption')}"
        ) from error
    return AESGCM
