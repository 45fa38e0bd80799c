"""The driven mode's calls: trainings made, looked at and stopped, one a start of a trial.

A look takes one list of the run's trainings, and one file for each that runs or has just ended.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from cloudtune.provider import (
    JobContext,
    Json,
    Measurement,
    Plan,
    Started,
    TrainingJob,
    format_value,
)
from cloudtune_watson import metrics, response
from cloudtune_watson.client import Trainings
from cloudtune_watson.console import log_of
from cloudtune_watson.errors import WatsonError
from cloudtune_watson.request.layout import DEFINITION, JOB, JOB_TAG, RUN_TAG
from cloudtune_watson.request.training_job import command

POLL = 15.0
POLL_EMULATED = 0.25
HIDDEN = 30.0
"""Seconds; IBM says nothing of it."""


@dataclass
class _Known:
    """What was read of one training."""

    measurements: Sequence[Measurement] = ()
    of_status: bool = False
    """Whether they stand in its status, so that no file has to be read."""
    told: Json | None = None
    """The training itself, once it has ended and all of it was read."""
    failure: str = ""
    remark: str = ""
    """Why its list is not read, if that is so."""


class WatsonJobs:
    """The trainings of one run; the `TrainingJobs` of IBM Watson.

    IBM gives each training a name of its own, and lets two have ours. So they are found by their
    tags, of which a training of ours has its run's and its own.
    """

    enforces_trial_timeout = False  # a training has no limit of its own

    def __init__(
        self, trainings: Trainings, plan: Plan, context: JobContext, definition: str
    ) -> None:
        """Prepare; nothing is called.

        Args:
            trainings: Reaches the service.
            plan: Of the job.
            context: The folder and the emulator of the job.
            definition: The id of what a training runs.
        """
        self._trainings = trainings
        self._plan = plan
        self._context = context
        self._definition = definition
        study = plan.fitted.study
        self._resource = study.strategy.resource
        self._objectives = {objective.metric for objective in study.objectives}
        self._wanted = self._objectives | {*study.trial.metrics}
        """The metrics of a whole measurement."""
        self._ids: dict[str, str] = {}
        """What IBM calls the trainings, by our names for them."""
        self._known: dict[str, _Known] = {}

    @property
    def hidden_seconds(self) -> float:
        """For how long a training that was made may not be found yet."""
        return 0.0 if self._trainings.emulated else HIDDEN

    @property
    def poll_seconds(self) -> float:
        """How long to wait between two looks."""
        return POLL_EMULATED if self._trainings.emulated else POLL

    def job_name(self, number: int, start: int) -> str:
        """Return the name of the training of a trial's start."""
        suffix = f"{number}-{start}" if start > 1 else f"{number}"
        return f"{self._plan.facts.job_name}-{suffix}"

    def create(self, started: Started) -> None:
        """Start the training of a start.

        Nothing at IBM keeps a second one from being made, so one that may be there already is to
        be looked for first.

        Raises:
            WatsonError: If it fails.
        """
        assert started.id is not None
        self._ids[started.id] = self._trainings.create(self._request(started))

    def poll(self, starts: Sequence[Started]) -> dict[str, TrainingJob]:
        """Return how the trainings of starts stand, without those that are not there.

        Raises:
            WatsonError: If IBM cannot be asked.
        """
        told = self._told([started.id for started in starts if started.id])
        return {name: self._job(name, training) for name, training in told.items()}

    def stop(self, name: str) -> None:
        """Ask a training to end; one that has ended, or is not there, is left alone.

        Raises:
            WatsonError: If IBM cannot be asked, or refuses.
        """
        found = self._told([name])
        if name not in found or response.is_over(found[name]):
            return
        try:
            self._trainings.cancel(self._ids[name])
        except WatsonError as error:
            if error.retryable or error.affects_all_calls:
                raise
            training = self._got(name)
            if training is not None and not response.is_over(training):
                raise

    def _request(self, started: Started) -> Json:
        """Return the request for the training of a start."""
        assert started.id is not None
        given = {name: format_value(value) for name, value in started.parameters.items()}
        if self._resource and started.resource is not None:
            given[self._resource] = format_value(started.resource)
        made: Json = _filled(self._plan.request, {JOB: started.id, DEFINITION: self._definition})
        made["model_definition"] = {**made["model_definition"], "command": command(given)}
        return made

    def _job(self, name: str, training: Json) -> TrainingJob:
        known = self._known.setdefault(name, _Known())
        if known.told is None:
            self._read(known, training)
        status: Json = training.get("entity", {}).get("status", {})
        created = training.get("metadata", {}).get("created_at")
        over = response.is_over(training)
        ended = status.get("completed_at") or training.get("metadata", {}).get("modified_at")
        hardware: Json = self._plan.request["model_definition"]["hardware_spec"]
        return TrainingJob(
            state=response.state_of(training),
            word=response.word_of(training),
            measurements=known.measurements,
            started=response.seconds(status.get("running_at") or created),
            ended=response.seconds(ended) if over else None,
            reason=known.failure or response.reason_of(training) or known.remark,
            machine=hardware.get("name"),
            log=log_of(self._context, _location(training).get("training_log")),
            artifacts=_results(training) or None,
        )

    def _read(self, known: _Known, training: Json) -> None:
        """Take note of what a training has measured so far, and why it failed."""
        state, over = response.state_of(training), response.is_over(training)
        if state == "pending":
            return
        status = metrics.of_status(training.get("entity", {}).get("status", {}))
        told = _settled(status, self._wanted, over=over)
        if self._has_objectives(told) and _begins_with(told, known.measurements):
            known.of_status = True
        measured = told if known.of_status else self._of_files(known, training, status, over=over)
        if len(measured) >= len(known.measurements):
            known.measurements = measured
        if state == "failed":
            known.failure = self._file(training, metrics.FAILURE).decode("utf-8", "replace")
        if over:
            known.told = training

    def _of_files(
        self, known: _Known, training: Json, status: Sequence[Measurement], *, over: bool
    ) -> Sequence[Measurement]:
        """Return what the list holds; at the end, where no objective is in it, what others add."""
        known.remark = ""
        try:
            measured = metrics.of_list(self._file(training, metrics.LIST))
        except metrics.TooLong as problem:
            measured, known.remark = list(known.measurements), str(problem)
        if not over or self._has_objectives(measured):
            return measured
        logged = metrics.of_log(self._file(training, metrics.LOG))
        if not measured:
            return status if self._has_objectives(status) or not logged else logged
        added = next((each for each in (logged, status) if self._has_objectives(each)), ())
        return [*measured, *added]

    def _has_objectives(self, measured: Sequence[Measurement]) -> bool:
        return any(not self._objectives.isdisjoint(each.metrics) for each in measured)

    def _file(self, training: Json, name: str) -> bytes:
        """Return a file of a training's results, or nothing if it is not there.

        Whether IBM makes a folder of the training's own below the one that we name is not said.
        """
        where, id_ = _results(training), training["metadata"]["id"]
        return (
            self._trainings.read(f"{where}/{id_}/{name}")
            or self._trainings.read(f"{where}/{name}")
            or b""
        )

    def _told(self, names: Collection[str]) -> dict[str, Json]:
        """Return trainings by our names for them, without those that are not there."""
        found = {
            name: known.told
            for name in names
            if (known := self._known.get(name)) and known.told is not None
        }
        left = [name for name in names if name not in found]
        if len(left) > 1 or any(name not in self._ids for name in left):
            listed = self._listed()
            found |= {name: listed[name] for name in left if name in listed}
        for name in left:
            if name not in found and (training := self._got(name)):
                found[name] = training
        return found

    def _listed(self) -> dict[str, Json]:
        """Return the trainings of this run; of two with one name the first made."""
        run = self._trainings.tagged(f"{RUN_TAG}{self._plan.facts.run_id}")
        run.sort(key=lambda each: str(each["metadata"].get("created_at", "")), reverse=True)
        found: dict[str, Json] = {}
        for training in run:
            tags: Sequence[str] = _tags(training)
            for tag in tags:
                if tag.startswith(JOB_TAG):
                    found[tag.removeprefix(JOB_TAG)] = training
        self._ids = {n: str(each["metadata"]["id"]) for n, each in found.items()} | self._ids
        return {
            name: each
            for name, each in found.items()
            if str(each["metadata"]["id"]) == self._ids[name]
        }

    def _got(self, name: str) -> Json | None:
        if name not in self._ids:
            return None
        try:
            return self._trainings.get(self._ids[name])
        except WatsonError as error:
            if error.not_found:
                return None
            raise


