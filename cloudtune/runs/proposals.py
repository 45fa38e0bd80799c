"""Trials that are proposed to a run from outside, and their results."""

from __future__ import annotations

import re
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cloudtune.errors import UsageError
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.lock import lock_holder, send_requests, try_lock
from cloudtune.ledger.proposals import PROPOSED, Proposal, add_proposal, read_proposals
from cloudtune.ledger.reader import read_job
from cloudtune.ledger.records import JobRecord, RunRecord
from cloudtune.planning.serialization import restore_plan
from cloudtune.provider.plan import Plan
from cloudtune.results.events import COUNTED_STATES, MEASURED_STATES
from cloudtune.results.model import Trial
from cloudtune.runs.reached_limits import ended_by_limit, raise_limit
from cloudtune.study.quantities import format_count
from cloudtune.study.schema import Strategy
from cloudtune.study.search_space import Value, assignment_key
from cloudtune.study.validation.proposal import check_proposal

MAX_WHY = 10_000
"""Characters of a reason."""
_SURROGATES = re.compile("[\ud800-\udfff]")
_POLL_SECONDS = 0.1
_LOCK_FILE = "proposing"
_LOCK_SECONDS = 0.01


@dataclass(frozen=True)
class Proposed:
    """What has become of a proposal."""

    run: str
    provider: str
    proposal: str
    """Its id."""
    trial: Trial | None
    """The trial that runs it, or that has measured the same assignment; None if it waits."""
    is_running: bool
    """Whether a process runs the run."""
    to_continue: str = ""
    """What continues the run if no process runs it and the trial has no result."""

    @property
    def has_ended(self) -> bool:
        """Whether the trial has its result."""
        return self.trial is not None and self.trial.state in COUNTED_STATES


def propose(
    run: str | None,
    parameters: Mapping[str, Any],
    *,
    why: str = "",
    on: str | None = None,
    wait: bool = False,
) -> Proposed:
    """Propose a trial to a run, which starts it next.

    An assignment that was measured before, or is already running or waiting, is not tried again.

    Args:
        run: The run's ID or a prefix of it; None for the latest run.
        parameters: A value for each active parameter.
        why: The reason, for results and reports.
        on: The provider, if the run has several jobs.
        wait: Return when the trial has ended, or no process runs the run any more.

    Raises:
        UsageError: If there is no such run or job, it takes no proposals, or with ``wait``, no
            process runs it.
        StudyError: If the assignment is invalid.
        LedgerError: If the ledger cannot be used.
    """
    why = _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", why or "")  # bytes that are not in UTF-8
    if len(why) > MAX_WHY:
        raise UsageError(f"the reason has {len(why)} characters; at most {MAX_WHY} are allowed")
    with Ledger() as ledger:
        record = ledger.run(run)
        job = _find_job(record, on)
        plan = restore_plan(job.plan)
        _require_driven(record, plan)
        assignment = check_proposal(plan.fitted.study, parameters)
        folder = ledger.run_folder(record.id)
        is_running = lock_holder(folder) is not None
        with _only_proposer(folder):  # two processes must not add the same assignment
            # Each proposal is in the table before it starts, so it is in one of them at least.
            proposals = read_proposals(ledger, record.id, job.provider)
            trials = [*_trials(ledger, record, job)]
            started = {trial.proposal for trial in trials}
            waiting = [each for each in proposals if each.id not in started]
            proposal = _find_same(trials, waiting, assignment, plan.fitted.study.strategy)
            if isinstance(proposal, Trial) and proposal.state in MEASURED_STATES:
                id_ = proposal.proposal or ""
                return Proposed(record.id, job.provider, id_, proposal, is_running)
            record = ledger.run(record.id)
            job = _find_job(record, job.provider)
            if ended := ended_by_limit(record, job, trials):
                raise UsageError(ended)
            if proposal is None:
                limit = plan.fitted.study.limits.max_trials
                _require_room(record, job, limit, trials, len(waiting))
            if wait and not is_running:
                raise UsageError(
                    f"no process runs {record.id}, so nothing was proposed; continue it with: "
                    f"cloudtune resume {record.id} --detach"
                )
            if proposal is None:
                proposal = Proposal(assignment, why)
                add_proposal(ledger, record.id, job.provider, proposal)
        send_requests(folder, PROPOSED)
        while True:
            begun = time.monotonic()
            is_running = lock_holder(folder) is not None
            found = _find_trial(ledger, record, job, proposal)
            id_ = (proposal.proposal or "") if isinstance(proposal, Trial) else proposal.id
            result = Proposed(record.id, job.provider, id_, found, is_running)
            if not is_running and not result.has_ended:
                return replace(result, to_continue=_to_continue(ledger, result))
            if not wait or result.has_ended:
                return result
            # At most a fifth of the time is spent on reading, however many trials there are.
            time.sleep(max(_POLL_SECONDS, 4 * (time.monotonic() - begun)))


