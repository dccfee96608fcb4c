"""What a client and its workers need for a pipeline's deals."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping

from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.plugin import SimplePlugin
from temporalio.worker import WorkerConfig, WorkerDeploymentConfig, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from ..errors import DefinitionError
from ..model.delivery import Backoff
from ..model.effect import Handler
from ..model.stage import TASK
from ..pipeline import Pipeline
from .converter import with_records
from .deliveries import deliver_activity
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
            deal; left out, each deal draws its own.

    Raises:
        DefinitionError: a hook is asynchronous, or a handler is for tasks, which people do.
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
    ) -> None:
        settings = DealSettings(
            pipeline=pipeline,
            backoff=backoff or Backoff(),
            lease=lease,
            max_skew=max_skew,
            secret=secret,
        )
        self._set_up(settings, {} if handlers is None else handlers, deployment)

    @classmethod
    def of(
        cls,
        settings: DealSettings,
        handlers: Mapping[str, Handler] | None = None,
        deployment: str | None = None,
    ) -> LadderPlugin:
        """Return the plugin of deals that have all of these settings in common."""
        plugin = object.__new__(cls)
        plugin._set_up(settings, {} if handlers is None else handlers, deployment)
        return plugin

    def _set_up(
        self, settings: DealSettings, handlers: Mapping[str, Handler], deployment: str | None
    ) -> None:
        pipeline = settings.pipeline
        if TASK in handlers:
            raise DefinitionError("'task' is delivered by people: see TemporalBoard.complete")
        pipeline.bind(asynchronous=False)
        self._pipeline = pipeline
        self._deployment = deployment
        super().__init__(
            f"ladderpipe:{pipeline.name}",
            data_converter=with_records,
            workflows=[deal_workflow(settings)],
            activities=[deliver_activity(settings, handlers)],
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


def _passing_through(runner: WorkflowRunner | None) -> WorkflowRunner:
    if not isinstance(runner, SandboxedWorkflowRunner):
        return runner or SandboxedWorkflowRunner()
    restrictions = runner.restrictions.with_passthrough_modules(*PASSED_THROUGH)
    return dataclasses.replace(runner, restrictions=restrictions)
