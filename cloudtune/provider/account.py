"""Shared parts of account checks: results, package versions, clocks, printed policies."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from functools import partial
from importlib import metadata
from typing import TYPE_CHECKING, Generic, TypeVar

from cloudtune.diagnostics import Check
from cloudtune.errors import ProviderError

if TYPE_CHECKING:
    from cloudtune.study.schema import Mode

T = TypeVar("T")
OnT = TypeVar("OnT", bound=str)

MAX_SKEW = 60.0
"""Seconds by which this machine's clock may differ from a service's without a warning."""
PACKAGE_CHECK = "sdk-version"
"""The id of the checks of packages, which say nothing about an account."""
_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)[^;]*?>=(?P<least>[\d.]+)[^;]*(?P<marker>;.*)?")

account_ok = partial(Check, severity="ok", area="account")
"""Something is as it must be."""
account_warning = partial(Check, severity="warning", area="account")
"""Something may cause trouble."""
account_error = partial(Check, severity="error", area="account")
"""A run would fail."""
account_unknown = partial(Check, severity="unknown", area="account")
"""Something cannot be checked; `fix` names the missing right, or says where to look."""


def right_missing(
    id_: str,
    question: str,
    right: str,
    *,
    caller: str,
    path: str = "",
    look: str = "",
    command: str = "",
) -> Check:
    """Return the result of a check that lacks a right.

    Args:
        id_: The id of the check.
        question: What remains unknown, as in "whether the bucket exists".
        right: The right that is missing.
        caller: Who lacks it, as in "your account".
        path: The field of the study that it is about.
        look: Where else to look.
        command: The command that grants the right, or shows the answer.
    """
    fix = f"{caller} lacks {right}"
    return account_unknown(
        id=id_,
        path=path,
        message=f"{question} is unknown",
        fix=f"{fix}; {look}" if look else fix,
        command=command,
    )


@dataclass(frozen=True)
class Right(Generic[OnT]):
    """A right that a run needs."""

    action: str
    """The service's name of the right, as in ``s3:ListBucket``."""
    on: OnT
    """On what."""
    modes: Sequence[Mode] = ("managed", "driven")
    without: str = ""
    """What a run does without it, if it continues; empty if it fails."""
    unseen: str = ""
    """Why no run on the emulator uses it; empty if runs do."""


@dataclass(frozen=True)
class Policy:
    """Rights that a run needs, as text for the service."""

    title: str
    """Who needs them and what for, such as ``policy of the caller``."""
    text: str
    """A policy document, or a list of permissions."""
    commands: Sequence[str] = ()
    """The commands that grant them."""


def ask(
    call: Callable[[], T], otherwise: Check, explain: Callable[[ProviderError], str | None]
) -> Generator[Check, None, T | None]:
    """Return the result of a call; without the right to it, yield another one and return None.

    Args:
        call: Calls the service.
        otherwise: The result without the right.
        explain: Returns None for an error other than a missing right; otherwise a better `fix` of
            the result, or an empty text.

    Raises:
        ProviderError: If the call fails for any other reason.
    """
    try:
        return call()
    except ProviderError as error:
        fix = explain(error)
        if fix is None:
            raise
        yield replace(otherwise, fix=fix) if fix else otherwise
        return None


def check_packages(extra: str) -> Iterator[Check]:
    """Yield whether the installed packages of an extra are new enough for cloudtune."""
    for name, least in _requirements(extra):
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # not needed on this Python, or reported as missing
        if _numbers(version) < _numbers(least):
            yield account_error(
                id=PACKAGE_CHECK,
                message=f"{name} {version} is installed, and cloudtune needs {least} or newer",
                fix="upgrade it",
                command=f"pip install --upgrade 'cloudtune[{extra}]'",
            )
        else:
            yield account_ok(id=PACKAGE_CHECK, message=f"{name} {version}")


def check_clock(date: str, tolerance: float, now: float | None = None) -> Check | None:
    """Return whether this machine's clock agrees with a service's; None without a valid date.

    Args:
        date: The header ``Date`` of a response.
        tolerance: The seconds of difference that the service tolerates.
        now: The time on this machine.
    """
    try:
        service_time = parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError):
        return None
    skew = (time.time() if now is None else now) - service_time
    if abs(skew) <= MAX_SKEW:
        return account_ok(id="clock", message="clock agrees with the service's")
    direction = "ahead of" if skew > 0 else "behind"
    is_refused = abs(skew) > tolerance
    text = f"this machine's clock is {abs(skew):.0f} seconds {direction} the service's"
    limit = f"the service tolerates {tolerance:.0f} seconds"
    report = account_error if is_refused else account_warning
    return report(
        id="clock",
        message=f"{text}, and {limit}",
        fix="synchronize the clock",
        command="sudo timedatectl set-ntp true",
    )


def _requirements(extra: str) -> Iterator[tuple[str, str]]:
    """Yield the packages of an extra of cloudtune and the least version of each."""
    try:
        requirements = metadata.requires("cloudtune") or ()
    except metadata.PackageNotFoundError:
        return
    for requirement in requirements:
        match = _REQUIREMENT.match(requirement)
        if match and f"extra == '{extra}'" in (match["marker"] or "").replace('"', "'"):
            yield match["name"], match["least"]


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)[:3]]
