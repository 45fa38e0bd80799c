"""Errors of Slurm's commands: whether they are transient, and what to do about them.

Commands have no error codes, only texts: those of ``slurm_errno.c`` in Slurm 24.11.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from cloudtune.provider import ProviderError
from cloudtune_slurm.settings import NAME

_TRANSIENT = (
    "timed out",
    "unable to contact slurm controller",
    "connection refused",
    "connection reset",
    "transport endpoint",
    "zero bytes were transmitted",
    "unexpected message received",
    "temporarily unable to accept job",
    "resource temporarily unavailable",
    "standby mode",
    "communication connection failure",
    "slurmdbd",
    "try again",
    "rate limit exceeded",
    "protocol authentication error",  # of munge
    # The name service of the login node does not answer; for the second text see
    # https://github.com/mlr-org/batchtools/issues/303, read 2026-12-01.
    *("invalid user:", "invalid user for slurmuser"),
)
"""Texts of transient errors. The call may have had an effect nevertheless."""
_FULL = (
    "qosmaxsubmitjob",
    "qosgrpsubmitjob",
    "assocmaxsubmitjob",
    "assocgrpsubmitjob",
    "maxsubmitjob",
    "job submit limit",
    "job count limit",
)
"""The limits of jobs in the queue. "Job violates accounting/QOS policy (job submit limit, ...)" is
also the text for a job that is too large: if that is the first of a process, the run ends with it,
and a later one with other resources fails if no job of the run is in the queue."""
_SETTINGS = (
    "invalid partition",
    "no partition specified",
    "not permitted to use this partition",
    "invalid account",
    "invalid qos",
    "invalid feature",
    "invalid wckey",
    "invalid license",
    "invalid node name",
    "reservation is invalid",
    "denied to requested reservation",
    "access/permission denied",
    "unrecognized option",
)
"""What sbatch refuses for the settings of a study, and therefore for each of its trials."""
_SILENT = re.compile(r"^squeue: error: Invalid user: ", re.MULTILINE)
"""What squeue prints, with the exit code 0 and no jobs, if the name service does not know the user
(measured with 24.11.5)."""
_SSH_DOWN = (
    "connection refused",
    "connection timed out",
    "connection reset",
    "connection closed",
    "no route to host",
    "network is unreachable",
    "operation timed out",
    "temporary failure in name resolution",
    "broken pipe",
    "kex_exchange_identification",
)
_MAX_MESSAGE = 1_000
SSH_FAILED = 255
"""The exit code of ssh for an error of its own."""


class SlurmError(ProviderError):
    """A command of Slurm failed, or the login node could not be reached."""

    def __init__(
        self,
        message: str,
        *,
        retryable: bool = False,
        affects_all_calls: bool = False,
        quota_exceeded: bool = False,
    ) -> None:
        super().__init__(
            NAME,
            message,
            retryable=retryable,
            affects_all_calls=affects_all_calls,
            quota_exceeded=quota_exceeded,
        )


def command_error(program: str, code: int, output: str) -> SlurmError:
    """Return the error for a command that failed.

    Args:
        program: The command, such as ``sbatch``.
        code: Its exit code.
        output: What it printed on its standard error.
    """
    text = _shorten(output, program) or f"exit code {code}"
    lower = output.lower()
    if code in (126, 127):
        hint = "cloudtune runs on a login node, or reaches one with providers.slurm.host"
        return SlurmError(f"{program} not found ({hint}): {text}", affects_all_calls=True)
    return SlurmError(
        f"{program}: {text}",
        retryable=any(each in lower for each in _TRANSIENT),
        affects_all_calls=program == "sbatch" and any(each in lower for each in _SETTINGS),
        quota_exceeded=any(each in lower for each in _FULL),
    )


def fails_silently(output: str) -> bool:
    """Return whether a command with the exit code 0 printed that it has failed."""
    return bool(_SILENT.search(output))


def is_ssh_down(output: str) -> bool:
    """Return whether ssh reports that a connection failed or was lost."""
    return any(each in output.lower() for each in _SSH_DOWN)


def ssh_error(host: str, output: str) -> SlurmError:
    """Return the error for a connection that failed."""
    down = is_ssh_down(output)
    hint = (
        ""
        if down
        else f"; cloudtune asks for no password, so `ssh -o BatchMode=yes {host} true` must work"
    )
    return SlurmError(
        f"cannot reach {host} by ssh: {_shorten(output)}{hint}",
        retryable=down,
        affects_all_calls=not down,
    )


def timeout_error(words: Sequence[str], seconds: float) -> SlurmError:
    """Return the error for a command that did not end in time."""
    return SlurmError(f"{words[0]}: no answer in {seconds:.0f} s", retryable=True)


def file_error(error: OSError) -> SlurmError:
    """Return the error for the shared folder."""
    hint = "check its space and permissions, or set providers.slurm.folder to another one"
    return SlurmError(f"the shared folder: {error}; {hint}", affects_all_calls=True)


def _shorten(output: str, program: str = "") -> str:
    """Return the lines of an output in one, without the words that the message has already."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    if program:
        lines = [line.removeprefix(f"{program}: ").removeprefix("error: ") for line in lines]
    return "; ".join(lines)[-_MAX_MESSAGE:]
