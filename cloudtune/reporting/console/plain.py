"""The progress of a run: a live display in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cloudtune.provider.plan import Plan
from cloudtune.reporting.console.job_progress import JobProgress, format_job_end, format_trial_end
from cloudtune.reporting.sanitize import sanitize_line
from cloudtune.results.events import Ended, Event, Outcome
from cloudtune.study.quantities import format_count

if TYPE_CHECKING:
    from cloudtune.reporting.console.live import LiveProgress


class PlainProgress:
    """One line on stderr for each trial that ends, for pipes and logs.

    With several providers, each line starts with its provider, and the end of each job has a line.
    """

    def __init__(self, providers: Sequence[str]) -> None:
        """Create the progress of a run.

        Args:
            providers: The providers of the run's jobs.
        """
        width = max(map(len, providers))
        several = len(providers) > 1
        self._prefixes = {name: f"{name:<{width}}  " if several else "" for name in providers}
        self._several_jobs = several
        self._jobs: dict[str, JobProgress] = {}
        self._lock = threading.Lock()

    def begin(self, plan: Plan, events: Sequence[Event], elapsed: float = 0.0) -> None:
        """Print the title of a job that starts or resumes."""
        job = self._jobs[plan.provider] = JobProgress(plan, events, elapsed)
        so_far = f", {format_count(job.done, 'trial')} done before" if events else ""
        prefix = self._prefixes[plan.provider]
        self.message(f"{prefix}{job.title}; run {plan.facts.run_id}{so_far}")

    def events(self, provider: str, events: Sequence[Event]) -> None:
        """Print a line for each trial that ended."""
        job, prefix = self._jobs[provider], self._prefixes[provider]
        lines: list[str] = []
        with self._lock:
            for event in events:
                is_best = job.tell(event)
                if isinstance(event, Ended) and event.state != "pending":
                    lines.append(f"{prefix}{format_trial_end(job, event.number, is_best=is_best)}")
        self._print(lines)

    def end(self, provider: str, outcome: Outcome) -> None:
        """Print how a job ended, if there are several."""
        job = self._jobs.get(provider)
        if job and self._several_jobs:
            job.end(outcome)
            self.message(f"{self._prefixes[provider]}{format_job_end(job)}")

    def message(self, text: str) -> None:
        """Print one line."""
        self._print([text])

    def close(self) -> None:
        """Do nothing."""

    def _print(self, lines: Sequence[str]) -> None:
        # One write a line: lines of several processes on one pipe are not mixed.
        for line in lines:
            sys.stderr.write(f"{sanitize_line(line)}\n")
        sys.stderr.flush()


def create_progress(providers: Sequence[str]) -> PlainProgress | LiveProgress:
    """Return a live display if stderr is a terminal, else plain lines.

    Args:
        providers: The providers of the run's jobs, in order.
    """
    if sys.stderr.isatty():
        from rich.console import Console

        from cloudtune.reporting.console.live import LiveProgress

        console = Console(stderr=True, highlight=False)
        if not console.is_dumb_terminal:
            return LiveProgress(console, providers)
    return PlainProgress(providers)
