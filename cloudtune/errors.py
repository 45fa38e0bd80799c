"""What cloudtune raises.

::

    CloudtuneError
    ├── StudyError          the study is wrong everywhere; all problems at once
    ├── UnsupportedError    the study is right, a provider cannot hold it; all findings at once
    ├── UsageError          the call is wrong: unknown run, unknown provider, changed study
    ├── MissingExtraError   an optional dependency is not installed (also an ImportError)
    ├── LedgerError         the local record cannot be read or is held by another process
    └── ProviderError       a service, or this machine, failed to do what it was asked
        └── EmulatorEndedError  a service's emulator is not there any more
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cloudtune.diagnostics import Problem

if TYPE_CHECKING:
    from cloudtune.diagnostics import Finding


class CloudtuneError(Exception):
    """Base of everything that cloudtune raises on purpose."""


class StudyError(CloudtuneError):
    """A study that is wrong on every provider; ``problems`` holds each mistake."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class UnsupportedError(CloudtuneError):
    """A study that one provider cannot hold; ``findings`` holds every reason."""

    def __init__(self, provider: str, findings: Sequence[Finding]) -> None:
        self.provider = provider
        self.findings = tuple(findings)
        lines = "\n".join(f"  {finding}" for finding in self.findings)
        super().__init__(f"{provider} cannot run this study:\n{lines}")


class UsageError(CloudtuneError):
    """A call that cannot be carried out as it was made; the message says what to do."""


class AlreadyExportedError(UsageError):
    """What is to be exported was exported there before."""


class MissingExtraError(CloudtuneError, ImportError):
    """An optional dependency is missing; the message names the command that installs it."""

    def __init__(self, what: str, extra: str) -> None:
        self.extra = extra
        super().__init__(f"{what} needs an optional package: pip install 'cloudtune[{extra}]'")


class LedgerError(CloudtuneError):
    """The ledger cannot be read, is of a newer version, or another process holds the run."""


class ProviderError(CloudtuneError):
    """A provider failed to do what it was asked; the original error is its cause."""

    def __init__(
        self,
        provider: str,
        message: str,
        *,
        retryable: bool = False,
        affects_all_calls: bool = False,
        quota_exceeded: bool = False,
    ) -> None:
        """Say what failed.

        Args:
            provider: The provider's name.
            message: What failed, and what to do.
            retryable: Whether the same call may succeed later. What it was to change may be
                changed, as where only the answer was lost.
            affects_all_calls: Whether it is about who calls, so that other calls will fail too.
            quota_exceeded: Whether there is no place at the moment, since a quota is used up.
        """
        self.provider = provider
        self.retryable = retryable
        self.affects_all_calls = affects_all_calls
        self.quota_exceeded = quota_exceeded
        super().__init__(f"{provider}: {message}")


class EmulatorEndedError(ProviderError):
    """A service's emulator is not there any more, and its jobs with it."""
