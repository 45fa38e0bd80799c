"""What the calls of a verification answer about Vertex AI."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from cloudtune.provider import Json
from cloudtune.provider.call_record import Answer, Call, answer_all, logged, step_of

_WAITS = frozenset(["JOB_STATE_QUEUED", "JOB_STATE_PENDING"])
_RAN = frozenset(["JOB_STATE_RUNNING", "JOB_STATE_SUCCEEDED"])


@dataclass(frozen=True)
class Seen:
    """What calls show of the jobs of a verification."""

    tuning: Sequence[Json]
    """The last description of each tuning job."""
    jobs: Mapping[str, Json]
    """The last description of each custom job, by name."""
    calls: Sequence[Call]

    def ran(self, job: Json) -> bool:
        """Return whether a job was seen while it ran."""
        return any(
            call.operation.startswith("Get")
            and call.status == 200
            and call.answer.get("name") == job.get("name")
            and call.answer.get("state") == "JOB_STATE_RUNNING"
            for call in self.calls
        )

    def trials(self, step: str = "") -> Iterator[tuple[Json, Json, Json]]:
        """Yield the trials of a step, each between its tuning job and its custom job."""
        for each in self.tuning:
            if step in ("", step_of(str(each.get("displayName")))):
                for trial in each.get("trials", ()):
                    yield each, trial, self.jobs.get(str(trial.get("customJob")), {})


def answers(calls: Sequence[Call]) -> Iterator[Answer]:
    """Yield the answer to each sentence of the page that calls can answer."""
    yield from answer_all(
        {question: partial(_check, check) for question, check in CHECKS.items()}, calls
    )


def _check(check: Callable[[Seen], str], calls: Sequence[Call]) -> str:
    jobs = {str(job["name"]): job for job in _jobs(calls, "CustomJob")}
    return check(Seen(_jobs(calls, "HyperparameterTuningJob"), jobs, calls))


def _failed(seen: Seen) -> str:
    """Return the states of trials whose script failed, and whether that ended their jobs."""
    trials = [*seen.trials("fail")]
    states = _counts([str(trial.get("state")) for _, trial, _ in trials])
    ends = _counts([str(job.get("state")) for job, _, _ in trials])
    return f"it was {states}; its job, which allows no more failures, {ends}" if trials else ""


def _named(seen: Seen) -> str:
    trials = [trial for _, trial, _ in seen.trials()]
    named = sum("customJob" in each for each in trials)
    return f"{named} of {len(trials)} trials name theirs" if trials else ""


def _started(seen: Seen) -> str:
    """Return how many jobs had a start while they waited, and another once they ran."""
    before: dict[str, str] = {}
    after: dict[str, str] = {}
    for call in seen.calls:
        if call.operation.startswith("Get") and call.status == 200 and "startTime" in call.answer:
            starts = after if call.answer.get("state") in _RAN else before
            if starts is after or call.answer.get("state") in _WAITS:
                starts[str(call.answer["name"])] = str(call.answer["startTime"])
    both = before.keys() & after.keys()
    changed = sum(before[name] != after[name] for name in both)
    return f"{changed} of {len(both)} jobs that had one before got another" if both else ""


def _ended(seen: Seen) -> str:
    """Return the ends of jobs at their timeout, and of jobs that were cancelled."""
    parts: list[str] = []
    for step, how in (("timeout", "at its timeout"), ("stop", "cancelled")):
        jobs = [*(job for _, _, job in seen.trials(step))]
        jobs += [each for each, _, _ in seen.trials(step) if step == "stop"]
        jobs = [job for job in jobs if seen.ran(job)]
        ends = {
            f"{job.get('state')} ({job.get('error', {}).get('message', 'no error')})"
            for job in jobs
            if "endTime" in job
        }
        parts += [f"{how}: {', '.join(sorted(ends))}"] if ends else []
    return "; ".join(parts)


def _median(seen: Seen) -> str:
    """Return what the median rule did; that it stopped none does not say that it is not applied."""
    stopped = _stopped_early(seen)
    return f"the median rule stopped {len(stopped)} trials" if stopped else ""


def _cancelled(seen: Seen) -> str:
    return _counts(
        [
            str(trial.get("state"))
            for job, trial, _ in seen.trials()
            if job.get("state") == "JOB_STATE_CANCELLED" and seen.ran(job)
        ]
    )


def _kept(seen: Seen) -> str:
    """Return how trials ended that were stopped early, and the steps of their final values."""
    stopped = _stopped_early(seen)
    ends = [f"{trial.get('state')} with a job {job.get('state')}" for trial, job in stopped]
    finals = [trial["finalMeasurement"] for trial, _ in stopped if "finalMeasurement" in trial]
    steps = ", ".join(sorted({str(each.get("stepCount")) for each in finals}))
    more = f", {len(finals)} with a final measurement, of step {steps}" if finals else ""
    return f"{_counts(ends)}{more or ', none with a final measurement'}" if stopped else ""


def _stopped_early(seen: Seen) -> list[tuple[Json, Json]]:
    """Return the trials, with their jobs, that the median rule of a job that succeeded stopped."""
    return [
        (trial, job)
        for each, trial, job in seen.trials()
        if "medianAutomatedStoppingSpec" in each.get("studySpec", {})
        and each.get("state") == "JOB_STATE_SUCCEEDED"
        and job.get("state") == "JOB_STATE_CANCELLED"
    ]


def _identified(seen: Seen) -> str:
    pairs = [each for each in seen.trials() if each[2]]
    if not pairs:
        return ""
    names = Counter(
        str(job.get("displayName"))
        .replace(str(each.get("displayName")), "NAME")
        .replace(str(each.get("name")).rpartition("/")[2], "NUMBER")
        .removesuffix(str(trial.get("id")))
        for each, trial, job in pairs
    )
    labels = sum(
        each.get("labels", {}).items() <= job.get("labels", {}).items()
        for each, _trial, job in pairs
    )
    shown = ", ".join(f"{name}ID" for name in sorted(names))
    return f"named {shown}; {labels} of {len(pairs)} have the labels"


def _flags(seen: Seen) -> list[str]:
    """Return the flags of trials that set parameters."""
    names = {
        str(each.get("parameterId"))
        for job in seen.tuning
        for each in job.get("studySpec", {}).get("parameters", ())
    }
    words = [
        str(word)
        for job in seen.jobs.values()
        for pool in _pools(job.get("jobSpec", {}))
        for spec in (pool.get("pythonPackageSpec", {}), pool.get("containerSpec", {}))
        for word in spec.get("args", ())
    ]
    flags = [word for word in words if word.startswith("--")]
    return [flag for flag in flags if flag[2:].partition("=")[0] in names]


def _joined(seen: Seen) -> str:
    flags = _flags(seen)
    joined = sum("=" in flag for flag in flags)
    return f"{joined} of {len(flags)} are --name=value" if flags else ""


def _numbers(seen: Seen) -> str:
    integers = {
        str(each.get("parameterId"))
        for job in seen.tuning
        for each in job.get("studySpec", {}).get("parameters", ())
        if "integerValueSpec" in each
    }
    values = [flag[2:].partition("=") for flag in _flags(seen) if "=" in flag]
    texts = [value for name, _, value in values if name in integers]
    pointed = sum("." in text for text in texts)
    return f"{pointed} of {len(texts)} integers have a decimal point" if texts else ""


CHECKS: Mapping[str, Callable[[Seen], str]] = {
    "Whether a tuning job applies the median rule as Vizier's studies do. Google's types do not "
    "rule it out.": _median,
    "Whether the form of trials of 2021 is gone, which do not name their custom jobs.": _named,
    "Whether `startTime` is set again when a job runs. Recorded batch prediction jobs keep that of "
    "their creation.": _started,
    "How a job ends that reaches its `timeout`, and one that is cancelled while it runs.": _ended,
    "The format of numbers in flags: both `4` and `4.0` are read as 4.": _numbers,
    "Whether flags are `--name=value`: `--name value` is also read.": _joined,
    "The state of trials that run when their job is cancelled (`INFEASIBLE` here).": _cancelled,
    "Whether a trial that was stopped early keeps its last measurement as its final one, and is "
    "therefore `SUCCEEDED` (it does here; documented only for the convex rule), and the state of "
    "its custom job (`CANCELLED` here).": _kept,
    "Whether a trial whose script fails without its metric is `INFEASIBLE` and counts towards "
    "`maxFailedTrialCount`. It does here.": _failed,
    "The name of a trial's custom job, and whether it has the labels of its tuning job.": (
        _identified
    ),
    "Whether Cloud Logging has the log of a trial as `cloudtune logs` reads it.": (
        lambda seen: logged(seen.calls)
    ),
}
"""What answers each open sentence; an empty answer if the calls do not show it."""


def _counts(texts: Sequence[str]) -> str:
    return ", ".join(f"{text} ({count})" for text, count in sorted(Counter(texts).items()))


def _pools(spec: Json) -> Sequence[Json]:
    pools: Sequence[Json] = spec.get("workerPoolSpecs", ())
    return pools


def _jobs(calls: Sequence[Call], kind: str) -> list[Json]:
    """Return the last answer about each job."""
    found = {
        call.answer["name"]: call.answer
        for call in calls
        if call.operation == f"Get{kind}" and call.status == 200
    }
    return list(found.values())
