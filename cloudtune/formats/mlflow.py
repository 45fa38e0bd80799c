"""Export to MLflow: each job becomes a parent run, each of its trials a child run."""

from __future__ import annotations

import importlib
import json
import os
import re
import time
from collections.abc import Iterable, Mapping
from itertools import chain, count
from typing import Any

from cloudtune.errors import AlreadyExportedError, UsageError, import_extra
from cloudtune.formats.export_state import export_state
from cloudtune.formats.exported_runs import part_key, parts, result_text, trial_text
from cloudtune.formats.secrets import hide_credentials
from cloudtune.results.model import StudyResult, Trial
from cloudtune.study.search_space import format_value

_STATUS = {
    "pending": "SCHEDULED",
    "waiting": "SCHEDULED",
    "running": "RUNNING",
    "completed": "FINISHED",
    "failed": "FAILED",
    "refused": "FAILED",
}
"""Other states were ended from outside: KILLED."""
_MAX_METRICS, _MAX_PARAMS = 1000, 100
"""MLflow's limits for one call."""
_MAX_NAME, _MAX_VALUE, _MAX_TAG = 250, 6000, 5000
"""MLflow's limits in characters."""
RESULT, TRIAL = "cloudtune.result", "cloudtune.trial_fields"
METRIC_NAMES = "cloudtune.metric_names"
"""The tags with what MLflow has no place for, so that the run can be attached as it was."""
_EXPORTED_TAG = "cloudtune.exported"
"""Set at the end of an export; a job without it was exported only in part, or still went on."""
_STATE_TAG = "cloudtune.export_state"
"""See `export_state`."""


