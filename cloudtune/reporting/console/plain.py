"""The progress of a run as plain lines, for pipes and logs."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence

from cloudtune.provider.plan import Plan
from cloudtune.reporting.console.colors import colorize, has_color
from cloudtune.reporting.console.job_progress import JobProgress, format_job_end, format_trial_end
from cloudtune.reporting.sanitize import sanitize_line
from cloudtune.results.events import Ended, Event, Outcome
from cloudtune.study.quantities import format_count


class PlainProgress:
    """One line on stderr for each trial that ends, for pipes and logs.

    With several providers, each line starts with its provider, and the end of each job has a line.
    """

    def __init__(self, providers: Sequence[str]) -> None:
        """Create the progress of a run with jobs at these providers."""
        self._providers = providers
        self._jobs: dict[str, JobProgress] = {}
        self._lock = threading.Lock()

    def begin(self, plan: Plan, events: Sequence[Event], elapsed: float = 0.0) -> None:
        """Print the title of a job that starts or resumes; none if its plan is refused."""
        job = self._jobs[plan.provider] = JobProgress(plan, events, elapsed)
        if plan.refused:  # for reasons that are shown before a run
            return
        so_far = f", {format_count(job.done, 'trial')} so far" if events else ""
        prefix = self._prefix(plan.provider)
        self.message(f"{prefix}{job.title}; run {plan.facts.run_id}{so_far}")

    def events(self, provider: str, events: Sequence[Event]) -> None:
        """Add events of a job, and print lines for trials that ended."""
        job, prefix = self._jobs[provider], self._prefix(provider)
        lines: list[tuple[str, Ended]] = []
        warnings: list[str] = []
        with self._lock:
            for event in events:
                is_best = job.tell(event)
                if isinstance(event, Ended) and self._has_line(event, is_best=is_best):
                    line = prefix + format_trial_end(job, event.number, is_best=is_best)
                    lines.append((line, event))
                if isinstance(event, Ended) and (warning := job.new_warning(event)):
                    warnings.append(f"{provider}: {warning}")
        for line, event in lines:
            self._print_end(line, event)
        for warning in warnings:
            self.message(warning)

    def end(self, provider: str, outcome: Outcome) -> None:
        """Record how a job ended, and print it if there are several jobs."""
        job = self._jobs.get(provider)
        if job is None:
            return
        with self._lock:
            job.end(outcome)
        if len(self._providers) > 1 and outcome.state != "refused":
            self.message(self._prefix(provider) + format_job_end(job))

    def message(self, text: str) -> None:
        """Print one line."""
        # One write a line: lines of several processes on one pipe are not mixed.
        line = sanitize_line(text)
        sys.stderr.write(f"{colorize(line) if has_color(sys.stderr) else line}\n")

    def close(self) -> None:
        """Do nothing."""

    def _print_end(self, line: str, event: Ended) -> None:  # noqa: ARG002
        self.message(line)

    def _prefix(self, provider: str) -> str:
        width = max(map(len, self._providers))
        return f"{provider:<{width}}  " if len(self._providers) > 1 else ""

    def _has_line(self, event: Ended, *, is_best: bool) -> bool:  # noqa: ARG002
        return event.state != "pending"
