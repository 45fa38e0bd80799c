"""Export to Optuna: each job becomes a study, which Optuna's dashboard can open."""

from __future__ import annotations

import json
import logging
import math
import warnings
from collections.abc import Generator, Iterable, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from itertools import count, islice
from typing import TYPE_CHECKING, Any

from cloudtune.common.display import import_progress_bars
from cloudtune.errors import AlreadyExportedError, UsageError
from cloudtune.formats.export_state import export_state
from cloudtune.formats.exported_runs import (
    measurement_texts,
    part_key,
    result_text,
    trial_text,
)
from cloudtune.formats.secrets import hide_credentials
from cloudtune.results.model import StudyResult, Trial
from cloudtune.results.objective import constrained_metrics
from cloudtune.study.constraints import outcome_constraints, outcome_margins
from cloudtune.study.schema import (
    BoolParameter,
    CategoricalParameter,
    DiscreteParameter,
    FloatParameter,
)
from cloudtune.study.search_space import Node, Space, Value, format_value, resolve_scale
from cloudtune.study.study import Study

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution

RESULT, TRIAL, CURVE = "cloudtune result", "cloudtune trial", "cloudtune measurements"
"""The attributes with what Optuna has no place for, so that the run can be attached as it was."""
_EXPORTED = "cloudtune export"
"""An attribute that is set at the end of an export; see `export_state`."""
_MAX_MARGIN = 1e30
"""What a constraint is broken by whose metric was not measured."""
_BATCH = 500
"""Trials that are written in one transaction."""
_STATES = {
    "pending": "WAITING",
    "waiting": "WAITING",
    "running": "RUNNING",
    "completed": "COMPLETE",
    "stopped_early": "PRUNED",
}
"""Other states become FAIL."""


def export(result: StudyResult, trials: Iterable[Trial], to: str) -> str:
    """Write a job as an Optuna study, and return the study's name.

    Optuna has no discrete parameters and no reverse-log scale: they become categorical parameters
    and a linear scale. The values of trials are exact.

    Args:
        result: The job.
        trials: Its trials.
        to: The storage: an SQLAlchemy URL or the path of a SQLite file.

    Raises:
        AlreadyExportedError: If the job was exported there before and has not continued since.
        UsageError: If the storage cannot be opened.
    """
    import_progress_bars()
    import optuna
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

    study = result.study
    name = f"{study.name or 'study'} {result.run} {result.provider}"
    with _quiet(), ExitStack() as stack:
        try:
            storage = _open_storage(to if "://" in to else f"sqlite:///{to}")
            stack.callback(storage.engine.dispose)
            _delete_outdated_export(storage, name, result, to)
            optuna_study = optuna.create_study(
                storage=storage,
                study_name=name,
                directions=[objective.goal for objective in study.objectives] or ["minimize"],
            )
        except (ArgumentError, NoSuchModuleError, SQLAlchemyError, ImportError) as error:
            raise UsageError(hide_credentials(f"Optuna cannot open {to}: {error}")) from error
        if study.objectives:
            optuna_study.set_metric_names([objective.metric for objective in study.objectives])
        for key, value in _study_attributes(result).items():
            optuna_study.set_user_attr(key, value)
        space = Space.from_study(study)
        distributions = {node.key: _distribution(node) for node in space.nodes}
        id_ = storage.get_study_id_from_name(name)
        frozen = (_frozen_trial(trial, study, space, distributions) for trial in trials)
        try:
            for first in count(0, _BATCH):
                batch = list(islice(frozen, _BATCH))
                if not batch:
                    break
                _add_trials(storage, id_, first, batch)
            optuna_study.set_user_attr(_EXPORTED, export_state(result))
        except BaseException:  # also Ctrl-C: the export can then be repeated
            storage.delete_study(id_)
            raise
    return name


