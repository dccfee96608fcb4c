"""What the board has stored, as models to read and to query: they write nothing.

Moves, events and visits are read from the views that are there for people, which stay as they are
when tables change. Deals are changed by :func:`ladderpipe.django.get_board`.
"""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

from django.db import models
from django.utils.translation import gettext_lazy as _

from ..errors import StoreError
from ..model.stage import Stage
from .boards import DjangoBoard, get_board
from .fields import InstantField, JsonField, ReadInstantField
from .words import stage_title

__all__ = ["Deal", "Document", "Effect", "Event", "Move", "Pipeline", "Search", "Visit"]


def _refuse(*args: Any, **kwargs: Any) -> NoReturn:
    raise StoreError(
        "these models only read, since a row that is changed by itself agrees with no history: "
        "tell the board what happened, get_board().handle(…), .move(…) or .edit(…)"
    )


class ReadQuerySet(models.QuerySet[Any]):
    """Reads, and refuses to write."""

    create = get_or_create = update_or_create = update = delete = _refuse
    bulk_create = bulk_update = _raw_delete = _refuse


class ReadModel(models.Model):
    """One row of a table or view of ours."""

    objects: ClassVar[models.Manager[Any]] = ReadQuerySet.as_manager()

    save = save_base = delete = _refuse

    class Meta:
        """Of all of them."""

        abstract = True


class OpenedDeals(models.Manager[Any]):
    """Deals that were opened; of others only events are known, or a tombstone."""

    def get_queryset(self) -> Any:
        """Return them."""
        found = ReadQuerySet(self.model, using=self._db).filter(stage__isnull=False)
        return found.select_related("pipeline", "document")


class Pipeline(ReadModel):
    """A ladder that this database knows."""

    id = models.IntegerField(primary_key=True)
    name = models.TextField(_("name"), unique=True)

    class Meta:
        """Where it is."""

        managed = False
        db_table = "ladder_pipelines"
        default_permissions = ()
        verbose_name = _("pipeline")
        verbose_name_plural = _("pipelines")

    def __str__(self) -> str:
        return str(self.name)


class Deal(ReadModel):
    """A deal as it stands. Its contact, cart and properties are the board's to tell: ``record``."""

    id = models.BigIntegerField(primary_key=True)
    pipeline = models.ForeignKey(
        Pipeline, models.DO_NOTHING, db_column="pipeline", verbose_name=_("pipeline")
    )
    deal = models.TextField(_("deal"))
    sort_title = models.TextField(db_column="title", null=True)
    stage = models.TextField(_("stage"), null=True)
    visit = models.IntegerField(_("visit"))
    visit_key = models.TextField(null=True)
    owner = models.TextField(_("owner"), null=True)
    value = models.TextField(_("value"), null=True)
    currency = models.TextField(_("currency"), null=True)
    units = models.BigIntegerField(null=True)
    source = models.TextField(_("source"), null=True)
    lost_from = models.TextField(_("lost from"), null=True)
    opened_at = InstantField(_("opened"), null=True)
    entered_at = InstantField(_("in this stage since"), null=True)
    closed_at = InstantField(_("closed"), null=True)
    due_at = InstantField(_("next timer"), null=True)
    last_event_at = InstantField(_("last event"), null=True)

    objects: ClassVar[models.Manager[Any]] = OpenedDeals()  # type: ignore[assignment]

    class Meta:
        """Where it is, and who may do what."""

        managed = False
        db_table = "ladder_deals"
        ordering = ("-entered_at", "id")
        default_permissions = ("view",)
        permissions = (("move_deal", _("Can move deals")),)
        verbose_name = _("deal")
        verbose_name_plural = _("deals")

    def __str__(self) -> str:
        return self.title

    @property
    def title(self) -> str:
        """Its title, or its id where it has none; ``sort_title`` is in small letters."""
        return str(self.document.data.get("title") or self.deal)

    @property
    def board(self) -> DjangoBoard:
        """The board that it is on."""
        return get_board(self.pipeline.name)

    @property
    def record(self) -> Any:
        """The whole deal, a :class:`ladderpipe.Deal`."""
        return self.board.deal(self.deal)

    @property
    def stage_now(self) -> Stage:
        """The stage it is in, with title and status."""
        return self.board.pipeline.stage(str(self.stage))

    @property
    def stage_title(self) -> str:
        """The title of that stage, in the reader's language."""
        return stage_title(self.stage_now)

    def moves(self) -> Any:
        """Return its moves, from the first."""
        return Move.objects.filter(pipeline=self.pipeline.name, deal=self.deal).order_by("n")

    def events(self) -> Any:
        """Return its events, from the first."""
        found = Event.objects.filter(pipeline=self.pipeline.name, deal=self.deal)
        return found.order_by("at", "seq", "source", "id")