def _settled(
    measured: Sequence[Measurement], wanted: Collection[str], *, over: bool
) -> list[Measurement]:
    """Return what a status tells, without a last measurement that may yet be given more metrics."""
    partial = measured and not over and not set(wanted) <= measured[-1].metrics.keys()
    return list(measured[:-1] if partial else measured)


def _begins_with(told: Sequence[Measurement], known: Sequence[Measurement]) -> bool:
    """Tell whether measurements go on where those that are known end, wherever they were read."""
    return len(told) >= len(known) and all(
        (one.step, one.metrics) == (other.step, other.metrics)
        for one, other in zip(told, known, strict=False)
    )


def _tags(training: Json) -> list[str]:
    """Return the tags of a training, which stand in its metadata or in its entity."""
    for part in ("metadata", "entity"):
        tags: list[str | Json] = training.get(part, {}).get("tags") or []
        if tags:
            return [str(tag["value"]) if isinstance(tag, dict) else tag for tag in tags]
    return []


def _results(training: Json) -> str:
    """Return the folder in which a training puts what it produces."""
    return str(_location(training).get("path", "")).rstrip("/")


def _location(training: Json) -> Json:
    """Return what a training tells of where its results lie."""
    location: Json = training.get("entity", {}).get("results_reference", {}).get("location", {})
    return location


def _filled(said: Any, words: Mapping[str, str]) -> Any:
    """Return a part of a request in which placeholders have their values."""
    if isinstance(said, dict):
        parts = cast("Mapping[str, Any]", said)
        return {name: _filled(part, words) for name, part in parts.items()}
    if isinstance(said, list):
        return [_filled(part, words) for part in cast("Sequence[Any]", said)]
    if isinstance(said, str):
        for placeholder, word in words.items():
            said = said.replace(placeholder, word)
    return said
