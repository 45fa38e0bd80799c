"""The operations of JobService, each from its request to its response."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cloudtune.emulator_kit import (
    NO_CAPACITY,
    Context,
    Delays,
    FaultPlan,
    Json,
    Response,
    StudyError,
    app,
)
from cloudtune_vertex.emulator import account, views
from cloudtune_vertex.emulator.errors import JSON, not_found, precondition, unimplemented
from cloudtune_vertex.emulator.listing import matching, page
from cloudtune_vertex.emulator.metadata import MetadataStore
from cloudtune_vertex.emulator.models import Models
from cloudtune_vertex.emulator.mount import Mount
from cloudtune_vertex.emulator.named_resources import NamedResources
from cloudtune_vertex.emulator.package_cache import PackageCache
from cloudtune_vertex.emulator.persistent_resources import PersistentResources
from cloudtune_vertex.emulator.rules import demand, pipelines, tuning
from cloudtune_vertex.emulator.rules import job as job_rules
from cloudtune_vertex.emulator.script_jobs import CustomJobs
from cloudtune_vertex.emulator.state import (
    AnyJob,
    CustomJob,
    Parent,
    Store,
    StoredJob,
    TrainingPipeline,
    TuningJob,
    full_name,
    parent_of,
)
from cloudtune_vertex.emulator.storage import Storage
from cloudtune_vertex.emulator.tuner import Tuner
from cloudtune_vertex.emulator.wire import Messages

DISK: Json = {"bootDiskType": "pd-ssd", "bootDiskSizeGb": 100}
"""What the service adds to each worker pool (recorded for n1-standard-4, 2021 and 2026; types of
google-cloud-aiplatform 2.7.0, DiskSpec). That other machines get it, too, is not verified."""
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
        self.resources = PersistentResources()
        self.models = Models(storage)
        self._messages = Messages()
        self._metadata = MetadataStore(self._messages)
        self._done_operations: dict[str, Json] = {}
        jobs = CustomJobs(
            delays,
            self.store.lock,
            storage=storage,
            mount=Mount(folder / "gcs", storage),
            packages=PackageCache(folder / "layers"),
            url=scripts_url,
        )
        super().__init__(Context(folder, delays, faults, jobs, self.store.lock))

    def carry_out(self, operation: str, call: Call) -> Response:
        """Return the response to a call.

        Raises:
            ServiceError: If the service would refuse.
        """
        with self.store.lock:
            self.models.upload(self.store.pipelines())
            return Response(200, OPERATIONS[operation](self, call), JSON)

    def create_tuning(self, call: Call) -> bytes:
        """CreateHyperparameterTuningJob."""
        request = self._messages.read(TuningJob.KIND, call.body)
        tuning.check(request)
        add_disks(request["trialJobSpec"])
        parent = parent_of(call.resource)
        name = self.store.new_name(parent, TuningJob)
        is_of_2021 = self.context.faults.seed % 2 == 1
        job = TuningJob(name, parent, request, trials_of_2021=is_of_2021)
        try:
            tuner = Tuner(job, self.store, self.context)
        except (ValueError, StudyError) as error:
            raise unimplemented(f"This emulator's search cannot run the study: {error}") from error
        self.tuners[job.name] = tuner
        self.store.add(job)
        body = self._write(job, call)
        tuner.start()
        return body

    def create_custom(self, call: Call) -> bytes:
        """CreateCustomJob."""
        request = self._messages.read(CustomJob.KIND, call.body)
        return self._write(self._create_job(parent_of(call.resource), request), call)

    def _create_job(self, parent: Parent, request: Json) -> CustomJob:
        resources = partial(self.resources.check, parent)
        demand((*job_rules.CUSTOM_RULES, resources), request)
        add_disks(request["jobSpec"])
        fault = self.context.faults.next_trial()
        if fault is not None and fault.effect in NOT_DRIVEN:
            raise unimplemented(
                f"The fault plan has {fault.effect} for this job: {NOT_DRIVEN[fault.effect]}."
            )
        name = self.store.new_name(parent, CustomJob)
        folder = self.context.job_folder(name.rpartition("/")[2])
        job = CustomJob(name, parent, request, folder=folder, fault=fault)
        self.store.add(job)
        self.context.jobs.launch(job)
        return job

    def create_pipeline(self, call: Call) -> bytes:
        """CreateTrainingPipeline, of the kind that creates a custom job.

        Its inputs are a CustomJobSpec: training_jobs.py of google-cloud-aiplatform 2.7.0.
        """
        request = self._messages.read(TrainingPipeline.KIND, call.body)
        pipelines.check(request)
        inputs = json.dumps(request.get("trainingTaskInputs", {})).encode()
        job: Json = {
            **{key: request[key] for key in ("labels", "encryptionSpec") if key in request},
            "displayName": f"{request.get('displayName', '')}-custom-job"[: job_rules.MAX_NAME],
            "jobSpec": self._messages.read("CustomJobSpec", inputs),
        }
        custom = self._create_job(parent_of(call.resource), job)
        name = self.store.new_name(custom.parent, TrainingPipeline)
        pipeline = TrainingPipeline(name, custom.parent, request, job=custom)
        pipeline.refresh()
        self.store.add(pipeline)
        return self._write(pipeline, call)

    def get(self, kind: type[AnyJob], call: Call) -> bytes:
        """GetHyperparameterTuningJob, GetCustomJob and GetTrainingPipeline."""
        return self._write(self.store.get(kind, call.resource), call)

    def list(self, kind: type[AnyJob], call: Call) -> bytes:
        """ListHyperparameterTuningJobs, without their trials, and the lists of other jobs."""
        jobs = matching(self.store.jobs(kind, parent_of(call.resource)), call.query)
        jobs, next_page = page(jobs, call.query)
        rows = [views.job(job, trials=False) for job in jobs]
        if mask := call.query.get("readMask"):
            rows = [self._messages.masked(kind.KIND, row, mask) for row in rows]
        message: Json = {kind.COLLECTION: rows}
        if next_page:
            message["nextPageToken"] = next_page
        return self._messages.write(f"List{kind.KIND}sResponse", message, call.query)

    def cancel(self, kind: type[AnyJob], call: Call) -> bytes:
        """CancelHyperparameterTuningJob, CancelCustomJob and CancelTrainingPipeline.

        A job that has ended is refused; the service's behavior is not documented.
        """
        job = self.store.get(kind, call.resource)
        if job.is_over:
            raise precondition(f"{job.name} cannot be cancelled, since its state is {job.state}.")
        self._cancel(job)
        return b"{}"

    def delete(self, kind: type[AnyJob], call: Call) -> bytes:
        """DeleteHyperparameterTuningJob, with the custom jobs of its trials, and of other jobs.

        No condition is documented: a running job ends. Google's own samples first cancel a job and
        wait for its end (googleapis/python-aiplatform, samples/snippets/conftest.py).
        """
        job = self.store.get(kind, call.resource)
        self._cancel(job)
        for trial in job.trials if isinstance(job, TuningJob) else ():
            self.store.delete(trial.job)
        self.store.delete(job)
        return self._deleted(call)

    def create_resource(self, call: Call) -> bytes:
        """CreatePersistentResource, done at once."""
        request = self._messages.read(self.resources.KIND, call.body)
        id_ = call.query.get("persistentResourceId", "")
        parent = parent_of(call.resource)
        resource = self.resources.create(parent, id_, request)
        self._messages.write(self.resources.KIND, resource, call.query)
        response = {"@type": f"{views.AIPLATFORM}{self.resources.KIND}", **resource}
        return self._done(parent, "CreatePersistentResourceOperationMetadata", response)

    def get_named(self, resources: NamedResources, call: Call) -> bytes:
        """GetPersistentResource and GetModel."""
        return self._messages.write(resources.KIND, resources.get(call.resource), call.query)

    def list_named(self, resources: NamedResources, call: Call) -> bytes:
        """ListPersistentResources and ListModels, on one page."""
        message: Json = {resources.COLLECTION: resources.list(parent_of(call.resource))}
        return self._messages.write(f"List{resources.KIND}sResponse", message, call.query)

    def delete_named(self, resources: NamedResources, call: Call) -> bytes:
        """DeletePersistentResource and DeleteModel."""
        resources.delete(call.resource)
        return self._deleted(call)

    def get_operation(self, call: Call) -> bytes:
        """GetOperation and WaitOperation of google.longrunning, whose operations are all done.

        Chosen: the message of one that does not exist, and that all stay until they are deleted.
        """
        name = full_name(call.resource)
        if name not in self._done_operations:
            raise not_found("The Operation does not exist.")
        return json.dumps(self._done_operations[name]).encode()

    def list_operations(self, call: Call) -> bytes:
        """ListOperations, newest first. No document says what Vertex AI accepts as a filter."""
        if "filter" in call.query:
            raise unimplemented("This emulator does not filter operations.")
        parent = f"{parent_of(call.resource).name}/"
        rows = [each for name, each in self._done_operations.items() if name.startswith(parent)]
        rows, next_page = page(rows[::-1], call.query)
        message: Json = {"operations": rows} if rows else {}
        if next_page:
            message["nextPageToken"] = next_page
        return json.dumps(message).encode()

    def cancel_operation(self, call: Call) -> bytes:
        """CancelOperation, which leaves one that is done as it is."""
        self.get_operation(call)
        return b"{}"

    def delete_operation(self, call: Call) -> bytes:
        """DeleteOperation."""
        self.get_operation(call)
        del self._done_operations[full_name(call.resource)]
        return b"{}"

    def _deleted(self, call: Call) -> bytes:
        response = {"@type": "type.googleapis.com/google.protobuf.Empty"}
        return self._done(parent_of(call.resource), "DeleteOperationMetadata", response)

    def _done(self, parent: Parent, metadata: str, response: Json) -> bytes:
        operation = views.operation(parent, metadata, response)
        self._done_operations[operation["name"]] = operation
        return json.dumps(operation).encode()

    def metadata(
        self, method: str, match: re.Match[str], query: Mapping[str, str], body: bytes
    ) -> Response:
        """Return the response of the metadata store; see `MetadataStore.respond`."""
        with self.store.lock:
            return Response(200, self._metadata.respond(method, match, query, body), JSON)

    def _cancel(self, job: StoredJob) -> None:
        if isinstance(job, CustomJob):
            self.context.jobs.cancel(job)
        elif isinstance(job, TrainingPipeline):
            self.context.jobs.cancel(job.job)
        else:
            self.tuners[job.name].cancel()

    def _write(self, job: StoredJob, call: Call) -> bytes:
        return self._messages.write(job.KIND, views.job(job), call.query)


def add_disks(spec: Json) -> None:
    """Add to the pools of a CustomJobSpec what the service adds."""
    for pool in spec.get("workerPoolSpecs", ()):
        if pool:
            pool["diskSpec"] = DISK | pool.get("diskSpec", {})


OPERATIONS: Mapping[str, Callable[[Operations, Call], bytes]] = {
    "CreateHyperparameterTuningJob": Operations.create_tuning,
    "GetHyperparameterTuningJob": lambda each, call: each.get(TuningJob, call),
    "ListHyperparameterTuningJobs": lambda each, call: each.list(TuningJob, call),
    "CancelHyperparameterTuningJob": lambda each, call: each.cancel(TuningJob, call),
    "DeleteHyperparameterTuningJob": lambda each, call: each.delete(TuningJob, call),
    "CreateCustomJob": Operations.create_custom,
    "GetCustomJob": lambda each, call: each.get(CustomJob, call),
    "ListCustomJobs": lambda each, call: each.list(CustomJob, call),
    "CancelCustomJob": lambda each, call: each.cancel(CustomJob, call),
    "DeleteCustomJob": lambda each, call: each.delete(CustomJob, call),
    "CreatePersistentResource": Operations.create_resource,
    "GetPersistentResource": lambda each, call: each.get_named(each.resources, call),
    "ListPersistentResources": lambda each, call: each.list_named(each.resources, call),
    "DeletePersistentResource": lambda each, call: each.delete_named(each.resources, call),
    "GetModel": lambda each, call: each.get_named(each.models, call),
    "ListModels": lambda each, call: each.list_named(each.models, call),
    "DeleteModel": lambda each, call: each.delete_named(each.models, call),
    "CreateTrainingPipeline": Operations.create_pipeline,
    "GetTrainingPipeline": lambda each, call: each.get(TrainingPipeline, call),
    "ListTrainingPipelines": lambda each, call: each.list(TrainingPipeline, call),
    "CancelTrainingPipeline": lambda each, call: each.cancel(TrainingPipeline, call),
    "DeleteTrainingPipeline": lambda each, call: each.delete(TrainingPipeline, call),
    "GetOperation": Operations.get_operation,
    "ListOperations": Operations.list_operations,
    "CancelOperation": Operations.cancel_operation,
    "DeleteOperation": Operations.delete_operation,
    "WaitOperation": Operations.get_operation,
}
_VERBS = ("create", "get", "list", "cancel")
EFFECTS = (NO_CAPACITY,)
OTHER_OPERATIONS = (
    *account.OPERATIONS,
    *(
        f"aiplatform.{kind}.{v}"
        for kind in ("hyperparameterTuningJobs", "customJobs")
        for v in _VERBS
    ),
    *(f"storage.objects.{verb}" for verb in ("create", "delete", "get", "list")),
    *("iam.serviceAccounts.actAs", "iam.serviceAccounts.getAccessToken"),
    *("logging.logEntries.list", "serviceusage.services.get", "cloudquotas.quotas.get"),
    *("artifactregistry.tags.get", "aiplatform.persistentResources.get"),
)
"""The operations of other services that a fault plan can name, and permissions that it can deny."""