def _delete_outdated_export(
    storage: optuna.storages.RDBStorage, name: str, result: StudyResult, to: str
) -> None:
    """Delete the export of a job that was interrupted, or that has continued since.

    Raises:
        AlreadyExportedError: If the export is complete.
    """
    try:
        id_ = storage.get_study_id_from_name(name)
    except KeyError:
        return
    state = export_state(result)
    if state and storage.get_study_user_attrs(id_).get(_EXPORTED) == state:
        raise AlreadyExportedError(f"{hide_credentials(to)} already has the study {name!r}")
    storage.delete_study(id_)


def _add_trials(
    storage: optuna.storages.RDBStorage,
    study: int,
    first: int,
    trials: Sequence[optuna.trial.FrozenTrial],
) -> None:
    """Add trials to a new study in one transaction.

    Optuna itself needs one transaction for each trial and several queries for each parameter.
    """
    from optuna.distributions import distribution_to_json
    from optuna.storages._rdb import models
    from sqlalchemy import insert
    from sqlalchemy.orm import Session

    with Session(storage.engine) as session, session.begin():
        rows = [
            models.TrialModel(
                study_id=study,
                number=number,
                state=trial.state,
                datetime_start=trial.datetime_start,
                datetime_complete=trial.datetime_complete,
            )
            for number, trial in enumerate(trials, start=first)
        ]
        session.add_all(rows)
        session.flush()
        inserts: dict[Any, list[dict[str, Any]]] = {}

        def add(model: Any, row: Any, **columns: Any) -> None:
            inserts.setdefault(model, []).append({"trial_id": row.trial_id, **columns})

        for row, trial in zip(rows, trials, strict=True):
            for index, value in enumerate(trial.values or ()):
                stored, kind = models.TrialValueModel.value_to_stored_repr(value)
                add(models.TrialValueModel, row, objective=index, value=stored, value_type=kind)
            for name, value in trial.params.items():
                distribution = trial.distributions[name]
                add(
                    models.TrialParamModel,
                    row,
                    param_name=name,
                    param_value=distribution.to_internal_repr(value),
                    distribution_json=distribution_to_json(distribution),
                )
            for name, value in trial.user_attrs.items():
                add(models.TrialUserAttributeModel, row, key=name, value_json=json.dumps(value))
            for name, value in trial.system_attrs.items():
                add(models.TrialSystemAttributeModel, row, key=name, value_json=json.dumps(value))
            for step, value in trial.intermediate_values.items():
                model = models.TrialIntermediateValueModel
                step_value, step_kind = model.intermediate_value_to_stored_repr(value)
                add(
                    model,
                    row,
                    step=step,
                    intermediate_value=step_value,
                    intermediate_value_type=step_kind,
                )
        for model, values in inserts.items():
            session.execute(insert(model), values)


def _open_storage(url: str) -> optuna.storages.RDBStorage:
    """Return a storage. For SQLite, it does not wait for the disk after each transaction.

    A file that a power failure damages can be exported again.
    """
    from optuna.storages import RDBStorage
    from sqlalchemy import event

    storage = RDBStorage(url)
    if storage.engine.dialect.name == "sqlite":

        def skip_sync(connection: Any, _record: Any) -> None:
            connection.execute("PRAGMA synchronous=OFF")

        storage.engine.dispose()
        event.listen(storage.engine, "connect", skip_sync)
    return storage


