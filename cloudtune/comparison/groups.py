"""Groups of jobs that are repetitions of one another."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, cast

from pydantic import Field

from cloudtune.comparison.curves import job_duration
from cloudtune.diagnostics import Finding
from cloudtune.errors import UsageError
from cloudtune.provider import registry
from cloudtune.provider.lookup import input_address
from cloudtune.provider.settings import CloudSettings
from cloudtune.results.aggregate import count_states
from cloudtune.results.events import TrialState
from cloudtune.results.model import StudyResult, Trial, job_state
from cloudtune.study.schema import Mode
from cloudtune.study.study import Study

_IGNORED = {"version", "name", "description", "strategy.seed"}
"""Fields in which repetitions may differ."""
_LABEL = "name"
"""The field that users label a study with. Repetitions may have different ones."""
_MAX_VALUE = 40
"""Fields with longer values do not name a study."""
_Key = tuple[int, str, Mode, bool]
_Identity = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class RunSummary:
    """One job of a group in numbers. Unknown values are None."""

    run: str
    state: str
    reason: str
    seed: int | None
    trials: dict[TrialState, int]
    """The number of trials in each state."""
    started: float | None
    seconds: float | None
    idle: float | None
    """The part of the seconds in which no process ran the job."""
    cost: float | None
    """None unless the cost of every trial is known. The most, if there is `cost_at_least`."""
    cost_at_least: float | None
    """The least, if a service reports only bounds of the time that it bills; None otherwise."""
    currency: str | None
    study_hash: str
    source_hash: str | None
    link: str | None


@dataclass(frozen=True)
class Group:
    """The jobs of repeated runs of one study, at one provider and in one mode."""

    label: str
    provider: str
    mode: Mode
    emulated: bool
    own_seed: bool
    """Whether the service draws its own seed because it accepts none."""
    charges: bool
    """Whether trials cost anything: at a service, or by the prices that a study gives."""
    runs: tuple[RunSummary, ...]
    findings: tuple[Finding, ...]
    inputs: dict[str, str]
    """The address of each input by name. The data themselves are not hashed."""
    study: Annotated[int, Field(exclude=True)]
    """The index of its study among the studies that are compared; not part of the JSON."""
    jobs: Annotated[tuple[StudyResult, ...], Field(exclude=True)]
    """Not part of the JSON."""

    @property
    def trials(self) -> Iterator[Trial]:
        """The trials of all its jobs."""
        return (trial for job in self.jobs for trial in job.trials)

    @property
    def independent(self) -> bool:
        """Whether all its jobs used different seeds; jobs with one seed are the same search."""
        seeds = [job.seed for job in self.jobs if job.seed is not None]
        return self.own_seed or len(set(seeds)) == len(seeds)


def group_jobs(jobs: Sequence[StudyResult]) -> tuple[Group, ...]:
    """Return the jobs in groups, in order of first occurrence.

    Jobs are in one group if they ran the same study (apart from its seed) at the same provider, in
    the same mode, and all or none of them on an emulator.
    """
    repetitions_of: dict[_Identity, list[StudyResult]] = {}
    for job in jobs:
        repetitions_of.setdefault(_identity(job), []).append(job)
    studies = list(repetitions_of)
    names = _study_names([dict(study) | _label(repetitions_of[study]) for study in studies])
    by_key: dict[_Key, list[StudyResult]] = {}
    for job in jobs:
        study = studies.index(_identity(job))
        by_key.setdefault((study, job.provider, job.mode, job.emulated), []).append(job)
    return tuple(
        _group(_group_label(key, list(by_key), names), key[0], repetitions)
        for key, repetitions in by_key.items()
    )


def _group(label: str, index: int, jobs: Sequence[StudyResult]) -> Group:
    first = jobs[0]
    study, provider, emulated = first.study, first.provider, first.emulated
    return Group(
        label=label,
        provider=provider,
        mode=first.mode,
        emulated=emulated,
        own_seed=_has_own_seed(first),
        charges=not emulated
        and (_charges(provider) or any(trial.cost for job in jobs for trial in job.trials)),
        runs=tuple(map(_summarize_run, jobs)),
        findings=tuple(dict.fromkeys(finding for job in jobs for finding in job.findings)),
        inputs={
            name: address.uri
            for name in study.trial.inputs
            if (address := input_address(study, provider, name, emulated=emulated))
        },
        study=index,
        jobs=tuple(jobs),
    )


def _has_own_seed(job: StudyResult) -> bool:
    if job.attached and job.study.strategy.seed is None:  # it is unknown
        return True
    try:
        supported = registry.get(job.provider).capabilities.for_mode(job.mode)
    except UsageError:  # it is not installed
        return any(finding.path == "strategy.seed" for finding in job.findings)
    return supported is not None and not supported.seeds


def _charges(provider: str) -> bool:
    try:
        return issubclass(registry.get(provider).settings, CloudSettings)
    except UsageError:  # it is not installed, or the tool of an attached run
        return True


def _summarize_run(job: StudyResult) -> RunSummary:
    costs = [trial.cost for trial in job.trials if trial.cost]
    currencies = {cost.currency for cost in costs}
    known = len(costs) == len(job.trials) and len(currencies) == 1
    is_bounded = known and any(cost.at_least is not None for cost in costs)
    least = sum(cost.amount if cost.at_least is None else cost.at_least for cost in costs)
    return RunSummary(
        run=job.run,
        state=job_state(job),
        reason=job.reason,
        seed=job.seed,
        trials=count_states(job.trials),
        started=job.started,
        seconds=job_duration(job),
        idle=job.idle,
        cost=sum(cost.amount for cost in costs) if known else None,
        cost_at_least=least if is_bounded else None,
        currency=currencies.pop() if known else None,
        study_hash=job.study_hash,
        source_hash=job.source_hash,
        link=job.link,
    )


def _group_label(key: _Key, keys: Sequence[_Key], names: Sequence[str]) -> str:
    study, provider, mode, emulated = key
    if len(names) > 1 and len({other[1:] for other in keys}) == 1:
        return names[study]
    label = f"{provider} (emulated)" if emulated else provider
    if len({other[2] for other in keys if other[1] == provider}) > 1:
        label += f", {mode}"
    return f"{label}, {names[study]}" if len(names) > 1 else label


def _label(jobs: Sequence[StudyResult]) -> dict[str, str]:
    """Return the label of repetitions as a field, if they have the same one."""
    labels = {job.study.name for job in jobs}
    return {_LABEL: labels.pop() or ""} if len(labels) == 1 else {}


def _study_names(studies: Sequence[Mapping[str, str]]) -> list[str]:
    """Return a name for each study, or a number.

    It is the study's label, if not all have the same one, and the fewest fields that distinguish
    them.
    """
    labelled = all(study.get(_LABEL) for study in studies)
    chosen = [_LABEL] if labelled and _count_distinct(studies, [_LABEL]) > 1 else []
    while _count_distinct(studies, chosen) < len(studies):
        fields = sorted({path for study in studies for path in study} - {_LABEL, *chosen})
        usable = [
            path
            for path in fields
            if all(len(study.get(path, "")) <= _MAX_VALUE for study in studies)
        ]
        best = max(usable, key=lambda path: _suitability(studies, path, chosen), default=None)
        if best is None or _count_distinct(studies, [*chosen, best]) == _count_distinct(
            studies, chosen
        ):
            return [f"study {number}" for number in range(1, len(studies) + 1)]
        chosen.append(best)
    return [", ".join(_describe_field(study, path) for path in chosen) for study in studies]


def _describe_field(study: Mapping[str, str], path: str) -> str:
    """Return a field of a study's name: a word as it is, other values with their field."""
    if path == _LABEL:
        return study[_LABEL]
    value = json.loads(study.get(path, "null"))
    field = path.partition(".")[2] or path
    if value is None:
        return f"no {field}"
    return value if isinstance(value, str) and value else f"{field}={study[path]}"


