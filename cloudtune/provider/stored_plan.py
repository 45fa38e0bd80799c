"""The plan format: how facts and plans become JSON and come back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cloudtune.errors import StudyError, UsageError
from cloudtune.provider.facts import Facts
from cloudtune.study.schema import Json, Mode
from cloudtune.study.study import Study

FORMAT: Literal["cloudtune.plan/v2"] = "cloudtune.plan/v2"
HINT = "`cloudtune plan STUDY -o FILE` writes one"
OTHER_VERSION = "continue with the version that created it, or plan the study again"


def facts_to_json(facts: Facts) -> Json:
    """Return facts as the ``facts`` of a plan: all that are compared."""
    stored: Json = _to_json(facts)
    return stored


def _to_json(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _to_json(each) for key, each in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_to_json(each) for each in cast("Sequence[Any]", value)]
    if is_dataclass(value):
        return {
            each.name: _to_json(getattr(value, each.name)) for each in fields(value) if each.compare
        }
    return value


class StoredPlan(BaseModel):
    """A plan as a file or the ledger contains it."""

    model_config = ConfigDict(strict=True, defer_build=True)

    provider: str
    mode: Mode
    run: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
    """The run's id; it names a folder, so it must not lead out of the parent folder."""
    study: dict[str, Any]
    file: str | None
    facts: Facts
    request: dict[str, Any]
    broken: str = ""
    state: str | None = None
    """The state folder that the run belongs to, for a plan that was saved in a file."""

    def to_study(self) -> Study:
        """Return the study.

        Raises:
            UsageError: If the study is invalid.
        """
        try:
            study = Study.model_validate(self.study)
        except (ValidationError, StudyError) as error:
            raise UsageError(f"invalid study in this plan:\n{_format_errors(error)}") from error
        study.set_source(self.file, {})
        return study

    def to_facts(self) -> Facts:
        """Return the facts on which the plan is based."""
        return replace(self.facts, run_id=self.run)


def parse_stored_plan(data: Any) -> StoredPlan:
    """Return a plan from JSON data.

    Raises:
        UsageError: If the data is not a plan, or a part of it is missing or invalid.
    """
    form = cast("Json", data).get("format") if isinstance(data, dict) else None
    if form != FORMAT:
        is_other = str(form).startswith(FORMAT.rstrip("0123456789"))
        raise UsageError(
            f"not a plan of the format {FORMAT}; {OTHER_VERSION if is_other else HINT}"
        )
    try:
        # In JSON mode, a list is valid where the model has a tuple.
        return StoredPlan.model_validate_json(json.dumps(data))
    except ValidationError as error:
        raise UsageError(f"damaged plan:\n{_format_errors(error)}\n{HINT}") from error


def _format_errors(error: ValidationError | StudyError) -> str:
    if isinstance(error, StudyError):
        return "\n".join(f"  {problem}" for problem in error.problems)
    return "\n".join(
        f"  {'.'.join(map(str, each['loc']))}: {each['msg']}"
        for each in error.errors(include_url=False)
    )
