"""One verification: its plan, its runs, what they answer, and its recording."""

from __future__ import annotations

import json
import math
import os
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
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
from cloudtune.verification.cleanup import EMULATOR, Guard, clean_up, remove_home
from cloudtune.verification.recording import service_name, to_recordings
from cloudtune.verification.steps import MAX_COST, Step, list_steps

FORMAT = "cloudtune.verification/v1"
MAX_SECONDS = 30 * 60.0
MAX_USD = 5.0
_STOP, _LEAVE = 25 / 30, 28 / 30
"""The parts of the time after which all is stopped, and after which nothing is waited for."""
_POLL_SECONDS = 0.5
_MAX_WAITING = 10


@dataclass
class Workspace:
    """A state folder that a verification has for itself, and its guard."""

    home: Path
    guard: Guard
    is_clean: bool = True
    """Whether nothing is left at the service; if not, the guard removes it."""


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
        """What it costs at most, also if cloudtune is killed; None if that is unknown."""
        estimate = self.plan.estimate
        return estimate.most if estimate and estimate.currency == MAX_COST.currency else None


@dataclass(frozen=True)
class Verification:
    """What is sent to a service, and where its state is."""

    provider: str
    settings: Json
    emulated: bool
    workspace: Workspace
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


@contextmanager
def planned(
    provider: str, overrides: Sequence[str] = (), *, emulate: bool = False
) -> Generator[Verification]:
    """Yield what a verification would send. Nothing is sent; an emulator is started.

    Nothing of it is left on this machine after the block.

    Raises:
        UsageError: If the service cannot be verified, a setting is missing, or the cost could be
            more than 5 USD or is unknown.
        StudyError: If a setting is wrong.
    """
    if registry.get(provider).emulator is None:
        raise UsageError(f"{provider} is no service, so nothing is to be verified")
    study = load({"providers": {provider: {}}}, overrides=overrides, folder=Path.cwd())
    with _workspace(state_folder() / "verify" / new_run_id()) as workspace:
        yield _plan(provider, study.providers[provider], workspace, emulate=emulate)


def _plan(provider: str, settings: Json, workspace: Workspace, *, emulate: bool) -> Verification:
    module = registry.get(provider)
    home, variable = workspace.home, folder_variable(provider)
    own = read_settings(load({"providers": {provider: settings}}), provider, module)
    is_emulated = find_emulator(provider, module, own) is not None
    if emulate and not is_emulated:
        assert module.emulator is not None
        args = ["--idle", "600", "--speed", "60"]
        process.start(provider, module.emulator, home / EMULATOR, args)
        os.environ[variable] = str(home / EMULATOR)
    emulated = emulate or is_emulated
    source = home / "source"
    steps = tuple(
        PlannedStep(step, plan_study(load(step.study, folder=source), provider, base=source))
        for step in list_steps(provider, settings, source, brief=emulated)
    )
    verification = Verification(provider, settings, emulated, workspace, steps)
    _check(verification)
    return verification


def _check(verification: Verification) -> None:
    """Check that there is a step to run, and that all cost at most 5 USD."""
    provider, most = verification.provider, verification.most
    if not verification.runnable:
        raise UsageError(f"{provider} can run no step: {verification.steps[0].reason_to_skip}")
    if verification.emulated:
        return
    if most is None:
        setting = f"--set providers.{provider}.prices.hour='0.20 USD'"
        raise UsageError(f"the price of a trial in USD is unknown: add {setting}")
    if most > MAX_USD:
        raise UsageError(
            f"it could cost {most:.2f} USD, more than {MAX_USD:g}: choose a smaller machine"
        )


def to_json(verification: Verification) -> Json:
    """Return a verification as its saved plan."""
    return {
        "format": FORMAT,
        "provider": verification.provider,
        "settings": verification.settings,
        "emulated": verification.emulated,
        "home": str(verification.workspace.home),
        "steps": [
            {"name": each.step.name, "plan": each.plan.to_json()} for each in verification.steps
        ],
    }


@contextmanager
def restored(file: Path) -> Generator[Verification]:
    """Yield a verification from its saved plan, which can be used once.

    The plan of an emulated one is made again, since its emulator has ended.

    Raises:
        UsageError: If the file is no such plan, has been used, or could cost more than 5 USD.
    """
    try:
        data: Any = json.loads(file.read_text("utf-8"))
        if data["format"] != FORMAT:
            raise ValueError(data["format"])
        provider, settings, home = str(data["provider"]), dict(data["settings"]), Path(data["home"])
        plans = {each["name"]: restore_plan(each["plan"]) for each in data["steps"]}
        is_emulated, used = bool(data["emulated"]), data.get("used")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{file} is no plan of a verification: {error!r}") from error
    if used:
        raise UsageError(f"{file} was run at {used}: plan another verification")
    with _workspace(home) as workspace:
        if is_emulated:
            yield _plan(provider, settings, workspace, emulate=True)
            return
        steps = list_steps(provider, settings, workspace.home / "source", brief=False)
        if missing := [step.name for step in steps if step.name not in plans]:
            raise UsageError(f"{file} has no plan of the step {missing[0]}")
        of_steps = tuple(PlannedStep(step, plans[step.name]) for step in steps)
        verification = Verification(
            provider, settings, emulated=False, workspace=workspace, steps=of_steps
        )
        _check(verification)
        used = datetime.now(UTC).isoformat(timespec="seconds")
        file.write_text(json.dumps({**data, "used": used}, indent=1) + "\n", "utf-8")
        yield verification


