"""The operations of JobService, each from its request to its response."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cloudtune.emulator_kit import Delays, FaultPlan, Json, Response, StudyError, app
from cloudtune_vertex.emulator import views
from cloudtune_vertex.emulator.errors import JSON, precondition, unimplemented
from cloudtune_vertex.emulator.listing import page
from cloudtune_vertex.emulator.mount import Mount
from cloudtune_vertex.emulator.package_cache import PackageCache
from cloudtune_vertex.emulator.rules import demand, tuning
from cloudtune_vertex.emulator.rules import job as job_rules
from cloudtune_vertex.emulator.script_jobs import CustomJobs
from cloudtune_vertex.emulator.state import (
    CUSTOM,
    TUNING,
    CustomJob,
    Job,
    Store,
    TuningJob,
    parent_of,
)
from cloudtune_vertex.emulator.storage import Storage
from cloudtune_vertex.emulator.tuner import Tuner
from cloudtune_vertex.emulator.wire import Messages

NOT_DRIVEN: Mapping[str, str] = {
    "no_metric": "the service only reads metrics of custom jobs that are trials of a tuning job",
    "stop_early": "the service only stops custom jobs early that are trials of a tuning job",
}
"""Effects of a fault plan that are impossible for a client's own custom jobs, and why."""


@dataclass(frozen=True)
class Call:
    """A call of an operation."""

    resource: str
    """The resource's name, or that of its parent."""
    query: Mapping[str, str]
    body: bytes


