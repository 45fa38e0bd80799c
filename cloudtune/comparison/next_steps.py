"""What to run after a run of one group, as shell commands."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cloudtune.comparison.bounds import BoundHit
from cloudtune.comparison.curves import eligible_trials
from cloudtune.comparison.groups import Group
from cloudtune.comparison.rerun_command import rerun_command, run_command
from cloudtune.errors import CloudtuneError
from cloudtune.fitting.capabilities import ModeCapabilities
from cloudtune.results.events import COUNTED_STATES
from cloudtune.results.failure import is_code_mistake
from cloudtune.results.model import StudyResult, Trial, encode_json, job_state, script_values
from cloudtune.study.arguments import script_arguments, takes_arguments
from cloudtune.study.search_space import Space
from cloudtune.study.strategies import STRATEGIES

_UNENDED = {"cancelled", "failed", "pending", "waiting", "unknown"}


@dataclass(frozen=True)
class NextStep:
    """A command to run next."""

    reason: str
    """When or why to run it, as the start of a sentence."""
    command: str
    """A shell command on one line, or a line of Python for a function."""


def next_steps(
    group: Group,
    job: StudyResult,
    best: Trial | None,
    bounds: Sequence[BoundHit],
    *,
    is_confirmed: bool,
    improving: bool | None,
    arguments: Sequence[str],
    source: Path | None,
) -> Iterator[NextStep]:
    """Yield what to run next, the most useful step first.

    Args:
        group: The group of the job.
        job: The job with the best trial.
        best: The best trial, or the one to take by a confirmation; None if there is no single one.
        bounds: The parameters of the best trial that are at a bound.
        is_confirmed: Whether a confirmation has decided which trial to take.
        improving: Whether the search was still improving; None if that is unknown.
        arguments: The study file and the ``--set`` options with which it was run.
        source: The folder of the run's own copy of the code.
    """
    state = job_state(job)
    tolerant = resume_past_failures(job) if job.mode == "driven" else None
    if tolerant is not None:
        yield from _look_into_failures(group, job, arguments)
        if not fails_again(job):
            yield NextStep("to go on with the same code once the cause is removed", tolerant)
    elif state == "running":
        yield NextStep("to follow the run, which has not ended", f"cloudtune watch {job.run}")
    elif state in _UNENDED and job.mode == "driven":
        yield NextStep(f"to continue the run, which is {state}", f"cloudtune resume {job.run}")
    if not eligible_trials(job.trials):
        yield from _look_into_failures(group, job, arguments) if tolerant is None else ()
        return
    widened = [hit for hit in bounds if hit.wider is not None]
    if widened and job.study.strategy.name != "list":
        names = " and ".join(dict.fromkeys(hit.parameter for hit in widened))
        options = [f"{hit.path}.{hit.side}={hit.wider:.12g}" for hit in widened]
        yield NextStep(
            f"to search beyond the bounds of {names}, if values there are valid",
            run_command([group], arguments, [*options, *_warm_start(job)]),
        )
    if state == "completed" and improving is not False and not _is_exhausted(job):
        more = "which was still improving" if improving else "which was short"
        yield from _continue_search(group, job, arguments, more)
    if best is not None:
        yield from _use_best(group, job, best, arguments, source)
    is_open = not is_confirmed and not job.attached and len(job.trials) > 1
    if state == "completed" and best is not None and is_open:
        command = f"cloudtune confirm {job.run}"
        yield NextStep("to see whether the gain is real, and which of the best to take", command)
    if job.decision and job.decision.trial is None:
        why = "to find a trial to take, since those that were repeated break a constraint"
        yield NextStep(why, f"cloudtune confirm {job.run}")
    if state == "completed":
        seeds = "" if group.own_seed else " with other seeds"
        yield NextStep(
            f"to see how much of the result is chance, repeat the run{seeds}, then report all runs "
            "together",
            rerun_command([group], arguments),
        )


def resume_past_failures(job: StudyResult) -> str | None:
    """Return the command that continues a job that its failures ended; None for other jobs.

    It tolerates twice as many failures as there are trials, and at least 10.
    """
    if job_state(job) != "failed" or "max_failed_trials" not in job.reason:
        return None
    counted = sum(t.state in COUNTED_STATES for t in job.trials)
    tolerated = f"limits.max_failed_trials={max(2 * counted, 10)}"
    return shlex.join(["cloudtune", "resume", job.run, "--set", tolerated])


def fails_again(job: StudyResult) -> bool:
    """Return whether no trial succeeded, and the cause is in the code that the run keeps."""
    return all(t.state == "failed" and is_code_mistake(t.reason) for t in job.trials)


def _look_into_failures(
    group: Group, job: StudyResult, arguments: Sequence[str]
) -> Iterator[NextStep]:
    if job_state(job) == "refused":
        emulate = ["--emulate"] if group.emulated else []
        words = ["cloudtune", "plan", *arguments, "--on", job.provider, *emulate]
        yield NextStep("to see why the study was refused", shlex.join(words))
    failed = next((trial for trial in job.trials if trial.state == "failed"), None)
    if failed:
        words = ["cloudtune", "logs", job.run, f"{failed.number}", "--on", job.provider]
        yield NextStep("to see why trials failed", shlex.join(words))


def _continue_search(
    group: Group, job: StudyResult, arguments: Sequence[str], why: str
) -> Iterator[NextStep]:
    limit = job.study.limits.max_trials
    if limit is None or len(job.trials) < limit:
        return  # another limit ended it, which the job's reason names
    ran = limit if len(job.trials) < 2 * limit else len(job.trials)  # of a limit that was lowered
    doubled = f"limits.max_trials={2 * ran}"
    if job.mode == "driven":
        command = shlex.join(["cloudtune", "resume", job.run, "--set", doubled])
        yield NextStep(f"to continue the search, {why}", command)
    elif options := _warm_start(job):
        command = run_command([group], arguments, options)
        yield NextStep(f"to build on this search, {why}", command)


def _warm_start(job: StudyResult) -> list[str]:
    """Return the override with which a new run learns from a job, if its provider supports that.

    A service's tuner learns only from jobs that it still has, which those of an emulator are not.
    """
    if job.mode == "managed" and job.emulated:
        return []
    supported = _capabilities(job)
    known = supported is not None and "same" in supported.warm_start
    return [f"warm_start.from={job.run}"] if known else []


def _mode_for_list(job: StudyResult) -> list[str]:
    """Return the override without which the study's mode refuses the strategy list."""
    supported = _capabilities(job)
    mode = job.study.providers.get(job.provider, {}).get("mode", "auto")
    refused = mode == "managed" and supported is not None and "list" not in supported.strategies
    return [f"providers.{job.provider}.mode=driven"] if refused else []


