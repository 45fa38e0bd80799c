"""The Python API: what the commands do, for scripts and notebooks."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from cloudtune.runs.run_results import Results, read_run

if TYPE_CHECKING:
    from cloudtune.comparison.explanation import Explanation, TrialExplanation
    from cloudtune.engine.observer import Observer
    from cloudtune.provider.plan import Plan
    from cloudtune.results.events import Outcome
    from cloudtune.runs.proposals import Proposed
    from cloudtune.study.study import Study

    StudySource = Study | str | Path | Mapping[str, Any]

_POLL_SECONDS = 0.005


@overload
def plan(  # type: ignore[overload-overlap]
    study: StudySource, on: str = "local", *, emulate: bool = False, exclude: Sequence[Path] = ()
) -> Plan: ...
@overload
def plan(
    study: StudySource, on: Sequence[str], *, emulate: bool = False, exclude: Sequence[Path] = ()
) -> list[Plan]: ...
def plan(
    study: StudySource,
    on: str | Sequence[str] = "local",
    *,
    emulate: bool = False,
    exclude: Sequence[Path] = (),
) -> Plan | list[Plan]:
    """Return what a run would send to a provider, or the plans of one run on several.

    Args:
        study: The study to run, its file, or a map as the file would have it.
        on: One provider or several.
        emulate: Plan for the emulators of the services.
        exclude: Files in the source folder that are not part of it, such as a saved plan.

    Raises:
        UsageError: If there is no such provider.
        StudyError: If the settings of a provider in the study are wrong.
    """
    from cloudtune.planning import planner
    from cloudtune.study.loader import load
    from cloudtune.study.study import Study

    if not isinstance(study, Study):
        study = load(study)
    if isinstance(on, str):
        return planner.plan(study, on, without=exclude, emulated=emulate)
    return planner.plan_run(study, on, without=exclude, emulated=emulate)


class Run:
    """A handle of one run, which can be created again from the run's ID."""

    def __init__(self, id: str, plans: Sequence[Plan] = ()) -> None:  # noqa: A002
        self.id = id
        self._plans = plans  # of a new run; others are read from the ledger
        self.outcomes: dict[str, Outcome] = {}
        """How each job ended, by provider; empty unless this handle executed the run."""
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def __repr__(self) -> str:
        return f"Run({self.id!r})"

    def __str__(self) -> str:
        return str(self.results())

    def _repr_html_(self) -> str:
        from cloudtune.reporting.notebook import to_html

        return to_html(self.results())

    @property
    def folder(self) -> Path:
        """The folder with the run's files."""
        from cloudtune.ledger.home import state_folder

        return state_folder() / "runs" / self.id

    def results(self) -> Results:
        """Return the results of each job so far, with what their confirmations have decided."""
        return read_run(self.id)

    def execute(self, *, on: Sequence[str] = (), show: bool = True) -> Run:
        """Execute the jobs that have not ended, of some providers or all; return when they end.

        Ctrl-C, or the notebook's stop button, ends the run gracefully. ``show`` shows progress.

        Raises:
            LedgerError: If another process executes the run.
            RunFailedError: If they ended without any result: see `run`.
        """
        from cloudtune.runs import failure, lifecycle

        plans, self._plans = self._plans, ()
        with self._progress(on) if show else nullcontext() as progress:
            self.outcomes = lifecycle.execute(self.id, progress, on=on, plans=plans)
        failure.raise_without_result(self.id, on)
        return self

    @contextmanager
    def _progress(self, on: Sequence[str] = ()) -> Generator[Observer]:
        """Return what shows the progress of jobs on stderr."""
        from cloudtune.ledger.ledger import Ledger
        from cloudtune.reporting.console.live import create_progress
        from cloudtune.runs import lifecycle

        with Ledger() as ledger:
            jobs = lifecycle.jobs_on(ledger.run(self.id), on)
        with closing(create_progress([job.provider for job in jobs])) as progress:
            yield progress

    def start(self) -> Run:
        """Execute the run in a thread, and return once it can be stopped."""
        from cloudtune.ledger.lock import lock_holder

        def execute() -> None:
            try:
                self.execute(show=False)
            except Exception as error:  # noqa: BLE001 - raised again by wait
                self._error = error

        self._thread = threading.Thread(target=execute, name=f"cloudtune {self.id}")
        self._thread.start()
        while self._thread.is_alive() and lock_holder(self.folder) is None:
            time.sleep(_POLL_SECONDS)
        return self

    def detach(self) -> None:
        """Execute the run in a background process, and return once it can be stopped."""
        from cloudtune.runs.detach import resume_detached

        resume_detached(self.id)

    def wait(self) -> Run:
        """Wait until the thread of `start` ends, and raise the error of `execute`, if any."""
        if self._thread:
            self._thread.join()
        if self._error:
            raise self._error
        return self

    def follow(self) -> None:
        """Show the progress of the run on stderr until no process executes it."""
        from cloudtune.runs.follow import follow

        with self._progress() as progress:
            follow(self.id, progress)

    def propose(
        self,
        parameters: Mapping[str, Any],
        *,
        why: str = "",
        on: str | None = None,
        wait: bool = False,
    ) -> Proposed:
        """Propose a trial, which the run starts next; its `Proposed.trial` is None until then.

        An assignment that was measured before is answered at once.

        Args:
            parameters: A value for each active parameter.
            why: The reason, for results and reports; at most 10,000 characters.
            on: The provider, if the run has several jobs.
            wait: Return when the trial has ended, or no process runs the run any more.

        Raises:
            UsageError: If the run takes no proposals, has all its trials, or with ``wait``, no
                process runs it.
            StudyError: If the assignment is invalid.
        """
        from cloudtune.runs.proposals import propose

        return propose(self.id, parameters, why=why, on=on, wait=wait)

    def explain(
        self, trial: int | None = None, *, on: str | None = None
    ) -> Explanation | TrialExplanation:
        """Return what the search believes, or why it chose a trial.

        Args:
            trial: The number of the trial; None for the search.
            on: The provider, if the run has several jobs.

        Raises:
            UsageError: If there is no such job or trial, or the study has several objectives.
        """
        from cloudtune.comparison import explanation
        from cloudtune.errors import UsageError
        from cloudtune.ledger.lock import lock_holder
        from cloudtune.ledger.reader import read_origins
        from cloudtune.runs.confirmations import confirmations_of

        results = tuple(self.results())
        jobs = [job for job in results if on in {None, job.provider}]
        if len(jobs) != 1:
            names = ", ".join(job.provider for job in results)
            raise UsageError(f"run {self.id} has jobs on {names}; name one of them")
        (job,) = jobs
        if trial is None:
            runs = job.mode == "managed" or lock_holder(self.folder) is not None
            return explanation.explain(
                job,
                confirmations_of([self.id]),
                jobs=results,
                now=time.time() if runs else None,
            )
        return explanation.explain_trial(job, trial, read_origins(self.id, job.provider))

    def stop(self, *on: str) -> None:
        """Ask the run, or its jobs on some providers, to end gracefully; again, to end at once.

        Raises:
            UsageError: If the run is not running on this machine, or has no job there.
        """
        from cloudtune.runs import lifecycle

        lifecycle.stop(self.id, on=on)


