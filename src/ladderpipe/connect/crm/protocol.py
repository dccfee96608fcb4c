"""What a CRM has to do so that a board can be kept in step with it, and what it answers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple, Protocol, runtime_checkable

import attrs

from ...errors import LadderError

__all__ = [
    "Asked",
    "Assignment",
    "Crm",
    "CrmDeal",
    "CrmError",
    "FindsRestored",
    "FoundDeal",
    "StageChange",
    "Written",
]


class CrmError(LadderError, RuntimeError):
    """A CRM that cannot be asked now: it is away, has had enough of us, or does not let us in.

    Nothing is lost: what was to be told is told in a later round.
    """


@attrs.frozen(kw_only=True)
class CrmDeal:
    """A deal of the board, in the words of a CRM.

    Attributes:
        id: ours.
        object: the CRM's id of it; ``None`` while it is not known.
        stage: id of the CRM's stage.
        owner: e-mail address of whose it is, ``None`` if it is nobody's.
        contact: ``email``, and what else is known of who buys; empty if there is no address.
        company: ``domain``, and ``name`` if it is known; empty if there is no domain.
        properties: by their names in the CRM.
        has_new_people: whether contact and company were not told yet as they are.
    """

    id: str
    object: str | None
    stage: str
    title: str
    value: Decimal | None
    currency: str | None
    owner: str | None
    closed_at: dt.datetime | None
    contact: Mapping[str, str]
    company: Mapping[str, str]
    properties: Mapping[str, str]
    has_new_people: bool = True


@attrs.define
class Written:
    """What became of deals that a CRM was told.

    Attributes:
        objects: the CRM's id by ours, of those that it has taken.
        created: those of them that it did not know.
        rejected: why it took a deal not, by our id.
        troubles: why contact or company of a deal that it took are missing, by our id.
        missing: ours of those that are not there any more under the CRM's id that we knew.
    """

    objects: dict[str, str] = attrs.field(factory=dict)
    created: set[str] = attrs.field(factory=set)
    rejected: dict[str, str] = attrs.field(factory=dict)
    troubles: dict[str, str] = attrs.field(factory=dict)
    missing: set[str] = attrs.field(factory=set)


@attrs.frozen(kw_only=True)
class StageChange:
    """That a deal came into a stage, by a CRM's history.

    Attributes:
        at: the CRM's time.
        by: who did it, as the CRM names them.
        is_ours: whether it was this program.
    """

    stage: str
    at: dt.datetime
    by: str
    is_ours: bool


@attrs.frozen(kw_only=True)
class FoundDeal:
    """A deal as it stands in a CRM.

    Attributes:
        deal: our id, ``None`` if it is not one of ours.
        fields: what :meth:`Crm.fields` would tell, in the same form.
        changes: of its stage, the newest first.
        as_of: the CRM's time up to which these are all, where it can tell.
        merged: ids of the CRM that it stands for, too, since they were merged into it.
        properties: by their names in the CRM.
    """

    object: str
    deal: str | None
    fields: Mapping[str, str]
    changes: Sequence[StageChange]
    as_of: dt.datetime | None = None
    merged: Sequence[str] = ()
    properties: Mapping[str, str] = {}


class Assignment(NamedTuple):
    """What the owner of a deal has to be told.

    Attributes:
        key: names it for ever.
        deal: our id.
        title: one line.
        body: why.
    """

    key: str
    deal: str
    title: str
    body: str


class Crm(Protocol):
    """A CRM. All of it may be done again, and one call at a time is under way.

    Attributes:
        name: short; moves by people say it: ``hubspot:4711``.
        batch: how many deals it takes or tells at a time.
    """

    name: str
    batch: int

    def check(self) -> list[str]:
        """Return what has to be set up, in words; nothing is written."""
        ...

    def fields(self, deal: CrmDeal) -> Mapping[str, str]:
        """Return what would be written of a deal itself."""
        ...

    def write(self, deals: Sequence[CrmDeal]) -> Written:
        """Create or update deals, each by the CRM's id if it is known, else by ours.

        One that is rejected keeps none of the others.
        """
        ...

    def read(self, objects: Mapping[str, dt.datetime | None]) -> Mapping[str, FoundDeal]:
        """Return deals by the CRM's ids that were asked for; those that are gone are left out.

        Of one that was merged into another it is that other.

        Args:
            objects: with each id, the CRM's time up to which changes were looked at already, and
                may be left out.
        """
        ...

    def assign(self, assignment: Assignment, object: str, owner: str | None) -> str | None:
        """Give the owner of a deal something to do, once for a key, however often it is called.

        Returns:
            Why the CRM does not take it, if it does not.
        """
        ...


@runtime_checkable
class Asked(Protocol):
    """A CRM that does not ring, and is asked in each round what to look at."""

    def changed(self) -> Iterable[str]:
        """Return the CRM's ids of deals to look at; it is asked as often as it can bear."""
        ...


@runtime_checkable
class FindsRestored(Protocol):
    """A CRM that answers in few calls which deleted deals are there again."""

    def read_restored(self, objects: Collection[str]) -> Mapping[str, FoundDeal]:
        """Return what of these is there, as :meth:`Crm.read` does, without following merges."""
        ...
