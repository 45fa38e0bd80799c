"""The deployment jobs of the driven mode: one for each start of a trial.

A poll takes one list of the deployment's jobs. When a job has ended, its results are copied to this
machine; then the job and its data asset are deleted, since a space keeps only a number of jobs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial

from cloudtune.provider import JobContext, Json, Plan, ProviderError, TrainingJob, fill_placeholders
from cloudtune.provider.secrets import resolve_secrets
from cloudtune.results import Started
from cloudtune_watson import response
from cloudtune_watson.documents import name_of, part, read_text
from cloudtune_watson.errors import PROVIDER, WatsonError
from cloudtune_watson.jobs.client import RuntimeClient, asset_of
from cloudtune_watson.jobs.results import (
    OUTPUT,
    DamagedResultsError,
    Results,
    find_results,
    store_results,
)
from cloudtune_watson.jobs.uploads import DATA, Leftovers
from cloudtune_watson.layout import DEPLOYMENT, JOB, PARAMETERS
from cloudtune_watson.run_jobs import RunJobs, end_job
from cloudtune_watson.versions import parse_version

FOLDER = "results"
"""The folder of a run's job on this machine with a folder for each ended start."""
MAX_ATTEMPTS = 5
"""How often the results of a job are read before the trial fails without them."""