def find_run(run: str | None = None) -> Run:
    """Return a run by its ID or a unique prefix of it; the latest run by default.

    Raises:
        UsageError: If there is no such run.
    """
    from cloudtune.ledger.ledger import Ledger

    with Ledger() as ledger:
        return Run(ledger.find_run_id(run))


def run(
    study: StudySource | Plan,
    on: str | Sequence[str] = "local",
    *,
    emulate: bool = False,
    show: bool = True,
) -> Run:
    """Run a study, or a plan as it is, and return when all jobs have ended.

    Ctrl-C, or the notebook's stop button, ends it gracefully; the handle is still returned.

    Args:
        study: The study to run, its file, or a map as the file would have it; or a plan.
        on: One provider or several.
        emulate: Run on the services' emulators on this machine.
        show: Whether to show progress.

    Raises:
        UnsupportedError: If no provider can run the study. Of several, those that can run it.
        RunFailedError: If no completed trial measured the objective; not after a stop, or if
            ``limits.max_failed_trials`` tolerates the failures.
    """
    return _create(study, on, emulate=emulate).execute(show=show)


def start(
    study: StudySource | Plan, on: str | Sequence[str] = "local", *, emulate: bool = False
) -> Run:
    """Start a run in a thread of this process, and return once it can be stopped; as `run`."""
    return _create(study, on, emulate=emulate).start()


def resume(
    run: str | None = None,
    *,
    on: Sequence[str] = (),
    overrides: Sequence[str] = (),
    show: bool = True,
) -> Run:
    """Continue a run that was stopped or killed, and return when its jobs have ended.

    Args:
        run: The run's ID or a prefix of it; the latest run by default.
        on: The providers whose jobs continue; all by default.
        overrides: New limits, as ``limits.max_trials=100``.
        show: Whether to show progress.

    Raises:
        UsageError: If there is no such run, or its study file or its code has changed.
        RunFailedError: If it ended without any result: see `run`.
    """
    from cloudtune.ledger.ledger import Ledger
    from cloudtune.runs.resume import prepare

    with Ledger() as ledger:
        record = ledger.run(run)
    return Run(record.id, prepare(record, overrides, on)).execute(on=on, show=show)


def report(
    results: Results | Sequence[Results],
    path: str | Path | None = None,
    form: str | None = None,
    width: int | None = None,
) -> str:
    """Return a report that compares jobs and runs, and write it to a file.

    A notebook shows the text that is returned as an HTML page, or as text without the extra.

    Args:
        results: The results of one run or several.
        path: The file; its ending (html, md, json, txt) determines the format.
        form: ``text`` (the default), ``html``, ``markdown`` or ``json``, if no file ending says it.
        width: The columns of a terminal, for text.

    Raises:
        UsageError: If the runs have different objectives.
        MissingExtraError: If it needs ``cloudtune[report]``: as HTML, or for intervals.
    """
    from cloudtune.comparison.comparison import compare
    from cloudtune.comparison.rerun_command import load_run_arguments
    from cloudtune.reporting.documents.render import render_report, report_format
    from cloudtune.reporting.notebook import ReportText
    from cloudtune.runs.confirmations import confirmations_of

    groups = [results] if isinstance(results, Results) else results
    jobs = [job for group in groups for job in group]
    file = None if path is None else Path(path)
    form = form or (report_format(file) if file else "text")
    runs = {job.run for job in jobs}
    folders = {run: Run(run).folder for run in runs}
    comparison = compare(jobs, load_run_arguments(runs), folders, confirmations_of(runs))
    text = render_report(comparison, form, width)
    if file:
        from cloudtune.ledger.outputs import record_outputs

        file.write_text(text, "utf-8")
        record_outputs(file)
    return ReportText(text, form, lambda: render_report(comparison, "html"))


def _create(study: StudySource | Plan, on: str | Sequence[str], *, emulate: bool) -> Run:
    from cloudtune.provider.plan import Plan
    from cloudtune.runs import lifecycle

    if isinstance(study, Plan):
        return Run(*lifecycle.create([study], saved=True))
    is_file = isinstance(study, str | Path)
    plans = plan(study, [on] if isinstance(on, str) else on, emulate=emulate)
    return Run(*lifecycle.create(plans, overrides=() if is_file else None))