def _count_distinct(studies: Sequence[Mapping[str, str]], paths: Sequence[str]) -> int:
    return len({tuple(study.get(path) for path in paths) for study in studies})


def _suitability(
    studies: Sequence[Mapping[str, str]], path: str, chosen: Sequence[str]
) -> tuple[int, bool, int]:
    """Return a key that is greater for a better field to name studies by."""
    values = [study.get(path, "null") for study in studies]
    longest = max(map(len, values))
    return _count_distinct(studies, [*chosen, path]), "null" not in values, -longest


def _identity(job: StudyResult) -> _Identity:
    return tuple(sorted(_compared_fields(job.study).items()))


def study_differences(left: Study, right: Study) -> tuple[str, ...]:
    """Return the paths of the fields in which two studies differ, apart from labels and seed."""
    fields = _compared_fields(left), _compared_fields(right)
    paths = sorted(fields[0].keys() | fields[1].keys())
    return tuple(path for path in paths if fields[0].get(path) != fields[1].get(path))


def _compared_fields(study: Study) -> dict[str, str]:
    leaves = _leaves(study.model_dump(mode="json"))
    return {path: value for path, value in leaves if path not in _IGNORED}


def _leaves(data: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the fields with a value; a map without fields and null are as if not given."""
    if isinstance(data, Mapping):
        for key, value in cast("Mapping[str, Any]", data).items():
            yield from _leaves(value, f"{path}.{key}" if path else str(key))
    elif data is not None:
        yield path, json.dumps(data, sort_keys=True)
