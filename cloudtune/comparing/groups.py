"""Which jobs are repetitions of one another, and what each group of them is called."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from cloudtune.capabilities import Mode
from cloudtune.results import StudyResult, Trial

_LABELS = {"version", "name", "description"}


@dataclass(frozen=True)
class Group:
    """The jobs of repeated runs of one study in one place."""

    label: str
    provider: str
    mode: Mode
    emulated: bool
    study: int
    """The place of its study among those that are compared."""
    jobs: tuple[StudyResult, ...]

    @property
    def trials(self) -> Iterator[Trial]:
        """The trials of all its jobs."""
        return (trial for job in self.jobs for trial in job.trials)

    @property
    def independent(self) -> bool:
        """Whether no two of its jobs drew the same chance: with one seed they are one search."""
        return self.own_seed or len({job.seed for job in self.jobs}) == len(self.jobs)

    @property
    def own_seed(self) -> bool:
        """Whether the service draws its own seed, since it holds none."""
        return any(finding.path == "strategy.seed" for finding in self.jobs[0].findings)


def grouped(jobs: Sequence[StudyResult]) -> tuple[Group, ...]:
    """Return the jobs in groups, in the order in which the first of each occurs.

    Jobs belong together that ran the same study but for its seed, at the same provider, in the same
    mode, and both or neither on an emulator.
    """
    studies = list(dict.fromkeys(map(_without_chance, jobs)))
    found: dict[tuple[int, str, Mode, bool], list[StudyResult]] = {}
    for job in jobs:
        study = studies.index(_without_chance(job))
        found.setdefault((study, job.provider, job.mode, job.emulated), []).append(job)
    return tuple(
        Group(_label(key, list(found)), key[1], key[2], key[3], key[0], tuple(same))
        for key, same in found.items()
    )


def _label(key: tuple[int, str, Mode, bool], keys: Sequence[tuple[int, str, Mode, bool]]) -> str:
    study, provider, mode, emulated = key
    label = f"{provider} (emulated)" if emulated else provider
    if len({other[2] for other in keys if other[1] == provider}) > 1:
        label += f", {mode}"
    if len({other[0] for other in keys}) > 1:
        label += f", study {study + 1}"
    return label


def _without_chance(job: StudyResult) -> str:
    said = {key: value for key, value in job.study.items() if key not in _LABELS}
    strategy = said.get("strategy")
    if isinstance(strategy, Mapping):
        said["strategy"] = {key: value for key, value in strategy.items() if key != "seed"}
    return json.dumps(said, sort_keys=True)


def differences(left: Mapping[str, Any], right: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the paths of the fields in which two studies differ, labels and seed aside."""
    fields = dict(_leaves(left)), dict(_leaves(right))
    paths = sorted(fields[0].keys() | fields[1].keys())
    missing = object()
    return tuple(
        path
        for path in paths
        if path not in _LABELS
        and path != "strategy.seed"
        and fields[0].get(path, missing) != fields[1].get(path, missing)
    )


def _leaves(data: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(data, Mapping) and data:
        for key, value in cast("Mapping[str, Any]", data).items():
            yield from _leaves(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, json.dumps(data, sort_keys=True)
