"""What a verification would send, what that costs at most, and its saved plan."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cloudtune.emulation import process
from cloudtune.emulation.environment import find_emulator, folder_variable
from cloudtune.errors import UsageError
from cloudtune.ledger.home import create_private_folder, state_folder
from cloudtune.ledger.lock import RunLock
from cloudtune.ledger.run_ids import new_run_id
from cloudtune.planning.planner import plan as plan_study
from cloudtune.provider import registry
from cloudtune.provider.cost import Estimate
from cloudtune.provider.plan import Plan
from cloudtune.provider.read_settings import read_settings
from cloudtune.study.loader import apply_overrides, load
from cloudtune.study.quantities import format_bytes
from cloudtune.study.schema import Json
from cloudtune.study.yaml_reader import is_list, is_map
from cloudtune.verification.cleanup import EMULATOR, Guard, remove_home
from cloudtune.verification.recording import service_name
from cloudtune.verification.steps import MAX_COST, Step, list_steps

FORMAT = "cloudtune.verification/v2"
MAX_USD = 5.0
_SPACE = 64_000_000
"""Bytes that must be free for the state, and for temporary files of emulated jobs; 10 and 4 MB were
measured."""


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
    at_list_price: Plan
    """The same without the price that the user gives, in the region of the list of prices."""

    @property
    def reasons_to_skip(self) -> list[str]:
        """Why the service cannot run it, or would show nothing by it."""
        omitted = registry.get(self.plan.provider).omitted_steps(self.plan)
        if reason := omitted.get(self.step.name):
            return [reason]
        lost = [each.reason for each in self.plan.findings if each.path == self.step.shows]
        return [*lost, *map(str, self.plan.refused)]

    @property
    def estimate(self) -> Estimate | None:
        """What it costs at most, also if cloudtune is killed; None if that is unknown.

        The user's price counts unless that of the list is higher.
        """
        estimate, listed = (
            each.estimate if each.estimate and each.estimate.currency == MAX_COST.currency else None
            for each in (self.plan, self.at_list_price)
        )
        is_higher = estimate and listed and listed.hour > estimate.hour
        return listed if is_higher else estimate


@dataclass(frozen=True)
class Verification:
    """What is sent to a service, and where its state is."""

    provider: str
    settings: Json
    emulated: bool
    workspace: Workspace
    steps: tuple[PlannedStep, ...]

    @property
    def price(self) -> str:
        """The price of an hour of a trial, and its source; empty if that is unknown."""
        estimates = (each.estimate for each in self.runnable)
        texts = {f"{each.hour:.4g} {each.currency} ({each.source})" for each in estimates if each}
        return ", ".join(sorted(texts))

    @property
    def service(self) -> str:
        """The folder of its recordings, as below ``tests/recordings``."""
        return service_name(self.provider)

    @property
    def runnable(self) -> list[PlannedStep]:
        """The steps that the service can run."""
        return [each for each in self.steps if not each.reasons_to_skip]

    @property
    def uncounted(self) -> list[str]:
        """What may be billed that no maximum includes, in words."""
        estimates = (each.estimate for each in self.runnable)
        return list(dict.fromkeys(text for each in estimates if each for text in each.uncounted))

    @property
    def most(self) -> float | None:
        """What all steps cost at most, in USD; None if a price is unknown."""
        costs = [each.estimate.most if each.estimate else None for each in self.runnable]
        known = [cost for cost in costs if cost is not None]
        return sum(known) if len(known) == len(costs) else None


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
    if reason := registry.get(provider).not_verifiable:
        raise UsageError(f"{provider} has no verification: {reason}")
    if not [*registry.get(provider).verify(())]:
        raise UsageError(f"no sentence about {provider} is open for a verification")
    study = load({"providers": {provider: {}}}, overrides=overrides, folder=Path.cwd())
    with _workspace(state_folder() / "verify" / new_run_id()) as workspace:
        yield _plan(provider, study.providers[provider], workspace, emulate=emulate)


def _plan(
    provider: str,
    settings: Json,
    workspace: Workspace,
    *,
    emulate: bool,
    runs: Mapping[str, str] = MappingProxyType({}),
) -> Verification:
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
    steps = tuple(
        _plan_step(step, provider, home / "source", runs.get(step.name, new_run_id()))
        for step in list_steps(provider, settings, home / "source", brief=emulated)
    )
    verification = Verification(provider, settings, emulated, workspace, steps)
    _check(verification)
    return verification


def _plan_step(step: Step, provider: str, source: Path, run: str) -> PlannedStep:
    study = load(step.study, folder=source)
    plan = plan_study(study, provider, base=source, run_id=run)
    if "prices" not in study.providers[provider] or plan.facts.emulated:
        return PlannedStep(step, plan, plan)
    listed = {"prices": "", **registry.get(provider).price_list_region}
    changes = [f"providers.{provider}.{name}={value}" for name, value in listed.items()]
    at_list_price = plan_study(apply_overrides(study, changes), provider, base=source, run_id=run)
    return PlannedStep(step, plan, at_list_price)


def _check(verification: Verification) -> None:
    """Check that there is a step to run, and that all cost at most 5 USD."""
    provider, most = verification.provider, verification.most
    if not verification.runnable:
        reasons = verification.steps[0].reasons_to_skip
        raise UsageError("\n".join([f"{provider} can run no step:", *reasons]))
    if verification.emulated:
        return
    _check_settings(verification)
    if most is None:
        setting = f"--set providers.{provider}.prices.hour='0.20 USD'"
        raise UsageError(f"the price of a trial in USD is unknown: add {setting}")
    is_listed = all(each.at_list_price.estimate for each in verification.runnable)
    if not is_listed and registry.get(provider).price_list_region:
        raise UsageError(
            f"cloudtune has no price of this machine with which it could enforce {MAX_USD:g} USD: "
            f"verify {provider} without settings of machines, on the smallest one"
        )
    if most > MAX_USD:
        raise UsageError(
            f"it could cost {most:.2f} USD, more than {MAX_USD:g}: choose a smaller machine"
        )


def _check_settings(verification: Verification) -> None:
    """Check that no setting causes costs that no maximum includes."""
    name, plan = verification.provider, verification.runnable[0].plan
    problems = [
        f"providers.{name}.{field}: a verification may have at most {most}, since cloudtune does "
        "not know the price: leave it out"
        for field, most in registry.get(name).most_unpriced.items()
        if getattr(plan.settings, field) > most
    ]
    problems += [
        f"providers.{name}.{field}: a verification may have {' or '.join(known)}, since cloudtune "
        "does not know the price of others: leave it out"
        for field, known in registry.get(name).unpriced_machines.items()
        if getattr(plan.settings, field) not in (None, *known)
    ]
    if verification.settings.get("native"):
        problems.append(
            f"providers.{name}.native: a verification has no native fields, since cloudtune does "
            "not know what they cost: leave it out"
        )
    if problems:
        raise UsageError("\n".join(problems))


def to_json(verification: Verification) -> Json:
    """Return a verification as its saved plan."""
    return {
        "format": FORMAT,
        "provider": verification.provider,
        "settings": verification.settings,
        "emulated": verification.emulated,
        "home": str(verification.workspace.home),
        "most": verification.most,
        "steps": {each.step.name: each.plan.to_json() for each in verification.steps},
    }


@contextmanager
def restored(file: Path) -> Generator[Verification]:
    """Yield a verification from its saved plan, which can be used once; see `mark_used`.

    It is planned again from its settings, and must be what the file shows. So nothing that is sent,
    and no limit, comes from the file. An emulated one may differ, since its emulator has ended.

    Raises:
        UsageError: If the file is no such plan, has been used, is not what would be planned now, or
            could cost more than 5 USD.
    """
    try:
        data: Any = json.loads(file.read_text("utf-8"))
        if data["format"] != FORMAT:
            raise ValueError(data["format"])
        provider, settings, home = str(data["provider"]), dict(data["settings"]), Path(data["home"])
        runs = {str(name): str(each["run"]) for name, each in data["steps"].items()}
        is_emulated, used = bool(data["emulated"]), data.get("used")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{file} is no plan of a verification: {error!r}") from error
    if used:
        raise UsageError(f"{file} was run at {used}: plan another verification")
    if home.parent != state_folder() / "verify":  # what is left is looked for there
        raise UsageError(f"{file} belongs to another state folder: plan another verification")
    with _workspace(home) as workspace:
        verification = _plan(provider, settings, workspace, emulate=is_emulated, runs=runs)
        if not is_emulated:
            planned: Any = json.loads(json.dumps(to_json(verification)))
            if (path := _first_difference(data, planned)) is not None:
                raise UsageError(
                    f"{file} was changed, or its service, environment or cloudtune was: what would "
                    f"be sent now differs in {path}; plan another verification"
                )
        yield verification


def mark_used(file: Path) -> None:
    """Note in a saved plan that it is run now."""
    data: Any = json.loads(file.read_text("utf-8"))
    used = datetime.now(UTC).isoformat(timespec="seconds")
    file.write_text(json.dumps({**data, "used": used}, indent=1) + "\n", "utf-8")


def _first_difference(old: Any, new: Any) -> str | None:
    """Return the path of the first value that differs; None if all are equal."""
    if is_map(old) and is_map(new):
        for key in dict.fromkeys([*new, *old]):
            if (path := _first_difference(old.get(key), new.get(key))) is not None:
                return f"{key}.{path}".removesuffix(".")
        return None if old.keys() == new.keys() else ""
    if is_list(old) and is_list(new) and len(old) == len(new):
        for number, (one, other) in enumerate(zip(old, new, strict=True)):
            if (path := _first_difference(one, other)) is not None:
                return f"{number}.{path}".removesuffix(".")
        return None
    return None if old == new and type(old) is type(new) else ""


@contextmanager
def _workspace(home: Path) -> Generator[Workspace]:
    """Yield a new state folder, which is removed at the end if nothing is left at the service.

    Raises:
        UsageError: If it exists, or there is too little space.
    """
    if home.exists():  # it is removed at the end, so it must be this verification's own
        raise UsageError(f"{home} exists already: plan another verification")
    create_private_folder(home.parent)
    _check_space({"CLOUDTUNE_HOME": home.parent, "TMPDIR": Path(tempfile.gettempdir())})
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


def _check_space(folders: Mapping[str, Path]) -> None:
    """Check the free space of folders, by the variables that name them.

    Raises:
        UsageError: If it is too little.
    """
    free = {name: shutil.disk_usage(folder).free for name, folder in folders.items()}
    if full := [
        f"{folders[name]} has {format_bytes(count)} free (another disk: set {name})"
        for name, count in free.items()
        if count < _SPACE
    ]:
        raise UsageError(
            f"nothing was sent, since a verification needs {format_bytes(_SPACE)}: "
            f"{'; '.join(full)}"
        )
