"""The account: the read-only checks that a provider contributes."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

from cloudtune.diagnostics import Check
from cloudtune.emulation import process
from cloudtune.emulation.environment import reconnect
from cloudtune.errors import CloudtuneError, MissingExtraError, ProviderError
from cloudtune.provider import registry
from cloudtune.provider.account import PACKAGE_CHECK
from cloudtune.provider.models import JobContext
from cloudtune.provider.plan import Plan
from cloudtune.provider.settings import CloudSettings


def check_account(plan: Plan, folder: Path) -> Iterator[Check]:
    """Yield the provider's checks of the account that a run would use."""
    if not isinstance(plan.settings, CloudSettings):
        return
    provider = registry.get(plan.provider)
    extra = registry.missing_extra(provider, emulated=plan.facts.emulated)
    if extra:
        yield _missing_package(MissingExtraError(f"a run on {plan.provider}", extra))
        return
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with _context(plan, folder) as context:
            any_answer = False
            for check in provider.check_account(plan, context):
                any_answer |= check.id != PACKAGE_CHECK
                yield check
        if not any_answer:
            yield _unchecked(plan)
    except MissingExtraError as error:
        yield _missing_package(error)
    except CloudtuneError as error:
        reason = str(error).removeprefix(f"{plan.provider}: ")
        # A run would fail, too, unless the error is about one of the doctor's own calls.
        transient = isinstance(error, ProviderError) and error.retryable
        fatal = isinstance(error, ProviderError) and error.affects_all_calls
        yield Check(
            severity="error" if transient or fatal else "unknown",
            area="account",
            id="account-unreachable",
            message=f"{reason}; what follows was not checked",
            fix="" if fatal else "try again",
        )


def _unchecked(plan: Plan) -> Check:
    is_complete = plan.facts.emulated or not plan.facts.lookup.missing_settings
    return Check(
        severity="unknown",
        area="account",
        id="account-unchecked",
        message=f"nothing was checked{'' if is_complete else ': settings are missing'}",
    )


def _missing_package(error: MissingExtraError) -> Check:
    return Check(
        severity="error",
        area="account",
        id="sdk-missing",
        message=str(error).partition(": pip install")[0],
        fix="install it",
        command=f"pip install 'cloudtune[{error.extra}]'",
    )


@contextmanager
def _context(plan: Plan, folder: Path) -> Generator[JobContext]:
    """Return the context of read-only calls, with an emulator if the plan is emulated."""
    provider = registry.get(plan.provider)
    if not plan.facts.emulated or provider.emulator is None:
        yield JobContext(folder)
        return
    if plan.facts.emulator:
        yield JobContext(
            folder, reconnect(plan.provider, provider, plan.settings, plan.facts.emulator)
        )
        return
    with tempfile.TemporaryDirectory(dir=folder) as home:
        address = process.start(plan.provider, provider.emulator, Path(home), tied=True)
        try:
            yield JobContext(folder, process.connect(plan.provider, provider.emulator, Path(home)))
        finally:
            process.stop(address)
