"""The live display of a run in a terminal: the trials of one job, or one row for each job."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cloudtune.provider.plan import Plan
from cloudtune.reporting.console.colors import colorize
from cloudtune.reporting.console.job_progress import JobProgress
from cloudtune.reporting.console.plain import PlainProgress
from cloudtune.reporting.phrases import (
    format_objective_values,
    format_objectives,
    format_parameters,
    format_seconds,
)
from cloudtune.reporting.sanitize import sanitize_line
from cloudtune.reporting.wrapping import wrap_message
from cloudtune.results.events import Ended, Event
from cloudtune.results.model import Trial
from cloudtune.study.quantities import format_count

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_BAR_WIDTH = 20
"""The width of a progress bar in the table of jobs."""
_OPTIONAL_COLUMNS = ("", "elapsed", "waiting", "running", "failed", "cost", "state")
"""The columns that are dropped in a narrow terminal, in this order. The bar has no title."""


class LiveProgress(PlainProgress):
    """A display that is redrawn in place, with permanent lines above it."""

    def __init__(self, console: Console, providers: Sequence[str]) -> None:
        """Create the display without drawing it. Providers are in the order of their rows."""
        from rich.live import Live

        super().__init__(providers)
        self._console = console
        self._live = Live(
            console=console, get_renderable=self._render, refresh_per_second=8, transient=True
        )

    def begin(self, plan: Plan, events: Sequence[Event], elapsed: float = 0.0) -> None:
        """Show a job, and start to draw."""
        with self._lock:
            self._jobs[plan.provider] = JobProgress(plan, events, elapsed)
        self._live.start()  # has no effect if it runs already

    def message(self, text: str) -> None:
        """Print a message above the display, wrapped between words."""
        from rich.text import Text

        wrapped = wrap_message(sanitize_line(text), self._console.width)
        lines = "\n".join(map(colorize, wrapped.split("\n")))
        self._console.print(Text.from_ansi(lines), soft_wrap=True)

    def close(self) -> None:
        """Remove the display. The lines above it stay."""
        if self._live.is_started:
            self._live.stop()

    def _print_end(self, line: str, event: Ended) -> None:
        """Print why a trial failed in full, and what fits a line of other trials."""
        from rich.text import Text

        if event.state == "failed":
            self.message(line)
        else:
            text = Text.from_ansi(colorize(sanitize_line(line)))
            self._console.print(text, overflow="ellipsis", no_wrap=True)

    def _prefix(self, provider: str) -> str:
        return f"{provider}: " if len(self._providers) > 1 else ""

    def _has_line(self, event: Ended, *, is_best: bool) -> bool:
        return is_best or event.state == "failed"

    def _render(self) -> RenderableType:
        with self._lock:
            if not self._jobs:
                return ""
            if len(self._providers) == 1:
                return _job_display(self._jobs[self._providers[0]])
            return _job_table(self._providers, self._jobs, self._console.width)


def create_progress(providers: Sequence[str]) -> PlainProgress:
    """Return a live display if stderr is a terminal, else plain lines."""
    if sys.stderr.isatty():
        from rich.console import Console

        console = Console(stderr=True, highlight=False)
        if not console.is_dumb_terminal:
            return LiveProgress(console, providers)
    return PlainProgress(providers)


def _job_table(
    providers: Sequence[str], jobs: Mapping[str, JobProgress], width: int
) -> RenderableType:
    """Return one row for each provider, with the columns that fit."""
    from rich.cells import cell_len
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    rows = [_row(name, jobs.get(name)) for name in providers]
    only_if_any = {"cost", "waiting"}
    names = [n for n in rows[0] if n not in only_if_any or any(row[n] for row in rows)]

    def column_width(name: str) -> int:
        longest = max(cell_len(value) for value in [name, *(row[name] for row in rows)])
        return 2 + (_BAR_WIDTH if name == "" else longest)

    for name in _OPTIONAL_COLUMNS:
        if name in names and sum(map(column_width, names)) > width:
            names.remove(name)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in names:
        right = name in {"trials", "running", "waiting", "failed", "elapsed", "cost"}
        table.add_column(
            Text(name), justify="right" if right else "left", no_wrap=True, overflow="ellipsis"
        )
    for provider, row in zip(providers, rows, strict=True):
        cells = [_bar(jobs.get(provider), _BAR_WIDTH) if not n else Text(row[n]) for n in names]
        table.add_row(*cells, style="" if row["state"] in {"running", "starting"} else "dim")
    job = next(iter(jobs.values()))
    title = Text(sanitize_line(f"{job.name}; run {job.plan.facts.run_id}"), no_wrap=True)
    return Group(title, table)


def _row(provider: str, job: JobProgress | None) -> dict[str, str]:
    """Return the cells of a job by column title."""
    titles = ("state", "", "trials", "running", "waiting", "failed", "best so far", "elapsed")
    if job is None:
        empty = dict.fromkeys([*titles, "cost"], "")
        return {"provider": provider, **empty, "state": "starting"}
    return {
        "provider": provider,
        "state": job.state,
        "": "",
        "trials": f"{job.done}/{job.total}" if job.total else str(job.done),
        "running": str(len(job.running)),
        "waiting": str(len(job.waiting) or ""),
        "failed": str(job.counts["failed"]),
        "best so far": format_objective_values(job.best) if job.best else "",
        "elapsed": format_seconds(job.elapsed),
        "cost": job.cost,
    }


def _bar(job: JobProgress | None, width: int) -> RenderableType:
    from rich.progress_bar import ProgressBar

    total = job.total if job else None
    return ProgressBar(total=total or 1, completed=job.done if job and total else 0, width=width)


def _job_display(job: JobProgress) -> RenderableType:
    """Return a bar, the best trial so far, and a line for each running trial."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    bar = Table.grid(padding=(0, 1))
    remaining = job.remaining_seconds
    count = f"{job.done}/{job.total} trials" if job.total else format_count(job.done, "trial")
    failed = job.counts["failed"]
    parts = [count, format_seconds(job.elapsed)]
    parts += [f"about {format_seconds(remaining)} left"] if remaining is not None else []
    parts += [f"{failed} failed"] if failed else []
    parts += [f"cost {job.cost}"] if job.cost else []
    bar.add_row(_bar(job, 40), Text(", ".join(parts)))
    lines: list[RenderableType] = [Text(sanitize_line(job.title), style="bold"), bar]
    if job.best:
        objectives = format_objectives(job.study, job.best)
        lines.append(
            _line(f"best {objectives} in trial {job.best.number}", job.best, style="green")
        )
    for number, start in job.running.items():
        trial = job.trials.get(number)
        duration = format_seconds(time.monotonic() - start)
        so_far = ""
        if trial.measurements:
            last = trial.measurements[-1]
            so_far = f"  {format_objectives(job.study, trial)} at step {last.step}"
        lines.append(_line(f"  trial {trial.number}  {duration}{so_far}", trial, style="dim"))
    for number, start in job.waiting.items():
        trial = job.trials.get(number)
        duration = format_seconds(time.monotonic() - start)
        text = f"  trial {number}  waiting for {duration}: {trial.reason}"
        lines.append(_line(text, trial, style="dim"))
    return Group(*lines)


def _line(text: str, trial: Trial, style: str) -> Any:
    from rich.text import Text

    line = Text(sanitize_line(text), no_wrap=True, overflow="ellipsis")
    return line.append("  " + sanitize_line(format_parameters(trial.parameters)), style=style)
