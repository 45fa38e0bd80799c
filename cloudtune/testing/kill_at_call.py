"""Executes a run, and kills this process at one of its calls.

``python -m cloudtune.testing.kill_at_call RUN CALL COUNT before|after``: before or after the
COUNT-th CALL. This is a method of the `JobClient` or the `TrainingJobs`, as ``submit``, or any
function or method of cloudtune, as ``cloudtune.ledger.ledger:Ledger.end_job``.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import reduce
from typing import Any
from unittest import mock

from cloudtune.engine.job_poller import JobPoller
from cloudtune.engine.managed_job import ManagedJob
from cloudtune.runs import lifecycle


class _Killer:
    """Kills this process at one of the calls of a function."""

    def __init__(self, count: int, when: str) -> None:
        self._remaining = count
        self._when = when

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that makes the same calls and counts them."""

        def call(*args: Any, **options: Any) -> Any:
            self._remaining -= 1
            if self._remaining == 0 and self._when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = function(*args, **options)
            if self._remaining == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return call


class _KillingProxy:
    """Forwards each call, and kills this process at one of them."""

    def __init__(self, inner: Any, call: str, killer: _Killer) -> None:
        self._inner = inner
        self._call = call
        self._killer = killer

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        return self._killer.wrap(value) if name == self._call else value


def main(run: str, call: str, count: str, when: str) -> None:
    """Execute a run until one of its calls."""
    killer = _Killer(int(count), when)
    with ExitStack() as patches:
        if ":" in call:
            patches.enter_context(_patch_function(call, killer))
        else:
            for patch in _patch_clients(call, killer):
                patches.enter_context(patch)
        lifecycle.execute(run)


def _patch_function(path: str, killer: _Killer) -> Any:
    module, _, name = path.partition(":")
    *owners, attribute = name.split(".")
    owner: Any = reduce(getattr, owners, importlib.import_module(module))
    return mock.patch.object(owner, attribute, killer.wrap(getattr(owner, attribute)))


def _patch_clients(call: str, killer: _Killer) -> list[Any]:
    run_job, create_poller = ManagedJob.run, JobPoller.__init__

    def proxy(inner: Any) -> Any:
        return _KillingProxy(inner, call, killer)

    def managed(job: ManagedJob, client: Any, *more: Any) -> Any:
        return run_job(job, proxy(client), *more)

    def driven(
        poller: JobPoller, service: str, training_jobs: Any, *more: Any, **options: Any
    ) -> None:
        create_poller(poller, service, proxy(training_jobs), *more, **options)

    return [
        mock.patch.object(ManagedJob, "run", managed),
        mock.patch.object(JobPoller, "__init__", driven),
    ]


if __name__ == "__main__":
    main(*sys.argv[1:])
