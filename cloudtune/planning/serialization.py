"""What a plan keeps of itself as plain data, and how that is read again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cloudtune.errors import StudyError, UsageError
from cloudtune.ledger.home import state_folder
from cloudtune.provider.facts import Facts, Parent
from cloudtune.provider.plan import FORMAT, Plan
from cloudtune.study.schema import Json, Mode
from cloudtune.study.search_space import Value
from cloudtune.study.study import Study

_HOW = "`cloudtune plan STUDY -o FILE` writes one"


class _SavedParent(BaseModel):
    parameters: dict[str, Value]
    objective: tuple[float, ...]


class _SavedFacts(BaseModel):
    job_name: str
    seed: int
    base: str
    source: str | None
    parents: list[_SavedParent]
    source_hash: str | None
    own: dict[str, Any]
    parent_jobs: list[str] = []
    emulated: bool = False


class StoredPlan(BaseModel):
    """A plan as it lies in a file or in the ledger."""

    model_config = ConfigDict(strict=True)

    provider: str
    mode: Mode
    run: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
    """Names a folder, so it must not lead out of the one it lies in."""
    study: dict[str, Any]
    file: str | None
    facts: _SavedFacts
    request: dict[str, Any]
    broken: str = ""
    """Why it could not be made, where the provider's code has a mistake."""
    state: str | None = None
    """The state folder that the run belongs to, where the plan was saved in a file."""

    def made_study(self) -> Study:
        """Return the study.

        Raises:
            UsageError: If there is something wrong with it.
        """
        try:
            study = Study.model_validate(self.study)
        except (ValidationError, StudyError) as error:
            raise UsageError(f"the study in this plan is wrong:\n{_said(error)}") from error
        study.set_source(self.file, {})
        return study

    def made_facts(self) -> Facts:
        """Return what was known when the plan was made."""
        facts = self.facts
        return Facts(
            run_id=self.run,
            job_name=facts.job_name,
            seed=facts.seed,
            base=Path(facts.base),
            source=Path(facts.source) if facts.source else None,
            parents=[Parent(each.parameters, each.objective) for each in facts.parents],
            source_hash=facts.source_hash,
            own=facts.own,
            parent_jobs=facts.parent_jobs,
            emulated=facts.emulated,
        )


def parse_stored_plan(data: Any) -> StoredPlan:
    """Return plain data as a plan.

    Raises:
        UsageError: If it is none, or something in it is missing or wrong.
    """
    if not isinstance(data, dict) or cast("Json", data).get("format") != FORMAT:
        raise UsageError(f"this is no plan of the form {FORMAT}; {_HOW}")
    try:
        # By way of JSON, in which a list may stand for a tuple.
        return StoredPlan.model_validate_json(json.dumps(data))
    except ValidationError as error:
        raise UsageError(f"this plan is damaged:\n{_said(error)}\n{_HOW}") from error


def read_plan_file(file: Path) -> list[Json] | None:
    """Return what a file of plans holds, or None if it holds none: it may be a study.

    Raises:
        UsageError: If it holds a list of something else, of nothing, or of several runs, or if its
            run belongs to another state folder of this machine, where it may have been run.
    """
    try:
        held: Any = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    if isinstance(held, dict) and cast("Json", held).get("format") == FORMAT:
        held = [held]
    if not isinstance(held, list):
        return None
    listed = cast("list[Json]", held)
    plans = [parse_stored_plan(each) for each in listed]
    if not plans:
        raise UsageError(f"{file} holds no plan; {_HOW}")
    if len({plan.run for plan in plans}) > 1 or len({p.provider for p in plans}) < len(plans):
        raise UsageError(f"{file} must hold the plans of one run, one a provider; {_HOW}")
    state = plans[0].state
    if state and Path(state) != state_folder() and Path(state).parent.is_dir():
        raise UsageError(
            f"the run of {file} belongs to {state}: run it where it was planned, "
            f"or with CLOUDTUNE_HOME={shlex.quote(state)}"
        )
    return listed


def write_plan_file(plans: Sequence[Plan], file: Path) -> None:
    """Write the plans of one run to a file that `read_plan_file` reads."""
    state = {"state": str(state_folder())}
    text = json.dumps([plan.to_json() | state for plan in plans], indent=2)
    file.write_text(f"{text}\n", "utf-8")


def _said(error: ValidationError | StudyError) -> str:
    if isinstance(error, StudyError):
        return "\n".join(f"  {problem}" for problem in error.problems)
    return "\n".join(
        f"  {'.'.join(map(str, each['loc']))}: {each['msg']}"
        for each in error.errors(include_url=False)
    )