def _capabilities(job: StudyResult) -> ModeCapabilities | None:
    from cloudtune.provider import registry

    try:
        return registry.get(job.provider).capabilities.for_mode(job.mode)
    except CloudtuneError:
        return None


def _is_exhausted(job: StudyResult) -> bool:
    """Return whether all trials were tried that the strategy has."""
    if STRATEGIES[job.study.strategy.name].ends_itself:
        return True
    size = Space.from_study(job.study).size
    return size is not None and len(job.trials) >= size


def _use_best(
    group: Group, job: StudyResult, best: Trial, arguments: Sequence[str], source: Path | None
) -> Iterator[NextStep]:
    """Yield the command that runs the script with the best parameters."""
    trial = job.study.trial
    folder = str(source or "")
    if trial.script or trial.module:
        start = ["python", trial.script] if trial.script else ["python", "-m", trial.module or ""]
        values = script_values(job.study, best)
        command = shlex.join([*start, *script_arguments(job.study, values, folder)])
        if takes_arguments(job.study, folder) and "{{" not in command:
            code = _code_folder(job, arguments)
            change = f"cd {shlex.quote(str(code))} && " if code else ""
            yield NextStep("to run the script with the best parameters", f"{change}{command}")
            return
    assignment = encode_json(dict(best.parameters))
    once = ["strategy=list", f"initial_trials=[{assignment}]", "limits.max_trials=1"]
    resource = job.study.strategy.resource
    if resource and best.resource is not None:
        once.append(f"constants.{resource}={best.resource}")
    once += _mode_for_list(job)
    yield NextStep("to run the best parameters again", run_command([group], arguments, once))


def _code_folder(job: StudyResult, arguments: Sequence[str]) -> Path | None:
    """Return the folder of the script relative to the current one; None if they are the same."""
    sources = job.study.trial.source or {}
    source = sources.get(job.provider, sources.get("*", "."))
    if not arguments or arguments[0] == "STUDY" or "://" in source:
        return None
    folder = Path(os.path.normpath(Path(arguments[0]).parent / source))
    return None if folder.absolute() == Path.cwd() else folder
