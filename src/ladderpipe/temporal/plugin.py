"""What a client and its workers need for a pipeline's deals."""

from __future__ import annotations

import dataclasses
import datetime as dt
import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.plugin import SimplePlugin
from temporalio.worker import WorkerConfig, WorkerDeploymentConfig, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from .. import board, fold
from ..errors import DefinitionError
from ..model.delivery import Backoff
from ..model.effect import Handler
from ..model.stage import TASK
from ..pipeline import Pipeline
from .asking import with_customers
from .converter import with_records
from .customer import CustomerWorkflow, customers_activity
from .deliveries import deliver_activity
from .follow import following
from .projection import Projection
from .settings import LEASE, SKEW, DealSettings
from .workflow import deal_workflow

__all__ = ["LadderPlugin"]

PASSED_THROUGH = ("ladderpipe", "attr", "attrs", "transitions", "opentelemetry")
"""What a workflow of somebody's own may import that runs in the sandbox."""


class LadderPlugin(SimplePlugin):
    """Lets workers run a pipeline's deals, each a workflow, and deliver their effects.

    Give it to the client; the workers made from that client have it, too. A worker may have one for
    each of several pipelines.

    Args:
        pipeline: the ladder; it takes no further hooks from now on.
        handlers: by the name of an effect, what delivers it: plain, then it runs in a thread, or
            ``async def``. Raising means that it is tried again, as a board does.
        deployment: the name of a worker deployment. Workers then are versions of it, by the
            pipeline's fingerprint, and a deal stays with workers that have the definition that
            it began with, until it adopts another; see the how-to. It needs one call of the
            operator's to let a version take deals.
        backoff: when failed deliveries are tried again.
        lease: how long one try of a delivery may take.
        max_skew: how far in the future an event may be.
        secret: what hashes of addresses are keyed with, so that one address has one name in every
            deal; left out, each deal draws its own. A pipeline with a send policy needs it: 32
            random bytes, the same for all pipelines whose customers are the same.
        projection: a store that follows the deals.

    Raises:
        DefinitionError: a hook is asynchronous, or a handler is for tasks, which people do; the
            send policy has no secret, or a cap that looks back more than a year; the projection is
            of another ladder.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        handlers: Mapping[str, Handler] | None = None,
        *,
        deployment: str | None = None,
        backoff: Backoff | None = None,
        lease: dt.timedelta = LEASE,
        max_skew: dt.timedelta = SKEW,
        secret: bytes | None = None,
        projection: Projection | None = None,
    ) -> None:
        settings = DealSettings(
            pipeline=pipeline,
            backoff=backoff or Backoff(),
            lease=lease,
            max_skew=max_skew,
            secret=secret,
        )
        found = {} if handlers is None else handlers
        self._set_up(settings, found, deployment, projection)

    @classmethod
    def of(
        cls,
        settings: DealSettings,
        handlers: Mapping[str, Handler] | None = None,
        deployment: str | None = None,
        projection: Projection | None = None,
    ) -> LadderPlugin:
        """Return the plugin of deals that have all of these settings in common."""
        plugin = object.__new__(cls)
        found = {} if handlers is None else handlers
        plugin._set_up(settings, found, deployment, projection)
        return plugin

    def _set_up(
        self,
        settings: DealSettings,
        handlers: Mapping[str, Handler],
        deployment: str | None,
        projection: Projection | None,
    ) -> None:
        pipeline = settings.pipeline
        if TASK in handlers:
            raise DefinitionError("'task' is delivered by people: see TemporalBoard.complete")
        pipeline.bind(asynchronous=False)
        _load_all_of(board, fold)
        self._pipeline = pipeline
        self._deployment = deployment
        activities: list[Any] = [deliver_activity(settings, handlers)]
        workflows: list[type] = []
        # By a clock of its own a deal would not agree with its customers about the time.
        if pipeline.send is not None and settings.clock is None:
            settings = with_customers(settings)
            activities.append(customers_activity(pipeline))
            workflows.append(CustomerWorkflow)
        if projection is not None:
            settings = following(settings, projection)
            activities.append(projection.activity())
        super().__init__(
            f"ladderpipe:{pipeline.name}",
            data_converter=with_records,
            workflows=_besides(deal_workflow(settings), *workflows),
            activities=_besides(*activities),
            workflow_runner=_passing_through,
        )

    def configure_worker(self, config: WorkerConfig) -> WorkerConfig:
        """Add the workflow, the activity and, where it is asked for, the worker's version."""
        configured = super().configure_worker(config)
        if self._deployment is not None and configured.get("deployment_config") is None:
            version = WorkerDeploymentVersion(self._deployment, self._pipeline.fingerprint)
            configured["deployment_config"] = WorkerDeploymentConfig(
                version,
                use_worker_versioning=True,
                default_versioning_behavior=VersioningBehavior.PINNED,
            )
        return configured


def _load_all_of(*rooms: ModuleType) -> None:
    """Load what a board loads when it is first asked for: a workflow's task has two seconds."""
    for room in rooms:
        for found in pkgutil.iter_modules(room.__path__, f"{room.__name__}."):
            importlib.import_module(found.name)


def _besides(*ours: Any) -> Callable[[Sequence[Any] | None], Sequence[Any]]:
    """Return what adds ours to a worker's; what pipelines have in common is there once."""
    return lambda there: [*(there or ()), *(each for each in ours if each not in (there or ()))]


def _passing_through(runner: WorkflowRunner | None) -> WorkflowRunner:
    if not isinstance(runner, SandboxedWorkflowRunner):
        return runner or SandboxedWorkflowRunner()
    restrictions = runner.restrictions.with_passthrough_modules(*PASSED_THROUGH)
    return dataclasses.replace(runner, restrictions=restrictions)
