"""A deliberately odd tuning service and its provider: all that local is not.

It speaks text only, knows categorical parameters only, no conditions, at most ten trials, and has
its own words for states. It really runs each trial: it starts the launcher beside the script, as a
cloud would, one trial each time that it is asked how a job stands.
"""

from __future__ import annotations

import itertools
import json
import random
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cloudtune.bundle.launcher import launch_data
from cloudtune.errors import ProviderError
from cloudtune.fitting.capabilities import Capabilities, Limit, ModeCapabilities
from cloudtune.fitting.fit import FittedStudy
from cloudtune.launcher import STUDY_FILE
from cloudtune.provider.base import BaseProvider
from cloudtune.provider.facts import Facts, Lookup
from cloudtune.provider.models import JobContext, JobRef, JobStatus, RawTrial
from cloudtune.provider.plan import Plan
from cloudtune.provider.protocols import JobClient
from cloudtune.provider.settings import ProviderSettings
from cloudtune.results.events import TrialState
from cloudtune.results.model import Measurement
from cloudtune.study.schema import CategoricalParameter, Json, Mode
from cloudtune.study.search_space import format_value
from cloudtune.study.study import Study

CAPABILITIES = Capabilities(
    provider="odd",
    title="the odd service",
    verified="offline only",
    managed=ModeCapabilities(
        parameters={"categorical": frozenset()},
        steps=False,
        conditions="none",
        text_only=True,
        single_values=False,
        strategies=frozenset({"random", "grid"}),
        grid_of_values=True,
        methods=frozenset(),
        seeds=False,
        objectives=1,
        targets=False,
        select=frozenset({"last"}),
        early_stopping=frozenset(),
        limits=frozenset({"max_trials", "parallel_trials"}),
        initial_trials=False,
        warm_start=frozenset(),
        max_trials=Limit(10, "the odd service's only page"),
        max_parallel_trials=Limit(1, "the odd service's only page"),
        max_parameters=Limit(12, "the odd service's only page"),
        max_values=Limit(20, "the odd service's only page"),
        max_name_length=Limit(16, "the odd service's only page"),
        unattended=True,
    ),
    driven=None,
)


@dataclass
class _Dish:
    """A job of the service."""

    order: Json
    word: str = "COOKING"
    trials: list[RawTrial] = field(default_factory=list[RawTrial])