@contextmanager
def _workspace(home: Path) -> Generator[Workspace]:
    """Yield a new state folder, which is removed at the end if nothing is left at the service.

    Raises:
        UsageError: If it exists.
    """
    if home.exists():  # it is removed at the end, so it must be this verification's own
        raise UsageError(f"{home} exists already: plan another verification")
    create_private_folder(home / "source")
    before = dict(os.environ)
    os.environ["CLOUDTUNE_HOME"] = str(home)
    try:
        with RunLock(home):
            workspace = Workspace(home, Guard(home))
            try:
                yield workspace
            finally:
                if workspace.is_clean:
                    remove_home(home)
                    workspace.guard.dismiss()
    finally:
        os.environ.clear()
        os.environ.update(before)


def verify(verification: Verification, notify: Callable[[str], None]) -> Verified:
    """Run the steps at the same time, remove everything, and return what was seen.

    Ctrl-C and a kill remove everything, too. After 30 minutes, this function returns, whatever
    the service does; the guard then tries to remove what is left.

    Raises:
        CloudtuneError: If a run cannot be written.
    """
    workspace, since = verification.workspace, _Clock()
    provider = registry.get(verification.provider)
    workspace.is_clean = False
    with recorded_calls() as calls:
        try:
            _run(verification, since, notify)
        finally:
            seconds = max(MAX_SECONDS * (1 - _LEAVE), MAX_SECONDS - since.seconds)
            left = clean_up(workspace.home, notify, seconds)
            workspace.is_clean = not left
        recordings = to_recordings(
            verification.provider,
            list(calls),
            {each.step.name: each.plan.facts.job_name for each in verification.runnable},
            verification.settings,
            emulated=verification.emulated,
        )
        return Verified(tuple(provider.verify(list(calls))), recordings, tuple(left))


def clean_up_earlier(notify: Callable[[str], None]) -> None:
    """Remove what verifications have left of which every process was killed."""
    before = os.environ.get("CLOUDTUNE_HOME")
    for home in sorted((state_folder() / "verify").glob("*")):
        if not home.is_dir() or lock_holder(home) is not None:
            continue
        os.environ["CLOUDTUNE_HOME"] = str(home)
        try:
            with RunLock(home):
                left = clean_up(home, notify)
                for each in left:
                    notify(f"left of an earlier verification: {each}")
                if not left:
                    remove_home(home)
        finally:
            os.environ.pop("CLOUDTUNE_HOME")
            if before is not None:
                os.environ["CLOUDTUNE_HOME"] = before


class _Clock:
    """The time since it was created; also that for which this machine slept."""

    def __init__(self) -> None:
        self._begin = time.monotonic(), time.time()

    @property
    def seconds(self) -> float:
        monotonic, wall = self._begin
        return max(time.monotonic() - monotonic, time.time() - wall)


def _run(verification: Verification, since: _Clock, notify: Callable[[str], None]) -> None:
    """Run all steps; stop them in time, and if this process is interrupted."""
    runs = [
        (each.step, lifecycle.create([each.plan], saved=True)) for each in verification.runnable
    ]
    threads = [
        threading.Thread(target=_execute, args=(new, step.name, notify), daemon=True)
        for step, new in runs
    ]
    for thread in threads:
        thread.start()
    waiting = {new.id: _StopRule(step) for step, new in runs if step.stops}
    stops = 0
    try:
        while any(thread.is_alive() for thread in threads) and since.seconds < MAX_SECONDS * _LEAVE:
            time.sleep(_POLL_SECONDS)
            for run in [run for run, rule in waiting.items() if rule.is_due(run)]:
                del waiting[run]
                notify("stopping a job, as planned")
                _stop(run)
            if stops < 2 and since.seconds > MAX_SECONDS * (_STOP + stops / 60):
                stops += 1  # the second request does not wait for the service
                notify("the time is over: stopping all")
                _stop_all([new.id for _, new in runs])
    except BaseException:
        _stop_all([new.id for _, new in runs])
        for thread in threads:
            thread.join(MAX_SECONDS / 30)
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


class _StopRule:
    """When a job is stopped: once a trial has reported, or has run for a while without that.

    IBM shows measurements only at the end of a job, and may not show that it runs.
    """

    def __init__(self, step: Step) -> None:
        self._seconds = {"running": step.stops, "waiting": _MAX_WAITING * step.stops}
        self._since: dict[str, float] = {}

    def is_due(self, run: str) -> bool:
        trials = [trial for job in lifecycle.results(run) for trial in job.trials]
        now = time.monotonic()
        for trial in trials:
            self._since.setdefault(trial.state, now)
        return any(trial.measurements for trial in trials) or any(
            now - begin > self._seconds.get(state, math.inf) for state, begin in self._since.items()
        )


def _stop(run: str) -> None:
    with suppress(UsageError):  # it has ended
        lifecycle.stop(run)


def _stop_all(runs: Sequence[str]) -> None:
    for run in runs:
        _stop(run)
