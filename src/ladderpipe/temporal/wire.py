"""What goes between a caller, a deal's workflow and a worker: ids, refusals, deliveries."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote

from temporalio.exceptions import ApplicationError

from .. import errors
from ..fold.explain import Reason, Refusal
from ..fold.options import Consequence, Option
from ..model.canonical import canonical
from ..model.clock import instant, instant_text
from ..model.deal import Deal
from ..model.effect import Delivery
from ..model.event import Event
from ..model.stage import Stage, stage_called
from ..pipeline import Pipeline

__all__ = [
    "delivery_from",
    "delivery_to",
    "failure_of",
    "refusal_of",
    "workflow_id",
]

LONGEST_ID: Final = 1_000
"""Bytes of a workflow's id, as a Temporal server limits it unless it is told otherwise."""


def workflow_id(pipeline: str, deal: str) -> str:
    """Return the id of a deal's workflow: ``pipeline/deal``.

    A slash in the pipeline's name is quoted, so that no two deals have one id; the end of one that
    is too long is a digest of all of it.

    >>> workflow_id("sales", "cart/42")
    'sales/cart/42'
    """
    whole = f"{quote(pipeline, safe=' ')}/{deal}"
    told = whole.encode()
    if len(told) <= LONGEST_ID:
        return whole
    digest = hashlib.blake2b(told, digest_size=16).hexdigest()
    kept = told[: LONGEST_ID - len(digest) - 1].decode(errors="ignore")
    return f"{kept}~{digest}"


def failure_of(error: errors.LadderError) -> ApplicationError:
    """Return a refusal as Temporal carries it: its class by name, with what it knows."""
    return ApplicationError(
        str(error), _members(error), type=type(error).__name__, non_retryable=True
    )


def _members(error: errors.LadderError) -> dict[str, Any]:
    if isinstance(error, errors.MoveNotAllowedError):
        return {
            "deal": error.deal,
            "stage": None if error.stage is None else str(error.stage),
            "into": None if error.into is None else str(error.into),
            "missing": list(error.missing),
            "expecting": error.expecting,
            "options": [option.to_dict() for option in error.options],
        }
    event = getattr(error, "event", None)
    return {"event": event.to_dict()} if isinstance(event, Event) else {}


def refusal_of(failure: BaseException | None, pipeline: Pipeline) -> errors.LadderError | None:
    """Return the refusal that a failure carries; ``None`` if it is none of ours."""
    if not isinstance(failure, ApplicationError) or failure.type not in errors.__all__:
        return None
    kind: type[errors.LadderError] = getattr(errors, failure.type)
    told = failure.details[0] if failure.details else {}
    if issubclass(kind, errors.MoveNotAllowedError):
        return _move_refused(kind, failure.message, told, pipeline.stages)
    error = kind(failure.message)
    if told.get("event") is not None:
        error.event = Event.from_dict(told["event"])  # type: ignore[attr-defined]
    return error


def _move_refused(
    kind: type[errors.MoveNotAllowedError],
    message: str,
    told: Mapping[str, Any],
    stages: Iterable[Stage],
) -> errors.MoveNotAllowedError:
    def stage(name: str) -> Stage | None:
        return None if told.get(name) is None else stage_called(told[name], stages)

    return kind(
        message,
        deal=told.get("deal"),
        stage=stage("stage"),
        into=stage("into"),
        missing=tuple(told.get("missing", ())),
        expecting=told.get("expecting"),
        options=tuple(_option_from(each, stages) for each in told.get("options", ())),
    )


def _option_from(told: Mapping[str, Any], stages: Iterable[Stage]) -> Option:
    return Option(
        into=stage_called(told["into"], stages),
        allowed=told["allowed"],
        rule=told["rule"],
        refusals=tuple(
            Refusal(each["rule"], Reason(each["reason"]), each["detail"])
            for each in told["refusals"]
        ),
        requires=tuple(told["requires"]),
        missing=tuple(told["missing"]),
        starts=tuple(map(_consequence_from, told["starts"])),
        stops=tuple(map(_consequence_from, told["stops"])),
    )


def _consequence_from(told: Mapping[str, Any]) -> Consequence:
    due_at = told["due_at"]
    return Consequence(told["kind"], told["name"], None if due_at is None else instant(due_at))


def delivery_to(delivery: Delivery) -> dict[str, Any]:
    """Return a delivery as JSON values."""
    return {
        "key": delivery.key,
        "name": delivery.name,
        "payload": canonical(delivery.payload),
        "deal": delivery.deal.to_dict(),
        "pipeline": delivery.pipeline,
        "due_at": instant_text(delivery.due_at),
        "attempt": delivery.attempt,
        "recipient": delivery.recipient,
    }


def delivery_from(told: Mapping[str, Any], stages: Iterable[Stage]) -> Delivery:
    """Return the delivery that :func:`delivery_to` wrote."""
    return Delivery(
        key=told["key"],
        name=told["name"],
        payload=told["payload"],
        deal=Deal.from_dict(told["deal"], stages),
        pipeline=told["pipeline"],
        due_at=instant(told["due_at"]),
        attempt=told["attempt"],
        recipient=told["recipient"],
    )


def size_of(told: Mapping[str, Any]) -> int:
    """Return how many bytes JSON values take."""
    return len(json.dumps(told, ensure_ascii=False).encode(errors="surrogatepass"))
