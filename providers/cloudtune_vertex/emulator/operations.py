"""The operations of JobService that the emulator has, each from its request to its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cloudtune.emulation.faults import FaultPlan
from cloudtune.emulator_kit.delays import Delays
from cloudtune.errors import StudyError
from cloudtune.study.schema import Json
from cloudtune_vertex.emulator import views
from cloudtune_vertex.emulator.errors import not_here, precondition
from cloudtune_vertex.emulator.listing import page
from cloudtune_vertex.emulator.mount import Mount
from cloudtune_vertex.emulator.package_cache import Layers
from cloudtune_vertex.emulator.rules import demand, tuning
from cloudtune_vertex.emulator.rules import job as job_rules
from cloudtune_vertex.emulator.script_jobs import CustomJobs
from cloudtune_vertex.emulator.state import TERMINAL, CustomJob, Job, TuningJob
from cloudtune_vertex.emulator.storage import Storage
from cloudtune_vertex.emulator.store import CUSTOM, TUNING, Store, parent_of
from cloudtune_vertex.emulator.tuner import Tuner, Workshop
from cloudtune_vertex.emulator.wire import Messages

NOT_DRIVEN: Mapping[str, str] = {
    "no_metric": "the service reads no metrics of a custom job that is no tuning job's trial",
    "stop_early": "the service stops no custom job early that is no tuning job's trial",
}
"""Effects of a fault plan that make no sense for custom jobs which a client creates, and why."""


@dataclass(frozen=True)
class Call:
    """One call: of which resource, with which query, with which body."""

    resource: str
    """The resource's name, or that of its parent."""
    query: Mapping[str, str]
    body: bytes


class Operations:
    """Carries out operations on the jobs of one emulator."""

    def __init__(
        self, folder: Path, delays: Delays, faults: FaultPlan, storage: Storage, scripts_url: str
    ) -> None:
        self.store = Store()
        self._messages = Messages()
        mount = Mount(folder / "gcs", storage)
        layers = Layers(folder / "layers")
        lock = self.store.lock
        self._custom_jobs = CustomJobs(
            delays, lock, storage=storage, mount=mount, layers=layers, url=scripts_url
        )
        self._shop = Workshop(self.store, self._custom_jobs, delays, faults, folder)
        self._tuners: dict[str, Tuner] = {}

    def carry_out(self, operation: str, call: Call) -> bytes:
        """Return the answer of an operation.

        Raises:
            ServiceError: If the service would refuse.
        """
        with self.store.lock:
            return OPERATIONS[operation](self, call)

    def busy(self) -> bool:
        """Tell whether any job runs."""
        tuners = list(self._tuners.values())
        return self._custom_jobs.busy() or any(tuner.busy() for tuner in tuners)

    def close(self) -> None:
        """End everything that runs, at once."""
        self._custom_jobs.close()

    def create_tuning(self, call: Call) -> bytes:
        """CreateHyperparameterTuningJob."""
        request = self._messages.read("HyperparameterTuningJob", call.body)
        tuning.check(request)
        parent = parent_of(call.resource)
        job = TuningJob(self.store.new_name(parent, TUNING), parent, request)
        try:
            tuner = Tuner(job, self._shop)
        except (ValueError, StudyError) as error:
            raise not_here(f"This emulator's search cannot run the study: {error}") from error
        self._tuners[job.name] = tuner
        self.store.add(job)
        answer = self._tuning(job, call)
        tuner.start()
        return answer

    def get_tuning(self, call: Call) -> bytes:
        """GetHyperparameterTuningJob."""
        return self._tuning(self.store.get(TuningJob, call.resource), call)

    def list_tunings(self, call: Call) -> bytes:
        """ListHyperparameterTuningJobs: without their trials."""
        jobs, following = page(self.store.all(TuningJob, parent_of(call.resource)), call.query)
        kind = "HyperparameterTuningJob"
        rows = [self._masked(kind, views.tuning(job, trials=False), call) for job in jobs]
        return self._list(f"List{kind}sResponse", TUNING, rows, following, call)

    def cancel_tuning(self, call: Call) -> bytes:
        """CancelHyperparameterTuningJob."""
        job = self.store.get(TuningJob, call.resource)
        _demand_cancellable(job)
        self._tuners[job.name].cancel()
        return b"{}"

    def delete_tuning(self, call: Call) -> bytes:
        """DeleteHyperparameterTuningJob; the custom jobs of its trials go with it.

        No condition is documented: one that runs is ended. Google's own samples cancel a job and
        wait for its end first (googleapis/python-aiplatform, samples/snippets/conftest.py).
        """
        job = self.store.get(TuningJob, call.resource)
        self._tuners[job.name].cancel()
        for trial in job.trials:
            self.store.delete(trial.job)
        self.store.delete(job)
        return views.deleted(job.name, TUNING)

    def create_custom(self, call: Call) -> bytes:
        """CreateCustomJob."""
        request = self._messages.read("CustomJob", call.body)
        demand(job_rules.CUSTOM_RULES, request)
        parent = parent_of(call.resource)
        fault = self._shop.faults.of_trial()
        if fault is not None and fault.effect in NOT_DRIVEN:
            raise not_here(
                f"The fault plan wants {fault.effect} for this job: {NOT_DRIVEN[fault.effect]}."
            )
        name = self.store.new_name(parent, CUSTOM)
        folder = self._shop.folder_of(name.rpartition("/")[2])
        job = CustomJob(name, parent, request, folder=folder, fault=fault)
        self.store.add(job)
        answer = self._custom(job, call)
        self._custom_jobs.launch(job)
        return answer

    def get_custom(self, call: Call) -> bytes:
        """GetCustomJob."""
        return self._custom(self.store.get(CustomJob, call.resource), call)

    def list_customs(self, call: Call) -> bytes:
        """ListCustomJobs."""
        jobs, following = page(self.store.all(CustomJob, parent_of(call.resource)), call.query)
        rows = [self._masked("CustomJob", views.custom(job), call) for job in jobs]
        return self._list("ListCustomJobsResponse", CUSTOM, rows, following, call)

    def cancel_custom(self, call: Call) -> bytes:
        """CancelCustomJob."""
        job = self.store.get(CustomJob, call.resource)
        _demand_cancellable(job)
        self._custom_jobs.cancel(job)
        return b"{}"

    def delete_custom(self, call: Call) -> bytes:
        """DeleteCustomJob; of one that runs, as for a tuning job."""
        job = self.store.get(CustomJob, call.resource)
        self._custom_jobs.cancel(job)
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
        self, kind: str, field: str, rows: list[Json], following: str | None, call: Call
    ) -> bytes:
        answer: Json = {field: rows}
        if following:
            answer["nextPageToken"] = following
        return self._messages.write(kind, answer, call.query)


def _demand_cancellable(job: Job) -> None:
    """Refuse to cancel what has ended; that the service does so is not documented."""
    if job.state in TERMINAL:
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
