"""The errors of slurmctld, in the words of Slurm's ``slurm_strerror``.

The texts are those in libslurmfull.so of 24.11.5. Which of them a command prints, and with which
exit code, was measured with 24.11.5, except for those of a fault plan.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial

from cloudtune.emulator_kit import Response, app

STATUS = 400
"""The HTTP status of every error; Slurm's protocol has none."""


class ServiceError(app.ServiceError):
    """An error of slurmctld."""

    def __init__(self, message: str, notes: Sequence[str] = ()) -> None:
        """Create an error.

        Args:
            message: The error in the words of Slurm.
            notes: What slurmctld lets the command print before.
        """
        self.message = message
        self.notes = list(notes)
        super().__init__(message)

    def response(self) -> Response:
        """Return the HTTP response."""
        document = {"error": self.message, "notes": self.notes}
        return Response(STATUS, json.dumps(document).encode())


invalid_job = partial(ServiceError, "Invalid job id specified")
not_now = partial(ServiceError, "Job can not be altered now, try again later")
already_done = partial(ServiceError, "Job/step already completing or completed")
denied = partial(ServiceError, "Access/permission denied")
unauthenticated = partial(ServiceError, "Protocol authentication error")
throttled = partial(ServiceError, "Rate limit exceeded, please retry later")
"""With ``rl_enable`` in SlurmctldParameters (slurm.conf(5)); the words are those of the library."""
unreachable = partial(ServiceError, "Unable to contact slurm controller (connect failure)")
timed_out = partial(ServiceError, "Socket timed out on send/recv operation")
"""The controller is busy; the request may have been carried out."""


def over_limit() -> ServiceError:
    """Return the error of a user who has as many jobs as the QOS allows.

    Reported for Slurm 17 to 24, for instance in nextflow-io/nextflow#970 and snakemake#1789;
    without an accounting database it could not be measured.
    """
    text = "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"
    return ServiceError(text, ["QOSMaxSubmitJobPerUserLimit"])


def unavailable(*notes: str) -> ServiceError:
    """Return the error of a job that no node of its partition could ever run."""
    return ServiceError("Requested node configuration is not available", notes)
