"""What the calls of a verification answer about Vertex AI."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from cloudtune.provider import Json
from cloudtune.provider.call_record import Answer, Call

_RECORDED_MACHINE = "n1-standard-4"
_RAN = frozenset(["JOB_STATE_RUNNING", "JOB_STATE_SUCCEEDED"])


def answers(calls: Sequence[Call]) -> Iterator[Answer]:
    """Yield the answer to each sentence of the page that calls can answer."""
    tuning, trials = _jobs(calls, "HyperparameterTuningJob"), _jobs(calls, "CustomJob")
    for question, check in CHECKS.items():
        yield Answer(question, check(tuning, trials))


def _infeasible(tuning: Sequence[Json], _jobs_of_trials: Sequence[Json]) -> str:
    count = sum(_states(job)["INFEASIBLE"] for job in tuning)
    failed = sum(job.get("state") == "JOB_STATE_FAILED" for job in tuning)
    return f"{count} trials were INFEASIBLE, {failed} jobs FAILED" if count else ""


def _counted(tuning: Sequence[Json], _jobs_of_trials: Sequence[Json]) -> str:
    """Return how jobs ended of which as many trials have no metric as may fail."""
    ends = [
        str(job.get("state"))
        for job in tuning
        if "endTime" in job
        and job.get("state") != "JOB_STATE_CANCELLED"
        and 0 < job.get("maxFailedTrialCount", 0) <= _states(job)["INFEASIBLE"]
    ]
    return f"with so many INFEASIBLE trials, jobs ended as {_counts(ends)}" if ends else ""


def _named(tuning: Sequence[Json], _jobs_of_trials: Sequence[Json]) -> str:
    trials = [trial for job in tuning for trial in job.get("trials", ())]
    named = sum("customJob" in each for each in trials)
    return f"{named} of {len(trials)} trials name theirs" if trials else ""


def _started(tuning: Sequence[Json], jobs: Sequence[Json]) -> str:
    starts = [
        job["startTime"]
        for job in (*tuning, *jobs)
        if job.get("state") in _RAN and "startTime" in job
    ]
    whole = sum("." not in start for start in starts)
    return f"{whole} of {len(starts)} jobs that ran have whole seconds" if starts else ""


def _ended(_tuning: Sequence[Json], jobs: Sequence[Json]) -> str:
    ends = {
        (str(job.get("state")), str(job.get("error", {}).get("message", "")))
        for job in jobs
        if "endTime" in job and job.get("state") != "JOB_STATE_SUCCEEDED"
    }
    return "; ".join(f"{state}: {message[:200]}" for state, message in sorted(ends))


def _median(tuning: Sequence[Json], jobs: Sequence[Json]) -> str:
    """Return what the median rule did; that it stopped none does not say that it is not applied."""
    stopped = _stopped_early(tuning, jobs)
    return f"the median rule stopped {len(stopped)} trials" if stopped else ""


def _interrupted(tuning: Sequence[Json], jobs: Sequence[Json]) -> str:
    cancelled = [job for job in tuning if job.get("state") == "JOB_STATE_CANCELLED"]
    of_cancelled = [str(trial.get("state")) for job in cancelled for trial in job.get("trials", ())]
    early = [
        f"{trial.get('state')} with a job {job.get('state')}"
        for trial, job in _stopped_early(tuning, jobs)
    ]
    parts = [
        f"trials of cancelled jobs: {_counts(of_cancelled)}" if of_cancelled else "",
        f"trials stopped early: {_counts(early)}" if early else "",
    ]
    return "; ".join(filter(None, parts))


def _stopped_early(tuning: Sequence[Json], jobs: Sequence[Json]) -> list[tuple[Json, Json]]:
    """Return the trials, with their jobs, that the median rule of a job that succeeded stopped."""
    by_name = {str(job.get("name")): job for job in jobs}
    pairs = [
        (trial, by_name.get(str(trial.get("customJob")), {}))
        for each in tuning
        if "medianAutomatedStoppingSpec" in each.get("studySpec", {})
        and each.get("state") == "JOB_STATE_SUCCEEDED"
        for trial in each.get("trials", ())
    ]
    return [(trial, job) for trial, job in pairs if job.get("state") == "JOB_STATE_CANCELLED"]


def _identified(tuning: Sequence[Json], jobs: Sequence[Json]) -> str:
    by_name = {str(job.get("name")): job for job in jobs}
    pairs = [
        (each, trial, by_name[trial["customJob"]])
        for each in tuning
        for trial in each.get("trials", ())
        if trial.get("customJob") in by_name
    ]
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


def _flags(tuning: Sequence[Json], jobs: Sequence[Json]) -> list[str]:
    """Return the flags of trials that set parameters."""
    names = {
        str(each.get("parameterId"))
        for job in tuning
        for each in job.get("studySpec", {}).get("parameters", ())
    }
    words = [
        str(word)
        for job in jobs
        for pool in _pools(job.get("jobSpec", {}))
        for spec in (pool.get("pythonPackageSpec", {}), pool.get("containerSpec", {}))
        for word in spec.get("args", ())
    ]
    flags = [word for word in words if word.startswith("--")]
    return [flag for flag in flags if flag[2:].partition("=")[0] in names]


def _joined(tuning: Sequence[Json], jobs: Sequence[Json]) -> str:
    flags = _flags(tuning, jobs)
    joined = sum("=" in flag for flag in flags)
    return f"{joined} of {len(flags)} are --name=value" if flags else ""


def _numbers(tuning: Sequence[Json], jobs: Sequence[Json]) -> str:
    integers = {
        str(each.get("parameterId"))
        for job in tuning
        for each in job.get("studySpec", {}).get("parameters", ())
        if "integerValueSpec" in each
    }
    values = [flag[2:].partition("=") for flag in _flags(tuning, jobs) if "=" in flag]
    texts = [value for name, _, value in values if name in integers]
    pointed = sum("." in text for text in texts)
    return f"{pointed} of {len(texts)} integers have a decimal point" if texts else ""


def _disks(tuning: Sequence[Json], jobs: Sequence[Json]) -> str:
    specs = [each.get("trialJobSpec", {}) for each in tuning]
    pools = [
        pool
        for spec in (*specs, *(job.get("jobSpec", {}) for job in jobs))
        for pool in _pools(spec)
    ]
    shown = {
        f"{machine}: {disk.get('bootDiskType')}, {disk.get('bootDiskSizeGb')} GB"
        for pool in pools
        if (machine := pool.get("machineSpec", {}).get("machineType")) != _RECORDED_MACHINE
        for disk in [pool.get("diskSpec", {})]
    }
    return "; ".join(sorted(shown))


CHECKS: Mapping[str, Callable[[Sequence[Json], Sequence[Json]], str]] = {
    "Whether a tuning job applies `studyStoppingConfig` and the median rule as Vizier's studies "
    "do. Google's types do not rule it out.": _median,
    "Whether a trial without its metric counts as failed.": _infeasible,
    "Whether the form of trials of 2021 is gone, which do not name their custom jobs.": _named,
    "Whether `startTime` is set again when a job runs.": _started,
    "How a job ends that reaches its `timeout`, and one that is cancelled while it runs.": _ended,
    "The format of numbers in flags: both `4` and `4.0` are read as 4.": _numbers,
    "Whether flags are `--name=value`: `--name value` is also read.": _joined,
    "The state of trials that run when their job is cancelled or fails (`INFEASIBLE` here). "
    "Whether a trial that was stopped early keeps its last measurement as its final one, and is "
    "therefore `SUCCEEDED` (it does here; documented only for the convex rule), and the state of "
    "its custom job (`CANCELLED` here).": _interrupted,
    "Whether a trial without its metric counts towards `maxFailedTrialCount`. It does here, as "
    "everywhere in cloudtune: Google's types call it `INFEASIBLE`, and have no other state for a "
    "failed trial.": _counted,
    "The name of a trial's custom job, and whether it has the labels of its tuning job.": (
        _identified
    ),
    "Whether all machines have the disk that the service adds to `n1-standard-4`.": _disks,
}
"""What answers each open sentence; an empty answer if the calls do not show it.

A function gets the last descriptions of the tuning jobs, and of the custom jobs of trials.
"""


def _states(job: Json) -> Counter[str]:
    return Counter(str(trial.get("state")) for trial in job.get("trials", ()))


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