@contextmanager
def _quiet() -> Generator[None]:
    """Silence Optuna's log, and its warning that metric names are experimental."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)


def _study_attributes(result: StudyResult) -> dict[str, Any]:
    return {
        "cloudtune run": result.run,
        "provider": result.provider,
        "mode": result.mode,
        "emulated": result.emulated,
        "state": result.state,
        "seed": result.seed,
        "study hash": result.study_hash,
        "job": result.job or "",
        RESULT: result_text(result),
    }


def _distribution(node: Node) -> BaseDistribution:
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    parameter = node.parameter
    if isinstance(parameter, CategoricalParameter | BoolParameter | DiscreteParameter):
        return CategoricalDistribution([_choice(node, value) for value in node.values or ()])
    log = resolve_scale(parameter) == "log"
    if isinstance(parameter, FloatParameter):
        step = float(parameter.step) if parameter.step else None
        high = float((node.values or (parameter.max,))[-1])
        low = float(parameter.min)
        return FloatDistribution(low, high, log=log and not step, step=step)
    step = parameter.step or 1
    last = parameter.min + (parameter.max - parameter.min) // step * step
    return IntDistribution(parameter.min, last, log=log and step == 1, step=step)


def _containing(distribution: BaseDistribution, value: Any) -> BaseDistribution:
    """Return a distribution that has a value, such as one that was enqueued out of its range."""
    from optuna.distributions import FloatDistribution, IntDistribution

    if not isinstance(distribution, FloatDistribution | IntDistribution):
        return distribution
    if distribution.low <= value <= distribution.high:
        return distribution
    low, high = min(distribution.low, value), max(distribution.high, value)
    is_log = distribution.log and low > 0
    if isinstance(distribution, IntDistribution):
        return IntDistribution(int(low), int(high), log=is_log)
    return FloatDistribution(low, high, log=is_log)


def _choice(node: Node, value: Value) -> Value:
    """Return a value as a choice; as text if choices are equal to Optuna, such as 1 and True."""
    values = node.values or ()
    return value if len(set(values)) == len(values) else format_value(value)


def _frozen_trial(
    trial: Trial, study: Study, space: Space, distributions: dict[str, BaseDistribution]
) -> optuna.trial.FrozenTrial:
    from optuna.trial import TrialState, create_trial

    params: dict[str, Value] = {}
    for node in space.active_nodes(trial.parameters):
        if node.name in trial.parameters:
            params[node.key] = _choice(node, trial.parameters[node.name])
    measured = trial.objective is not None and not any(map(math.isnan, trial.objective))
    state = _STATES.get(trial.state, "FAIL")
    if state == "COMPLETE" and not measured:
        state = "FAIL"
    steps: dict[int, float] = {}
    if len(study.objectives) == 1:
        metric = study.objectives[0].metric
        steps = {m.step: m.metrics[metric] for m in trial.measurements if metric in m.metrics}
    ended = state not in {"WAITING", "RUNNING"}
    frozen = create_trial(
        state=TrialState[state],
        values=trial.objective if state == "COMPLETE" else None,
        params=params,
        distributions={key: _containing(distributions[key], params[key]) for key in params},
        intermediate_values=steps,
        user_attrs=_trial_attributes(trial),
        system_attrs={"constraints": _margins(trial, study)} if trial.broken is not None else None,
    )
    frozen.datetime_start = _time(trial.started) if state != "WAITING" else None
    frozen.datetime_complete = _time(trial.ended) or frozen.datetime_start if ended else None
    return frozen


def _margins(trial: Trial, study: Study) -> list[float]:
    """Return by how much a trial breaks each constraint on metrics, as Optuna has them."""
    objective = trial.objective or [None] * len(study.objectives)
    metrics = constrained_metrics(study, trial.metrics, objective)
    margins = outcome_margins(outcome_constraints(study), trial.parameters, metrics)
    return [min(margin, _MAX_MARGIN) for margin in margins]


def _trial_attributes(trial: Trial) -> dict[str, Any]:
    """Return the fields of a trial that Optuna does not have."""
    attributes: dict[str, Any] = {"trial": trial.number, "state": trial.state}
    names = ("id", "reason", "seconds", "billed_seconds", "machine", "log", "artifacts")
    attributes |= {name: value for name in names if (value := getattr(trial, name))}
    if trial.cost:
        attributes["cost"] = f"{trial.cost.amount:.6g} {trial.cost.currency} ({trial.cost.basis})"
    attributes |= {f"metric {name}": value for name, value in trial.metrics.items()}
    curve = {part_key(CURVE, n): text for n, text in enumerate(measurement_texts(trial))}
    return attributes | {TRIAL: trial_text(trial)} | curve


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds)
