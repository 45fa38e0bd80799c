"""The trainings of the driven mode: one for each start of a trial.

A poll takes one list of the run's trainings, and one or two files of each running training.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from cloudtune.provider import JobContext, Json, Plan, TrainingJob, fill_placeholders, format_value
from cloudtune.results import Measurement, Started
from cloudtune_watson import response
from cloudtune_watson.console import log_path
from cloudtune_watson.documents import part, rows
from cloudtune_watson.errors import WatsonError
from cloudtune_watson.launcher_contract import FAILURE, METRIC_LIST, METRIC_LOG
from cloudtune_watson.layout import DEFINITION, JOB, JOB_TAG, RUN_TAG
from cloudtune_watson.run_jobs import RunJobs, end_job
from cloudtune_watson.wml import metrics
from cloudtune_watson.wml.client import WmlClient
from cloudtune_watson.wml.request import training_command


@dataclass
class _Progress:
    """What has been read of one training."""

    measurements: Sequence[Measurement] = ()
    from_status: bool = False
    """Whether its status has the metrics, so that its files are not read."""
    ended: Json | None = None
    """The description of the training, once it has ended and all its metrics were read."""
    failure: str = ""
    remark: str = ""
    """Why its metrics file is not read, if so."""


class WatsonJobs(RunJobs):
    """The trainings of one run: the `TrainingJobs` of IBM Watson.

    IBM assigns each training an id, and two trainings may have the same name. Therefore trainings
    are found by their tags: one for the run, and one for the start.
    """

    def __init__(
        self, wml: WmlClient, plan: Plan, context: JobContext, define: Callable[[], str]
    ) -> None:
        """Create the client without calling the service.

        Args:
            wml: The service.
            plan: The plan of the job.
            context: The folder and the emulator of the job.
            define: Returns the id of the model definition, which it stores unless it exists. It is
                called by the first `create`: following and stopping never creates anything.
        """
        super().__init__(plan, emulated=wml.emulated)
        self._wml = wml
        self._context = context
        self._define = define
        self._definition: str | None = None
        study = plan.fitted.study
        self._objectives = {objective.metric for objective in study.objectives}
        self._metrics = self._objectives | {*study.trial.metrics}
        """The metrics of a complete measurement."""
        self._ids: dict[str, str] = {}
        """IBM's ids of the trainings by name."""
        self._progress: dict[str, _Progress] = {}

    def create(self, started: Started) -> None:
        """Create the training of a start.

        IBM would create a second training of this name, so the caller first looks for one that may
        exist.

        Raises:
            ProviderError: If the code cannot be sent, or the call fails.
        """
        assert started.id is not None
        if self._definition is None:
            self._definition = self._define()
        self._ids[started.id] = self._wml.create(self._request(started, self._definition))

    def poll(self, starts: Sequence[Started]) -> dict[str, TrainingJob]:
        """Return the current state of each training by name. Missing trainings are omitted.

        Raises:
            WatsonError: If IBM cannot be called.
        """
        trainings = self._find([started.id for started in starts if started.id])
        return {name: self._training_job(name, training) for name, training in trainings.items()}

    def stop(self, name: str) -> None:
        """Stop a training; no effect on one that has ended or does not exist.

        Raises:
            WatsonError: If IBM cannot be called, or refuses.
        """
        trainings = self._find([name])
        if name not in trainings or response.has_ended(trainings[name]):
            return
        end_job(partial(self._wml.cancel, self._ids[name]), partial(self._get, name))

    def _request(self, started: Started, definition: str) -> Json:
        assert started.id is not None
        values = {name: format_value(value) for name, value in self._values(started).items()}
        replacements = {JOB: started.id, DEFINITION: definition}
        request: Json = fill_placeholders(self._plan.request, replacements)
        request["model_definition"]["command"] = training_command(values)
        return request

    def _training_job(self, name: str, training: Json) -> TrainingJob:
        progress = self._progress.setdefault(name, _Progress())
        if progress.ended is None:
            self._update(progress, training)
        status = response.training_status(training)
        metadata = part(training, "metadata")
        running_at = response.to_seconds(status.get("running_at"))
        ended = None
        if response.has_ended(training):
            ended = response.to_seconds(status.get("completed_at") or metadata.get("modified_at"))
        hardware: Json = self._plan.request["model_definition"]["hardware_spec"]
        return TrainingJob(
            state=response.training_state(training),
            word=response.service_state(training),
            measurements=progress.measurements,
            started=running_at,
            ended=ended,
            reason=progress.failure or response.failure_reason(training) or progress.remark,
            billed_seconds=self._billed_seconds(running_at, ended),
            machine=hardware.get("name"),
            log=log_path(self._context, str(_location(training).get("training_log") or "") or None),
            artifacts=_results_folder(training) or None,
        )

    def _update(self, progress: _Progress, training: Json) -> None:
        """Read the measurements of a training, and why it failed."""
        state, over = response.training_state(training), response.has_ended(training)
        if state == "waiting":
            return
        in_status = metrics.read_status(response.training_status(training))
        incomplete = in_status and not over and not self._metrics <= in_status[-1].metrics.keys()
        complete = in_status[:-1] if incomplete else in_status
        if self._has_objectives(complete) and _continues(complete, progress.measurements):
            progress.from_status = True
        measurements = (
            complete
            if progress.from_status
            else self._read_files(progress, training, in_status, over=over)
        )
        if len(measurements) >= len(progress.measurements):
            progress.measurements = measurements
        if state == "failed" or (state == "completed" and self._plan.fitted.study.trial.metrics):
            failure = self._read_file(training, FAILURE)
            progress.failure = failure.decode("utf-8", "replace")
        if over:
            progress.ended = training

    def _read_files(
        self, progress: _Progress, training: Json, in_status: Sequence[Measurement], *, over: bool
    ) -> Sequence[Measurement]:
        """Return the list's measurements; at the end, other sources add a missing objective."""
        progress.remark = ""
        try:
            measurements = metrics.read_list(self._read_file(training, METRIC_LIST))
        except metrics.TooLongError as error:
            measurements, progress.remark = list(progress.measurements), str(error)
        if not over or self._has_objectives(measurements):
            return measurements
        logged = metrics.read_log(self._read_file(training, METRIC_LOG))
        if not measurements:
            return in_status if self._has_objectives(in_status) or not logged else logged
        added = next((each for each in (logged, in_status) if self._has_objectives(each)), ())
        return [*measurements, *added]

    def _has_objectives(self, measurements: Sequence[Measurement]) -> bool:
        return any(not self._objectives.isdisjoint(each.metrics) for each in measurements)

    def _read_file(self, training: Json, name: str) -> bytes:
        """Return a result file of a training; empty if it does not exist.

        IBM does not document whether the results folder has a subfolder for each training.
        """
        folder, id_ = _results_folder(training), training["metadata"]["id"]
        return self._wml.read(f"{folder}/{id_}/{name}") or self._wml.read(f"{folder}/{name}") or b""

    def _find(self, names: Collection[str]) -> dict[str, Json]:
        """Return the trainings by name. Missing trainings are omitted."""
        trainings = {
            name: progress.ended
            for name in names
            if (progress := self._progress.get(name)) and progress.ended is not None
        }
        remaining = [name for name in names if name not in trainings]
        if len(remaining) > 1 or any(name not in self._ids for name in remaining):
            of_run = self._list()
            trainings |= {name: of_run[name] for name in remaining if name in of_run}
        for name in remaining:
            if name not in trainings and (training := self._get(name)):
                trainings[name] = training
        return trainings

    def _list(self) -> dict[str, Json]:
        """Return the trainings of the run by name; of two with the same name, the first created."""
        of_run = self._wml.list_by_tag(f"{RUN_TAG}{self._plan.facts.run_id}")
        of_run.sort(key=lambda each: str(each["metadata"].get("created_at", "")), reverse=True)
        trainings: dict[str, Json] = {}
        for training in of_run:
            for tag in _tags(training):
                if tag.startswith(JOB_TAG):
                    trainings[tag.removeprefix(JOB_TAG)] = training
        ids = {name: str(training["metadata"]["id"]) for name, training in trainings.items()}
        self._ids = ids | self._ids
        return {
            name: training for name, training in trainings.items() if ids[name] == self._ids[name]
        }

    def _get(self, name: str) -> Json | None:
        if name not in self._ids:
            return None
        try:
            return self._wml.get(self._ids[name])
        except WatsonError as error:
            if error.not_found:
                return None
            raise


def _continues(new: Sequence[Measurement], known: Sequence[Measurement]) -> bool:
    """Return whether the new measurements start with the known ones, from any source."""
    return len(new) >= len(known) and all(
        (one.step, one.metrics) == (other.step, other.metrics)
        for one, other in zip(new, known, strict=False)
    )


def _tags(training: Json) -> list[str]:
    """Return the tags of a training, which are in its metadata or in its entity."""
    for name in ("metadata", "entity"):
        place = part(training, name)
        texts: list[Any] = place["tags"] if isinstance(place.get("tags"), list) else []
        found = [each.get("value") for each in rows(place, "tags")]
        if tags := [tag for tag in (*texts, *found) if isinstance(tag, str)]:
            return tags
    return []


def _results_folder(training: Json) -> str:
    return str(_location(training).get("path") or "").rstrip("/")


def _location(training: Json) -> Json:
    return part(training, "entity", "results_reference", "location")