class DeploymentJobs(RunJobs):
    """The deployment jobs of one run: the `TrainingJobs` of IBM Watson.

    IBM assigns each job an id, and two jobs may have the same name. Therefore jobs are found by
    their name in the list of the run's deployment, the oldest one first.
    """

    def __init__(
        self, runtime: RuntimeClient, plan: Plan, context: JobContext, deploy: Callable[[], str]
    ) -> None:
        """Create the client without calling the service.

        Args:
            runtime: The service.
            plan: The plan of the job.
            context: The folder and the emulator of the job.
            deploy: Returns the id of the run's deployment, which it creates unless it exists. It is
                called by the first `create`: following and stopping jobs never creates anything.

        Raises:
            UsageError: If a variable that the study reads is not set.
        """
        super().__init__(plan, emulated=runtime.emulated)
        self._runtime = runtime
        self._folder = context.folder / FOLDER
        self._deploy = deploy
        self._deployed: str | None = None
        data = plan.facts.data
        self._version = None if data["is_cloud"] else parse_version(data["version"])
        self._resolve(plan.request)  # fails here rather than at the first start
        self._attempts: dict[str, int] = {}
        """How often the results of a job could not be read, by its name."""

    def create(self, started: Started) -> None:
        """Create the deployment job of a start.

        IBM would create a second job of this name, so the caller first looks for one that may
        exist.

        Raises:
            ProviderError: If the code cannot be deployed, or the call fails.
        """
        assert started.id is not None
        if self._deployed is None:
            self._deployed = self._deploy()
        self._runtime.create_job(self._request(started, started.id, self._deployed))

    def poll(self, starts: Sequence[Started]) -> dict[str, TrainingJob]:
        """Return the current state of each job by name. Missing jobs are omitted.

        Raises:
            ProviderError: If IBM cannot be called, or results cannot be stored on this machine.
        """
        names = [started.id for started in starts if started.id]
        jobs: dict[str, TrainingJob] = {}
        for name in names:
            if results := find_results(self._folder / name):
                jobs[name] = self._ended_job(results)
        if remaining := [name for name in names if name not in jobs]:
            listed = self._list()
            for name in remaining:
                if name in listed:
                    jobs[name] = self._training_job(name, listed[name])
        return jobs

    def stop(self, name: str) -> None:
        """Stop a job; no effect on one that has ended or does not exist.

        Raises:
            WatsonError: If IBM cannot be called, or refuses.
        """
        if find_results(self._folder / name):
            return
        for job in self._jobs():
            if name_of(job) != name or response.has_ended(job):
                continue
            end_job(
                partial(self._runtime.cancel_job, job, self._version),
                partial(self._runtime.get_job, job["metadata"]["id"]),
            )

    def remove_leftovers(self) -> None:
        """Delete what the run has in the space: its jobs, their results, deployment and script.

        Raises:
            WatsonError: If IBM cannot be called, or refuses.
        """
        left = Leftovers(self._runtime)
        left.delete(list(left.list(f"watsonx/{self._plan.facts.job_name}/")))

    def _request(self, started: Started, name: str, deployment: str) -> Json:
        text = json.dumps(self._values(started), ensure_ascii=False, separators=(",", ":"))
        replacements = {JOB: name, DEPLOYMENT: deployment, PARAMETERS: text}
        request: Json = fill_placeholders(self._plan.request, replacements)
        return self._resolve(request)

    def _resolve(self, request: Json) -> Json:
        return resolve_secrets(request, self._plan.study, key="environment_variables")

    def _list(self) -> dict[str, Json]:
        """Return the jobs of the run by name; of two with the same name, the oldest one."""
        jobs: dict[str, Json] = {}
        for job in self._jobs():
            jobs.setdefault(name_of(job), job)
        return jobs

    def _jobs(self) -> list[Json]:
        """Return the jobs of the run's deployment; none if there is no deployment."""
        if self._deployed is not None:
            return self._runtime.list_jobs(self._deployed)
        found = self._runtime.list_deployments(self._plan.facts.job_name)
        return self._runtime.list_jobs(read_text(found[0], "metadata", "id")) if found else []

    def _training_job(self, name: str, job: Json) -> TrainingJob:
        if response.has_ended(job):
            return self._ended_job(self._take(name, job))
        status = response.training_status(job)
        return TrainingJob(
            state=response.training_state(job),
            word=response.service_state(job),
            started=response.to_seconds(status.get("running_at")),
            machine=self._machine,
        )

    @property
    def _machine(self) -> str | None:
        hardware: Json = self._plan.request["hardware_spec"]
        return hardware.get("name")

    def _ended_job(self, results: Results) -> TrainingJob:
        """Return a job that has ended.

        ``running_at`` has whole seconds and is written late: it was 0 to 2 s before the end of jobs
        that had been created 12 to 55 s before (recorded 2020 to 2025). So IBM bills at least from
        the launcher's start to its end, and at most from the creation, which includes the queue. A
        job without both may have been in the queue only.
        """
        job = results.job
        state, word = response.training_state(job), response.service_state(job)
        reason = response.failure_reason(job)
        if state == "completed":
            reason = results.failure
            if results.exit_code != 0:
                state, reason = "failed", reason or _explain(results)
        status = response.training_status(job)
        running_at = response.to_seconds(status.get("running_at"))
        completed_at = response.to_seconds(status.get("completed_at"))
        started, ended = results.seconds
        created_at = response.to_seconds(part(job, "metadata").get("created_at"))
        most = self._billed_seconds(created_at, completed_at)
        least = self._billed_seconds(started, ended)
        least = least or self._billed_seconds(running_at, completed_at) or 0.0
        return TrainingJob(
            state=state,
            word=word,
            measurements=results.measurements(),
            started=started or running_at,
            ended=completed_at or ended or results.folder.stat().st_mtime,
            reason=reason,
            billed_seconds=most,
            billed_at_least=None if most is None else min(least, most),
            machine=self._machine,
            log=results.log,
            artifacts=results.artifacts,
        )

    def _take(self, name: str, job: Json) -> Results:
        """Copy the results of an ended job to this machine, and delete them and the job."""
        folder, asset = self._folder / name, self._output(name, job)
        content = self._folder / f"{name}.download"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            described = self._runtime.get_asset(asset) if asset else None
            found = described is not None and self._runtime.download(described, content)
            results = store_results(folder, job, content if found else None)
        except DamagedResultsError as error:
            self._attempts[name] = self._attempts.get(name, 0) + 1
            if self._attempts[name] < MAX_ATTEMPTS:
                message = f"the results of {name} are damaged: {error}"
                raise WatsonError(message, retryable=True) from error
            results = store_results(folder, job, content, unpack=False)
        except OSError as error:
            raise ProviderError(PROVIDER, f"cannot store the results of {name}: {error}") from error
        finally:
            content.unlink(missing_ok=True)
        if asset:
            self._runtime.delete_asset(asset)
        self._runtime.delete_job(job["metadata"]["id"])
        return results

    def _output(self, name: str, job: Json) -> str | None:
        """Return the id of the data asset with the results of a job, or None."""
        if asset := asset_of(part(job, "entity", "scoring", "output_data_reference")):
            return asset
        if response.training_state(job) != "completed":
            return None
        return next(iter(self._runtime.find_assets(DATA, name)), None)


def _explain(results: Results) -> str:
    if results.exit_code is not None:
        return f"the script exited with the status {results.exit_code}"
    output = results.folder / OUTPUT
    left = (
        f"its output is {output}, which cannot be read as results"
        if output.is_file()
        else ("the job has left no results")
    )
    return f"{left}; IBM's web page of the job may have its log"
