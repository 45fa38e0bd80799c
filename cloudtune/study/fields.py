"""The fields of a study, each valid by itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, StrictStr
from pydantic_core import PydanticSerializationError

from cloudtune.diagnostics import Note
from cloudtune.launcher.values import part_name
from cloudtune.study.confirm import Confirm
from cloudtune.study.map_values import list_maps
from cloudtune.study.schema import (
    CategoricalParameter,
    EarlyStopping,
    Limits,
    Model,
    Notify,
    Objective,
    Parameter,
    Scalar,
    Strategy,
    TrialSpec,
    Value,
    WarmStart,
    metric_or_map,
    name_or_map,
    rule_or_map,
)
from cloudtune.study.short_forms import one_or_many

_LABELS = {"version", "name", "description", "notify"}


class StudyFields(Model):
    """The content of a study file. Use `cloudtune.study.study.Study`, which also checks it."""

    version: Literal[1] = Field(default=1, description="Version of the file format; only 1 exists.")
    name: StrictStr | None = Field(
        default=None,
        description="A label. Default: the name of the file, or of its folder for study.yaml.",
    )
    description: StrictStr | None = Field(default=None, description="Free text.")
    objective: Annotated[list[Objective], Field(min_length=1), one_or_many] | None = Field(
        default=None, description="The metric to optimize, or a list of them."
    )
    parameters: dict[str, Annotated[list[Parameter], Field(min_length=1), one_or_many]] = Field(
        default={},
        description="The parameters to tune, by name: a map, or a list of maps for "
        "different conditions.",
    )
    constants: dict[str, Scalar] = Field(
        default={}, description="Fixed values by name, passed to every trial like parameters."
    )
    constraints: Annotated[list[StrictStr], one_or_many] = Field(
        default=[],
        description="What must hold between parameters or for metrics: one condition or a list.",
    )
    strategy: Annotated[Strategy, name_or_map] = Field(
        default=Strategy.model_construct(name="bayesian"),
        description="How the next trials are chosen: a name or a map. Default: bayesian.",
    )
    limits: Limits = Field(default=Limits.model_construct(), description="When a job ends.")
    early_stopping: Annotated[EarlyStopping, rule_or_map] | None = Field(
        default=None,
        description="When to stop trials that perform badly: a rule or a map. Default: never.",
    )
    initial_trials: list[dict[str, Value]] = Field(
        default=[],
        description="Assignments that run first, in this order, for example the script's defaults.",
    )
    warm_start: WarmStart | None = Field(
        default=None, description="Earlier runs or jobs to learn from."
    )
    confirm: Annotated[Confirm, metric_or_map] | None = Field(
        default=None,
        description="What `cloudtune confirm` measures besides the objective: a metric or a map.",
    )
    notify: Notify | None = Field(
        default=None, description="A command that this machine runs when something happens."
    )
    trial: TrialSpec = Field(
        default=TrialSpec.model_construct(),
        description="The code of a trial, and how to start and measure it.",
    )
    providers: dict[str, dict[str, Any]] = Field(
        default={},
        description="Settings of single providers, such as machine types and prices. Each "
        "provider's page lists its settings; limits overrides the study's limits there.",
    )

    _lines: Mapping[str, int] = PrivateAttr(default={})
    _file: str | None = PrivateAttr(default=None)
    _other_locations: Mapping[str, tuple[str, int | None]] = PrivateAttr(default={})
    _loader_notes: Sequence[Note] = PrivateAttr(default=())

    def __eq__(self, other: object) -> bool:
        """Return whether two studies have the same content, whatever their source."""
        return isinstance(other, StudyFields) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash(self.fingerprint())

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """The objectives in the order of the file."""
        return tuple(self.objective or ())

    @property
    def trial_seed(self) -> int:
        """The seed that all trials of a search share, so that only parameters differ."""
        return self.strategy.seed or 0

    @property
    def script_constants(self) -> dict[str, Scalar]:
        """The constants with the seed, if the script has an argument for it."""
        argument = self.trial.seed_argument
        return {**self.constants, **({argument: self.trial_seed} if argument else {})}

    @property
    def maps(self) -> dict[str, dict[str, dict[str, Scalar]]]:
        """The maps among the values of parameters, by the parameter's name and their text."""
        found: dict[str, dict[str, dict[str, Scalar]]] = {}
        for name, definitions in self.parameters.items():
            for each in definitions:
                if isinstance(each, CategoricalParameter) and (maps := list_maps(each.values)):
                    found.setdefault(name, {}).update(maps)
        return found

    @property
    def argument_names(self) -> list[str]:
        """The names under which the script gets the parameters: those of the parts of maps."""
        names: list[str] = []
        maps = self.maps
        for name in self.parameters:
            keys = dict.fromkeys(key for parts in maps.get(name, {}).values() for key in parts)
            names += [part_name(name, key) for key in keys] or [name]
        return names

    def objective_path(self, index: int) -> str:
        """Return the path of an objective in the file: with an index only if there are several."""
        return f"objective.{index}" if len(self.objectives) > 1 else "objective"

    def limits_for(self, provider: str) -> Limits:
        """Return the limits, overridden by those under ``providers.<provider>.limits``."""
        overrides = self.providers.get(provider, {}).get("limits")
        if not overrides:
            return self.limits
        return Limits.model_validate(overrides).with_defaults(self.limits)

    def location(self, path: str) -> tuple[str | None, int | None]:
        """Return the file and line of a field, or of the nearest enclosing block.

        The file can differ from the study file: provider settings can come from the team's file.
        """
        while path:
            if path in self._other_locations:
                return self._other_locations[path]
            if path in self._lines:
                return self._file, self._lines[path]
            path = path.rpartition(".")[0]
        return self._file, None

    def is_written(self, path: str) -> bool:
        """Return whether a field was written, rather than derived, in a study from a file."""
        return path in self._lines or path in self._other_locations

    def is_list(self, path: str) -> bool:
        """Return whether a field that accepts a value or a list was written as a list."""
        return f"{path}.0" in self._lines or f"{path}.0" in self._other_locations

    def item_path(self, path: str, index: int, count: int) -> str:
        """Return the path of one of ``count`` items of a field that accepts a value or a list."""
        return f"{path}.{index}" if count > 1 or self.is_list(path) else path

    def definitions(self) -> Iterator[tuple[str, str, Parameter]]:
        """Yield the path, the name and the content of each definition of a parameter."""
        for name, definitions in self.parameters.items():
            for number, parameter in enumerate(definitions):
                path = self.item_path(f"parameters.{name}", number, len(definitions))
                yield path, name, parameter

    @property
    def file(self) -> str | None:
        """The file that the study was read from, as passed by the user."""
        return self._file

    def set_source(
        self,
        file: str | None,
        lines: Mapping[str, int],
        *,
        other_locations: Mapping[str, tuple[str, int | None]] | None = None,
        notes: Sequence[Note] = (),
    ) -> None:
        """Record where the study comes from.

        `lines`, and `other_locations` for fields from elsewhere, are keyed by dotted path; items of
        lists count from 0.
        """
        self._file = file
        self._lines = lines
        self._other_locations = other_locations or {}
        self._loader_notes = notes

    def to_json(self) -> dict[str, Any]:
        """Return the study as plain data, without defaults; `Study.model_validate` reads it."""
        try:
            data = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        except PydanticSerializationError as error:
            if isinstance(error.__cause__, KeyboardInterrupt):  # pydantic wraps one of a serializer
                raise error.__cause__ from None
            raise
        if len(self.trial.resources) == 1:  # as before they could depend on parameters
            (data["trial"]["resources"],) = data["trial"]["resources"]
        return data

    def fingerprint(self) -> str:
        """Return a hash of the content.

        It depends on the order of parameters, but neither on labels nor on what is notified.
        """
        content = {key: value for key, value in self.to_json().items() if key not in _LABELS}
        import hashlib

        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()
