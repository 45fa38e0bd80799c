"""Executes a run in a process of its own that is killed at one of its calls to the service.

``python -m cloudtune.testing.kill_at_call RUN CALL COUNT before|after``: at the COUNT-th CALL of
the `JobClient`, or of the `TrainingJobs` behind the poller, before it is made or once it was
answered.
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


class _Deadly:
    """Hands each call on, and kills this process at one of them."""

    def __init__(self, inner: Any, call: str, count: int, when: str) -> None:
        self._inner = inner
        self._call = call
        self._left = count
        self._when = when

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name != self._call:
            return found

        def call(*given: Any) -> Any:
            self._left -= 1
            if self._left == 0 and self._when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            answer = found(*given)
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        return call


def main(run: str, call: str, count: str, when: str) -> None:
    """Execute a run that does not survive one of its calls."""
    follow, prepare = ManagedJob.run, JobPoller.__init__

    def deadly(inner: Any) -> Any:
        return _Deadly(inner, call, int(count), when)

    def managed(job: ManagedJob, client: Any, *more: Any) -> Any:
        return follow(job, deadly(client), *more)

    def driven(poller: JobPoller, service: str, training_jobs: Any, *more: Any) -> None:
        prepare(poller, service, deadly(training_jobs), *more)

    with (
        mock.patch.object(ManagedJob, "run", managed),
        mock.patch.object(JobPoller, "__init__", driven),
    ):
        lifecycle.execute(run)


if __name__ == "__main__":
    main(*sys.argv[1:])
