"""Reads a configuration of Hydra's Optuna sweeper as a study."""

from __future__ import annotations

from typing import Any

from cloudtune.formats.branches import Definitions
from cloudtune.formats.fields import Fields, Json
from cloudtune.formats.hydra.expressions import is_sweep, parse_element, read_expression
from cloudtune.formats.hydra.names import (
    CHOICES,
    DEFAULT,
    HOME,
    JOBS,
    METRIC,
    METRIC_KEY,
    SAMPLERS,
    SWEEPER,
    TRIALS,
    default_of,
)
from cloudtune.formats.model import DocumentReader, StudyDraft, report_call
from cloudtune.formats.optuna.distributions import parse_distribution, read_distribution
from cloudtune.study.yaml_reader import is_list, is_map


class SweeperReader(DocumentReader):
    """Reads one configuration."""

    def __init__(self, document: Fields) -> None:
        super().__init__(document)
        self._sweeper = document.map("hydra").map("sweeper")
        self._space = Definitions(document.report)
        self._origins = self._space.origins

    def draft(self) -> StudyDraft:
        """Return the study."""
        sweeper = self._sweeper
        self._data["name"] = sweeper.text("study_name")
        if sweeper.peek("_target_") == SWEEPER:
            sweeper.take("_target_")
        self._parameters()
        self._objectives()
        self._strategy()
        self._limits()
        self._data["trial"] = {"arguments": "assign"}
        if "custom_search_space" in sweeper:
            reason = "kept for Hydra: code adds parameters, which elsewhere are not searched"
            sweeper.approximate("custom_search_space", reason)
        if defaults := self._document.items("defaults"):
            self._document.put("defaults", [each for each in defaults if not _is_sampler(each)])
        return self._finish(HOME)

    def _parameters(self) -> None:
        sweeper = self._sweeper
        constants: Json = {}
        space = sweeper.map("params")
        for name in list(space.original):
            self._origins[f"parameters.{name}"] = self._origins[f"constants.{name}"] = space.at(
                name
            )
            if (definition := read_expression(space, name)) is not None:
                self._space.add(name, definition, space.at(name))
            elif not is_sweep(space.original[name]):
                self._constant(name, space, constants)
        older = sweeper.map("search_space")
        for name in list(older.original):
            self._older(name, older)
        if not self._space.parameters and not sweeper.report.problems:
            hint = "for example {lr: 'tag(log, interval(0.0001, 0.1))'}"
            sweeper.mistake("params", "a sweep needs parameters", hint)
        self._data["parameters"] = self._space.parameters
        self._data["constants"] = constants

    @staticmethod
    def _constant(name: str, space: Fields, constants: Json) -> None:
        value = space.original[name]
        if is_map(value):
            hint = "a map with type, low and high belongs to search_space of Hydra 1.1"
            space.mistake(name, "must be a sweep such as interval(0.1, 1), not a map", hint)
        elif is_list(value):
            text = "kept for Hydra, to which it is one value: write choice(...) to search its parts"
            space.approximate(name, text)
        elif value is None:
            space.drop(name, "a study has no null as a constant")
            space.take(name)
        else:
            constants[name] = parse_element(value) if isinstance(value, str) else value
            space.take(name)

    def _older(self, name: str, space: Fields) -> None:
        """Read a definition of Hydra 1.1, whose keys are those of Optuna's distributions."""
        distribution = parse_distribution(space.take(name))
        if distribution is None:
            space.mistake(name, "must be a map with type, and low and high or choices")
            return
        fields = Fields(distribution, space.report, space.at(name))
        if (definition := read_distribution(fields)) is not None:
            self._space.add(name, definition, space.at(name))

    def _objectives(self) -> None:
        sweeper = self._sweeper
        value: Any = sweeper.take("direction")
        if value is None:
            sweeper.note("direction", "absent, so Hydra's default minimize")
        goals: list[Any] = value if is_list(value) else [value or "minimize"]
        named = self._document.peek(METRIC_KEY)
        metrics = [f"{METRIC}_{number}" for number in range(len(goals))]
        if len(goals) == 1:
            metrics = [named if isinstance(named, str) and named else METRIC]
        if any(str(goal) not in {"minimize", "maximize"} for goal in goals):
            sweeper.mistake("direction", f"must be minimize or maximize, not {value!r}")
            return
        self._set_objectives(metrics, goals, sweeper.at("direction"))
        sweeper.warn(
            "direction",
            "Hydra takes what the function returns; to run it elsewhere, name the script with "
            f"trial.script, and add {report_call(*metrics)}",
        )

    def _strategy(self) -> None:
        sweeper = self._sweeper
        sampler = sweeper.map("sampler")
        chosen = default_of(self._document.original, "hydra/sweeper/sampler")
        word = sampler.text("_target_") or CHOICES.get(str(chosen), chosen) or DEFAULT
        self._origins["strategy"] = sampler.path
        if word not in SAMPLERS:
            reason = f"a study has no sampler {word}; it has {', '.join(CHOICES)}"
            sampler.refuse("_target_", reason)
            return
        strategy = dict(SAMPLERS[word])
        if (seed := sampler.integer("seed")) is not None:
            strategy["seed"] = seed
        if strategy["name"] == "grid":
            sampler.take("_partial_")
        for key in sampler.rest():
            sampler.note(key, "kept for Hydra: no other service has this argument")
        self._data["strategy"] = strategy

    def _limits(self) -> None:
        limits: Json = {}
        for key, field, default in (
            ("n_trials", "max_trials", TRIALS),
            ("n_jobs", "parallel_trials", JOBS),
        ):
            number = self._sweeper.integer(key)
            if number is None:
                self._sweeper.note(key, f"absent, so Hydra's default {default}")
            limits[field] = default if number is None else number
            self._origins[f"limits.{field}"] = self._sweeper.at(key)
        self._data["limits"] = limits


def _is_sampler(entry: Any) -> bool:
    """Return whether an entry of the defaults chooses the sampler, which an export names itself."""
    return is_map(entry) and default_of({"defaults": [entry]}, "hydra/sweeper/sampler") is not None