class OddService:
    """The service itself. It knows nothing of cloudtune but the launcher that an order names."""

    def __init__(self, kitchen: Path) -> None:
        self._kitchen = kitchen
        self.dishes: dict[str, _Dish] = {}
        self.closed = False
        self.calls: list[str] = []
        """The names of the client's calls that reached the service, or tried to."""
        self.faults: dict[str, list[ProviderError | None]] = {}
        """What the next calls of the client raise, by its name; None: nothing."""
        self.lost_answers = 0
        """How many orders are taken without telling so."""

    def order(self, order: Json) -> str:
        """Take an order: ``{"Dish", "Taste", "Choices", "Always", "Portions", "Recipe"}``."""
        if self.closed:
            raise ValueError("the kitchen is closed")
        name = str(order["Dish"])
        if name in self.dishes:
            raise ValueError(f"{name} was ordered before")
        if order["Portions"] > 10 or not all(
            isinstance(word, str) for words in order["Choices"].values() for word in words
        ):
            raise ValueError("not on the menu")
        self.dishes[name] = _Dish(order)
        return name

    def look(self, name: str) -> _Dish:
        """Cook one more portion, and show the dish."""
        dish = self.dishes[name]
        if dish.word == "COOKING":
            choices = self._choices(dish.order)
            portion = len(dish.trials)
            if portion < min(dish.order["Portions"], len(choices)):
                dish.trials.append(self.cook(dish.order, portion + 1, choices[portion]))
            else:
                dish.word = "SERVED"
        return dish

    def bin(self, name: str) -> None:
        """Throw a dish away."""
        if self.dishes[name].word == "COOKING":
            self.dishes[name].word = "BINNED"

    def _choices(self, order: Json) -> list[dict[str, str]]:
        names, words = list(order["Choices"]), list(order["Choices"].values())
        if order["Taste"] == "EVERYTHING":
            return [dict(zip(names, row, strict=True)) for row in itertools.product(*words)]
        rng = random.Random(order["Portions"])
        return [
            {name: rng.choice(some) for name, some in zip(names, words, strict=True)}
            for _ in range(order["Portions"])
        ]

    def cook(self, order: Json, number: int, chosen: dict[str, str]) -> RawTrial:
        pot = self._kitchen / order["Dish"] / str(number)
        pot.mkdir(parents=True)
        recipe = order["Recipe"]
        for name, content in recipe["files"].items():
            (pot / name).write_text(content, "utf-8")
        (pot / STUDY_FILE).write_text(json.dumps(recipe["launch"]), "utf-8")
        raw = {**order["Always"], **chosen}
        told = {"parameters": raw, "reports": str(pot / "reports")}
        (pot / "trial.json").write_text(json.dumps(told), "utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "cloudtune.launcher.main"],
            cwd=pot,
            env={
                "PATH": "",
                "CLOUDTUNE_TRIAL": str(pot / "trial.json"),
                "PYTHONPATH": recipe["launcher"],
            },
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        reports = pot / "reports"
        lines: list[str] = reports.read_text("utf-8").splitlines() if reports.exists() else []
        return RawTrial(
            number=number,
            id=f"{order['Dish']}/{number}",
            state=TRIAL_STATES["SERVED" if done.returncode == 0 else "BURNT"],
            word="SERVED" if done.returncode == 0 else "BURNT",
            parameters=raw,
            measurements=[
                Measurement(step, json.loads(line)["metrics"])
                for step, line in enumerate(lines, start=1)
            ],
            reason="" if done.returncode == 0 else f"burnt: {done.stdout}{done.stderr}"[-500:],
        )


TRIAL_STATES: Mapping[str, TrialState] = {"SERVED": "completed", "BURNT": "failed"}
JOB_STATES: Mapping[str, Any] = {
    "COOKING": "running",
    "SERVED": "completed",
    "BINNED": "cancelled",
}


class OddClient:
    """Reaches the odd service."""

    poll_seconds = 0.0
    hidden_seconds = 0.0

    def __init__(self, service: OddService) -> None:
        self._service = service

    def submit(self, request: Json) -> JobRef:
        self._reach("submit")
        try:
            name = self._service.order(request)
        except ValueError as error:
            raise ProviderError("odd", str(error)) from error
        if self._service.lost_answers:
            self._service.lost_answers -= 1
            raise ProviderError("odd", "the line went dead", retryable=True)
        return JobRef("odd", name)

    def find(self, job_name: str) -> JobRef | None:
        self._reach("find")
        return JobRef("odd", job_name) if job_name in self._service.dishes else None

    def status(self, job: JobRef) -> JobStatus:
        self._reach("status")
        dish = self._service.look(job.id)
        return JobStatus(JOB_STATES[dish.word], dish.word, trials=dish.trials)

    def stop(self, job: JobRef) -> None:
        self._reach("stop")
        self._service.bin(job.id)

    def _reach(self, call: str) -> None:
        self._service.calls.append(call)
        faults = self._service.faults.get(call)
        if faults and (fault := faults.pop(0)):
            raise fault


class OddProvider(BaseProvider[ProviderSettings]):
    """The provider of the odd service."""

    capabilities = CAPABILITIES
    settings = ProviderSettings
    protected_paths = ("Dish",)

    def __init__(self, service: OddService, launcher: Path) -> None:
        self._service = service
        self._launcher = launcher

    def lookup(self, study: Study, settings: ProviderSettings, facts: Facts) -> Lookup:
        files = sorted(facts.source.glob("*.py")) if facts.source else []
        scripts = {path.name: path.read_text("utf-8") for path in files}
        return replace(super().lookup(study, settings, facts), data={"scripts": scripts})

    def request(
        self, fitted: FittedStudy, mode: Mode, settings: ProviderSettings, facts: Facts
    ) -> Json:
        choices = {
            name: [format_value(value) for value in parameter.values]
            for name, (parameter, *_) in fitted.study.parameters.items()
            if isinstance(parameter, CategoricalParameter)
        }
        return {
            "Dish": facts.job_name,
            "Taste": "EVERYTHING" if fitted.study.strategy.name == "grid" else "SURPRISE",
            "Choices": choices,
            "Always": {name: format_value(value) for name, value in fitted.fixed_values.items()},
            "Portions": fitted.study.limits.max_trials or 10,
            "Recipe": {
                "files": facts.data["scripts"],
                "launch": launch_data(fitted, facts.run_id, {}),
                "launcher": str(self._launcher),
            },
        }

    def client(self, plan: Plan, context: JobContext) -> JobClient:
        return OddClient(self._service)
