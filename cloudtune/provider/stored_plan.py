"""The plan format: how facts and plans become JSON and come back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cloudtune.errors import StudyError, UsageError
from cloudtune.provider.facts import (
    Facts,
    FolderSize,
    Inputs,
    Lookup,
    Parent,
    Price,
    ServiceLimits,
    SourceFiles,
    Variables,
)
from cloudtune.study.schema import Json, Mode
from cloudtune.study.study import Study

FORMAT: Literal["cloudtune.plan/v1"] = "cloudtune.plan/v1"
HINT = "`cloudtune plan STUDY -o FILE` writes one"


def facts_to_json(facts: Facts) -> Json:
    """Return facts as the ``facts`` of a plan.

    Raises:
        ValueError: If a key of `Lookup.data` has a meaning in the plan format.
    """
    return {
        "job_name": facts.job_name,
        "seed": facts.seed,
        "base": str(facts.base),
        "source": str(facts.source) if facts.source else None,
        "parents": [vars(parent) for parent in facts.parents],
        "source_hash": facts.source_hash,
        "own": _lookup_to_json(facts.lookup),
        "parent_jobs": list(facts.parent_jobs),
        "emulated": facts.emulated,
        **({"unhashed": list(facts.unhashed)} if facts.unhashed else {}),
        **({"outside_links": dict(facts.outside_links)} if facts.outside_links else {}),
        **({"credentials": list(facts.credentials)} if facts.credentials else {}),
        **({"input_credentials": dict(facts.input_credentials)} if facts.input_credentials else {}),
        **({"emulator": facts.emulator} if facts.emulator else {}),
        **({"attached": facts.attached} if facts.attached else {}),
    }


def _lookup_to_json(lookup: Lookup) -> Json:
    if reserved := _StoredLookup.model_fields.keys() & lookup.data.keys():
        raise ValueError(f"reserved keys in Lookup.data: {', '.join(sorted(reserved))}")
    source = lookup.source
    return {
        **lookup.data,
        **_price_to_json(lookup.price),
        "longest_trial": lookup.limits.longest_trial,
        "timeout_ends_trials": list(lookup.limits.timeout_ends_trials),
        "own_limits": lookup.limits.set_by_native,
        "bill": {
            "grace_seconds": lookup.limits.grace_seconds,
            "min_timeout": lookup.limits.min_timeout,
            "timeout_unit": lookup.limits.timeout_unit,
            "uncounted": list(lookup.limits.uncounted),
        },
        "missing": dict(lookup.missing_settings),
        "code": lookup.code_address,
        "files": {
            "count": source.count,
            "bytes": source.size,
            **({"largest": [vars(each) for each in source.largest]} if source.largest else {}),
            **({"shortage": source.shortage} if source.shortage else {}),
        },
        "absent_files": list(source.absent),
        "unset": list(lookup.variables.unset),
        "empty": list(lookup.variables.empty),
        "inputs": dict(lookup.inputs.addresses),
        "uploads": dict(lookup.inputs.uploads),
        "absent_inputs": list(lookup.inputs.absent),
        "links": dict(lookup.links),
        "job_links": dict(lookup.job_links),
    }


def _price_to_json(price: Price | str) -> Json:
    if isinstance(price, str):
        return {"price_per_second": None, "currency": None, "why_no_price": price}
    return {
        "price_per_second": price.per_second,
        "currency": price.currency,
        "price_source": price.source,
        **({"idle_seconds": price.idle_seconds} if price.idle_seconds else {}),
        **({"min_seconds": price.min_seconds} if price.min_seconds else {}),
    }


class _StoredFiles(BaseModel, defer_build=True):
    count: int = 0
    bytes: int = 0
    largest: tuple[FolderSize, ...] = ()
    shortage: str = ""


class _StoredBill(BaseModel, defer_build=True):
    grace_seconds: float = 0.0
    min_timeout: float = 0.0
    timeout_unit: float = 1.0
    uncounted: tuple[str, ...] = ()


class _StoredLookup(BaseModel):
    model_config = ConfigDict(extra="allow", defer_build=True)

    price_per_second: float | None = None
    currency: str | None = None
    price_source: str = ""
    idle_seconds: float = 0.0
    min_seconds: float = 0.0
    why_no_price: str = ""
    longest_trial: float | None = None
    timeout_ends_trials: tuple[Mode, ...] = ()
    own_limits: bool = False
    bill: _StoredBill = _StoredBill()
    missing: dict[str, str] = {}
    code: str | None = None
    files: _StoredFiles = _StoredFiles()
    absent_files: tuple[str, ...] = ()
    unset: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    inputs: dict[str, str | None] = {}
    uploads: dict[str, str] = {}
    absent_inputs: tuple[str, ...] = ()
    links: dict[Mode, str] = {}
    job_links: dict[Mode, str] = {}

    def to_lookup(self) -> Lookup:
        price: Price | str = self.why_no_price
        if self.price_per_second is not None and self.currency is not None:
            price = Price(
                self.price_per_second,
                self.currency,
                self.price_source,
                self.idle_seconds,
                self.min_seconds,
            )
        return Lookup(
            price=price,
            limits=ServiceLimits(
                self.longest_trial,
                self.timeout_ends_trials,
                self.own_limits,
                **self.bill.model_dump(),
            ),
            missing_settings=self.missing,
            code_address=self.code,
            source=SourceFiles(
                self.files.count,
                self.files.bytes,
                self.absent_files,
                self.files.largest,
                self.files.shortage,
            ),
            variables=Variables(self.unset, self.empty),
            inputs=Inputs(self.inputs, self.uploads, self.absent_inputs),
            links=self.links,
            job_links=self.job_links,
            data=self.model_extra or {},
        )


class _StoredFacts(BaseModel, defer_build=True):
    unhashed: tuple[str, ...] = ()
    outside_links: dict[str, str] = {}
    credentials: tuple[str, ...] = ()
    input_credentials: dict[str, str] = {}
    job_name: str
    seed: int
    base: Path
    source: Path | None
    parents: list[Parent]
    source_hash: str | None
    own: _StoredLookup
    parent_jobs: list[str] = []
    emulated: bool = False
    emulator: str | None = None
    attached: str | None = None


class StoredPlan(BaseModel):
    """A plan as a file or the ledger contains it."""

    model_config = ConfigDict(strict=True, defer_build=True)

    provider: str
    mode: Mode
    run: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
    """The run's id; it names a folder, so it must not lead out of the parent folder."""
    study: dict[str, Any]
    file: str | None
    facts: _StoredFacts
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
        names = _StoredFacts.model_fields.keys() - {"own"}
        fields = {name: getattr(self.facts, name) for name in names}
        return Facts(run_id=self.run, lookup=self.facts.own.to_lookup(), **fields)


def parse_stored_plan(data: Any) -> StoredPlan:
    """Return a plan from JSON data.

    Raises:
        UsageError: If the data is not a plan, or a part of it is missing or invalid.
    """
    if not isinstance(data, dict) or cast("Json", data).get("format") != FORMAT:
        raise UsageError(f"not a plan of the format {FORMAT}; {HINT}")
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
