"""What the calls of a verification answer about SageMaker."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from cloudtune.provider import Json
from cloudtune.provider.call_record import Answer, Call, answer_all
from cloudtune_sagemaker.native.names import AUTO


def answers(calls: Sequence[Call]) -> Iterator[Answer]:
    """Yield the answer to each sentence of the page that calls can answer."""
    yield from answer_all(CHECKS, calls)


def _tuning_jobs(calls: Sequence[Call]) -> dict[str, Json]:
    """Return the last description of each tuning job by its ARN."""
    return {
        call.answer["HyperParameterTuningJobArn"]: call.answer
        for call in calls
        if call.operation == "DescribeHyperParameterTuningJob" and call.status == 200
    }


def _trials(calls: Sequence[Call]) -> dict[str, Json]:
    """Return the last state of each trial by its name, as `Search` has it."""
    return {
        result["TrainingJob"]["TrainingJobName"]: result["TrainingJob"]
        for call in calls
        if call.operation == "Search" and call.status == 200
        for result in call.answer.get("Results", ())
    }


def _searched(calls: Sequence[Call]) -> str:
    """Return how many trials `Search` returned, and how soon after their jobs counted them."""
    known, found, waits = 0, 0, [0.0]
    for arn in _tuning_jobs(calls):
        counted: list[float] = []
        seen: list[float] = []
        names: set[str] = set()
        for call in (each for each in calls if each.status == 200):
            if call.answer.get("HyperParameterTuningJobArn") == arn:
                count = sum(call.answer.get("TrainingJobStatusCounters", {}).values())
                counted += [call.time] * (count - len(counted))
            elif call.operation == "Search":
                names |= {
                    name
                    for name, each in _trials([call]).items()
                    if each.get("TuningJobArn") == arn
                }
                seen += [call.time] * (len(names) - len(seen))
        known, found = known + len(counted), found + len(seen)
        waits += [after - before for before, after in zip(counted, seen, strict=False)]
    if not known:
        return ""
    return f"{found} of {known} trials, each at most {max(waits):.0f} s after its job counted it"


def _iterations(calls: Sequence[Call]) -> str:
    results = [
        result
        for call in calls
        if call.operation == "BatchGetMetrics" and call.status == 200
        for result in call.answer.get("MetricQueryResults", ())
        if result.get("XAxisValues")
    ]
    if not results:
        return ""
    is_counted = all(
        sorted(each["XAxisValues"]) == list(range(1, len(each["XAxisValues"]) + 1))
        for each in results
    )
    return "values are counted from 1" if is_counted else "values are not counted from 1"


def _early_stopped(calls: Sequence[Call]) -> str:
    jobs, trials = _tuning_jobs(calls), _trials(calls)
    early = {
        arn
        for arn, job in jobs.items()
        if job["HyperParameterTuningJobConfig"].get("TrainingJobEarlyStoppingType") == AUTO
        and job["HyperParameterTuningJobStatus"] == "Completed"
    }
    stopped = [
        each
        for each in trials.values()
        if each.get("TuningJobArn") in early and each["TrainingJobStatus"] == "Stopped"
    ]
    with_value = sum(bool(each.get("FinalMetricDataList")) for each in stopped)
    return f"{len(stopped)} ended as Stopped, {with_value} with a metric" if stopped else ""


def _messages(calls: Sequence[Call]) -> str:
    seen = {
        str(each.get("StatusMessage"))
        for trial in _trials(calls).values()
        for each in trial.get("SecondaryStatusTransitions", ())
        if each.get("Status") == "MaxRuntimeExceeded"
    }
    return "; ".join(sorted(seen))


def _artifacts(calls: Sequence[Call]) -> str:
    trials = _trials(calls)
    paths = {
        str(each["ModelArtifacts"].get("S3ModelArtifacts"))
        for each in trials.values()
        if each.get("ModelArtifacts")
    }
    ends = {path.partition(each)[2] for path in paths for each in trials if each in path}
    return f"artifacts end in {', '.join(sorted(ends))} below the name of the trial" if ends else ""


CHECKS: Mapping[str, Callable[[Sequence[Call]], str]] = {
    "Whether `Search` by `TuningJobArn` returns all trials of a tuning job, and how soon.": (
        _searched
    ),
    "`BatchGetMetrics` by iteration number for metrics that are read by regexes.": _iterations,
    "Whether an early-stopped trial ends as `Stopped`, and whether it may still have an "
    "objective.": _early_stopped,
    "The message of the secondary status MaxRuntimeExceeded. cloudtune does not read it.": (
        _messages
    ),
    "The paths of artifacts.": _artifacts,
}
"""What answers each open sentence; an empty answer if the calls do not show it."""
