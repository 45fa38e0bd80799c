"""What sweeps and command jobs share: how often they are polled, and what is read of their runs."""

from __future__ import annotations

from cloudtune.provider import JobContext, Plan, if_found
from cloudtune.provider.secrets import Mask
from cloudtune_azure.client import AzureClient
from cloudtune_azure.metrics import Curve
from cloudtune_azure.request.training_job import outputs_folder
from cloudtune_azure.settings import AzureSettings

POLL_SECONDS = 15.0
POLL_SECONDS_EMULATED = 0.25
SECONDS_PER_JOB = 2.0
"""Chosen: with more running jobs, polls are further apart. The service has a limit of its own,
which a recording reached (sweep_submit_2022-10_throttled)."""


HIDDEN_SECONDS = 30.0
"""Chosen: how long a new job may be missing, since Azure documents no time."""


class Runs:
    """The runs of one plan's jobs. Names of jobs are cloudtune's own and unique."""

    def __init__(self, client: AzureClient, plan: Plan, context: JobContext) -> None:
        """Store what is needed without calling Azure."""
        assert isinstance(plan.settings, AzureSettings)
        self._client = client
        self._plan = plan
        self._context = context
        self._settings = plan.settings
        self._hide = Mask(plan.study).hide
        self._curves: dict[str, Curve] = {}
        self._running = 0
        self.hidden_seconds = 0.0 if client.emulated else HIDDEN_SECONDS

    @property
    def poll_seconds(self) -> float:
        """Seconds between two polls, which bound the calls a second."""
        if self._client.emulated:
            return POLL_SECONDS_EMULATED
        return max(POLL_SECONDS, self._running * SECONDS_PER_JOB)

    def _curve(self, name: str) -> Curve:
        """Return what was read of a job."""
        return self._curves.setdefault(name, Curve(hide=self._hide))

    def _read(self, name: str, tracking: str, *, is_over: bool) -> None:
        """Read what is new of a job, whose run begins with it."""
        curve = self._curve(name)
        with curve.failed_polls.counted():
            if_found(lambda: curve.read(self._client, tracking, name, is_over=is_over))

    def _machine(self, curve: Curve) -> str | None:
        return self._settings.instance_type or self._settings.compute or curve.machine

    def _artifacts(self, number: int) -> str:
        """Return the folder with what a trial has written."""
        return f"{outputs_folder(self._plan.facts, self._settings)}/{number}/output"
