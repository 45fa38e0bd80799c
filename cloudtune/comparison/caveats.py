"""What makes a comparison less fair than it looks, and which number it touches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from cloudtune.comparison.best_so_far import MIN_IDLE_SECONDS
from cloudtune.comparison.groups import Group, study_differences
from cloudtune.comparison.rankings import Question
from cloudtune.results.model import StudyResult, job_state


@dataclass(frozen=True)
class Caveat:
    """One reason to read a number with care."""

    affects: Annotated[tuple[Question, ...], Field(serialization_alias="touches")]
    """The questions whose answers it may change."""
    text: str


def find_caveats(groups: Sequence[Group]) -> tuple[Caveat, ...]:
    """Return what is not alike between groups that are ranked against each other, or not known."""
    found = [
        *_emulated(groups),
        *_studies(groups),
        *_differing(groups),
        *_missing(groups),
        *_seeds(groups),
        *_unfinished(groups),
        *_idle(groups),
        *_lost(groups),
        *_costs(groups),
    ]
    return tuple(found)


def _emulated(groups: Sequence[Group]) -> Iterator[Caveat]:
    if any(group.emulated for group in groups):
        yield Caveat(
            ("best", "first", "cheapest"),
            "a rehearsal on emulators: cloudtune's own engine chose these trials and this machine "
            "ran them, so they do not tell how good, how fast or how dear the services are",
        )


def _studies(groups: Sequence[Group]) -> Iterator[Caveat]:
    first = groups[0]
    for other in groups[1:]:
        if other.study == first.study:
            continue
        paths = study_differences(first.jobs[0].study, other.jobs[0].study)
        more = f" and {len(paths) - 6} more" if len(paths) > 6 else ""
        where = ", ".join(paths[:6]) + more
        yield Caveat(
            ("best", "first", "cheapest"),
            f"{other.label} and {first.label} ran different studies, which differ in {where}",
        )


def _differing(groups: Sequence[Group]) -> Iterator[Caveat]:
    yield from _where_not_alike(
        groups,
        lambda job: len(job.trials),
        ("best", "first", "cheapest"),
        "different numbers of trials",
        lambda count: f"{count}",
    )
    yield from _where_not_alike(
        groups,
        lambda job: job.mode,
        ("best", "first"),
        "who chose the trials differs (managed: the service; driven: cloudtune)",
        str,
    )
    yield from _where_not_alike(
        groups,
        lambda job: job.source_hash,
        ("best", "first", "cheapest"),
        "the script's files were not the same",
        lambda held: str(held)[:8] if held else "not known",
    )
    yield from _where_not_alike(
        groups,
        lambda job: tuple(sorted({t.machine for t in job.trials if t.machine})),
        ("first", "cheapest"),
        "the machines differ",
        lambda names: ", ".join(names) or "not told",
    )


def _where_not_alike(
    groups: Sequence[Group],
    of: Callable[[StudyResult], Any],
    affects: tuple[Question, ...],
    what: str,
    say: Callable[[Any], str],
) -> Iterator[Caveat]:
    found = {group.label: list(dict.fromkeys(map(of, group.jobs))) for group in groups}
    if len({value for values in found.values() for value in values}) > 1:
        each = "; ".join(
            f"{label}: {' / '.join(map(say, values))}" for label, values in found.items()
        )
        yield Caveat(affects, f"{what} ({each})")


def _missing(groups: Sequence[Group]) -> Iterator[Caveat]:
    for group in groups:
        trials = list(group.trials)
        missing = sum(trial.objective is None for trial in trials)
        if missing:
            yield Caveat(
                ("best", "first"),
                f"{group.label}: {missing} of {len(trials)} {_trials(trials)} no value of the "
                "objective",
            )


def _trials(trials: Sequence[object]) -> str:
    return "trial has" if len(trials) == 1 else "trials have"


def _seeds(groups: Sequence[Group]) -> Iterator[Caveat]:
    for group in groups:
        if not group.independent:
            seeds = ", ".join(str(job.seed) for job in group.jobs)
            yield Caveat(
                ("best", "first"),
                f"{group.label}: runs with the same seed ({seeds}) are copies, so no interval is "
                "computed",
            )


def _unfinished(groups: Sequence[Group]) -> Iterator[Caveat]:
    for group in groups:
        for job in group.jobs:
            if job.state != "completed" or job.reason:
                why = f" ({job.reason})" if job.reason else ""
                yield Caveat(
                    ("best", "first", "cheapest"),
                    f"{group.label}: the job of run {job.run} is {job_state(job)}{why}",
                )


def _idle(groups: Sequence[Group]) -> Iterator[Caveat]:
    for group in groups:
        runs = [job.run for job in group.jobs if (job.idle or 0.0) >= MIN_IDLE_SECONDS]
        if runs:
            yield Caveat(
                ("first",),
                f"{group.label}: interrupted and resumed ({', '.join(runs)}); the time in which "
                "nobody ran it counts",
            )


def _lost(groups: Sequence[Group]) -> Iterator[Caveat]:
    for group in groups:
        lost = [f for f in group.jobs[0].findings if f.kind != "refused"]
        if lost:
            paths = ", ".join(dict.fromkeys(finding.path for finding in lost))
            yield Caveat(
                ("best", "first"),
                f"{group.label}: not exactly the study that was written ({paths})",
            )


def _costs(groups: Sequence[Group]) -> Iterator[Caveat]:
    currencies = {t.cost.currency for group in groups for t in group.trials if t.cost}
    if len(currencies) > 1:
        yield Caveat(("cheapest",), f"costs are in {' and '.join(sorted(currencies))}")
    for group in groups:
        trials = list(group.trials)
        unknown = sum(trial.cost is None for trial in trials)
        if unknown:
            some = "every" if unknown == len(trials) else f"{unknown} of {len(trials)}"
            of = "trial" if some == "every" else "trials"
            yield Caveat(("cheapest",), f"{group.label}: the cost of {some} {of} is not known")
        if any(trial.cost and trial.cost.basis == "estimated" for trial in trials):
            yield Caveat(
                ("cheapest",),
                f"{group.label}: costs are estimated from the trials' time and the price of an "
                "hour that `cloudtune plan` shows",
            )
