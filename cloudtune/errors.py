"""The exceptions that cloudtune raises.

::

    CloudtuneError
    ├── StudyError          the study has mistakes; lists all problems
    ├── UnsupportedError    a provider cannot run the study; lists all findings
    ├── ConversionError     a study, or another tool's format, cannot hold something
    ├── UsageError          the call is wrong: unknown run, unknown provider, changed study
    │   └── AlreadyExportedError  the destination of an export already has the run
    ├── RunFailedError      a run ended without any result; the message has the first traceback
    ├── MissingExtraError   an optional dependency is not installed (also an ImportError)
    ├── LedgerError         the local record is unreadable or locked by another process
    └── ProviderError       a request to a service, or to this machine, failed
        ├── EmulatorEndedError  a service's emulator is no longer running
        └── HttpError           a service answered with an HTTP status, or not at all
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, ClassVar

from cloudtune.diagnostics import Problem

if TYPE_CHECKING:
    from cloudtune.diagnostics import Finding


class CloudtuneError(Exception):
    """Base class of the exceptions that cloudtune raises."""


class StudyError(CloudtuneError):
    """The study has mistakes; ``problems`` lists all of them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class UnsupportedError(CloudtuneError):
    """A provider cannot run the study; ``findings`` lists all reasons."""

    def __init__(
        self, provider: str, findings: Sequence[Finding], locations: Sequence[str] = ()
    ) -> None:
        self.provider = provider
        self.findings = tuple(findings)
        pairs = zip_longest(locations, self.findings, fillvalue="")
        lines = "\n".join(f"  {location}{finding}" for location, finding in pairs)
        super().__init__(f"{provider} cannot run this study:\n{lines}")


class ConversionError(CloudtuneError):
    """A study cannot hold a configuration, or a format a study; ``findings`` lists the reasons.

    Args:
        message: What cannot be converted.
        findings: The reasons.
        places: The file and line of each finding, such as ``sweep.yaml:7: ``.
        problems: Mistakes in the file, which come second: without them, it could not be converted.
    """

    def __init__(
        self,
        message: str,
        findings: Sequence[Finding],
        places: Sequence[str] = (),
        problems: Sequence[Problem] = (),
    ) -> None:
        self.findings = tuple(findings)
        lines = zip_longest(places, self.findings, fillvalue="")
        also = ["it also has mistakes:", *(f"  {each}" for each in problems)] if problems else []
        text = [f"{message}:", *(f"  {at}{each}" for at, each in lines), *also]
        super().__init__("\n".join(text))


class UsageError(CloudtuneError):
    """The call cannot be carried out; the message explains what to change."""


class LockError(UsageError):
    """A lock of packages cannot be used; the message says why, and what to do."""


class AlreadyExportedError(UsageError):
    """The destination already has an export of the same run."""


class RunFailedError(CloudtuneError):
    """A run ended, but no completed trial measured its objective; ``run`` is its ID."""

    def __init__(self, run: str, message: str) -> None:
        self.run = run
        super().__init__(message)


class MissingExtraError(CloudtuneError, ImportError):
    """An optional dependency is not installed; the message has the command that installs it."""

    def __init__(self, feature: str, extra: str) -> None:
        self.extra = extra
        super().__init__(f"{feature} needs an optional package: pip install 'cloudtune[{extra}]'")


def import_extra(module: str, feature: str, extra: str) -> Any:
    """Return a module of an optional dependency.

    Raises:
        MissingExtraError: If it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError(feature, extra) from error


class LedgerError(CloudtuneError):
    """The ledger is unreadable or too new for this version, or another process owns the run."""


class ProviderError(CloudtuneError):
    """A request to a provider failed; the original error is the cause of this one."""

    def __init__(
        self,
        provider: str,
        message: str,
        *,
        retryable: bool = False,
        affects_all_calls: bool = False,
        quota_exceeded: bool = False,
    ) -> None:
        """Create the error.

        Args:
            provider: The provider's name.
            message: What failed, and what to do.
            retryable: Whether the same call may succeed later. The call may have taken effect, for
                example if only its response was lost.
            affects_all_calls: Whether the cause is the caller, for example its credentials, so that
                other calls fail as well.
            quota_exceeded: Whether the call failed because a quota is used up for now.
        """
        self.provider = provider
        self.retryable = retryable
        self.affects_all_calls = affects_all_calls
        self.quota_exceeded = quota_exceeded
        super().__init__(f"{provider}: {message}")


class EmulatorEndedError(ProviderError):
    """A service's emulator, and with it its jobs, is no longer running."""

    def __init__(self, provider: str, operation: str) -> None:
        """Create the error of a call."""
        super().__init__(provider, f"{operation}: the emulator has ended, and its jobs with it")


class HttpError(ProviderError):
    """A service refused a call, or could not be reached; each provider has its own subclass."""

    service: ClassVar[str]
    """The provider's name."""

    def __init__(self, message: str, *, code: int = 0, text: str = "", **flags: bool) -> None:
        """Create the error.

        Args:
            message: What failed, and what to do.
            code: The HTTP status; 0 without a response.
            text: What the service said.
            flags: Those of `ProviderError`.
        """
        super().__init__(self.service, message, **flags)
        self.code = code
        self.text = text

    @property
    def not_found(self) -> bool:
        """Whether the resource does not exist."""
        return self.code == 404
