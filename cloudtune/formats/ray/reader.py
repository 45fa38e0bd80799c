"""Reads a tuner of Ray Tune as a study."""

from __future__ import annotations

import math
from typing import Any

from cloudtune.formats.fields import Fields, Json
from cloudtune.formats.model import DocumentReader, StudyDraft, compact, report_call
from cloudtune.formats.ranges import keep_whole
from cloudtune.formats.ray.names import (
    ASHA,
    DEFAULTS,
    FIFO,
    HOME,
    HYPERBAND,
    ITERATION,
    MEDIAN,
    MODES,
    SEARCHERS,
    SEEDS,
    SIMILAR,
    short_name,
)
from cloudtune.formats.ray.space import SpaceReader
from cloudtune.study.yaml_reader import is_list, is_map

_CONSTRAINTS = frozenset(["parameter_constraints", "outcome_constraints"])
"""The arguments of ``AxSearch`` with conditions as texts."""


class TunerReader(DocumentReader):
    """Reads one tuner."""

    def __init__(self, document: Fields) -> None:
        super().__init__(document)
        self._tune = document.map("tune_config")
        self._run = document.map("run_config")
        self._space = SpaceReader(document.report)
        self._origins = self._space.origins

    def draft(self) -> StudyDraft:
        """Return the study."""
        document = self._document
        if (executed := document.text("executed")) is not None:
            document.report.note("", executed)
        space = document.map("param_space")
        if not space.original:
            document.mistake("param_space", "a tuner needs parameters")
        self._space.read(space)
        self._data["name"] = self._run.text("name")
        self._data["parameters"] = self._space.parameters
        self._data["constants"] = self._space.constants
        scheduler, searcher = self._algorithm("scheduler"), self._algorithm("search_alg")
        self._objective([scheduler[1], searcher[1]])
        self._searcher(*searcher)
        self._scheduler(*scheduler)
        self._limits()
        if "stop" in self._run:
            self._run.warn("stop", "kept for Ray: elsewhere, the script decides when a trial ends")
        return self._finish(HOME)

    def _algorithm(self, key: str) -> tuple[str, Fields]:
        """Return the short name of a scheduler or a search algorithm, and its arguments."""
        value = self._tune.peek(key)
        path = self._tune.at(key)
        if value is None or isinstance(value, str):
            return short_name(value or ""), Fields({}, self._tune.report, path)
        if not is_map(value) or len(value) != 1:
            hint = 'write {"ASHAScheduler": {"max_t": 100}}'
            self._tune.mistake(key, "must be a name, or a map of a name to its arguments", hint)
            return "", Fields({}, self._tune.report, path)
        ((name, arguments),) = value.items()
        if arguments is not None and not is_map(arguments):
            self._tune.mistake(key, f"{name} needs a map of arguments")
        return short_name(name), self._tune.map(key).map(name)

    def _objective(self, algorithms: list[Fields]) -> None:
        tune = self._tune
        metric, mode, path = tune.take("metric"), tune.take("mode"), tune.at("metric")
        for fields in algorithms:  # also the place where older code has them
            inner = fields.peek("metric"), fields.peek("mode")
            if metric is None and inner[0] is not None:
                (metric, mode), path = inner, fields.at("metric")
        metrics: list[Any] = metric if is_list(metric) else [metric]
        modes: list[Any] = mode if is_list(mode) else [mode] * len(metrics)
        if metric is None:
            text = "absent: add the objective, with metric and goal, before a run"
            tune.warn("metric", text)
            return
        if len(modes) != len(metrics) or not all(isinstance(each, str) for each in metrics):
            tune.report.mistake(path, "needs a name and a mode of each metric")
            return
        if any(str(each) not in MODES for each in modes):
            tune.mistake("mode", f"must be min or max, not {mode!r}")
            return
        self._set_objectives(metrics, (MODES[each] for each in modes), path)
        tune.report.warn(
            path,
            "Ray calls a trainable and reads tune.report(); to run it elsewhere, name a script "
            "with trial.source and trial.script that uses cloudtune.trial.params() and "
            f"{report_call(*metrics)}",
        )

    def _searcher(self, name: str, arguments: Fields) -> None:
        tune, grid = self._tune, self._space.grid
        known = name or "random"
        if known not in SEARCHERS | SIMILAR:
            tune.refuse("search_alg", f"a study has no search algorithm {name}")
            return
        strategy: Json = dict((SEARCHERS | SIMILAR)[known])
        if known in SIMILAR:
            tune.approximate("search_alg", f"elsewhere, {strategy['name']} instead of {name}")
        elif arguments.path == tune.at("search_alg"):
            tune.take("search_alg")
        if grid and known == "random":
            if len(grid) == len(self._space.parameters):
                strategy = {"name": "grid"}
            else:
                self._keep_grid("elsewhere, each trial draws one of the values at random")
        elif grid:
            self._keep_grid(f"elsewhere, the values are a choice of {strategy['name']}")
        seed = arguments.integer(SEEDS[known]) if known in SEEDS else None
        if seed is not None:
            strategy["seed"] = seed
        points = arguments.peek("points_to_evaluate")
        if is_list(points) and points:
            if all(is_map(each) and self._is_flat(each) for each in points):
                self._data["initial_trials"] = arguments.take("points_to_evaluate")
                self._origins["initial_trials"] = arguments.at("points_to_evaluate")
            else:
                text = "kept for Ray: a study has only flat maps as first trials"
                arguments.warn("points_to_evaluate", text)
        for key in sorted(_CONSTRAINTS & arguments.rest().keys()):
            arguments.warn(
                key, "kept for Ray: elsewhere, write them under constraints of the study"
            )
        known_keys = _CONSTRAINTS | {"metric", "mode", "points_to_evaluate"}
        for key in arguments.rest().keys() - known_keys:
            arguments.note(key, "kept for Ray: no other service has this argument")
        self._data["strategy"] = strategy
        self._origins["strategy"] = tune.at("search_alg")

    def _is_flat(self, point: Json) -> bool:
        """Return whether a point has only values of parameters, which may be maps."""
        parameters = self._space.parameters
        return all(
            not is_map(value) or value in parameters.get(name, {}).get("values", ())
            for name, value in point.items()
        )

    def _keep_grid(self, reason: str) -> None:
        for fields in self._space.grid.values():
            fields.approximate("grid_search", reason)
            keep_whole(fields)

    def _scheduler(self, name: str, arguments: Fields) -> None:
        tune = self._tune
        path = tune.at("scheduler")
        self._origins["early_stopping"] = path
        if name in {"", FIFO}:
            tune.take("scheduler")
        elif name == ASHA:
            self._asha(arguments)
        elif name == MEDIAN:
            self._median(arguments)
        elif name == HYPERBAND:
            self._hyperband(arguments)
        elif name.startswith(("pbt", "pb2", "populationbased")):
            tune.refuse("scheduler", "a study has no population-based training")
        else:
            reason = f"kept for Ray: a study has no rule {name}, so elsewhere no trial stops early"
            tune.approximate("scheduler", reason)

    def _asha(self, arguments: Fields) -> None:
        default = DEFAULTS[ASHA]
        max_t = arguments.number("max_t")
        stopping: Json = {"rule": "halving"}
        for key, field in (("grace_period", "min_step"), ("reduction_factor", "eta")):
            number = arguments.number(key)
            number = default[key] if number is None else number
            stopping[field] = self._whole(arguments, key, number)
        if max_t is not None:
            arguments.put("max_t", max_t)
        end = default["max_t"] if max_t is None else max_t
        arguments.approximate("max_t", f"kept for Ray: elsewhere, no trial ends at {end:g}")
        self._keep_scheduler()
        self._time(arguments, ITERATION)
        self._data["early_stopping"] = stopping

    def _median(self, arguments: Fields) -> None:
        stopping: Json = {"rule": "median"}
        trials = arguments.integer("min_samples_required")
        stopping["min_trials"] = 3 if trials is None else trials
        if arguments.peek("time_attr") == ITERATION and "grace_period" in arguments:
            grace = arguments.number("grace_period")
            stopping["min_step"] = self._whole(arguments, "grace_period", grace or 0)
        self._keep_scheduler()
        self._time(arguments, "time_total_s")
        self._data["early_stopping"] = stopping

    def _hyperband(self, arguments: Fields) -> None:
        strategy: Json = {"name": "hyperband"}
        for key, field, default in (("max_t", "max", 81), ("reduction_factor", "eta", 3)):
            number = arguments.number(key)
            number = default if number is None else number
            strategy[field] = self._whole(arguments, key, number)
        before = self._data.get("strategy", {})
        if before.get("name") not in {None, "random"}:
            self._tune.put("search_alg", self._tune.original["search_alg"])
            self._tune.approximate(
                "search_alg", f"elsewhere, hyperband instead of {before['name']}"
            )
        self._keep_scheduler()
        self._time(arguments, ITERATION)
        self._data["strategy"] = strategy | {k: v for k, v in before.items() if k == "seed"}

    def _whole(self, arguments: Fields, key: str, number: float) -> int:
        """Return a number as a whole one, and keep it if it is none."""
        whole = max(math.floor(number + 0.5), 2 if key == "reduction_factor" else 0)
        if whole != number:
            arguments.put(key, number)
            arguments.approximate(key, f"elsewhere, {whole}: a study has only whole numbers")
        return whole

    def _keep_scheduler(self) -> None:
        """Keep the name of a scheduler, so that an export uses the same one."""
        value = self._tune.original["scheduler"]
        if isinstance(value, str):
            self._tune.put("scheduler", value)
        else:
            (name,) = value
            self._tune.map("scheduler").map(name).is_marker = True

    def _time(self, arguments: Fields, default: str) -> None:
        attribute = arguments.peek("time_attr") or default
        if attribute != ITERATION:
            reason = f"kept for Ray: elsewhere, steps are those of report() and not {attribute}"
            arguments.approximate("time_attr", reason)

    def _limits(self) -> None:
        tune = self._tune
        limits: Json = {}
        samples = tune.integer("num_samples")
        size = math.prod(len(each.original["grid_search"]) for each in self._space.grid.values())
        is_grid = self._data.get("strategy", {}).get("name") == "grid"
        if samples == -1:
            tune.put("num_samples", samples)
            tune.note("num_samples", "no limit")
        elif not is_grid:
            limits["max_trials"] = (1 if samples is None else samples) * size
            if samples is None:
                tune.warn("num_samples", "absent, so Ray's default 1: set limits.max_trials")
        elif samples not in {None, 1}:
            tune.put("num_samples", samples)
            reason = f"kept for Ray, which repeats the grid {samples} times; elsewhere it runs once"
            tune.approximate("num_samples", reason)
        parallel = tune.integer("max_concurrent_trials")
        if parallel:
            limits["parallel_trials"] = parallel
        else:
            tune.erase("max_concurrent_trials")
            text = "absent, so as many trials run as the cluster has room for; a study runs one"
            tune.warn("max_concurrent_trials", text)
        self._set_limits(
            limits | compact(timeout=tune.duration("time_budget_s")),
            max_trials=tune.at("num_samples"),
            parallel_trials=tune.at("max_concurrent_trials"),
            timeout=tune.at("time_budget_s"),
        )
