"""The steps of a verification: small studies, each of which shows one thing of a service."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cloudtune.provider import registry
from cloudtune.study.quantities import Money
from cloudtune.study.schema import Json

SCRIPT = "verify_trial.py"
PRINTED = "a line that cloudtune verify looks for in the log"
_CODE = f"""\
import time

from cloudtune.trial import params, report

step, x = params()["step"], params()["x"]
hours = (time.time() - 1767225600) / 3600  # since 2026
print("{PRINTED}", flush=True)
if step == "fail":
    raise SystemExit("this script fails on purpose")
for number in range(1, params()["reports"] + 1):
    # With early stopping, each trial is worse than all that started before it.
    report(score=-hours if step == "early" else x * number, step=number)
    time.sleep(params()["pause"])
"""
_X: Json = {"type": "float", "min": 0.0, "max": 1.0}
MAX_MINUTES = 25
"""Of one step; all run at the same time."""
MAX_COST = Money(0.8, "USD")
"""Of one step."""


@dataclass(frozen=True)
class Step:
    """One study of a verification."""

    name: str
    purpose: str
    study: Json
    stops: float = 0.0
    """Seconds for which a trial runs before the job is stopped, if none reports earlier; or 0."""
    shows: str = ""
    """The path of the study that it is about. A service that does not get it shows nothing."""


def list_steps(provider: str, settings: Json, folder: Path, *, brief: bool) -> list[Step]:
    """Write the script to a folder, and return the steps.

    Args:
        provider: The provider.
        settings: The provider's settings, as in a study.
        folder: Gets the script.
        brief: Whether trials need not last long, since the service is emulated.
    """
    (folder / SCRIPT).write_text(_CODE, "utf-8")
    long = 120 if brief else 900
    timeout = f"{5 if brief else 60}s"
    own = {**registry.get(provider).smallest_machine, **settings}
    if "image" in settings:
        own.pop("framework", None)

    def step(
        name: str, purpose: str, *, stops: float = 0.0, shows: str = "", **changes: Json
    ) -> Step:
        values = {"step": name, "reports": 3, "pause": 1, **changes.get("constants", {})}
        study: Json = {
            "name": f"verify-{name}",
            "objective": {"metric": "score", "goal": "maximize"},
            "parameters": {"x": _X},
            "constants": values,
            "strategy": {"name": "random", "seed": 1},
            "limits": {
                "max_trials": 1,
                "timeout": f"{MAX_MINUTES}m",
                "trial_timeout": f"{MAX_MINUTES - 10}m",
                "max_cost": str(MAX_COST),
                **changes.get("limits", {}),
            },
            "trial": {"script": SCRIPT},
            "providers": {provider: own},
            **changes.get("more", {}),
        }
        return Step(name, purpose, study, stops, shows)

    return [
        step(
            "complete",
            "two trials that succeed",
            limits={"max_trials": 2},
            more={"parameters": {"x": _X, "n": {"type": "int", "min": 1, "max": 4}}},
        ),
        step(
            "early",
            "trials, each worse than those before it, of which the service stops some early",
            shows="early_stopping",
            constants={"reports": 10 if brief else 20, "pause": 0.2 if brief else 6},
            limits={"max_trials": 8, "parallel_trials": 4},
            more={"early_stopping": {"rule": "auto"}},
        ),
        step(
            "stop",
            "a job that is stopped",
            stops=2.0 if brief else 30.0,
            constants={"reports": long},
        ),
        step("fail", "a script that fails"),
        step(
            "timeout",
            "a trial that reaches its time limit",
            shows="limits.trial_timeout",
            constants={"reports": long},
            limits={"trial_timeout": timeout},
        ),
    ]
