"""Deals in Django's admin: listed by stage, each with its timeline, moved as the ladder allows."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q
from django.http import HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..errors import LadderError
from .boards import get_boards
from .models import Deal
from .moves import Way, move_all, move_one, ways_of_all, ways_of_one
from .timeline import timeline
from .words import amount, field, pipeline_title, refusal, stage_title

__all__ = ["DealAdmin"]

MOST: Final = 200
"""Deals that are moved together; each is asked first where it may go."""


class StageFilter(admin.SimpleListFilter):
    """Stages in the order of their ladder, with how many deals are in each."""

    title = _("stage")
    parameter_name = "stage"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        """Return them."""
        counted = Deal.objects.values_list("pipeline__name", "stage").annotate(Count("id"))
        counts = {(pipeline, stage): count for pipeline, stage, count in counted.order_by()}
        boards = get_boards()
        return [
            (
                f"{board.pipeline.name}:{stage.key}",
                f"{f'{pipeline_title(board.pipeline)}: ' if len(boards) > 1 else ''}"
                f"{stage_title(stage)} "
                f"({counts.get((board.pipeline.name, stage.key), 0)})",
            )
            for board in boards
            for stage in board.pipeline.stages
        ]

    def queryset(self, request: Any, queryset: Any) -> Any:
        """Return the deals in the stage that was chosen."""
        if self.value() is None:
            return queryset
        pipeline, _colon, stage = str(self.value()).partition(":")
        return queryset.filter(pipeline__name=pipeline, stage=stage)


class StatusFilter(admin.SimpleListFilter):
    """Open deals, and what became of the others."""

    title = _("status")
    parameter_name = "status"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, Any]]:
        """Return them."""
        return [
            ("open", _("open")),
            ("won", _("won")),
            ("lost", _("lost")),
            ("abandoned", _("abandoned")),
        ]

    def queryset(self, request: Any, queryset: Any) -> Any:
        """Return the deals whose stage has the status that was chosen."""
        if self.value() is None:
            return queryset
        wanted = Q(pk__in=[])
        for board in get_boards():
            keys = [s.key for s in board.pipeline.stages if s.status == self.value()]
            wanted |= Q(pipeline__name=board.pipeline.name, stage__in=keys)
        return queryset.filter(wanted)


if TYPE_CHECKING:
    DealsAdmin = admin.ModelAdmin[Deal]
else:
    DealsAdmin = admin.ModelAdmin  # Django's own takes no argument


@admin.register(Deal)
class DealAdmin(DealsAdmin):
    """Lists deals and moves them; their rows are nobody's to edit."""

    list_display = ("shown_title", "stage_title", "worth", "owner", "since", "due")
    list_filter = (StageFilter, StatusFilter, "owner", "pipeline")
    search_fields = ("search__text",)
    list_per_page = 50
    show_full_result_count = False
    actions = ("move_deals",)

    class Media:
        """How the list looks."""

        css: ClassVar = {"all": ("ladderpipe/admin.css",)}

    @admin.display(description=_("deal"), ordering="sort_title")
    def shown_title(self, deal: Deal) -> str:
        """Return a deal's title."""
        return deal.title

    @admin.display(description=_("stage"), ordering="stage")
    def stage_title(self, deal: Deal) -> str:
        """Return the title of the stage that a deal is in."""
        return deal.stage_title

    @admin.display(description=_("value"), ordering="units")
    def worth(self, deal: Deal) -> str:
        """Return what a deal is worth."""
        return amount(deal.value, deal.currency)

    @admin.display(description=_("in this stage since"), ordering="entered_at")
    def since(self, deal: Deal) -> str:
        """Return since when a deal is in its stage, briefly, so that the list is not too wide."""
        return _briefly(deal.entered_at)

    @admin.display(description=_("next timer"), ordering="due_at")
    def due(self, deal: Deal) -> str:
        """Return when something happens to a deal by itself."""
        return _briefly(deal.due_at)

    def changelist_view(self, request: Any, extra_context: Any = None) -> Any:
        """Show the list under a title in which Django need not guess a word's gender."""
        titled = {"title": str(self.opts.verbose_name_plural).capitalize(), **(extra_context or {})}
        return super().changelist_view(request, titled)

    def has_add_permission(self, request: Any) -> bool:
        """Return ``False``: events open deals."""
        return False

    def has_change_permission(self, request: Any, obj: Any = None) -> bool:
        """Return ``False``: nobody edits a row."""
        return False

    def has_delete_permission(self, request: Any, obj: Any = None) -> bool:
        """Return ``False``: the board removes deals, and archives them."""
        return False

    def has_move_permission(self, request: Any) -> bool:
        """Return whether somebody may move deals: who has ``ladderpipe.move_deal``."""
        may: bool = request.user.has_perm("ladderpipe.move_deal")
        return may

    def change_view(
        self, request: Any, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> Any:
        """Show a deal with its timeline, or move it.

        Raises:
            PermissionDenied: whoever asks may not see deals, or move them.
        """
        deal = self.get_object(request, object_id)
        if deal is None:
            redirect: Any = getattr(self, "_get_obj_does_not_exist_redirect")  # noqa: B009
            return redirect(request, self.opts, object_id)
        if not self.has_view_permission(request, deal):
            raise PermissionDenied
        if request.method == "POST":
            return self._move(request, deal)
        by = request.user.get_username()
        may = self.has_move_permission(request)
        context = {
            **self.admin_site.each_context(request),
            "title": str(deal),
            "opts": self.opts,
            "deal": deal,
            "record": deal.record,
            "properties": {field(name): told for name, told in deal.record.properties.items()},
            "worth": amount(deal.value, deal.currency),
            "ways": ways_of_one(deal, by) if may else [],
            "request_id": uuid.uuid4().hex,
            "timeline": timeline(deal),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "ladderpipe/admin/deal.html", context)

    def _move(self, request: Any, deal: Deal) -> Any:
        if not self.has_move_permission(request):
            raise PermissionDenied
        try:
            said = move_one(deal, request.POST, request.user.get_username())
        except LadderError as error:
            messages.error(request, refusal(error))
        else:
            self.log_change(request, deal, said)
            messages.success(request, said)
        return HttpResponseRedirect(request.path)

    @admin.action(description=_("Move selected deals"), permissions=["move"])
    def move_deals(self, request: Any, queryset: Any) -> Any:
        """Ask where to move the selected deals and for what is required there, then move them."""
        deals = list(queryset[: MOST + 1])
        if len(deals) > MOST or len({deal.pipeline_id for deal in deals}) > 1:
            refused = gettext("Select at most %(most)s deals, of one pipeline.") % {"most": MOST}
            messages.error(request, refused)
            return None
        by = request.user.get_username()
        if "into" in request.POST:
            moved, refusals = move_all(deals, request.POST, by)
            for deal, said in moved:
                self.log_change(request, deal, said)
            if moved:
                told = gettext("%(count)s deals were moved.") % {"count": len(moved)}
                messages.success(request, told)
            for refusal in refusals:
                messages.error(request, refusal)
            return None
        ways: list[Way] = ways_of_all(deals, by)
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Move deals"),
            "opts": self.opts,
            "deals": deals,
            "ways": ways,
            "request_id": uuid.uuid4().hex,
        }
        return TemplateResponse(request, "ladderpipe/admin/move.html", context)


def _briefly(at: dt.datetime | None) -> str:
    return "" if at is None else date_format(timezone.localtime(at), "SHORT_DATETIME_FORMAT")