class Document(ReadModel):
    """What is kept of a deal besides: what the fold has made of contact, cart and properties."""

    deal = models.OneToOneField(
        Deal, models.DO_NOTHING, db_column="deal", primary_key=True, related_name="document"
    )
    data = JsonField()

    class Meta:
        """Where it is."""

        managed = False
        db_table = "ladder_documents"
        default_permissions = ()


class Search(ReadModel):
    """What a deal is found by, in small letters: id, title, contact and company."""

    deal = models.OneToOneField(
        Deal, models.DO_NOTHING, db_column="deal", primary_key=True, related_name="search"
    )
    text = models.TextField()

    class Meta:
        """Where it is."""

        managed = False
        db_table = "ladder_search"
        default_permissions = ()


class Move(ReadModel):
    """A deal's passage from one stage into another; the first has come out of none."""

    pk = models.CompositePrimaryKey("pipeline", "deal", "n")
    pipeline = models.TextField()
    deal = models.TextField()
    n = models.IntegerField()
    out_of = models.TextField(null=True)
    into_stage = models.TextField()
    at = ReadInstantField()
    recorded_at = ReadInstantField()
    rule = models.TextField()
    event_source = models.TextField(null=True)
    event_id = models.TextField(null=True)
    visit_key = models.TextField()

    class Meta:
        """Where it is."""

        managed = False
        db_table = "ladder_moves_read"
        default_permissions = ()


class Event(ReadModel):
    """A fact that was told of a deal."""

    pk = models.CompositePrimaryKey("pipeline", "source", "id")
    pipeline = models.TextField()
    source = models.TextField()
    id = models.TextField()
    deal = models.TextField()
    type = models.TextField()
    at = ReadInstantField()
    seq = models.BigIntegerField()
    data = JsonField()
    recorded_at = ReadInstantField()
    remark = models.TextField(null=True)

    class Meta:
        """Where it is."""

        managed = False
        db_table = "ladder_events_read"
        default_permissions = ()


class Visit(ReadModel):
    """A deal's stay in a stage; of the current one ``left_at`` is ``None``."""

    pk = models.CompositePrimaryKey("deal", "n")
    deal = models.ForeignKey(Deal, models.DO_NOTHING, db_column="deal", related_name="visits")
    n = models.IntegerField()
    visit_key = models.TextField()
    stage = models.TextField()
    entered_at = InstantField()
    left_at = InstantField(null=True)

    class Meta:
        """Where it is."""

        managed = False
        db_table = "ladder_visits"
        default_permissions = ()


class Effect(ReadModel):
    """Work outside of the database, a task of a person's, or what has become of either."""

    key = models.TextField(primary_key=True)
    pipeline = models.ForeignKey(Pipeline, models.DO_NOTHING, db_column="pipeline")
    deal = models.ForeignKey(Deal, models.DO_NOTHING, db_column="deal", related_name="effects")
    name = models.TextField()
    state = models.TextField()
    payload = JsonField()
    due_at = InstantField()
    ready_at = InstantField()
    expires_at = InstantField(null=True)
    attempts = models.IntegerField()
    error = models.TextField(null=True)
    owner = models.TextField(null=True)
    recorded_at = InstantField()

    class Meta:
        """Where it is."""

        managed = False
        db_table = "ladder_effects"
        default_permissions = ()
