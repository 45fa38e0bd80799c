"""The events of a job that a service runs, from the states of its trials."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from cloudtune.engine.polled_job import machine_event, with_bounds
from cloudtune.errors import ProviderError
from cloudtune.fitting.fit import FittedStudy
from cloudtune.fitting.partial_restore import restore_valid
from cloudtune.provider.models import RawTrial
from cloudtune.results.events import UNKNOWN_TIME, Event, Measured, Running, Started, Waiting
from cloudtune.results.objective import explain_divergence
from cloudtune.results.run_time import RunTime
from cloudtune.results.trials import Trials


def new_events(
    provider: str,
    known: Trials,
    fitted: FittedStudy,
    raw_trials: Sequence[RawTrial],
    *,
    last_poll: float | None = None,
    on_invalid: Callable[[str], None] | None = None,
) -> list[Event]:
    """Return the events between the known state of a job's trials and the one just polled.

    With ``on_invalid``, for a job that was started elsewhere, a trial with a value that its
    parameter cannot have keeps the service's value, and ends with the reason, which ``on_invalid``
    receives. What such a job did before the first poll is not dated, unless the service does it.
    The poll before, of which all trials are known, was at ``last_poll``.

    Raises:
        ProviderError: If the service returns such a value, unless there is ``on_invalid``.
    """
    events: list[Event] = []
    is_past = on_invalid is not None and not len(known)
    known_trials = {trial.number: trial for trial in known.all()}
    for raw in raw_trials:
        trial = known_trials.get(raw.number)
        now = UNKNOWN_TIME if is_past else time.time()
        created = raw.created or raw.started or now
        problem: str | None = None
        if trial is None or (on_invalid and raw.over and trial.ended is None):
            parameters, problem = restore_valid(fitted, raw.parameters)
            text = f"trial {raw.number} ({raw.id}) has invalid parameters: {problem}"
            if problem and on_invalid is None:
                raise ProviderError(provider, text)
            if problem and on_invalid and trial is None:
                on_invalid(f"{text}; the trial keeps what the service returns")
            if trial is None:
                events.append(Started(raw.number, created, parameters, raw.resource, id=raw.id))
        run_time = known.last_time(raw.number) if trial else RunTime(created)
        machine: Waiting | Running | None = None
        if trial is None or trial.ended is None:
            machine = machine_event(raw.number, run_time, raw, now=now, last_poll=last_poll)
            if machine is None and is_past and raw.over and raw.started is None:
                machine = _undated(raw)
            events += [machine] if machine else []
        known_measurements = len(trial.measurements) if trial else 0
        events += [
            Measured(raw.number, m.time or now, m.step, m.metrics)
            for m in raw.measurements[known_measurements:]
        ]
        if raw.over and (trial is None or trial.ended is None):
            end = replace(raw.end_event(raw.number), time=raw.ended or now)
            diverged = explain_divergence(fitted.original, raw.measurements)
            if diverged and end.state == "completed":
                end = replace(end, state="failed", reason=diverged)
            if problem:
                kept = f"{provider} returned a parameter that the study cannot have: {problem}"
                end = replace(end, reason="; ".join(filter(None, (end.reason, kept))))
            if machine is None:
                end = with_bounds(end, run_time)
            events.append(end)
    return events


def _undated(raw: RawTrial) -> Waiting | Running:
    """Return what is known of the machine of a trial that ended before the first poll.

    If it was cancelled, it may only have waited, so nothing is counted as its running time. Else it
    ran at an unknown time.
    """
    if raw.state == "cancelled":
        return Waiting(raw.number, UNKNOWN_TIME, "a machine")
    return Running(raw.number, UNKNOWN_TIME)
