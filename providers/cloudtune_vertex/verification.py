"""What the calls of a verification answer about Vertex AI."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cloudtune.provider import Json
from cloudtune.provider.call_record import Answer, Call


def answers(calls: Sequence[Call]) -> Iterator[Answer]:
    """Yield the answer to each sentence of the page that calls can answer."""
    tuning = _jobs(calls, "GetHyperparameterTuningJob")
    trials = [trial for job in tuning for trial in job.get("trials", ())]
    without = [trial for trial in trials if trial.get("state") == "INFEASIBLE"]
    failed = [job for job in tuning if job.get("state") == "JOB_STATE_FAILED"]
    yield Answer(
        "Whether a trial without its metric counts as failed.",
        f"{len(without)} trials were INFEASIBLE, {len(failed)} jobs FAILED" if without else "",
    )
    yield Answer(
        "Whether the form of trials of 2021 is gone, which do not name their custom jobs.",
        f"{sum('customJob' in each for each in trials)} of {len(trials)} trials name theirs"
        if trials
        else "",
    )
    fractions = [
        "." in job["startTime"]
        for job in (*tuning, *_jobs(calls, "GetCustomJob"))
        if job.get("state") in {"JOB_STATE_RUNNING", "JOB_STATE_SUCCEEDED"} and "startTime" in job
    ]
    yield Answer(
        "Whether `startTime` is set again when a job runs.",
        f"{fractions.count(False)} of {len(fractions)} jobs that ran have whole seconds"
        if fractions
        else "",
    )
    ends = {
        (job["state"], str(job.get("error", {}).get("message", "")))
        for job in _jobs(calls, "GetCustomJob")
        if "endTime" in job and job["state"] != "JOB_STATE_SUCCEEDED"
    }
    yield Answer(
        "How a job ends that reaches its `timeout`, and one that is cancelled while it runs.",
        "; ".join(f"{state}: {message[:200]}" for state, message in sorted(ends)),
    )


def _jobs(calls: Sequence[Call], operation: str) -> list[Json]:
    """Return the last answer about each job."""
    found = {
        call.answer["name"]: call.answer
        for call in calls
        if call.operation == operation and call.status == 200
    }
    return list(found.values())
