"""The trials of an Optuna study, one at a time, from a database or from a journal.

Optuna itself loads all trials of a study at once, which takes half a minute and 600 MB for 10,000
trials with 20 steps. This follows its tables (optuna 5.0.0, storages/_rdb/models.py, schema 12,
unchanged since 3.2) and the operations of its journal (storages/journal/_storage.py), read
2026-11-27.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cloudtune.errors import UsageError
from cloudtune.formats.optuna.distributions import parse_distribution
from cloudtune.formats.tool_runs.files import MAX_LINE, open_file
from cloudtune.formats.tool_runs.values import to_time
from cloudtune.study.yaml_reader import is_list, is_map

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

_PAGE = 500
"""Trials that are read at a time."""
FINISHED = frozenset(["COMPLETE", "PRUNED", "FAIL"])
_STATES: tuple[str, ...] = ("RUNNING", "COMPLETE", "PRUNED", "FAIL", "WAITING")
"""By number, as in ``optuna.trial.TrialState``."""
_GOALS = {1: "minimize", 2: "maximize"}
"""By number, as in ``optuna.study.StudyDirection``."""


@dataclass
class OptunaStudy:
    """What a storage has of a study, except for its trials."""

    id: int
    name: str
    goals: list[str | None]
    user_attrs: dict[str, Any] = field(default_factory=dict[str, Any])
    system_attrs: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass
class OptunaTrial:
    """A trial as a storage has it."""

    number: int
    state: str
    params: dict[str, Any] = field(default_factory=dict[str, Any])
    distributions: dict[str, str] = field(default_factory=dict[str, str])
    """The JSON of the distribution of each parameter."""
    values: list[float] = field(default_factory=list[float])
    steps: dict[int, float] = field(default_factory=dict[int, float])
    user_attrs: dict[str, Any] = field(default_factory=dict[str, Any])
    started: float | None = None
    ended: float | None = None


def database_studies(storage: RDBStorage) -> list[OptunaStudy]:
    """Return the studies in a database."""
    return [
        OptunaStudy(
            storage.get_study_id_from_name(each.study_name),
            each.study_name,
            [direction.name.lower() for direction in each.directions],
            dict(each.user_attrs),
            dict(each.system_attrs),
        )
        for each in storage.get_all_studies()
    ]


def database_trials(storage: RDBStorage, study: int) -> Iterator[OptunaTrial]:
    """Yield the trials of a study in a database, by number."""
    from optuna.storages._rdb import models
    from sqlalchemy import select

    trial: Any = models.TrialModel
    columns = (trial.trial_id, trial.number, trial.state)
    times = (trial._datetime_start_utc, trial._datetime_complete_utc)
    with storage.engine.connect() as connection:
        query: Any = select(*columns, *times)
        query = query.where(trial.study_id == study).order_by(trial.trial_id)
        heads = cast("list[Any]", connection.execute(query).fetchall())
    heads_left = iter(heads)
    while page := list(islice(heads_left, _PAGE)):
        yield from _read_page(storage, page)


def _read_page(storage: RDBStorage, page: list[Any]) -> Iterator[OptunaTrial]:
    from optuna.storages._rdb import models
    from sqlalchemy import select

    trials = {
        id_: OptunaTrial(number, state.name, started=_utc(start), ended=_utc(end))
        for id_, number, state, start, end in page
    }

    def rows(model: Any, order: Any, *columns: Any) -> Iterator[tuple[OptunaTrial, Any]]:
        query: Any = select(model.trial_id, *columns).order_by(order)
        query = query.where(model.trial_id.between(page[0][0], page[-1][0]))
        for id_, *cells in connection.execute(query):
            if id_ in trials:  # other studies can have trials in between
                yield trials[id_], cells

    with storage.engine.connect() as connection:
        model: Any = models.TrialParamModel
        found = (model.param_name, model.param_value, model.distribution_json)
        for trial, (name, value, distribution) in rows(model, model.param_id, *found):
            trial.params[name] = _external(distribution, value)
            trial.distributions[name] = distribution
        model = models.TrialValueModel
        for trial, (value, kind) in rows(model, model.objective, model.value, model.value_type):
            trial.values.append(model.stored_repr_to_value(value, kind))
        model = models.TrialIntermediateValueModel
        found = (model.step, model.intermediate_value, model.intermediate_value_type)
        for trial, (step, value, kind) in rows(model, model.step, *found):
            trial.steps[step] = model.stored_repr_to_intermediate_value(value, kind)
        model = models.TrialUserAttributeModel
        order = model.trial_user_attribute_id
        for trial, (key, text) in rows(model, order, model.key, model.value_json):
            trial.user_attrs[key] = json.loads(text)
    yield from trials.values()


def _utc(time: datetime | None) -> float | None:
    return None if time is None else to_time(time.replace(tzinfo=UTC).timestamp())


@lru_cache(maxsize=1_000)
def _converter(distribution: str) -> Callable[[Any], Any]:
    """Return the converter of a distribution's stored values to those of trials."""
    parsed = parse_distribution(distribution)
    if parsed is None:
        raise ValueError(f"unreadable distribution {distribution[:80]}")
    name, attributes = str(parsed.get("name")), parsed.get("attributes")
    if name != "CategoricalDistribution":
        return int if name.startswith("Int") else float
    choices: Any = attributes.get("choices") if is_map(attributes) else None
    if not is_list(choices):
        raise ValueError("a distribution has no choices")
    return lambda index: choices[int(index)]


