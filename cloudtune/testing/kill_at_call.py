"""Executes a run, and kills this process at one of its calls to the service.

``python -m cloudtune.testing.kill_at_call RUN CALL COUNT before|after``: before or after the
COUNT-th CALL of the `JobClient` or the `TrainingJobs`.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any
from unittest import mock

from cloudtune.engine.job_poller import JobPoller
from cloudtune.engine.managed_job import ManagedJob
from cloudtune.runs import lifecycle


class _KillingProxy:
    """Forwards each call, and kills this process at one of them."""

    def __init__(self, inner: Any, call: str, count: int, when: str) -> None:
        self._inner = inner
        self._call = call
        self._remaining = count
        self._when = when

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        if name != self._call:
            return value

        def call(*args: Any) -> Any:
            self._remaining -= 1
            if self._remaining == 0 and self._when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = value(*args)
            if self._remaining == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return call


def main(run: str, call: str, count: str, when: str) -> None:
    """Execute a run until one of its calls."""
    run_job, create_poller = ManagedJob.run, JobPoller.__init__

    def kill_at_call(inner: Any) -> Any:
        return _KillingProxy(inner, call, int(count), when)

    def managed(job: ManagedJob, client: Any, *more: Any) -> Any:
        return run_job(job, kill_at_call(client), *more)

    def driven(poller: JobPoller, service: str, training_jobs: Any, *more: Any) -> None:
        create_poller(poller, service, kill_at_call(training_jobs), *more)

    with (
        mock.patch.object(ManagedJob, "run", managed),
        mock.patch.object(JobPoller, "__init__", driven),
    ):
        lifecycle.execute(run)


if __name__ == "__main__":
    main(*sys.argv[1:])
