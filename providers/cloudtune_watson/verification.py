"""What the calls of a verification answer about IBM's deployment jobs and trainings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from cloudtune.provider import Json
from cloudtune.provider.call_record import Answer, Call, answer_all, logged
from cloudtune_watson import response
from cloudtune_watson.documents import name_of, part, rows
from cloudtune_watson.versions import BackendName

OMITTED: Mapping[BackendName, Mapping[str, str]] = {
    "jobs": {
        "early": "IBM stops no deployment job early, and cloudtune can read metrics only at its "
        "end",
        "fail": "the script of a deployment, which cloudtune writes, always ends without an error, "
        "so a job completes whose training script fails",
        "timeout": "IBM ends no deployment job at a time limit of its own: cloudtune stops it, as "
        "in the step stop",
    },
    "wml": {"timeout": "cloudtune, not IBM, ends a training at its limit, as in the step stop"},
}
"""By back end, the steps of a verification that show nothing of the service, with the reasons."""


def answers(calls: Sequence[Call]) -> Iterator[Answer]:
    """Yield the answer to each sentence of the page that calls can answer."""
    for answer in answer_all(CHECKS, calls):
        kind = "training" if "training" in answer.question else "deployment job"
        operation = "CreateTraining" if kind == "training" else "CreateDeploymentJob"
        is_seen = any(call.operation == operation for call in calls)
        if is_seen or answer.answer or answer.missing != Answer.missing:
            yield answer
        else:
            yield replace(answer, missing=f"no {kind} ran, see providers.watson.backend")


def _kept_files(calls: Sequence[Call]) -> str:
    """Return how many jobs have files that were cancelled, and how many while they ran.

    A job that was cancelled before it ran says nothing.
    """
    described = _described(calls, "DeploymentJob")
    ran = {_id(job) for job in described if response.training_state(job) == "running"}
    started = ran | {
        _id(job)
        for job in described
        if _has_files(job) or response.training_status(job).get("running_at")
    }
    cancelled = [
        job
        for job in _last(calls, "DeploymentJob")
        if response.training_state(job) == "cancelled" and _id(job) in started
    ]
    early = {_id(job) for job in described if not response.has_ended(job) and _has_files(job)}
    kept = sum(map(_has_files, cancelled))
    parts = [
        f"{kept} of {len(cancelled)} cancelled jobs have files" if cancelled else "",
        f"{len(early & ran)} of {len(ran)} had files while they ran" if ran else "",
    ]
    return "; ".join(filter(None, parts))


def _listed(calls: Sequence[Call], kind: str) -> str:
    """Return how soon new jobs of a kind are in their list."""
    lists = [call for call in calls if call.operation == f"List{kind}s" and call.status == 200]
    created = [call for call in calls if call.operation == f"Create{kind}" and call.status < 400]
    waits: list[float] = []
    for each in created:
        name = name_of(each.answer)
        later = [call for call in lists if call.time >= each.time]
        seen = [call for call in later if name in map(name_of, rows(call.answer, "resources"))]
        if seen:
            waits.append(seen[0].time - each.time)
    if not waits:
        return ""
    return f"{len(waits)} of {len(created)} were in the list, after {max(waits):.0f} s at most"


def _tagged(calls: Sequence[Call]) -> str:
    listed = [
        row
        for call in calls
        if call.operation == "ListDeploymentJobs" and call.status == 200
        for row in rows(call.answer, "resources")
    ]
    tags = {name_of(row): bool(part(row, "metadata").get("tags")) for row in listed}
    return f"{sum(tags.values())} of {len(tags)} jobs in lists have tags" if tags else ""


def _subfolders(calls: Sequence[Call]) -> str:
    trainings = [job for job in _last(calls, "Training") if response.has_ended(job)]
    places = [(_id(job), part(job, "entity", "results_reference", "location")) for job in trainings]
    stated = [(own, str(place["training"])) for own, place in places if place.get("training")]
    below = sum(own in path.split("/") for own, path in stated)
    return f"{below} of {len(stated)} are in a subfolder with their id" if stated else ""


def _live_metrics(calls: Sequence[Call]) -> str:
    """Return how many trainings had metrics while they ran, and how many at all.

    The launcher writes metrics only to that file, so a status with metrics says that it is read.
    """
    described = _described(calls, "Training")
    ran = {_id(job) for job in described if response.training_state(job) == "running"}
    measured = [job for job in described if response.training_status(job).get("metrics")]
    during = {_id(job) for job in measured if not response.has_ended(job)}
    if not ran:
        return ""
    at_all = len(ran & {_id(job) for job in measured})
    return f"{len(during)} of {len(ran)} had metrics while they ran, {at_all} in the end"


CHECKS: Mapping[str, Callable[[Sequence[Call]], str]] = {
    "Whether the log of a run has what the script prints. Comments in two public scripts, for "
    "Cloud Pak for Data 3 and 4.0, say that it does not.": logged,
    "Whether files are kept if the script is cancelled, and whether a job has any while it runs.": (
        _kept_files
    ),
    "How soon a new job is in the list.": lambda calls: _listed(calls, "DeploymentJob"),
    "Whether lists of deployment jobs show the tags.": _tagged,
    "Where the results of a training with a model definition are: in a subfolder with the id of "
    "the training, as in recorded prompt tunings of 2023 and 2024, or in the folder of the "
    "request. cloudtune checks both.": _subfolders,
    "Whether a training's status has metrics while it runs, and whether a cluster reads "
    "`evaluation-metrics.txt`.": _live_metrics,
    "How soon a new training appears in a list.": lambda calls: _listed(calls, "Training"),
}
"""What answers each open sentence; an empty answer if the calls do not show it."""


def _described(calls: Sequence[Call], kind: str) -> list[Json]:
    """Return all descriptions of jobs of a kind, also those in lists, in order."""
    found: list[Json] = []
    for call in calls:
        if call.status == 200 and call.operation == f"Get{kind}":
            found.append(call.answer)
        elif call.status == 200 and call.operation == f"List{kind}s":
            found += rows(call.answer, "resources")
    return found


def _last(calls: Sequence[Call], kind: str) -> list[Json]:
    """Return the last description of each job."""
    return list({_id(job): job for job in _described(calls, kind)}.values())


def _id(job: Json) -> str:
    return str(part(job, "metadata").get("id", ""))


def _has_files(job: Json) -> bool:
    return "href" in str(part(job, "entity", "scoring", "output_data_reference"))
