"""The custom jobs of the driven mode: one for each start of a trial.

A poll takes one call for each hundred running jobs, one for each job that has just ended, one list
of the measurements, and one for each trial with new measurements.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache

from cloudtune.provider import (
    JobContext,
    Json,
    Plan,
    TrainingJob,
    format_value,
    if_found,
    start_constants,
    start_name,
)
from cloudtune.provider.secrets import resolve_secrets
from cloudtune.results import Started, TrialState
from cloudtune_vertex import response
from cloudtune_vertex.client import Google
from cloudtune_vertex.console import log_url
from cloudtune_vertex.errors import GoogleError
from cloudtune_vertex.metrics import Curve, CurveReader
from cloudtune_vertex.request.layout import JOB, JOB_LABEL, NUMBER, RUN_LABEL, escape
from cloudtune_vertex.request.run_part import AFTER_STEP_VARIABLE

POLL_SECONDS = 15.0
POLL_SECONDS_EMULATED = 0.25
HIDDEN_SECONDS = 120.0
"""How long a new job may be missing from a list; Google documents no limit."""
HIDDEN_SECONDS_EMULATED = 1.0
_NOT_ENDED = "".join(f' AND state!="{word}"' for word in sorted(response.ENDED_STATES))
"""The filter for jobs that have not ended."""


class VertexJobs:
    """The custom jobs of one run: the `TrainingJobs` of Vertex AI.

    Google generates the name of each job, and display names need not be unique. So jobs are found
    by their labels for the run and the start.
    """

    enforces_trial_timeout = True

    def __init__(
        self, google: Google, plan: Plan, context: JobContext, upload: Callable[[], None]
    ) -> None:
        """Create the client without calling Google.

        Args:
            google: The services.
            plan: The plan of the job.
            context: The folder and the emulator of the job.
            upload: Stores code and data, unless they are there. It is called by the first `create`:
                following and stopping never creates anything.

        Raises:
            UsageError: If a variable that trials take from the environment is not set.
        """
        emulated = google.emulated
        self.hidden_seconds = HIDDEN_SECONDS_EMULATED if emulated else HIDDEN_SECONDS
        self.poll_seconds = POLL_SECONDS_EMULATED if emulated else POLL_SECONDS
        self._google = google
        self._plan = plan
        self._context = context
        self._upload = cache(upload)
        self._template = resolve_secrets(plan.request, plan.study, escape=escape, allow_empty=False)
        self._reader = CurveReader(google, plan.facts, required=True)
        self._full_names: dict[str, str] = {}
        """Google's names of the jobs by cloudtune's names."""
        self._machines: defaultdict[str, response.Machine] = defaultdict(response.Machine)
        """By cloudtune's names of the jobs."""
        self._ended: dict[str, Json] = {}
        self._can_list = True

    def job_name(self, number: int, start: int) -> str:
        """Return the name of the custom job of a trial's start."""
        return start_name(self._plan.facts.job_name, number, start)

    def create(self, started: Started) -> None:
        """Create the custom job of a start.

        Google accepts several jobs of the same name, so the caller first polls for a job that may
        exist.

        Raises:
            ProviderError: If the code or the data cannot be stored, or the call fails.
        """
        assert started.id is not None
        self._upload()
        self._full_names[started.id] = self._google.create(self._request(started))["name"]

    def poll(self, starts: Sequence[Started]) -> dict[str, TrainingJob]:
        """Return the current state of each custom job by name. Missing jobs are omitted.

        Raises:
            GoogleError: If Google cannot be called.
        """
        jobs = self._find_jobs([started.id for started in starts if started.id])
        running = [
            n
            for n, job in jobs.items()
            if response.service_state(job) not in response.WAITING_STATES
        ]
        curves = self._reader.read(running)
        return {
            started.id: self._training_job(
                started, jobs[started.id], curves.get(started.id, Curve())
            )
            for started in starts
            if started.id in jobs
        }

    def stop(self, name: str) -> None:
        """Stop a custom job; no effect on one that has ended or does not exist.

        Raises:
            GoogleError: If Google cannot be called, or refuses.
        """
        if name not in self._full_names:
            self._find_full_names([name])
        if name not in self._full_names:
            return
        try:
            self._google.cancel(self._full_names[name])
        except GoogleError as error:
            if error.retryable or error.affects_all_calls:
                raise
            job = self._get(name)
            if job is not None and not response.has_ended(job):
                raise

    def _training_job(self, started: Started, job: Json, curve: Curve) -> TrainingJob:
        machine = self._machines[started.id or ""]
        machine.see(job)
        state, reason = _state(job, machine, curve)
        ended = job.get("endTime") or job.get("updateTime") if response.has_ended(job) else None
        spec: Json = job.get("jobSpec", {})
        return TrainingJob(
            state=state,
            word=response.service_state(job),
            stopping=response.is_stopped(job) and reason != response.TIMEOUT_REASON,
            measurements=curve.measurements(started.after_step),
            started=machine.runs_since,
            ended=response.to_seconds(ended),
            reason=reason,
            lost=response.is_lost(job),
            no_machine=response.got_no_machine(job),
            machine=response.machine(spec),
            log=log_url(self._plan, self._context, job["name"]),
            artifacts=response.artifacts(spec),
        )

    def _request(self, started: Started) -> Json:
        all_values = {**started.parameters, **start_constants(self._plan, started)}
        values = {name: format_value(value) for name, value in all_values.items()}
        job: Json = {**self._template["customJob"], "displayName": started.id}
        job["labels"] = {k: started.id if v == JOB else v for k, v in job["labels"].items()}
        spec = job["jobSpec"] = dict(job["jobSpec"])
        base: str = spec["baseOutputDirectory"]["outputUriPrefix"]
        # All starts of a trial and its repeats share their output, so that they can continue it.
        folder = base.replace(NUMBER, str(started.checkpoint_number))
        spec["baseOutputDirectory"] = {"outputUriPrefix": folder}
        chief, *others = spec["workerPoolSpecs"]
        kind = "pythonPackageSpec" if "pythonPackageSpec" in chief else "containerSpec"
        task: Json = dict(chief[kind])
        task["args"] = [*task.get("args", ()), *(f"--{n}={value}" for n, value in values.items())]
        if "env" in task:
            task["env"] = [
                {**each, "value": started.id} if each.get("value") == JOB else each
                for each in task["env"]
            ]
            if started.after_step:
                variable = {"name": AFTER_STEP_VARIABLE, "value": str(started.after_step)}
                task["env"].append(variable)
        spec["workerPoolSpecs"] = [{**chief, kind: task}, *others]
        return {**self._template, "customJob": job}

    def _find_jobs(self, names: Collection[str]) -> dict[str, Json]:
        """Return custom jobs by cloudtune's names. Missing jobs are omitted."""
        if any(name not in self._full_names for name in names):
            self._find_full_names(names)
        known = [name for name in names if name in self._full_names]
        jobs = {name: self._ended[name] for name in known if name in self._ended}
        if self._can_list and len(known) - len(jobs) > 1:
            jobs |= self._list(_NOT_ENDED)
        for name in known:
            if name not in jobs and (job := self._get(name)):
                jobs[name] = job
        self._ended |= {name: job for name, job in jobs.items() if response.has_ended(job)}
        return {name: jobs[name] for name in known if name in jobs}

    def _find_full_names(self, names: Collection[str]) -> None:
        label = f' AND labels.{JOB_LABEL}="{next(iter(names))}"' if len(names) == 1 else ""
        for name, job in self._list(label).items():
            self._full_names.setdefault(name, job["name"])

    def _list(self, extra_filter: str) -> dict[str, Json]:
        """Return the jobs of this run that match a filter; the oldest of several of a name."""
        filter_ = f'labels.{RUN_LABEL}="{self._plan.facts.run_id}"{extra_filter}'
        try:
            jobs = self._google.list_custom_jobs(filter_)
        except GoogleError as error:
            if extra_filter != _NOT_ENDED or error.retryable or error.affects_all_calls:
                raise
            self._can_list = False  # each job is read instead
            return {}
        jobs.sort(key=lambda job: str(job.get("createTime", "")), reverse=True)
        labels: list[Mapping[str, str]] = [job.get("labels", {}) for job in jobs]
        return {
            label[JOB_LABEL]: job
            for label, job in zip(labels, jobs, strict=True)
            if JOB_LABEL in label
        }

    def _get(self, name: str) -> Json | None:
        return if_found(lambda: self._google.get(self._full_names[name]))


def _state(job: Json, machine: response.Machine, curve: Curve) -> tuple[TrialState, str]:
    word = response.service_state(job)
    state = response.JOB_STATES.get(word, "unknown")
    if word in response.WAITING_STATES:
        return "waiting", ""
    if machine.is_timed_out(job):
        return "failed", response.TIMEOUT_REASON
    if state == "failed":
        return state, curve.failure or response.failure_reason(job)
    return state, curve.failure if state == "completed" else ""
