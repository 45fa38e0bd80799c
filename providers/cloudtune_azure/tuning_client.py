"""The sweep of the managed mode, from its request to its end; or a command job that was attached.

A poll takes one call for the sweep, whose tags have the values of all trials, and one for the
states of the trials in run history; for each running trial one of MLflow, and one more for each
metric with new values.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection
from typing import Any

from cloudtune.provider import (
    JobContext,
    JobRef,
    JobStatus,
    Json,
    Plan,
    RawTrial,
    is_map,
    merge_json,
)
from cloudtune.provider.secrets import resolve_secrets
from cloudtune.results import TrialState
from cloudtune_azure import response
from cloudtune_azure.client import AzureClient
from cloudtune_azure.console import run_address
from cloudtune_azure.errors import AzureError
from cloudtune_azure.job_description import created, to_seconds
from cloudtune_azure.launcher_contract import flatten, trial_number
from cloudtune_azure.metrics import Curve
from cloudtune_azure.request.rest import seconds
from cloudtune_azure.runs import Runs
from cloudtune_azure.settings import NAME
from cloudtune_azure.uploads import upload

_TAG = "_aml_system_"
_CANCELLED = f"{_TAG}cancellation_requested"
_MAX_INCOMPLETE_POLLS = 3
"""How many polls an ended sweep waits for the ends of its trials, or a sweep may be missing."""


class TuningClient(Runs):
    """Creates, polls and stops one sweep: the `JobClient` of Azure.

    A second PUT of its name is an update of the first.
    """

    def __init__(self, client: AzureClient, plan: Plan, context: JobContext) -> None:
        """Create the client without calling Azure."""
        super().__init__(client, plan, context)
        self._names: Collection[str] = plan.fitted.study.parameters.keys()
        self._ended: dict[str, RawTrial] = {}
        self._incomplete_polls = self._missing_polls = 0
        self._is_busy = False
        """Whether Azure has refused a call of this poll for the moment."""

    def submit(self, request: Json) -> JobRef:
        """Upload code and data, and create the sweep.

        Raises:
            UsageError: If a variable that trials take from the environment is not set.
            ProviderError: If Azure refuses the sweep.
        """
        given: Json = request["properties"]["trial"].get("environmentVariables") or {}
        variables = resolve_secrets({"env": given}, self._plan.study)["env"]
        environment = self._client.environment_id(request["properties"]["trial"]["environmentId"])
        trial = {"trial": {"environmentVariables": variables, "environmentId": environment}}
        full = merge_json(request, {"properties": trial})
        upload(self._client, self._plan, self._context)
        return JobRef(NAME, self._client.put_job(self._plan.facts.job_name, full)["name"])

    def find(self, job_name: str) -> JobRef | None:
        """Return the sweep that an interrupted submit has created, if any.

        Raises:
            AzureError: If Azure cannot be called.
        """
        return JobRef(NAME, job_name) if self._client.get_job(job_name) else None

    def status(self, job: JobRef) -> JobStatus:
        """Return the current state of the sweep and its trials.

        Raises:
            AzureError: If Azure cannot be called, or does not return the sweep for now.
        """
        sweep = self._client.get_job(job.id)
        if sweep is None:
            message = f"the sweep {job.id} no longer exists"
            self._missing_polls += 1
            if self._missing_polls <= _MAX_INCOMPLETE_POLLS:
                raise AzureError(message, code=404, retryable=True)
            return JobStatus("failed", "", message)
        self._missing_polls = 0
        began = created(sweep)
        state = response.sweep_state(sweep)
        reason = ""
        if state == "cancelled" and not _is_cancelled(sweep) and self._has_timed_out(sweep, began):
            state, reason = "completed", "the timeout of the sweep was reached"
        self._is_busy = False
        trials = self._trials(sweep)
        if self._is_busy:
            state, reason = "running", ""
        elif state != "running" and not all(each.over for each in trials):
            self._incomplete_polls += 1
            if self._incomplete_polls <= _MAX_INCOMPLETE_POLLS:
                state, reason = "running", ""
        if state == "failed":
            details = self._client.run_details(self._tracking, job.id)
            reason = response.failure(details)[0]
        return JobStatus(state, response.status(sweep), reason, trials, created=began)

    def stop(self, job: JobRef) -> None:
        """Cancel the sweep; no effect if it has ended.

        Raises:
            AzureError: If Azure cannot be called.
        """
        self._client.cancel_job(job.id)

    @property
    def _tracking(self) -> str:
        return self._client.tracking_address()

    def _has_timed_out(self, sweep: Json, began: float | None) -> bool:
        limits: Json = sweep["properties"].get("limits") or {}
        longest = seconds(str(limits.get("timeout")))
        return bool(longest and began) and time.time() >= (began or 0) + (longest or 0)

    def _trials(self, sweep: Json) -> list[RawTrial]:
        values = _values(sweep)
        new = values.keys() - self._ended.keys()
        rows: dict[str, Json] = {}
        if new and not response.is_sweep(sweep):
            rows = {name: self._client.run_details(self._tracking, name) for name in new}
        elif new:
            children = self._client.run_children(self._tracking, str(sweep["name"]))
            rows = {str(row["runId"]): row for row in children}
            for name in new - rows.keys() if response.has_ended(sweep) else ():
                rows[name] = self._client.run_details(self._tracking, name)
        for name in new:
            trial = self._trial(sweep, name, values[name], rows.get(name) or {})
            if trial.over:
                self._ended[name] = trial
            rows[name] = {"trial": trial}
        found = [self._ended.get(name) or rows[name]["trial"] for name in values]
        self._running = sum(not trial.over for trial in found)
        return sorted(found, key=lambda trial: trial.number)

    def _trial(self, sweep: Json, name: str, values: Json, row: Json) -> RawTrial:
        word = str(row.get("status") or "NotStarted")
        state = response.STATES.get(word, "unknown")
        is_over = word in response.ENDED
        if state != "waiting" and not self._can_read(name, is_over=is_over):
            state, is_over = "running", False  # its end is reported with its measurements
        curve = self._curve(name)
        began = to_seconds(row.get("startTimeUtc")) or curve.started
        ended = to_seconds(row.get("endTimeUtc")) or time.time()
        reason = curve.failure if state == "completed" else ""
        if curve.problem:
            if not is_over:
                self._client.cancel_job(name)
            state, reason, is_over = "failed", curve.problem, True
        elif state == "failed":
            reason = curve.failure or response.failure(row)[0]
        elif state == "cancelled":
            state, reason = self._cancelled(sweep, ended - began if began else 0.0)
        elif state == "completed" and not self._has_objective(curve):
            state = "failed"
            reason = f"no value of {self._metric} was logged"
        number = trial_number(name) if response.is_sweep(sweep) else 1
        return RawTrial(
            number=number,
            id=name,
            parameters=flatten(values or curve.params, self._names),
            state=state,
            word=word,
            stopping=word in response.STOPPING,
            measurements=curve.measurements,
            created=to_seconds(row.get("createdUtc")),
            started=began,
            ended=ended if is_over else None,
            reason=reason,
            machine=self._machine(curve),
            log=run_address(self._context, self._plan.facts.data, name),
            artifacts=None if self._plan.facts.attached is not None else self._artifacts(number),
        )

    def _can_read(self, name: str, *, is_over: bool) -> bool:
        """Read what is new of a trial; return whether Azure was not too busy for that.

        Then the next poll reads it, and this one no other trial either.
        """
        try:
            if not self._is_busy:
                self._read(name, self._tracking, is_over=is_over)
        except AzureError as error:
            if not error.retryable:
                raise
            self._is_busy = True
        return not self._is_busy

    def _cancelled(self, sweep: Json, ran: float) -> tuple[TrialState, str]:
        """Return what the end of a trial that Azure has cancelled means.

        By a limit of its time, by the policy, or with the sweep; no recording shows the three.
        """
        properties: Json = sweep["properties"]
        limits: Json = properties.get("limits") or {}
        longest = seconds(str(limits.get("trialTimeout")))
        if longest is not None and ran >= longest:
            return "failed", "its trial_timeout was reached"
        is_ending = response.status(sweep) in {"CancelRequested", "Canceled"}
        if properties.get("earlyTermination") and not is_ending:
            return "stopped_early", "Azure's early termination policy has stopped it"
        return "cancelled", ""

    @property
    def _metric(self) -> str:
        return self._plan.fitted.study.objectives[0].metric

    def _has_objective(self, curve: Curve) -> bool:
        return any(self._metric in each.metrics for each in curve.measurements)


def _values(sweep: Json) -> dict[str, Json]:
    """Return the values of each trial by its name, from the tags; a command job is one trial."""
    if not response.is_sweep(sweep):
        return {str(sweep["name"]): {}}
    found: dict[str, Json] = {}
    prefix = f"{_TAG}{sweep['name']}_"
    tags: Json = sweep["properties"].get("tags") or {}
    for key, text in tags.items():
        if not key.startswith(prefix) or not key.removeprefix(prefix).isdigit():
            continue
        try:
            values: Any = json.loads(str(text))
        except ValueError:
            values = None
        if not is_map(values):
            raise AzureError(f"the tag {key} of the sweep is {text!r:.80}, and not a JSON object")
        found[key.removeprefix(_TAG)] = values
    return found


def _is_cancelled(sweep: Json) -> bool:
    tags: Json = sweep["properties"].get("tags") or {}
    return tags.get(_CANCELLED) == "true"