class Operations(app.Operations[CustomJobs, Tuner]):
    """Carries out operations on the jobs of one emulator."""

    def __init__(
        self, folder: Path, delays: Delays, faults: FaultPlan, storage: Storage, scripts_url: str
    ) -> None:
        self.store = Store()
        self._messages = Messages()
        jobs = CustomJobs(
            delays,
            self.store.lock,
            storage=storage,
            mount=Mount(folder / "gcs", storage),
            packages=PackageCache(folder / "layers"),
            url=scripts_url,
        )
        super().__init__(app.Context(folder, delays, faults, jobs, self.store.lock))

    def carry_out(self, operation: str, call: Call) -> Response:
        """Return the response to a call.

        Raises:
            ServiceError: If the service would refuse.
        """
        with self.store.lock:
            return Response(200, OPERATIONS[operation](self, call), JSON)

    def create_tuning(self, call: Call) -> bytes:
        """CreateHyperparameterTuningJob."""
        request = self._messages.read("HyperparameterTuningJob", call.body)
        tuning.check(request)
        parent = parent_of(call.resource)
        job = TuningJob(self.store.new_name(parent, TUNING), parent, request)
        try:
            tuner = Tuner(job, self.store, self.context)
        except (ValueError, StudyError) as error:
            raise unimplemented(f"This emulator's search cannot run the study: {error}") from error
        self.tuners[job.name] = tuner
        self.store.add(job)
        body = self._tuning(job, call)
        tuner.start()
        return body

    def get_tuning(self, call: Call) -> bytes:
        """GetHyperparameterTuningJob."""
        return self._tuning(self.store.get(TuningJob, call.resource), call)

    def list_tunings(self, call: Call) -> bytes:
        """ListHyperparameterTuningJobs: without their trials."""
        jobs, next_page = page(self.store.jobs(TuningJob, parent_of(call.resource)), call.query)
        kind = "HyperparameterTuningJob"
        rows = [self._masked(kind, views.tuning(job, trials=False), call) for job in jobs]
        return self._list(f"List{kind}sResponse", TUNING, rows, next_page, call)

    def cancel_tuning(self, call: Call) -> bytes:
        """CancelHyperparameterTuningJob."""
        job = self.store.get(TuningJob, call.resource)
        _demand_cancellable(job)
        self.tuners[job.name].cancel()
        return b"{}"

    def delete_tuning(self, call: Call) -> bytes:
        """DeleteHyperparameterTuningJob, with the custom jobs of its trials.

        No condition is documented: a running job ends. Google's own samples first cancel a job and
        wait for its end (googleapis/python-aiplatform, samples/snippets/conftest.py).
        """
        job = self.store.get(TuningJob, call.resource)
        self.tuners[job.name].cancel()
        for trial in job.trials:
            self.store.delete(trial.job)
        self.store.delete(job)
        return views.deleted(job.name, TUNING)

    def create_custom(self, call: Call) -> bytes:
        """CreateCustomJob."""
        request = self._messages.read("CustomJob", call.body)
        demand(job_rules.CUSTOM_RULES, request)
        parent = parent_of(call.resource)
        fault = self.context.faults.next_trial()
        if fault is not None and fault.effect in NOT_DRIVEN:
            raise unimplemented(
                f"The fault plan has {fault.effect} for this job: {NOT_DRIVEN[fault.effect]}."
            )
        name = self.store.new_name(parent, CUSTOM)
        folder = self.context.job_folder(name.rpartition("/")[2])
        job = CustomJob(name, parent, request, folder=folder, fault=fault)
        self.store.add(job)
        body = self._custom(job, call)
        self.context.jobs.launch(job)
        return body

    def get_custom(self, call: Call) -> bytes:
        """GetCustomJob."""
        return self._custom(self.store.get(CustomJob, call.resource), call)

    def list_customs(self, call: Call) -> bytes:
        """ListCustomJobs."""
        jobs, next_page = page(self.store.jobs(CustomJob, parent_of(call.resource)), call.query)
        rows = [self._masked("CustomJob", views.custom(job), call) for job in jobs]
        return self._list("ListCustomJobsResponse", CUSTOM, rows, next_page, call)

    def cancel_custom(self, call: Call) -> bytes:
        """CancelCustomJob."""
        job = self.store.get(CustomJob, call.resource)
        _demand_cancellable(job)
        self.context.jobs.cancel(job)
        return b"{}"

    def delete_custom(self, call: Call) -> bytes:
        """DeleteCustomJob; a running job ends."""
        job = self.store.get(CustomJob, call.resource)
        self.context.jobs.cancel(job)
        self.store.delete(job)
        return views.deleted(job.name, CUSTOM)

    def _tuning(self, job: TuningJob, call: Call) -> bytes:
        return self._messages.write("HyperparameterTuningJob", views.tuning(job), call.query)

    def _custom(self, job: CustomJob, call: Call) -> bytes:
        return self._messages.write("CustomJob", views.custom(job), call.query)

    def _masked(self, kind: str, row: Json, call: Call) -> Json:
        mask = call.query.get("readMask")
        return self._messages.masked(kind, row, mask) if mask else row

    def _list(
        self, kind: str, field: str, rows: list[Json], next_page: str | None, call: Call
    ) -> bytes:
        message: Json = {field: rows}
        if next_page:
            message["nextPageToken"] = next_page
        return self._messages.write(kind, message, call.query)


def _demand_cancellable(job: Job) -> None:
    """Refuse to cancel a job that has ended; the service's behaviour is not documented."""
    if job.is_over:
        raise precondition(f"{job.name} cannot be cancelled, since its state is {job.state}.")


OPERATIONS: Mapping[str, Callable[[Operations, Call], bytes]] = {
    "CreateHyperparameterTuningJob": Operations.create_tuning,
    "GetHyperparameterTuningJob": Operations.get_tuning,
    "ListHyperparameterTuningJobs": Operations.list_tunings,
    "CancelHyperparameterTuningJob": Operations.cancel_tuning,
    "DeleteHyperparameterTuningJob": Operations.delete_tuning,
    "CreateCustomJob": Operations.create_custom,
    "GetCustomJob": Operations.get_custom,
    "ListCustomJobs": Operations.list_customs,
    "CancelCustomJob": Operations.cancel_custom,
    "DeleteCustomJob": Operations.delete_custom,
}
