"""A run as studies of Optuna, one a job, that its dashboard opens."""

from __future__ import annotations

import json
import logging
import math
import warnings
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from cloudtune.errors import AlreadyExportedError, UsageError
from cloudtune.results.model import StudyResult, Trial
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

_AT_ONCE = 500
_STATES = {
    "pending": "WAITING",
    "running": "RUNNING",
    "completed": "COMPLETE",
    "stopped_early": "PRUNED",
}
"""All others are failures."""


def export(result: StudyResult, trials: Iterable[Trial], to: str) -> str:
    """Write a job as one study of Optuna, and return the study's name.

    A discrete parameter becomes a categorical one, which Optuna has no other word for, and a
    reverse-log scale a linear one; the values of trials are exact.

    Args:
        result: The job.
        trials: Its trials.
        to: The storage: an address that SQLAlchemy knows, or the path of a SQLite file.

    Raises:
        AlreadyThereError: If the job was exported there before.
        UsageError: If the storage cannot be used.
    """
    import optuna
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

    study = result.study
    name = f"{study.name or 'study'} {result.run} {result.provider}"
    with _quiet(), ExitStack() as stack:
        try:
            storage = _storage(to if "://" in to else f"sqlite:///{to}")
            stack.callback(storage.engine.dispose)
            made = optuna.create_study(
                storage=storage,
                study_name=name,
                directions=[objective.goal for objective in study.objectives] or ["minimize"],
            )
        except optuna.exceptions.DuplicatedStudyError as error:
            raise AlreadyExportedError(
                f"{to} holds a study {name!r} already; export into another file, or delete it "
                "there first"
            ) from error
        except (ArgumentError, NoSuchModuleError, SQLAlchemyError, ImportError) as error:
            raise UsageError(f"{to} cannot be used by Optuna: {error}") from error
        if study.objectives:
            made.set_metric_names([objective.metric for objective in study.objectives])
        for key, value in _facts(result).items():
            made.set_user_attr(key, value)
        space = Space.from_study(study)
        known = {node.key: _distribution(node) for node in space.nodes}
        id_ = storage.get_study_id_from_name(name)
        frozen = (_trial(trial, study, space, known) for trial in trials)
        try:
            for place, some in enumerate(_batched(frozen, _AT_ONCE)):
                _add(storage, id_, place * _AT_ONCE, some)
        except BaseException:  # broken off, by Ctrl-C too: so that it can be made again
            storage.delete_study(id_)
            raise
    return name


def _add(
    storage: optuna.storages.RDBStorage,
    study: int,
    first: int,
    trials: Sequence[optuna.trial.FrozenTrial],
) -> None:
    """Add trials to a new study to which nobody else adds any, all in one step.

    Optuna itself adds one a transaction, with several questions for each of its parameters.
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
        added: dict[Any, list[dict[str, Any]]] = {}
        for row, trial in zip(rows, trials, strict=True):
            for place, value in enumerate(trial.values or ()):
                stored, kind = models.TrialValueModel.value_to_stored_repr(value)
                of_value = {"objective": place, "value": stored, "value_type": kind}
                added.setdefault(models.TrialValueModel, []).append(
                    {"trial_id": row.trial_id, **of_value}
                )
            for name, value in trial.params.items():
                distribution = trial.distributions[name]
                added.setdefault(models.TrialParamModel, []).append(
                    {
                        "trial_id": row.trial_id,
                        "param_name": name,
                        "param_value": distribution.to_internal_repr(value),
                        "distribution_json": distribution_to_json(distribution),
                    }
                )
            for name, value in trial.user_attrs.items():
                added.setdefault(models.TrialUserAttributeModel, []).append(
                    {"trial_id": row.trial_id, "key": name, "value_json": json.dumps(value)}
                )
            for step, value in trial.intermediate_values.items():
                model = models.TrialIntermediateValueModel
                step_value, step_kind = model.intermediate_value_to_stored_repr(value)
                of_step = {"intermediate_value": step_value, "intermediate_value_type": step_kind}
                added.setdefault(model, []).append(
                    {"trial_id": row.trial_id, "step": step, **of_step}
                )
        for model, of_model in added.items():
            session.execute(insert(model), of_model)


def _storage(address: str) -> optuna.storages.RDBStorage:
    """Return a storage that does not wait for the disk after each trial, where it is SQLite.

    A file that a power failure has spoilt is exported again.
    """
    from optuna.storages import RDBStorage
    from sqlalchemy import event

    storage = RDBStorage(address)
    if storage.engine.dialect.name == "sqlite":

        def hurry(connection: Any, _record: Any) -> None:
            connection.execute("PRAGMA synchronous=OFF")

        storage.engine.dispose()
        event.listen(storage.engine, "connect", hurry)
    return storage


def _batched(trials: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Yield lists of so many, the last with what is left."""
    left = iter(trials)
    while some := list(islice(left, size)):
        yield some


@contextmanager
def _quiet() -> Generator[None]:
    """Keep Optuna from telling what it does, and that names of metrics are an experiment of its."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)


def _facts(result: StudyResult) -> dict[str, Any]:
    return {
        "cloudtune run": result.run,
        "provider": result.provider,
        "mode": result.mode,
        "emulated": result.emulated,
        "state": result.state,
        "seed": result.seed,
        "study hash": result.study_hash,
        "job": result.job or "",
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


def _choice(node: Node, value: Value) -> Value:
    """Return a value as a choice: as text where Optuna, to which 1 is True, would mix values up."""
    values = node.values or ()
    return value if len(set(values)) == len(values) else format_value(value)


def _trial(
    trial: Trial, study: Study, space: Space, known: dict[str, BaseDistribution]
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
    over = state not in {"WAITING", "RUNNING"}
    made = create_trial(
        state=TrialState[state],
        values=trial.objective if state == "COMPLETE" else None,
        params=params,
        distributions={key: known[key] for key in params},
        intermediate_values=steps,
        user_attrs=_notes(trial),
    )
    made.datetime_start = _time(trial.started) if state != "WAITING" else None
    made.datetime_complete = _time(trial.ended) or made.datetime_start if over else None
    return made


def _notes(trial: Trial) -> dict[str, Any]:
    """Return what Optuna has no place of its own for."""
    notes: dict[str, Any] = {"trial": trial.number, "state": trial.state}
    held = ("id", "reason", "seconds", "billed_seconds", "machine", "log", "artifacts")
    notes |= {name: value for name in held if (value := getattr(trial, name))}
    if trial.cost:
        notes["cost"] = f"{trial.cost.amount:.6g} {trial.cost.currency} ({trial.cost.basis})"
    return notes | {f"metric {name}": value for name, value in trial.metrics.items()}


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds)
