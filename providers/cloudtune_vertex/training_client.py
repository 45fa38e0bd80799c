"""The driven mode's calls: custom jobs made, looked at and stopped, one a start of a trial.

A look takes one call for each hundred jobs that run, one for each that has just ended, one list of
what was measured, and one for each trial that has measured more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from cloudtune.provider import (
    JobContext,
    Json,
    Plan,
    Started,
    TrainingJob,
    TrialState,
    format_value,
    resolve_secrets,
)
from cloudtune_vertex import response
from cloudtune_vertex.client import Google
from cloudtune_vertex.console import log_of
from cloudtune_vertex.errors import GoogleError
from cloudtune_vertex.metrics import Curve, CurveReader
from cloudtune_vertex.request import JOB_LABEL, RUN_LABEL
from cloudtune_vertex.request.layout import JOB, NUMBER, escape

POLL = 15.0
POLL_EMULATED = 0.25
HIDDEN = 120.0
"""Seconds after which a list tells of a job that was made; Google documents no such time."""
HIDDEN_EMULATED = 1.0


class VertexJobs:
    """The custom jobs of one run; the `TrainingJobs` of Vertex AI.

    Google gives each job a name of its own, and lets two have the same display name. So they are
    found by their labels, of which a job of ours has its run's and its own.
    """

    enforces_trial_timeout = True

    def __init__(self, google: Google, plan: Plan, context: JobContext) -> None:
        """Prepare; nothing is called.

        Args:
            google: Reaches the service.
            plan: Of the job.
            context: The folder and the emulator of the job.

        Raises:
            UsageError: If a variable that trials are to be given is not set.
        """
        self._google = google
        self._plan = plan
        self._context = context
        self._template = resolve_secrets(plan.request, plan.study, escape=escape, allow_empty=False)
        self._resource = plan.fitted.study.strategy.resource
        self._curves = CurveReader(google, plan.facts, needed=True)
        self._names: dict[str, str] = {}
        """What Google calls the jobs, by our names for them."""
        self._ended: dict[str, Json] = {}
        self._lists = True

    @property
    def hidden_seconds(self) -> float:
        """For how long a job that was made may not be found yet."""
        return HIDDEN_EMULATED if self._google.emulated else HIDDEN

    @property
    def poll_seconds(self) -> float:
        """How long to wait between two looks."""
        return POLL_EMULATED if self._google.emulated else POLL

    def job_name(self, number: int, start: int) -> str:
        """Return the name of the custom job of a trial's start."""
        suffix = f"{number}-{start}" if start > 1 else f"{number}"
        return f"{self._plan.facts.job_name}-{suffix}"

    def create(self, started: Started) -> None:
        """Create the custom job of a start.

        Nothing at Google keeps a second one from being made, so one that may be there already is
        to be looked for first.

        Raises:
            GoogleError: If it fails.
        """
        assert started.id is not None
        made = self._google.create(self._request(started))
        self._names[started.id] = made["name"]

    def poll(self, starts: Sequence[Started]) -> dict[str, TrainingJob]:
        """Return how the custom jobs of starts stand, without those that are not there.

        Raises:
            GoogleError: If Google cannot be asked.
        """
        told = self._told([started.id for started in starts if started.id])
        begun = [name for name, job in told.items() if response.word_of(job) not in _WAITING]
        curves = self._curves.read(begun)
        return {
            started.id: self._job(started, told[started.id], curves.get(started.id, Curve()))
            for started in starts
            if started.id in told
        }

    def stop(self, name: str) -> None:
        """Ask a custom job to end; one that has ended, or is not there, is left alone.

        Raises:
            GoogleError: If Google cannot be asked, or refuses.
        """
        if name not in self._names:
            self._find([name])
        if name not in self._names:
            return
        try:
            self._google.cancel(self._names[name])
        except GoogleError as error:
            if error.retryable or error.affects_all_calls:
                raise
            job = self._got(name)
            if job is not None and not response.is_over(job):
                raise

    def _job(self, started: Started, told: Json, curve: Curve) -> TrainingJob:
        state, reason = _state(told, curve)
        over = response.is_over(told)
        spec: Json = told.get("jobSpec", {})
        return TrainingJob(
            state=state,
            word=response.word_of(told),
            stopping=response.is_stopped(told),
            measurements=curve.measurements(started.after_step),
            started=response.seconds(told.get("startTime")),
            ended=response.seconds(told.get("endTime") or told.get("updateTime")) if over else None,
            reason=reason,
            machine=response.machine_of(spec),
            log=log_of(self._plan, self._context, told["name"]),
            artifacts=response.artifacts_of(spec),
        )

    def _request(self, started: Started) -> Json:
        """Return the request for the custom job of a start."""
        given = {name: format_value(value) for name, value in started.parameters.items()}
        if self._resource and started.resource is not None:
            given[self._resource] = format_value(started.resource)
        job: Json = {**self._template["customJob"], "displayName": started.id}
        job["labels"] = {k: started.id if v == JOB else v for k, v in job["labels"].items()}
        spec = job["jobSpec"] = dict(job["jobSpec"])
        base: str = spec["baseOutputDirectory"]["outputUriPrefix"]
        spec["baseOutputDirectory"] = {  # the same for all starts, which go on from one another
            "outputUriPrefix": base.replace(NUMBER, str(started.number))
        }
        chief, *others = spec["workerPoolSpecs"]
        kind = "pythonPackageSpec" if "pythonPackageSpec" in chief else "containerSpec"
        task: Json = dict(chief[kind])
        task["args"] = [*task.get("args", ()), *(f"--{n}={value}" for n, value in given.items())]
        if "env" in task:
            task["env"] = [
                {**each, "value": started.id} if each.get("value") == JOB else each
                for each in task["env"]
            ]
        spec["workerPoolSpecs"] = [{**chief, kind: task}, *others]
        return {**self._template, "customJob": job}

    def _told(self, names: Collection[str]) -> dict[str, Json]:
        """Return custom jobs by our names for them, without those that are not there."""
        if any(name not in self._names for name in names):
            self._find(names)
        known = [name for name in names if name in self._names]
        found = {name: self._ended[name] for name in known if name in self._ended}
        if self._lists and len(known) - len(found) > 1:
            found |= self._listed(_OPEN)
        for name in known:
            if name not in found and (job := self._got(name)):
                found[name] = job
        self._ended |= {n: job for n, job in found.items() if response.is_over(job)}
        return {name: found[name] for name in known if name in found}

    def _find(self, names: Collection[str]) -> None:
        """Find out what Google calls the jobs of which only we have a name."""
        label = f" AND labels.{JOB_LABEL}={next(iter(names))}" if len(names) == 1 else ""
        for name, job in self._listed(label).items():
            self._names.setdefault(name, job["name"])

    def _listed(self, more: str) -> dict[str, Json]:
        """Return the jobs of this run that a filter lets through; of two alike the first made."""
        try:
            jobs = self._google.custom_jobs(f"labels.{RUN_LABEL}={self._plan.facts.run_id}{more}")
        except GoogleError as error:
            if more != _OPEN or error.retryable or error.affects_all_calls:
                raise
            self._lists = False  # they can be looked at one by one
            return {}
        jobs.sort(key=lambda job: str(job.get("createTime", "")), reverse=True)
        labels: list[Mapping[str, str]] = [job.get("labels", {}) for job in jobs]
        return {
            label[JOB_LABEL]: job
            for label, job in zip(labels, jobs, strict=True)
            if JOB_LABEL in label
        }

    def _got(self, name: str) -> Json | None:
        try:
            return self._google.get(self._names[name])
        except GoogleError as error:
            if error.not_found:
                return None
            raise


_WAITING = frozenset({"JOB_STATE_QUEUED", "JOB_STATE_PENDING"})
_OPEN = "".join(f' AND state!="{word}"' for word in sorted(response.OVER))
"""What a filter says of the jobs that have not come to their end."""


def _state(told: Json, curve: Curve) -> tuple[TrialState, str]:
    """Return how a custom job stands, and why it ended so."""
    state = response.JOB_STATES.get(response.word_of(told), "unknown")
    if response.is_too_long(told):
        return "failed", response.TOO_LONG
    if state == "failed":
        return state, curve.failure or response.reason_of(told)
    return state, ""
