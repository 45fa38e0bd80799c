"""What a run looks like while it goes on: a live picture in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cloudtune.events import Ended, Event, Started
from cloudtune.planning import Plan
from cloudtune.reporting.describe import (
    assignment_words,
    duration_words,
    expected_trials,
    objective_words,
    printable,
    strategy_words,
)
from cloudtune.results import Trial, Trials, best, seconds_between

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_DONE = {"completed", "stopped_early", "failed"}


class JobView:
    """What is shown of one job: a fold over its events."""

    def __init__(self, plan: Plan, events: Sequence[Event]) -> None:
        self.plan = plan
        self.study = plan.study
        self.total = expected_trials(plan.fitted.study)
        self.began = time.monotonic()
        self.best: Trial | None = None
        self.trials = Trials(plan.study, plan.facts.run_id)
        self.counts: dict[str, int] = {}
        self.running: dict[int, float] = {}
        """When each trial that runs was started, by number and on a clock that nobody can set."""
        self._started: dict[int, float] = {}
        self._waiting: set[int] = set()
        self._seconds = 0.0
        self._timed = 0
        for event in events:
            self.tell(event)

    @property
    def title(self) -> str:
        """The study, where it runs and how."""
        how = strategy_words(self.plan.fitted.study, self.plan.seed)
        return f"{self.study.name or 'study'} on {self.plan.provider}: {how}"

    @property
    def done(self) -> int:
        """How many trials are over and count; a service's own tuner counts cancelled ones too."""
        counted = _DONE | {"cancelled"} if self.plan.mode == "managed" else _DONE
        return sum(self.counts.get(state, 0) for state in counted)

    @property
    def seconds_left(self) -> float | None:
        """About how long the rest takes, from the trials so far; None while that is unknown."""
        if self.total is None or not self._timed:
            return None
        parallel = self.plan.fitted.study.limits.parallel_trials or 1
        each = self._seconds / self._timed
        spent = sum(time.monotonic() - begun for begun in self.running.values())
        return max(0.0, ((self.total - self.done) * each - spent) / parallel)

    def tell(self, event: Event) -> bool:
        """Take note of an event; return whether it brought a new best trial."""
        self.trials.tell(event)
        if isinstance(event, Started):
            if event.number in self._waiting:
                self.counts["pending"] -= 1
            self._waiting.discard(event.number)
            age = max(0.0, time.time() - event.time)
            self.running[event.number] = time.monotonic() - age
            self._started[event.number] = event.time
        if not isinstance(event, Ended):
            return False
        trial = self.trials.get(event.number)
        self.running.pop(event.number, None)
        begun = self._started.pop(event.number, None)
        self.counts[event.state] = self.counts.get(event.state, 0) + 1
        if event.state == "pending":
            self._waiting.add(event.number)
        elif event.state in _DONE and begun is not None:
            self._seconds += seconds_between(begun, event)
            self._timed += 1
        return self._is_best(trial)

    def _is_best(self, trial: Trial) -> bool:
        if len(self.study.objectives) != 1 or trial.state != "completed":
            return False
        kept = [t for t in (self.best, trial) if t is not None]
        found = best(kept, self.study.objectives[0].goal)
        if found is not None and found is not self.best:
            self.best = found
            return True
        return False


class PlainProgress:
    """Lines on stderr, one for each trial that ends; for pipes and logs."""

    def __init__(self) -> None:
        self._views: dict[str, JobView] = {}
        self._lock = threading.Lock()

    def begin(self, plan: Plan, events: Sequence[Event]) -> None:
        """Say what begins."""
        view = self._views[plan.provider] = JobView(plan, events)
        so_far = f", {view.done} trials done before" if events else ""
        self.message(f"{view.title}; run {plan.facts.run_id}{so_far}")

    def event(self, provider: str, event: Event) -> None:
        """Say which trial ended and how."""
        view = self._views[provider]
        with self._lock:
            is_best = view.tell(event)
        if isinstance(event, Ended) and event.state != "pending":
            self.message(end_line(view, event.number, is_best=is_best))

    def message(self, text: str) -> None:
        """Print one line."""
        print(printable(text), file=sys.stderr, flush=True)  # noqa: T201

    def close(self) -> None:
        """Do nothing: lines stay."""