def _external(distribution: str, value: Any) -> Any:
    return _converter(distribution)(value)


def read_journal(path: Path) -> Journal:
    """Return the studies of a journal.

    Raises:
        UsageError: If it is damaged.
    """
    journal = Journal(path)
    for _ in journal.replay(None):
        pass
    return journal


class Journal:
    """A journal of Optuna, whose operations are replayed each time that trials are read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.studies: dict[int, OptunaStudy] = {}
        self._counts: dict[int, int] = {}
        self._owner: dict[int, int] = {}
        self._open: dict[int, OptunaTrial] = {}
        self._next_study = 0
        self._next_trial = 0

    def replay(self, study: int | None) -> Iterator[OptunaTrial]:
        """Yield the trials of a study in the order of their ends, those that did not end last.

        Args:
            study: The study; None to read only which studies there are.
        """
        self.studies, self._counts, self._owner, self._open = {}, {}, {}, {}
        self._next_study = self._next_trial = 0
        for number, log in self._logs():
            try:
                finished = self._apply(log, study)
            except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
                raise UsageError(
                    f"{self._path}: line {number} is no operation of Optuna's journal ({error!r})"
                ) from error
            if finished is not None:
                yield finished
        yield from self._open.values()
        self._open = {}

    def _logs(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        with open_file(self._path) as file:
            number = 0
            while line := file.readline(MAX_LINE):
                number += 1
                if not line.endswith(b"\n") and len(line) < MAX_LINE:
                    return  # cut off, as in Optuna
                try:
                    log = json.loads(line)
                except (ValueError, RecursionError):
                    log = None
                if not is_map(log):
                    raise UsageError(f"{self._path}: line {number} is not JSON; it is damaged")
                yield number, log

    def _apply(self, log: Mapping[str, Any], study: int | None) -> OptunaTrial | None:
        """Apply an operation; return the trial of the study that it ends."""
        match log["op_code"]:
            case 0:
                self._create_study(log)
            case 1:
                self.studies.pop(log["study_id"], None)
            case 2 | 3 as kind:
                if owner := self.studies.get(log["study_id"]):
                    attrs = owner.user_attrs if kind == 2 else owner.system_attrs
                    attrs.update(log["user_attr" if kind == 2 else "system_attr"])
            case 4:
                return self._create_trial(log, study)
            case _ if (trial := self._open.get(log.get("trial_id", -1))) is not None:
                return self._change_trial(log, trial)
            case _:
                pass  # of another study, or after the end of the trial
        return None

    def _create_study(self, log: Mapping[str, Any]) -> None:
        name = str(log["study_name"])
        if any(each.name == name for each in self.studies.values()):
            return
        id_, self._next_study = self._next_study, self._next_study + 1
        goals = [_GOALS.get(direction) for direction in log["directions"]]
        self.studies[id_] = OptunaStudy(id_, name, goals)

    def _create_trial(self, log: Mapping[str, Any], study: int | None) -> OptunaTrial | None:
        owner = log["study_id"]
        if owner not in self.studies:
            return None
        id_, self._next_trial = self._next_trial, self._next_trial + 1
        number = self._counts.get(owner, 0)
        self._counts[owner] = number + 1
        if owner != study:
            return None
        value = log.get("value")
        distributions = dict(log.get("distributions", {}))
        params = log.get("params", {})
        trial = OptunaTrial(
            number,
            _state(log.get("state", 0)),
            {name: _external(distributions[name], each) for name, each in params.items()},
            distributions,
            _floats(log.get("values") or ([] if value is None else [value])),
            {int(step): float(each) for step, each in log.get("intermediate_values", {}).items()},
            dict(log.get("user_attrs", {})),
            _iso(log.get("datetime_start")),
            _iso(log.get("datetime_complete")),
        )
        if trial.state in FINISHED:
            return trial
        self._open[id_] = trial
        return None

    def _change_trial(self, log: Mapping[str, Any], trial: OptunaTrial) -> OptunaTrial | None:
        match log["op_code"]:
            case 5:
                name = log["param_name"]
                trial.params[name] = _external(log["distribution"], log["param_value_internal"])
                trial.distributions[name] = log["distribution"]
            case 6:
                trial.state = _state(log["state"])
                trial.started = _iso(log.get("datetime_start")) or trial.started
                trial.ended = _iso(log.get("datetime_complete"))
                trial.values = _floats(log.get("values") or trial.values)
                if trial.state in FINISHED:
                    return self._open.pop(log["trial_id"])
            case 7:
                trial.steps[int(log["step"])] = float(log["intermediate_value"])
            case 8:
                trial.user_attrs.update(log["user_attr"])
            case _:
                pass
        return None


def _floats(values: Iterable[Any]) -> list[float]:
    return [float(value) for value in values]


def _state(number: Any) -> str:
    return _STATES[int(number)]


def _iso(text: Any) -> float | None:
    if isinstance(text, str):
        with suppress(ValueError):
            return to_time(datetime.fromisoformat(text).timestamp())
    return None
