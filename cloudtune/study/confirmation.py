"""What a confirmation repeats: candidates of an earlier run, each with the same new seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cloudtune.study.search_space import Value

Role = Literal["candidate", "baseline", "change"]
"""A ``candidate`` is a trial of the search, which can be taken. A ``baseline`` cannot: it is no
trial of the search, or one that broke a constraint there or had less of the resource. A ``change``
is the winner with one parameter back at its default: an ablation."""


@dataclass(frozen=True)
class Candidate:
    """One assignment that a confirmation repeats."""

    label: str
    """How reports name it, such as ``trial 7``."""
    parameters: Mapping[str, Value]
    role: Role = "candidate"
    number: int | None = None
    """The number of the trial in the first run; None if it did not run there."""
    value: float | None = None
    """The value of the objective there."""
    is_baseline: bool = False
    """Whether this trial of the search is what ``--baseline`` asks for."""
    broken_in: str = ""
    """Another confirmation of that run in which it breaks a constraint; empty if there is none."""


@dataclass(frozen=True)
class Confirmation:
    """What a run repeats of an earlier one. The first candidate is that run's winner.

    If that has broken a constraint in another confirmation, it is the next best trial.
    """

    run: str
    """The earlier run."""
    provider: str
    """Where its candidates ran."""
    search_metric: str
    """Its objective."""
    search_goal: Literal["maximize", "minimize"]
    goal: Literal["maximize", "minimize"]
    """The goal of the metric that decides, which is the objective of the confirming run."""
    candidates: tuple[Candidate, ...]
    seeds: tuple[int, ...]
    """The seeds, in order; a sequential confirmation may end before the last."""
    fixed: bool = False
    """Whether every candidate gets every seed."""
    train_metric: str | None = None
    notes: tuple[str, ...] = ()
    """What was asked for and is not repeated as asked, and why."""
    is_next_best: bool = False
    """Whether better trials of the search are not repeated, as they have broken a constraint."""

    @staticmethod
    def from_plan(plan: Mapping[str, Any]) -> Confirmation | None:
        """Return what a plan repeats, from its JSON data; None if it confirms nothing."""
        stored = plan.get("facts", {}).get("confirmation")
        if stored is None:
            return None
        data: dict[str, Any] = dict(stored)
        data["candidates"] = tuple(Candidate(**each) for each in data["candidates"])
        data["seeds"] = tuple(data["seeds"])
        data["notes"] = tuple(data.get("notes", ()))
        return Confirmation(**data)

    @property
    def is_ablation(self) -> bool:
        """Whether candidates are changes of the winner, which is then compared with each."""
        return any(each.role == "change" for each in self.candidates)

    @property
    def broken_elsewhere(self) -> set[int]:
        """The candidates that break a constraint in another confirmation."""
        return {index for index, each in enumerate(self.candidates) if each.broken_in}

    @property
    def baseline(self) -> int | None:
        """The candidate that stands for the script's defaults, or the first trial."""
        found = (
            index
            for index, each in enumerate(self.candidates)
            if each.role == "baseline" or each.is_baseline
        )
        return next(found, None)