def end_line(view: JobView, number: int, *, is_best: bool) -> str:
    """Return one line on a trial that ended."""
    trial = view.trials.get(number)
    total = f"/{view.total}" if view.total else ""
    took = duration_words(trial.seconds or 0.0)
    what = objective_words(view.study, trial) if trial.objective else trial.reason
    mark = "  best so far" if is_best else ""
    reason = f" ({trial.reason})" if trial.reason and trial.objective else ""
    state = trial.state.replace("_", " ")
    words = assignment_words(trial.parameters)
    return f"[{view.done}{total}] trial {number} {state}{reason} in {took}: {what}  {words}{mark}"


class LiveProgress:
    """A picture that is redrawn in place: a bar, the best so far, a line a running trial."""

    def __init__(self, console: Console) -> None:
        from rich.live import Live

        self._views: dict[str, JobView] = {}
        self._lock = threading.Lock()
        self._console = console
        self._live = Live(
            console=console, get_renderable=self._picture, refresh_per_second=8, transient=True
        )

    def begin(self, plan: Plan, events: Sequence[Event]) -> None:
        """Begin to draw."""
        with self._lock:
            self._views[plan.provider] = JobView(plan, events)
        if not self._live.is_started:
            self._live.start()

    def event(self, provider: str, event: Event) -> None:
        """Take note; print a line for a new best trial and for a failure."""
        view = self._views[provider]
        with self._lock:
            is_best = view.tell(event)
        if isinstance(event, Ended) and (is_best or event.state == "failed"):
            self.message(end_line(view, event.number, is_best=is_best))

    def message(self, text: str) -> None:
        """Print a line above the picture."""
        from rich.text import Text

        self._console.print(Text(printable(text)), overflow="ellipsis", no_wrap=True)

    def close(self) -> None:
        """Take the picture away; the lines above it stay."""
        if self._live.is_started:
            self._live.stop()

    def _picture(self) -> RenderableType:
        from rich.console import Group

        with self._lock:
            parts = [self._job(view) for view in self._views.values()]
        return Group(*parts)

    def _job(self, view: JobView) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        bar = Table.grid(padding=(0, 1))
        left = view.seconds_left
        numbers = f"{view.done}/{view.total}" if view.total else str(view.done)
        failed = view.counts.get("failed", 0)
        words = [f"{numbers} trials", duration_words(time.monotonic() - view.began)]
        words += [f"about {duration_words(left)} left"] if left is not None else []
        words += [f"{failed} failed"] if failed else []
        bar.add_row(
            ProgressBar(total=view.total or 1, completed=view.done if view.total else 0, width=40),
            Text(", ".join(words)),
        )
        lines: list[RenderableType] = [Text(printable(view.title), style="bold"), bar]
        if view.best:
            found = objective_words(view.study, view.best)
            lines.append(
                _line(f"best {found} in trial {view.best.number}", view.best, style="green")
            )
        for number, begun in view.running.items():
            trial = view.trials.get(number)
            took = duration_words(time.monotonic() - begun)
            so_far = ""
            if trial.measurements:
                last = trial.measurements[-1]
                so_far = f"  {objective_words(view.study, trial)} at step {last.step}"
            lines.append(_line(f"  trial {trial.number}  {took}{so_far}", trial, style="dim"))
        return Group(*lines)


def _line(text: str, trial: Trial, style: str) -> Any:
    from rich.text import Text

    line = Text(printable(text), no_wrap=True, overflow="ellipsis")
    return line.append("  " + printable(assignment_words(trial.parameters)), style=style)


def progress() -> PlainProgress | LiveProgress:
    """Return the progress that suits where stderr goes."""
    if sys.stderr.isatty():
        from rich.console import Console

        console = Console(stderr=True, highlight=False)
        if not console.is_dumb_terminal:
            return LiveProgress(console)
    return PlainProgress()
