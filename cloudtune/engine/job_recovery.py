"""Finds the training jobs that an earlier process of a run has started."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from cloudtune.engine.backoff import MAX_OUTAGE
from cloudtune.errors import ProviderError
from cloudtune.provider.models import TrainingJob
from cloudtune.provider.protocols import TrainingJobs
from cloudtune.provider.retries import pause
from cloudtune.results.events import Started


def find_jobs(
    service: str,
    jobs: TrainingJobs,
    starts: Sequence[Started],
    notify: Callable[[str], None],
    is_stopping: Callable[[], bool],
) -> Mapping[str, TrainingJob]:
    """Poll training jobs; wait some time for the service, and for jobs that are missing.

    Raises:
        ProviderError: If the service cannot be reached, or after a request to stop.
    """
    begin = time.monotonic()
    while True:
        try:
            found = jobs.poll(starts)
        except ProviderError as error:
            if not error.retryable or time.monotonic() > begin + MAX_OUTAGE:
                raise
            notify(f"{error}; retrying")
        else:
            if len(found) == len(starts) or time.monotonic() >= begin + jobs.hidden_seconds:
                return found
            notify("looking again for training jobs that may exist")
        if not pause(jobs.poll_seconds, is_stopping):
            text = "stopped while looking for the training jobs, which may still run"
            raise ProviderError(service, text, retryable=True)
