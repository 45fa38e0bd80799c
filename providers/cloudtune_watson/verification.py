"""What the calls of a verification answer about IBM's deployment jobs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cloudtune.provider import Json
from cloudtune.provider.call_record import Answer, Call
from cloudtune_watson import response


def answers(calls: Sequence[Call]) -> Iterator[Answer]:
    """Yield the answer to each sentence of the page that calls can answer."""
    jobs = list(_jobs(calls).values())
    states = sorted({response.service_state(job) for job in jobs})
    yield Answer(
        "Whether a script that ends with an error makes the job `failed`, and whether IBM ever "
        "starts a script again.",
        f"jobs ended as {', '.join(states)}" if states else "",
    )
    ended = [job for job in jobs if response.has_ended(job)]
    unfinished = [job for job in ended if response.training_state(job) != "completed"]
    kept = [job for job in unfinished if "href" in str(_output(job))]
    yield Answer(
        "Whether files are kept if the script fails or is cancelled, and whether they can be read "
        "while it runs.",
        f"of {len(unfinished)} jobs that did not complete, {len(kept)} have files"
        if unfinished
        else "",
    )
    lists = [call for call in calls if call.operation == "ListDeploymentJobs"]
    creates = [call for call in calls if call.operation == "CreateDeploymentJob"]
    waits = [
        seen[0].time - created.time
        for created in creates
        if (seen := [each for each in lists if _name(created) in str(each.answer)])
    ]
    yield Answer(
        "Whether a name can be used twice for jobs, deployments or data assets, and how soon a new "
        "job is in the list.",
        f"new jobs were in the list after {max(waits):.0f} s at most" if waits else "",
    )


def _jobs(calls: Sequence[Call]) -> dict[str, Json]:
    """Return the last answer about each job by its id."""
    rows: list[Json] = []
    for call in calls:
        if call.status == 200 and call.operation in {"ListDeploymentJobs", "GetDeploymentJob"}:
            rows += call.answer.get("resources", [call.answer])
    return {row["metadata"]["id"]: row for row in rows}


def _output(job: Json) -> Json:
    output: Json = job["entity"].get("scoring", {}).get("output_data_reference", {})
    return output


def _name(created: Call) -> str:
    return str(created.answer.get("metadata", {}).get("name", "?"))
