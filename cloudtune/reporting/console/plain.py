"""What a run looks like while it goes on: a live picture in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cloudtune.provider.plan import Plan
from cloudtune.reporting.console.job_state import JobProgress, format_job_end, format_trial_end
from cloudtune.reporting.sanitize import sanitize_line
from cloudtune.results.events import Ended, Event, Outcome
from cloudtune.study.quantities import format_count

if TYPE_CHECKING:
    from cloudtune.reporting.console.live import LiveProgress


class PlainProgress:
    """Lines on stderr, one for each trial that ends; for pipes and logs.

    With several providers each line begins with its own, so that lines can be told apart, and a
    last line says how a job ended while others go on.
    """

    def __init__(self, providers: Sequence[str]) -> None:
        """Prepare.

        Args:
            providers: Of the run's jobs.
        """
        width = max(map(len, providers))
        several = len(providers) > 1
        self._marks = {name: f"{name:<{width}}  " if several else "" for name in providers}
        self._several = several
        self._views: dict[str, JobProgress] = {}
        self._lock = threading.Lock()

    def begin(self, plan: Plan, events: Sequence[Event], elapsed: float = 0.0) -> None:
        """Say what begins."""
        view = self._views[plan.provider] = JobProgress(plan, events, elapsed)
        so_far = f", {format_count(view.done, 'trial')} done before" if events else ""
        mark = self._marks[plan.provider]
        self.message(f"{mark}{view.title}; run {plan.facts.run_id}{so_far}")

    def events(self, provider: str, events: Sequence[Event]) -> None:
        """Say which trials ended and how."""
        view, mark = self._views[provider], self._marks[provider]
        lines: list[str] = []
        with self._lock:
            for event in events:
                is_best = view.tell(event)
                if isinstance(event, Ended) and event.state != "pending":
                    lines.append(f"{mark}{format_trial_end(view, event.number, is_best=is_best)}")
        self._print(lines)

    def end(self, provider: str, outcome: Outcome) -> None:
        """Say how a job ended, while others go on."""
        view = self._views.get(provider)
        if view and self._several:
            view.end(outcome)
            self.message(f"{self._marks[provider]}{format_job_end(view)}")

    def message(self, text: str) -> None:
        """Print one line."""
        self._print([text])

    def close(self) -> None:
        """Do nothing: lines stay."""

    def _print(self, lines: Sequence[str]) -> None:
        """Print lines, each whole, whoever else prints: no two in one write to a pipe."""
        for line in lines:
            sys.stderr.write(f"{sanitize_line(line)}\n")
        sys.stderr.flush()


def create_progress(providers: Sequence[str]) -> PlainProgress | LiveProgress:
    """Return the progress of jobs that suits where stderr goes.

    Args:
        providers: Of the run's jobs, in their order.
    """
    if sys.stderr.isatty():
        from rich.console import Console

        from cloudtune.reporting.console.live import LiveProgress

        console = Console(stderr=True, highlight=False)
        if not console.is_dumb_terminal:
            return LiveProgress(console, providers)
    return PlainProgress(providers)