def _find_job(record: RunRecord, on: str | None) -> JobRecord:
    names = [job.provider for job in record.jobs]
    if on is None and len(names) > 1:
        raise UsageError(f"run {record.id} has jobs on {', '.join(names)}; name one with --on")
    for job in record.jobs:
        if on in {None, job.provider}:
            return job
    raise UsageError(f"run {record.id} has no job on {on}; it has {', '.join(names)}")


def _require_driven(record: RunRecord, plan: Plan) -> None:
    if plan.facts.confirmation:
        raise UsageError(f"run {record.id} repeats the trials of another and takes no proposals")
    if plan.mode != "driven":
        raise UsageError(
            f"the tuner of {plan.provider} chooses the trials of run {record.id} and takes no "
            f"proposals; in a new run, use providers.{plan.provider}.mode: driven"
        )


@contextmanager
def _only_proposer(folder: Path) -> Generator[None]:
    """Let one process at a time propose to the run in a folder; the run itself is not held up."""
    try:
        file = (folder / _LOCK_FILE).open("ab")
    except OSError:  # a folder that cannot be written takes no proposal anyway
        yield
        return
    with file:
        while not try_lock(file.fileno()):
            time.sleep(_LOCK_SECONDS)
        yield


def _require_room(
    record: RunRecord, job: JobRecord, limit: int | None, trials: Sequence[Trial], waiting: int
) -> None:
    counted = len(trials) - len({trial.replaces for trial in trials} - {None})
    if limit is not None and counted + waiting >= limit:
        waits = f", and {format_count(waiting, 'proposal')} waiting" if waiting else ""
        more = raise_limit(record, job, "max_trials", trials, counted + waiting + 1)
        raise UsageError(
            f"run {record.id} has no trial left: limits.max_trials is {limit}{waits}; to allow "
            f"more: {more}"
        )


def _to_continue(ledger: Ledger, proposed: Proposed) -> str:
    """Return what lets a run go on that no process runs."""
    record = ledger.run(proposed.run)
    job = _find_job(record, proposed.provider)
    ended = ended_by_limit(record, job, [*_trials(ledger, record, job)])
    return ended or f"no process runs it; continue with: cloudtune resume {record.id}"


def _trials(ledger: Ledger, record: RunRecord, job: JobRecord) -> Iterator[Trial]:
    return read_job(ledger, record, job)[1]


def _find_same(
    trials: Sequence[Trial],
    waiting: Sequence[Proposal],
    assignment: Mapping[str, Value],
    strategy: Strategy,
) -> Trial | Proposal | None:
    """Return the trial that has measured an assignment or will, or the proposal of it.

    With hyperband, only trials that were not cut short count.
    """
    known = assignment_key(assignment)
    whole = strategy.max if strategy.resource else None
    replaced = {trial.replaces for trial in trials}
    same = [
        trial
        for trial in trials
        if trial.resource == whole
        and trial.number not in replaced
        and assignment_key(trial.parameters) == known
    ]
    measured = {"completed"} if strategy.name == "hyperband" else MEASURED_STATES
    for states in (measured, {"running", "waiting", "pending"}, {"cancelled"}):
        if match := [trial for trial in same if trial.state in states]:
            return match[-1]  # a cancelled one is repeated
    return next((each for each in waiting if assignment_key(each.parameters) == known), None)


def _find_trial(
    ledger: Ledger, record: RunRecord, job: JobRecord, proposal: Trial | Proposal
) -> Trial | None:
    """Return the latest trial of a proposal, or the latest that repeats a trial."""
    found: Trial | None = None
    for trial in _trials(ledger, record, job):
        if isinstance(proposal, Proposal):
            is_it = trial.proposal == proposal.id
        else:
            is_it = trial.number == proposal.number
        is_repeat = found is not None and trial.replaces == found.number
        found = trial if is_it or is_repeat else found
    return found
