"""The live picture of a run in a terminal: of one job its trials, of several a row each."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cloudtune.provider.plan import Plan
from cloudtune.reporting.console.job_state import JobProgress, format_job_end, format_trial_end
from cloudtune.reporting.phrases import (
    format_objective_values,
    format_objectives,
    format_parameters,
    format_seconds,
)
from cloudtune.reporting.sanitize import sanitize_line
from cloudtune.results.events import Ended, Event, Outcome
from cloudtune.results.model import Trial
from cloudtune.study.quantities import format_count

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_BAR = 20
"""Columns of a bar in the table."""
_NEEDED_LEAST = ("", "elapsed", "running", "failed", "cost", "state")
"""Columns that a narrow terminal does without, in this order; the bar has no title."""


class LiveProgress:
    """A picture that is redrawn in place. Lines above it tell what is worth keeping."""

    def __init__(self, console: Console, providers: Sequence[str]) -> None:
        """Prepare; nothing is drawn.

        Args:
            console: Where to draw.
            providers: Of the run's jobs, in the order of their rows.
        """
        from rich.live import Live

        self._providers = providers
        self._views: dict[str, JobProgress] = {}
        self._lock = threading.Lock()
        self._console = console
        self._live = Live(
            console=console, get_renderable=self._picture, refresh_per_second=8, transient=True
        )

    def begin(self, plan: Plan, events: Sequence[Event], elapsed: float = 0.0) -> None:
        """Begin to draw."""
        with self._lock:
            self._views[plan.provider] = JobProgress(plan, events, elapsed)
        self._live.start()  # more than once it changes nothing

    def events(self, provider: str, events: Sequence[Event]) -> None:
        """Take note; print a line for a new best trial and for a failure."""
        view, mark = self._views[provider], self._mark(provider)
        lines: list[str] = []
        with self._lock:
            for event in events:
                is_best = view.tell(event)
                if isinstance(event, Ended) and (is_best or event.state == "failed"):
                    lines.append(mark + format_trial_end(view, event.number, is_best=is_best))
        for line in lines:
            self.message(line)

    def end(self, provider: str, outcome: Outcome) -> None:
        """Take note; print a line for a job that ended while others go on."""
        view = self._views.get(provider)
        if view is None:
            return
        with self._lock:
            view.end(outcome)
        if len(self._providers) > 1:
            self.message(self._mark(provider) + format_job_end(view))

    def message(self, text: str) -> None:
        """Print a line above the picture."""
        from rich.text import Text

        self._console.print(Text(sanitize_line(text)), overflow="ellipsis", no_wrap=True)

    def close(self) -> None:
        """Take the picture away; the lines above it stay."""
        if self._live.is_started:
            self._live.stop()

    def _mark(self, provider: str) -> str:
        return f"{provider}: " if len(self._providers) > 1 else ""

    def _picture(self) -> RenderableType:
        with self._lock:
            if not self._views:
                return ""
            if len(self._providers) == 1:
                return _trials(self._views[self._providers[0]])
            return _table(self._providers, self._views, self._console.width)


def _table(
    providers: Sequence[str], views: Mapping[str, JobProgress], width: int
) -> RenderableType:
    """Return a row a provider, with the columns for which there is room."""
    from rich.cells import cell_len
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    rows = [_row(name, views.get(name)) for name in providers]
    names = [name for name in rows[0] if name != "cost" or any(row[name] for row in rows)]

    def needed(name: str) -> int:
        longest = max(cell_len(value) for value in [name, *(row[name] for row in rows)])
        return 2 + (_BAR if name == "" else longest)

    for name in _NEEDED_LEAST:
        if name in names and sum(map(needed, names)) > width:
            names.remove(name)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in names:
        right = name in {"trials", "running", "failed", "elapsed", "cost"}
        table.add_column(
            Text(name), justify="right" if right else "left", no_wrap=True, overflow="ellipsis"
        )
    for provider, row in zip(providers, rows, strict=True):
        cells = [_bar(views.get(provider), _BAR) if not n else Text(row[n]) for n in names]
        table.add_row(*cells, style="" if row["state"] in {"running", "starting"} else "dim")
    view = next(iter(views.values()))
    title = Text(sanitize_line(f"{view.name}; run {view.plan.facts.run_id}"), no_wrap=True)
    return Group(title, table)


def _row(provider: str, view: JobProgress | None) -> dict[str, str]:
    """Return the cells of a job, by their titles."""
    if view is None:
        words = ["starting", "", "", "", "", "", "", ""]
    else:
        best = view.best
        words = [
            view.state,
            "",
            f"{view.done}/{view.total}" if view.total else str(view.done),
            str(len(view.running)),
            str(view.counts.get("failed", 0)),
            format_objective_values(best) if best else "",
            format_seconds(view.elapsed),
            view.cost,
        ]
    titles = ("state", "", "trials", "running", "failed", "best so far", "elapsed", "cost")
    return {"provider": provider, **dict(zip(titles, words, strict=True))}


def _bar(view: JobProgress | None, width: int) -> RenderableType:
    from rich.progress_bar import ProgressBar

    total = view.total if view else None
    return ProgressBar(total=total or 1, completed=view.done if view and total else 0, width=width)


def _trials(view: JobProgress) -> RenderableType:
    """Return a bar, the best so far, and a line a running trial."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    bar = Table.grid(padding=(0, 1))
    left = view.seconds_left
    numbers = f"{view.done}/{view.total} trials" if view.total else format_count(view.done, "trial")
    failed = view.counts.get("failed", 0)
    words = [numbers, format_seconds(view.elapsed)]
    words += [f"about {format_seconds(left)} left"] if left is not None else []
    words += [f"{failed} failed"] if failed else []
    words += [f"cost {view.cost}"] if view.cost else []
    bar.add_row(_bar(view, 40), Text(", ".join(words)))
    lines: list[RenderableType] = [Text(sanitize_line(view.title), style="bold"), bar]
    if view.best:
        found = format_objectives(view.study, view.best)
        lines.append(_line(f"best {found} in trial {view.best.number}", view.best, style="green"))
    for number, begun in view.running.items():
        trial = view.trials.get(number)
        took = format_seconds(time.monotonic() - begun)
        so_far = ""
        if trial.measurements:
            last = trial.measurements[-1]
            so_far = f"  {format_objectives(view.study, trial)} at step {last.step}"
        lines.append(_line(f"  trial {trial.number}  {took}{so_far}", trial, style="dim"))
    return Group(*lines)


def _line(text: str, trial: Trial, style: str) -> Any:
    from rich.text import Text

    line = Text(sanitize_line(text), no_wrap=True, overflow="ellipsis")
    return line.append("  " + sanitize_line(format_parameters(trial.parameters)), style=style)
