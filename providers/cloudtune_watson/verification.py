"""What the calls of a verification answer about IBM's deployment jobs and trainings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from cloudtune.provider import Json
from cloudtune.provider.call_record import Answer, Call
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
    for question, check in CHECKS.items():
        yield Answer(question, check(calls))


def _kept_files(calls: Sequence[Call]) -> str:
    ended = [job for job in _last(calls, "DeploymentJob") if response.has_ended(job)]
    unfinished = [job for job in ended if response.training_state(job) != "completed"]
    kept = [job for job in unfinished if "href" in str(_output(job))]
    if not unfinished:
        return ""
    states = ", ".join(sorted({response.service_state(job) for job in unfinished}))
    return f"of {len(unfinished)} jobs that did not complete ({states}), {len(kept)} have files"


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
    running = [job for job in _described(calls, "Training") if not response.has_ended(job)]
    ran = {_id(job) for job in running if response.training_state(job) == "running"}
    measured = {_id(job) for job in running if response.training_status(job).get("metrics")}
    return f"{len(measured)} of {len(ran)} had metrics while they ran" if ran else ""


CHECKS: Mapping[str, Callable[[Sequence[Call]], str]] = {
    "Whether files are kept if the script fails or is cancelled, and whether they can be read "
    "while it runs.": _kept_files,
    "Whether a name can be used twice for jobs, deployments or data assets, and how soon a new job "
    "is in the list.": lambda calls: _listed(calls, "DeploymentJob"),
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


def _output(job: Json) -> Json:
    return part(job, "entity", "scoring", "output_data_reference")
