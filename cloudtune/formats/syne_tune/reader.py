"""Reads a configuration space, or the metadata of an experiment, of Syne Tune as a study."""

from __future__ import annotations

from typing import Any

from cloudtune.formats.branches import Definitions
from cloudtune.formats.fields import Fields, Json
from cloudtune.formats.model import DocumentReader, StudyDraft, report_call
from cloudtune.formats.syne_tune.domains import read_domain
from cloudtune.formats.syne_tune.names import (
    ETA,
    GRID,
    GRID_VALUES,
    HALVING,
    HOME,
    MEDIAN,
    MODES,
    SCHEDULERS,
    SIMILAR,
    STATE,
    is_domain,
    parse_space,
)
from cloudtune.study.yaml_reader import is_list, is_map

_SEEDS = 2**32


class ExperimentReader(DocumentReader):
    """Reads one experiment."""

    def __init__(self, document: Fields) -> None:
        super().__init__(document)
        self._space = Definitions(document.report)
        self._origins = self._space.origins

    def draft(self) -> StudyDraft:
        """Return the study."""
        document = self._document
        self._data["name"] = document.text("tuner_name")
        self._parameters()
        self._objective()
        self._scheduler()
        self._limits()
        self._state()
        return self._finish(HOME)

    def _parameters(self) -> None:
        document = self._document
        space = parse_space(document.take("config_space"))
        if not space:
            document.mistake("config_space", "an experiment needs parameters")
            return
        fields = Fields(space, document.report, document.at("config_space"))
        constants: Json = {}
        for name, value in space.items():
            self._origins[f"parameters.{name}"] = fields.at(name)
            if is_domain(value):
                if (definition := read_domain(fields.map(name))) is not None:
                    self._space.add(name, definition, fields.at(name))
            elif value is None:
                fields.drop(name, "a study has no null as a constant")
            elif is_map(value) or is_list(value):
                text = "kept for Syne Tune: a study has no lists and maps as constants"
                fields.warn(name, text)
            else:
                constants[name] = fields.take(name)
        if rest := fields.rest():
            document.put("config_space", rest)
        self._data["parameters"] = self._space.parameters
        self._data["constants"] = constants

    def _objective(self) -> None:
        document = self._document
        names = document.texts("metric_names")
        single, mode = document.text("metric"), document.take("metric_mode")
        names = names or ([single] if single else [])
        if not names:
            document.warn("metric_names", "absent: add the objective before a run")
            return
        modes: list[Any] = mode if is_list(mode) else [mode] * len(names)
        if mode is None:
            document.note("metric_mode", "absent, so Syne Tune's default min")
            modes = ["min"] * len(names)
        if len(modes) != len(names) or any(str(each) not in MODES for each in modes):
            document.mistake("metric_mode", f"must be min or max, of each metric, not {mode!r}")
            return
        goals = (MODES[str(each)] for each in modes)
        self._set_objectives(names, goals, document.at("metric_names"))
        entry = document.peek("entrypoint")
        where = f"the script {entry}.py" if isinstance(entry, str) else "a script"
        document.warn(
            "metric_names",
            f"{where} reports to a Reporter of Syne Tune; to run it elsewhere, name it with "
            f"trial.source and trial.script, and add {report_call(*names)}",
        )

    def _scheduler(self) -> None:
        document = self._document
        name = document.text("scheduler_name")
        arguments = document.map("scheduler_kwargs")
        for key in STATE:
            arguments.take(key)
        for key in ("metric", "metrics", "do_minimize"):
            arguments.take(key)
        seed = arguments.integer("random_seed")
        self._origins["strategy"] = document.at("scheduler_name")
        self._origins["early_stopping"] = arguments.path
        if name is None:
            return
        if name.startswith("PopulationBased"):
            reason = "a study has no population-based training"
            document.refuse("scheduler_name", reason)
            return
        known = SCHEDULERS | SIMILAR | HALVING
        strategy = dict(known.get(name, {}))
        if name not in SCHEDULERS and name != "ASHA":
            document.put("scheduler_name", name)
        if name in HALVING:
            self._halving(arguments)
        elif name == MEDIAN:
            self._median(arguments)
        if not strategy:
            reason = f"a study does not know the search of {name}; set strategy"
            document.approximate("scheduler_name", f"kept for Syne Tune: {reason}")
        elif name == GRID:
            document.approximate(
                "scheduler_name", f"{GRID_VALUES}; elsewhere, a grid has all values"
            )
        elif name not in SCHEDULERS and name != "ASHA":
            reason = f"elsewhere, {strategy['name']} instead of {name}"
            document.approximate("scheduler_name", reason)
        if strategy and seed is not None and 0 <= seed < _SEEDS:
            strategy["seed"] = seed
        elif seed is not None:
            arguments.put("random_seed", seed)
        if strategy:
            self._data["strategy"] = strategy

    def _halving(self, arguments: Fields) -> None:
        stopping: Json = {"rule": "halving"}
        grace, factor = arguments.integer("grace_period"), arguments.number("reduction_factor")
        if grace is not None:
            stopping["min_step"] = grace
        factor = ETA if factor is None else factor
        stopping["eta"] = max(2, round(factor))
        if stopping["eta"] != factor:
            arguments.put("reduction_factor", factor)
            reason = f"elsewhere, {stopping['eta']}: a study has only whole numbers"
            arguments.approximate("reduction_factor", reason)
        if "max_t" in arguments:
            end = arguments.peek("max_t")
            arguments.approximate("max_t", f"kept for Syne Tune: elsewhere, no trial ends at {end}")
        self._data["early_stopping"] = stopping

    def _median(self, arguments: Fields) -> None:
        stopping: Json = {"rule": "median"}
        for key, field in (("grace_time", "min_step"), ("min_samples_required", "min_trials")):
            if (number := arguments.integer(key)) is not None:
                stopping[field] = number
        self._data["early_stopping"] = stopping

    def _limits(self) -> None:
        document = self._document
        limits: Json = {}
        criterion = document.map("stop_criterion")
        if (trials := criterion.integer("max_num_trials_started")) is not None:
            limits["max_trials"] = trials + 1
            text = f"Syne Tune stops when more are started, so {trials + 1} trials run"
            criterion.note("max_num_trials_started", text)
        if (workers := document.integer("n_workers")) is not None:
            limits["parallel_trials"] = workers
        if (seconds := criterion.duration("max_wallclock_time")) is not None:
            limits["timeout"] = seconds
        if (failures := document.integer("max_failures")) is not None:
            limits["max_failed_trials"] = failures
        for key in criterion.rest():
            criterion.note(key, "kept for Syne Tune: a study has no such limit")
        if not limits and "scheduler_name" in document.original:
            text = "absent, since the metadata has no limits: set limits"
            document.warn("stop_criterion", text)
        self._set_limits(
            limits,
            max_trials=criterion.at("max_num_trials_started"),
            parallel_trials=document.at("n_workers"),
            timeout=criterion.at("max_wallclock_time"),
            max_failed_trials=document.at("max_failures"),
        )

    def _state(self) -> None:
        document = self._document
        added = [key for key in document.original if key.startswith("st_") and document.take(key)]
        if added:
            document.note(added[0], "left out the times of the experiment")