def export(result: StudyResult, trials: Iterable[Trial], to: str | None = None) -> str:
    """Write a job into the experiment of its study's name, and return the parent run's ID.

    The runs of an earlier export of the job are deleted first, if it was interrupted or the job has
    continued since.

    Args:
        result: The job.
        trials: Its trials.
        to: MLflow's tracking URI; MLflow's default if omitted.

    Raises:
        MissingExtraError: If MLflow is not installed.
        AlreadyExportedError: If the job was exported there before and has not continued since.
        UsageError: If MLflow fails.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    mlflow = import_extra("mlflow", "an export to MLflow", "mlflow")
    exceptions = import_extra("mlflow.exceptions", "an export to MLflow", "mlflow")
    try:
        client = mlflow.MlflowClient(tracking_uri=to)
        return _Export(client, importlib.import_module("mlflow.entities"), result).write(trials)
    except (exceptions.MlflowException, ImportError) as error:
        hint = "" if "sqlalchemy" not in str(error).lower() else "; pip install mlflow"
        text = hide_credentials(f"cannot export to MLflow: {error}{hint}")
        raise UsageError(text) from error


def _export_state(result: StudyResult) -> str:
    """Return a text that also changes when a confirmation decides on another best trial."""
    state = export_state(result)
    return f"{state}, best {result.decision.trial}" if state and result.decision else state


class _Export:
    """The export of one job."""

    def __init__(self, client: Any, entities: Any, result: StudyResult) -> None:
        self._client = client
        self._entities = entities
        self._result = result
        self._study = result.study
        self._identity = {"cloudtune.run": result.run, "cloudtune.provider": result.provider}

    def write(self, trials: Iterable[Trial]) -> str:
        """Write the job and its trials, and return the parent run's ID."""
        experiment = self._experiment()
        self._delete_outdated_export(experiment)
        result, study = self._result, self._study
        parent = self._run(
            experiment,
            f"{result.run} on {result.provider}",
            result.started or result.created,
            {
                "cloudtune.mode": result.mode,
                "cloudtune.emulated": str(result.emulated).lower(),
                "cloudtune.study_hash": result.study_hash,
                "cloudtune.job": result.job or "",
                "cloudtune.reason": result.reason,
                "mlflow.note.content": study.description or "",
                **_tag_parts(RESULT, result_text(result)),
            },
        )
        blocks = {"strategy": study.strategy, "limits": study.limits}
        params = {
            f"{name}.{key}": value if isinstance(value, str) else json.dumps(value)
            for name, block in blocks.items()
            for key, value in block.model_dump(mode="json", exclude_none=True).items()
        }
        goals = {f"goal.{each.metric}": each.goal for each in study.objectives}
        seed = {} if result.seed is None else {"seed": str(result.seed)}
        self._params(parent, {**params, **goals, **seed})
        best: Trial | None = None
        for trial in trials:
            self._trial(experiment, parent, trial)
            if len(study.objectives) == 1 and not result.confirmation:
                (best,) = result.chosen_trials(filter(None, [best, trial])) or (None,)
        if best is not None and best.objective:
            metric, time_ = study.objectives[0].metric, _milliseconds(best.ended) or _now()
            self._metrics(parent, [(f"best.{metric}", best.objective[0], time_, 0)])
            self._client.set_tag(parent, "cloudtune.best_trial", str(best.number))
        if result.decision:
            self._client.set_tag(parent, "cloudtune.decision", result.decision.reason)
        if state := _export_state(result):
            self._client.set_tag(parent, _STATE_TAG, state)
            self._client.set_tag(parent, _EXPORTED_TAG, "true")
        self._end(parent, result.state, result.ended)
        return parent

    def _experiment(self) -> str:
        name = self._study.name or "study"
        experiment = self._client.get_experiment_by_name(name)
        id_: str = experiment.experiment_id if experiment else self._client.create_experiment(name)
        return id_

    def _delete_outdated_export(self, experiment: str) -> None:
        """Delete the runs of an export that was interrupted, or whose job has continued since.

        Raises:
            AlreadyExportedError: If the export is complete.
        """
        query = " and ".join(f"tags.`{key}` = '{value}'" for key, value in self._identity.items())
        completed = f"{query} and tags.`{_EXPORTED_TAG}` = 'true'"
        state = _export_state(self._result)
        earlier = self._client.search_runs([experiment], completed, max_results=1)
        if earlier and earlier[0].data.tags.get(_STATE_TAG, state) == state:
            raise AlreadyExportedError(
                f"run {self._result.run} on {self._result.provider} is already in MLflow"
            )
        while runs := list(self._client.search_runs([experiment], query)):
            for run in runs:
                self._client.delete_run(run.info.run_id)

    def _trial(self, experiment: str, parent: str, trial: Trial) -> None:
        cost = trial.cost
        run = self._run(
            experiment,
            f"trial {trial.number}",
            trial.started or trial.created,
            {
                "mlflow.parentRunId": parent,
                "cloudtune.trial": str(trial.number),
                "cloudtune.id": trial.id,
                "cloudtune.state": trial.state,
                "cloudtune.reason": trial.reason,
                "cloudtune.machine": trial.machine or "",
                "cloudtune.log": trial.log or "",
                "cloudtune.cost": f"{cost.amount:.6g} {cost.currency}" if cost else "",
                **_tag_parts(TRIAL, trial_text(trial)),
                **_renamed_metrics(trial),
            },
        )
        values = {**self._study.constants, **trial.parameters}
        self._params(run, {name: format_value(value) for name, value in values.items()})
        started = _milliseconds(trial.started) or _now()
        self._metrics(
            run,
            (
                (name, value, _milliseconds(each.time) or started, each.step)
                for each in trial.measurements
                for name, value in each.metrics.items()
            ),
        )
        self._end(run, trial.state, trial.ended)

    def _run(
        self, experiment: str, name: str, started: float | None, tags: Mapping[str, str]
    ) -> str:
        all_tags = {**self._identity, **tags}
        kept_tags = {key: value[:_MAX_TAG] for key, value in all_tags.items() if value}
        created = self._client.create_run(
            experiment, start_time=_milliseconds(started), tags=kept_tags, run_name=name
        )
        run: str = created.info.run_id
        return run

    def _params(self, run: str, params: Mapping[str, str]) -> None:
        names = _names(params)
        entities = [
            self._entities.Param(names[name], value[:_MAX_VALUE]) for name, value in params.items()
        ]
        for first in range(0, len(entities), _MAX_PARAMS):
            self._client.log_batch(run, params=entities[first : first + _MAX_PARAMS])

    def _metrics(self, run: str, metrics: Iterable[tuple[str, float, int, int]]) -> None:
        metrics = list(metrics)
        names = _names(dict.fromkeys(name for name, *_ in metrics))
        entities = [self._entities.Metric(names[name], *rest) for name, *rest in metrics]
        for first in range(0, len(entities), _MAX_METRICS):
            self._client.log_batch(run, metrics=entities[first : first + _MAX_METRICS])

    def _end(self, run: str, state: str, ended: float | None) -> None:
        status = _STATUS.get(state, "KILLED")
        if status in {"RUNNING", "SCHEDULED"}:
            self._client.update_run(run, status=status)
        else:
            self._client.set_terminated(run, status, end_time=_milliseconds(ended))


def _names(names: Iterable[str]) -> dict[str, str]:
    """Return a unique name that MLflow accepts for each name."""
    accepted: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[^\w./ -]", "_", name)[: _MAX_NAME - 5]
        plain = plain.strip("./ ").replace("//", "/") or "_"
        candidates = chain([plain], (f"{plain}_{number}" for number in count(2)))
        accepted[name] = next(each for each in candidates if each not in accepted.values())
    return accepted


def _tag_parts(key: str, text: str) -> dict[str, str]:
    return {part_key(key, index): part for index, part in enumerate(parts(text, _MAX_TAG))}


def _renamed_metrics(trial: Trial) -> dict[str, str]:
    """Return the tags with the original name of each metric that MLflow calls otherwise."""
    metrics = (name for each in trial.measurements for name in each.metrics)
    names = {plain: name for name, plain in _names(dict.fromkeys(metrics)).items() if plain != name}
    return _tag_parts(METRIC_NAMES, json.dumps(names)) if names else {}


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1000)


def _now() -> int:
    return int(time.time() * 1000)
