"""One verification: its plan, its runs, what they answer, and its recording."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloudtune.emulation import process
from cloudtune.emulation.environment import find_emulator, folder_variable
from cloudtune.errors import CloudtuneError, UsageError
from cloudtune.ledger.home import create_private_folder, state_folder
from cloudtune.ledger.lock import RunLock, lock_holder
from cloudtune.ledger.run_ids import new_run_id
from cloudtune.planning.planner import plan as plan_study
from cloudtune.planning.serialization import restore_plan
from cloudtune.provider import registry
from cloudtune.provider.call_record import Answer, recorded_calls
from cloudtune.provider.plan import Plan
from cloudtune.provider.read_settings import read_settings
from cloudtune.runs import lifecycle
from cloudtune.study.loader import load
from cloudtune.study.schema import Json
from cloudtune.study.yaml_reader import is_map
from cloudtune.verification.cleanup import EMULATOR, Guard, clean_up
from cloudtune.verification.recording import service_name, to_recordings
from cloudtune.verification.steps import MAX_COST, Step, list_steps

FORMAT = "cloudtune.verification/v1"
MAX_SECONDS = 30 * 60
MAX_USD = 5.0
_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class PlannedStep:
    """A step with its plan."""

    step: Step
    plan: Plan

    @property
    def reason_to_skip(self) -> str:
        """Why the service cannot run it; empty if it can."""
        return "; ".join(str(each) for each in self.plan.refused)

    @property
    def most(self) -> float | None:
        """What it costs at most; None if the price is unknown."""
        estimate = self.plan.estimate
        if estimate is None or estimate.currency != MAX_COST.currency:
            return None
        return min(estimate.most or MAX_COST.amount, MAX_COST.amount)


@dataclass(frozen=True)
class Verification:
    """What is sent to a service, and where its state is."""

    provider: str
    settings: Json
    emulated: bool
    home: Path
    """The state folder of its runs, which it has for itself."""
    steps: tuple[PlannedStep, ...]

    @property
    def service(self) -> str:
        """The folder of its recordings, as below ``tests/recordings``."""
        return service_name(self.provider)

    @property
    def runnable(self) -> list[PlannedStep]:
        """The steps that the service can run."""
        return [each for each in self.steps if not each.reason_to_skip]

    @property
    def most(self) -> float | None:
        """What all steps cost at most, in USD; None if a price is unknown."""
        costs = [each.most for each in self.runnable]
        known = [cost for cost in costs if cost is not None]
        return sum(known) if len(known) == len(costs) else None


@dataclass(frozen=True)
class Verified:
    """What a verification has shown."""

    answers: tuple[Answer, ...]
    recordings: Mapping[str, Json]
    """What the service answered, by step."""
    left: tuple[str, ...]
    """What could not be removed, and why."""


def plan_verification(
    provider: str, overrides: Sequence[str] = (), *, emulate: bool = False
) -> Verification:
    """Return what a verification would send. Nothing is sent; an emulator is started.

    Raises:
        UsageError: If the service cannot be verified, a setting is missing, or the cost could be
            more than 5 USD or is unknown.
        StudyError: If a setting is wrong.
    """
    module = registry.get(provider).emulator
    if module is None:
        raise UsageError(f"{provider} is no service, so nothing is to be verified")
    study = load({"providers": {provider: {}}}, overrides=overrides, folder=Path.cwd())
    settings = study.providers[provider]
    home = state_folder() / "verify" / new_run_id()
    create_private_folder(home / "source")
    own = read_settings(study, provider, registry.get(provider))
    found = find_emulator(provider, registry.get(provider), own)
    if emulate and found is None:
        process.start(provider, module, home / EMULATOR, ["--idle", "600", "--speed", "60"])
        os.environ[folder_variable(provider)] = str(home / EMULATOR)
    emulated = emulate or found is not None
    steps = tuple(
        PlannedStep(
            step,
            plan_study(load(step.study, folder=home / "source"), provider, base=home / "source"),
        )
        for step in list_steps(provider, settings, home / "source", brief=emulated)
    )
    verification = Verification(provider, settings, emulated, home, steps)
    if not verification.runnable:
        raise UsageError(f"{provider} can run no step: {steps[0].reason_to_skip}")
    if not emulated and verification.most is None:
        setting = f"--set providers.{provider}.prices.hour='0.20 USD'"
        raise UsageError(f"the price of a trial is unknown: add {setting}")
    if not emulated and (verification.most or 0) > MAX_USD:
        raise UsageError(f"it could cost {verification.most:.2f} USD: choose a smaller machine")
    return verification


def to_json(verification: Verification) -> Json:
    """Return a verification as its saved plan."""
    return {
        "format": FORMAT,
        "provider": verification.provider,
        "settings": verification.settings,
        "emulated": verification.emulated,
        "home": str(verification.home),
        "steps": [
            {"name": each.step.name, "plan": each.plan.to_json()} for each in verification.steps
        ],
    }


def read_verification(file: Path) -> Verification:
    """Return a verification from its saved plan.

    Raises:
        UsageError: If the file is no such plan, or its folder is gone.
    """
    try:
        data: Any = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} is no plan of a verification: {error}") from error
    if not is_map(data) or data.get("format") != FORMAT:
        raise UsageError(f"{file} is no plan of a verification")
    home, provider, settings = Path(data["home"]), str(data["provider"]), data["settings"]
    if not (home / "source").is_dir():
        raise UsageError(f"{home} is gone: the verification has run, so plan another one")
    plans = {each["name"]: restore_plan(each["plan"]) for each in data["steps"]}
    emulated: bool = data["emulated"]
    steps = list_steps(provider, settings, home / "source", brief=emulated)
    planned = tuple(PlannedStep(step, plans[step.name]) for step in steps)
    return Verification(provider, settings, emulated, home, planned)


def verify(verification: Verification, notify: Callable[[str], None]) -> Verified:
    """Run the steps at the same time, remove everything, and return what was seen.

    Ctrl-C and a kill remove everything, too.

    Raises:
        LedgerError: If another process runs it.
    """
    home = verification.home
    os.environ["CLOUDTUNE_HOME"] = str(home)
    provider = registry.get(verification.provider)
    with RunLock(home), recorded_calls() as calls:
        guard = Guard(home)
        try:
            _run(verification, notify)
        finally:
            left = clean_up(home, notify)
            guard.dismiss()
    if not left:
        shutil.rmtree(home, ignore_errors=True)
    recordings = to_recordings(
        verification.provider,
        calls,
        {each.step.name: each.plan.facts.job_name for each in verification.runnable},
        verification.settings,
        emulated=verification.emulated,
    )
    return Verified(tuple(provider.verify(calls)), recordings, tuple(left))


def clean_up_earlier(notify: Callable[[str], None]) -> None:
    """Remove what verifications have left of which every process was killed."""
    for home in sorted((state_folder() / "verify").glob("*/ledger.db")):
        folder = home.parent
        if lock_holder(folder) is None:
            before = os.environ.get("CLOUDTUNE_HOME")
            os.environ["CLOUDTUNE_HOME"] = str(folder)
            try:
                left = clean_up(folder, notify)
            finally:
                os.environ.pop("CLOUDTUNE_HOME")
                if before is not None:
                    os.environ["CLOUDTUNE_HOME"] = before
            for each in left:
                notify(f"left of an earlier verification: {each}")
            if not left:
                shutil.rmtree(folder, ignore_errors=True)


def _run(verification: Verification, notify: Callable[[str], None]) -> None:
    """Run all steps; stop them at the deadline, and if this process is interrupted."""
    runs = [
        (each.step, lifecycle.create([each.plan], saved=True)) for each in verification.runnable
    ]
    threads = [
        threading.Thread(target=_execute, args=(new, step.name, notify), name=step.name)
        for step, new in runs
    ]
    for thread in threads:
        thread.start()
    waiting = [new.id for step, new in runs if step.stops]
    deadline = time.monotonic() + MAX_SECONDS - 300  # the rest is for stopping and removing
    try:
        while any(thread.is_alive() for thread in threads):
            time.sleep(_POLL_SECONDS)
            for run in [each for each in waiting if _has_reported(each)]:
                waiting.remove(run)
                notify("stopping a job, as planned")
                _stop(run)
            if time.monotonic() > deadline:
                notify("the time is over: stopping all")
                deadline += 60
                _stop_all([new.id for _, new in runs])
    except BaseException:
        _stop_all([new.id for _, new in runs])
        for thread in threads:
            thread.join(60)
        raise


def _execute(new: lifecycle.NewRun, name: str, notify: Callable[[str], None]) -> None:
    notify(f"{name}: started")
    try:
        outcomes = lifecycle.execute(new.id, plans=new.plans)
    except CloudtuneError as error:
        notify(f"{name}: {error}")
        return
    for outcome in outcomes.values():
        notify(f"{name}: {outcome.state} {outcome.reason}".rstrip())


def _has_reported(run: str) -> bool:
    return any(trial.measurements for job in lifecycle.results(run) for trial in job.trials)


def _stop(run: str) -> None:
    with suppress(UsageError):  # it has ended
        lifecycle.stop(run)


def _stop_all(runs: Sequence[str]) -> None:
    for run in runs:
        _stop(run)
