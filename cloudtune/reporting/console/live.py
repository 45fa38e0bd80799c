"""The live picture of a run in a terminal: of one job its trials, of several a row each."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cloudtune.provider.plan import Plan
from cloudtune.reporting.console.job_state import JobView, end_line, job_line
from cloudtune.reporting.phrases import (
    assignment_words,
    duration_words,
    objective_words,
    value_words,
)
from cloudtune.reporting.sanitize import printable
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
        self._views: dict[str, JobView] = {}
        self._lock = threading.Lock()
        self._console = console
        self._live = Live(
            console=console, get_renderable=self._picture, refresh_per_second=8, transient=True
        )

    def begin(self, plan: Plan, events: Sequence[Event], elapsed: float = 0.0) -> None:
        """Begin to draw."""
        with self._lock:
            self._views[plan.provider] = JobView(plan, events, elapsed)
        self._live.start()  # more than once it changes nothing

    def events(self, provider: str, events: Sequence[Event]) -> None:
        """Take note; print a line for a new best trial and for a failure."""
        view, mark = self._views[provider], self._mark(provider)
        lines: list[str] = []
        with self._lock:
            for event in events:
                is_best = view.tell(event)
                if isinstance(event, Ended) and (is_best or event.state == "failed"):
                    lines.append(mark + end_line(view, event.number, is_best=is_best))
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
            self.message(self._mark(provider) + job_line(view))

    def message(self, text: str) -> None:
        """Print a line above the picture."""
        from rich.text import Text

        self._console.print(Text(printable(text)), overflow="ellipsis", no_wrap=True)

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


def _table(providers: Sequence[str], views: Mapping[str, JobView], width: int) -> RenderableType:
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
    title = Text(printable(f"{view.name}; run {view.plan.facts.run_id}"), no_wrap=True)
    return Group(title, table)


def _row(provider: str, view: JobView | None) -> dict[str, str]:
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
            value_words(best) if best else "",
            duration_words(view.elapsed),
            view.cost,
        ]
    titles = ("state", "", "trials", "running", "failed", "best so far", "elapsed", "cost")
    return {"provider": provider, **dict(zip(titles, words, strict=True))}


def _bar(view: JobView | None, width: int) -> RenderableType:
    from rich.progress_bar import ProgressBar

    total = view.total if view else None
    return ProgressBar(total=total or 1, completed=view.done if view and total else 0, width=width)


def _trials(view: JobView) -> RenderableType:
    """Return a bar, the best so far, and a line a running trial."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    bar = Table.grid(padding=(0, 1))
    left = view.seconds_left
    numbers = f"{view.done}/{view.total} trials" if view.total else format_count(view.done, "trial")
    failed = view.counts.get("failed", 0)
    words = [numbers, duration_words(view.elapsed)]
    words += [f"about {duration_words(left)} left"] if left is not None else []
    words += [f"{failed} failed"] if failed else []
    words += [f"cost {view.cost}"] if view.cost else []
    bar.add_row(_bar(view, 40), Text(", ".join(words)))
    lines: list[RenderableType] = [Text(printable(view.title), style="bold"), bar]
    if view.best:
        found = objective_words(view.study, view.best)
        lines.append(_line(f"best {found} in trial {view.best.number}", view.best, style="green"))
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
