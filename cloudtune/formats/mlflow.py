"""A run in MLflow: each job as a parent run, its trials as the runs below it."""

from __future__ import annotations

import importlib
import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cloudtune.errors import AlreadyExportedError, MissingExtraError, UsageError
from cloudtune.results.model import StudyResult, Trial
from cloudtune.study.search_space import format_value

_STATUS = {
    "pending": "SCHEDULED",
    "running": "RUNNING",
    "completed": "FINISHED",
    "failed": "FAILED",
    "refused": "FAILED",
}
"""All others were ended by somebody: KILLED."""
_METRICS, _PARAMS = 1000, 100
"""Of one call at most."""
_LONGEST_NAME, _LONGEST_VALUE, _LONGEST_TAG = 250, 6000, 5000
_DONE = "cloudtune.exported"


def export(result: StudyResult, trials: Iterable[Trial], to: str | None = None) -> str:
    """Write a job into an experiment that has the study's name, and return the parent run's id.

    What an export that was broken off has left of this job is deleted first.

    Args:
        result: The job.
        trials: Its trials.
        to: MLflow's tracking address; where left out, what MLflow itself takes.

    Raises:
        MissingExtraError: If MLflow is not installed.
        AlreadyThereError: If the job was exported there before.
        UsageError: If MLflow cannot be used.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        mlflow: Any = importlib.import_module("mlflow")
        exceptions: Any = importlib.import_module("mlflow.exceptions")
    except ImportError as error:
        raise MissingExtraError("an export to MLflow", "mlflow") from error
    try:
        client = mlflow.MlflowClient(tracking_uri=to)
        return _Export(client, importlib.import_module("mlflow.entities"), result).write(trials)
    except (exceptions.MlflowException, ImportError) as error:
        hint = "" if "sqlalchemy" not in str(error).lower() else "; pip install mlflow"
        raise UsageError(f"MLflow cannot be used: {error}{hint}") from error


class _Export:
    """One job on its way into MLflow."""

    def __init__(self, client: Any, entities: Any, result: StudyResult) -> None:
        self._client = client
        self._entities = entities
        self._result = result
        self._study = result.study
        self._own = {"cloudtune.run": result.run, "cloudtune.provider": result.provider}

    def write(self, trials: Iterable[Trial]) -> str:
        """Write all, and return the parent run's id."""
        experiment = self._experiment()
        self._make_room(experiment)
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
            },
        )
        kept = {"strategy": study.strategy, "limits": study.limits}
        params = {
            f"{name}.{key}": value if isinstance(value, str) else json.dumps(value)
            for name, block in kept.items()
            for key, value in block.model_dump(mode="json", exclude_none=True).items()
        }
        goals = {f"goal.{each.metric}": each.goal for each in study.objectives}
        self._params(parent, {**params, **goals, "seed": str(result.seed)})
        best: Trial | None = None
        for trial in trials:
            self._trial(experiment, parent, trial)
            if len(study.objectives) == 1:
                (best,) = result.best_trials(filter(None, [best, trial])) or (None,)
        if best is not None:
            names = [each.metric for each in study.objectives]
            values = zip(names, best.objective or (), strict=False)
            at = _milliseconds(best.ended) or _now()
            self._metrics(parent, [(f"best.{name}", value, at, 0) for name, value in values])
            self._client.set_tag(parent, "cloudtune.best_trial", str(best.number))
        self._client.set_tag(parent, _DONE, "true")
        self._end(parent, result.state, result.ended)
        return parent

    def _experiment(self) -> str:
        name = self._study.name or "study"
        found = self._client.get_experiment_by_name(name)
        experiment: str = found.experiment_id if found else self._client.create_experiment(name)
        return experiment

    def _make_room(self, experiment: str) -> None:
        """Delete what an export that was broken off has left; refuse if one was not."""
        where = " and ".join(f"tags.`{key}` = '{value}'" for key, value in self._own.items())
        done = f"{where} and tags.`{_DONE}` = 'true'"
        if self._client.search_runs([experiment], done, max_results=1):
            raise AlreadyExportedError(
                f"run {self._result.run} on {self._result.provider} is in MLflow already"
            )
        while left := list(self._client.search_runs([experiment], where)):
            for run in left:
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
            },
        )
        values = {**self._study.constants, **trial.parameters}
        self._params(run, {name: format_value(value) for name, value in values.items()})
        began = _milliseconds(trial.started) or _now()
        self._metrics(
            run,
            (
                (name, value, _milliseconds(each.time) or began, each.step)
                for each in trial.measurements
                for name, value in each.metrics.items()
            ),
        )
        self._end(run, trial.state, trial.ended)

    def _run(self, experiment: str, name: str, began: float | None, tags: Mapping[str, str]) -> str:
        kept = {key: value[:_LONGEST_TAG] for key, value in {**self._own, **tags}.items() if value}
        made = self._client.create_run(
            experiment, start_time=_milliseconds(began), tags=kept, run_name=name
        )
        run: str = made.info.run_id
        return run

    def _params(self, run: str, params: Mapping[str, str]) -> None:
        names = _names(params)
        made = [
            self._entities.Param(names[name], value[:_LONGEST_VALUE])
            for name, value in params.items()
        ]
        for first in range(0, len(made), _PARAMS):
            self._client.log_batch(run, params=made[first : first + _PARAMS])

    def _metrics(self, run: str, told: Iterable[tuple[str, float, int, int]]) -> None:
        held = list(told)
        names = _names(dict.fromkeys(name for name, *_ in held))
        made = [self._entities.Metric(names[name], *rest) for name, *rest in held]
        for first in range(0, len(made), _METRICS):
            self._client.log_batch(run, metrics=made[first : first + _METRICS])

    def _end(self, run: str, state: str, ended: float | None) -> None:
        status = _STATUS.get(state, "KILLED")
        if status in {"RUNNING", "SCHEDULED"}:
            self._client.update_run(run, status=status)
        else:
            self._client.set_terminated(run, status, end_time=_milliseconds(ended))


def _names(names: Iterable[str]) -> dict[str, str]:
    """Return names that MLflow takes, and no two alike, by ours."""
    made: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[^\w./ -]", "_", name)[: _LONGEST_NAME - 5]
        plain = plain.strip("./ ").replace("//", "/") or "_"
        made[name] = next(each for each in _numbered(plain) if each not in made.values())
    return made


def _numbered(name: str) -> Iterator[str]:
    yield name
    for number in range(2, 10_000):
        yield f"{name}_{number}"


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1000)


def _now() -> int:
    return int(time.time() * 1000)
