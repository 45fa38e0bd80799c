"""The fields of a study: every block of the file, each well-formed by itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, StrictStr

from cloudtune.diagnostics import Note
from cloudtune.study.schema import (
    EarlyStopping,
    Limits,
    Model,
    Objective,
    Parameter,
    Scalar,
    Strategy,
    TrialSpec,
    WarmStart,
    name_or_map,
    one_or_many,
    rule_or_map,
)

_LABELS = {"version", "name", "description"}


class StudyFields(Model):
    """What the study file says, with types. Use `cloudtune.study.study.Study`, which checks it."""

    version: Literal[1] = 1
    name: StrictStr | None = Field(
        default=None, description="A label; the file's name when left out."
    )
    description: StrictStr | None = None
    objective: Annotated[list[Objective], Field(min_length=1), one_or_many] | None = None
    parameters: dict[str, Annotated[list[Parameter], Field(min_length=1), one_or_many]] = Field(
        default={}, description="What is varied, by name."
    )
    constants: dict[str, Scalar] = Field(default={}, description="Values that stay the same.")
    strategy: Annotated[Strategy, name_or_map] = Field(
        default=Strategy.model_construct(name="bayesian")
    )
    limits: Limits = Field(default=Limits.model_construct())
    early_stopping: Annotated[EarlyStopping, rule_or_map] | None = None
    initial_trials: list[dict[str, Scalar]] = Field(
        default=[], description="Trials that run first, in order."
    )
    warm_start: WarmStart | None = None
    trial: TrialSpec = Field(default=TrialSpec.model_construct())
    providers: dict[str, dict[str, Any]] = Field(
        default={}, description="Settings that only one provider reads, by provider."
    )

    _lines: Mapping[str, int] = PrivateAttr(default={})
    _file: str | None = PrivateAttr(default=None)
    _other_locations: Mapping[str, tuple[str, int | None]] = PrivateAttr(default={})
    _loader_notes: Sequence[Note] = PrivateAttr(default=())

    def __eq__(self, other: object) -> bool:
        """Tell whether two studies say the same, wherever they come from."""
        return isinstance(other, StudyFields) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash(self.fingerprint())

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """The objectives in the file's order; empty while the study names none."""
        return tuple(self.objective or ())

    def limits_for(self, provider: str) -> Limits:
        """Return the limits with those under ``providers.<provider>.limits`` on top."""
        own = self.providers.get(provider, {}).get("limits")
        return Limits.model_validate(own).with_defaults(self.limits) if own else self.limits

    def line(self, path: str) -> int | None:
        """Return the line of a field, or of the nearest block around it, if it came from a file."""
        return self.location(path)[1]

    def location(self, path: str) -> tuple[str | None, int | None]:
        """Return the file and line of a field, or of the nearest block around it.

        The file is not always the study's: settings of providers may come from the team's.
        """
        while path:
            if path in self._other_locations:
                return self._other_locations[path]
            if path in self._lines:
                return self._file, self._lines[path]
            path = path.rpartition(".")[0]
        return self._file, None

    def is_list(self, path: str) -> bool:
        """Tell whether a field that may be one thing or a list was written as a list."""
        return f"{path}.0" in self._lines or f"{path}.0" in self._other_locations

    @property
    def file(self) -> str | None:
        """The file that the study was read from, as the user named it."""
        return self._file

    def set_source(
        self,
        file: str | None,
        lines: Mapping[str, int],
        *,
        other_locations: Mapping[str, tuple[str, int | None]] | None = None,
        notes: Sequence[Note] = (),
    ) -> None:
        """Note where the study comes from: its file, and the line of each field by dotted path.

        Args:
            file: The file as the user named it.
            lines: The line of each field; items of lists count from 0.
            other_locations: File and line of the fields that do not stand in the study's file.
            notes: What was worth knowing while it was read.
        """
        self._file = file
        self._lines = lines
        self._other_locations = other_locations or {}
        self._loader_notes = notes

    def to_json(self) -> dict[str, Any]:
        """Return the study as plain data that `Study.model_validate` reads, without defaults."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)

    def fingerprint(self) -> str:
        """Return a hash of what the study says: the order of parameters counts, labels do not."""
        said = {key: value for key, value in self.to_json().items() if key not in _LABELS}
        import hashlib

        text = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()
