"""Answers of services in which a field is missing, null or of another type, as clients read them.

Each recorded answer goes through the whole client, from HTTP on: the result is a reading, or an
error that cloudtune raises.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudtune.conversion import importer
from cloudtune.errors import CloudtuneError, ProviderError
from cloudtune.provider.models import JobContext, JobRef
from cloudtune.study.yaml_reader import is_list, is_map
from cloudtune_azure import job_description as azure_description
from cloudtune_azure.client import AzureClient
from cloudtune_azure.http import AzureHttp
from cloudtune_azure.http import Connection as AzureConnection
from cloudtune_azure.settings import workspace_id
from cloudtune_azure.training_client import AzureJobs
from cloudtune_azure.tuning_client import TuningClient as AzureTuning
from cloudtune_sagemaker import job_description as sagemaker_description
from cloudtune_sagemaker.training_client import SageMakerJobs
from cloudtune_sagemaker.tuning_client import TuningClient as SageMakerTuning
from cloudtune_vertex import job_description as vertex_description
from cloudtune_vertex.training_client import VertexJobs
from cloudtune_vertex.tuning_client import TuningClient as VertexTuning
from cloudtune_watson.jobs.client import RuntimeClient
from cloudtune_watson.jobs.training_client import DeploymentJobs
from cloudtune_watson.wml.client import WmlClient
from cloudtune_watson.wml.training_client import WatsonJobs
from cloudtune_watson.wmla import job_description as wmla_description
from cloudtune_watson.wmla.client import WmlaClient
from cloudtune_watson.wmla.tuning_client import TuningClient as Search
from tests import recorded
from tests.cloudtune_sagemaker.test_attach_finished import finished_job, trial_rows
from tests.in_process import KEY, URL
from tests.stubbed_service import StubbedService

Path_ = tuple[Any, ...]
OTHERS: tuple[Any, ...] = (None, [], {}, "text", -1.5, True, [None])
ARN = "arn:aws:sagemaker:us-east-1:111122223333"
RECORDED = Path(__file__).parent / "cloudtune_watson" / "emulator" / "recorded"
Read = Callable[[], object]


def answers_of(service: str, *fields: str) -> list[Any]:
    """Return the recorded answers that have all of some fields."""
    files = sorted((recorded.OWN / service).rglob("*.json"))
    answers = (item["answer"] for file in files for item in recorded.read(file)["sequence"])
    return [each for each in answers if {*fields} <= each.keys()]


class Service(StubbedService):
    """Yields the recorded answers of one provider, with what reads them."""

    def describe(self, describe: Callable[..., Any], *words: Any) -> None:
        described = describe(*words)
        if described.document is not None:
            provider = self.plan.provider
            importer.read_description(described.document, provider, described.address)

    # Each yields a name, an answer, and the reads of it.

    def cases(self) -> Iterator[tuple[str, Any, list[Read]]]:
        cases: Any = getattr(self, self.name.replace("-", "_"))
        yield from cases()

    def azure_command(self) -> Iterator[tuple[str, Any, list[Read]]]:
        connection = AzureConnection(URL, KEY)
        workspace = workspace_id(self.plan.facts.data)
        client = AzureClient(AzureHttp(connection), workspace)
        tracking = f"azureml://{URL.partition('://')[2]}/mlflow/v1.0{workspace}"

        def poll() -> object:
            return self.poll(AzureJobs(client, self.plan, self.context, nothing))

        metric = {"key": "accuracy", "value": 0.5, "timestamp": 1_700_000_000_000, "step": 1}
        data = {"metrics": [metric], "tags": [{"key": "a", "value": "b"}], "params": []}
        others = {"runs/get": {"run": {"data": data}}, "get-history": {"metrics": [metric]}}
        details = {"error": {"error": {"code": "UserError", "message": "no"}}, "logFiles": {}}
        for each in answers_of("azure", "properties", "name"):
            properties = each["properties"]
            if properties.get("jobType") != "Command" or "status" not in properties:
                continue
            services = {"Tracking": {"endpoint": tracking}}
            job = {**each, "name": "job-1", "properties": {**properties, "services": services}}
            self.stub.answers = {"/jobs/": job, "/details": details, **others}
            yield "/jobs/", job, [poll]
        self.stub.answers["/jobs/"]["properties"]["status"] = "Running"
        for name, answer in others.items():
            yield name, answer, [poll]
        self.stub.answers["/jobs/"]["properties"]["status"] = "Failed"
        yield "/details", details, [poll]

    def azure_tuning(self) -> Iterator[tuple[str, Any, list[Read]]]:
        workspace = workspace_id(self.plan.facts.data)
        client = AzureClient(AzureHttp(AzureConnection(URL, KEY)), workspace)
        tracking = f"azureml://{URL.partition('://')[2]}/mlflow/v1.0{workspace}"

        def status() -> object:
            return AzureTuning(client, self.plan, self.context).status(JobRef("azure", "sweep"))

        def describe() -> None:
            self.describe(azure_description.describe_job, client, "sweep", self.plan)

        metric = {"key": "accuracy", "value": 0.5, "timestamp": 1_700_000_000_000, "step": 1}
        times = {"startTimeUtc": "2023-05-30T09:28:29.1234567+00:00"}
        others = {
            "/children": {"value": [{"runId": "sweep_0", "status": "Completed", **times}]},
            "runs/get": {"run": {"data": {"metrics": [metric]}}},
            "get-history": {"metrics": [metric]},
            "/details": {"error": {"error": {"code": "UserError", "message": "no"}}},
            "/workspaces/work": {"properties": {"mlFlowTrackingUri": tracking}},
        }
        sweeps = [
            each
            for each in answers_of("azure", "properties", "name")
            if each["properties"].get("jobType") == "Sweep" and "status" in each["properties"]
        ]
        for each in (sweeps[0], sweeps[-1]):
            properties = each["properties"]
            tags = {**properties["tags"], "_aml_system_sweep_0": '{"lr": 0.5, "kind": "1e3"}'}
            job = {**each, "name": "sweep", "properties": {**properties, "tags": tags}}
            self.stub.answers = {"/jobs/": job, **others}
            yield "/jobs/", job, [status, describe]
        for name, answer in others.items():
            yield name, answer, [status]

    def sagemaker_tuning(self) -> Iterator[tuple[str, Any, list[Read]]]:
        fields = ("HyperParameterTuningJobConfig", "HyperParameterTuningJobStatus")
        found = [typed(each) for each in answers_of("sagemaker", *fields)]
        job = typed(finished_job())
        rows, ref = trial_rows(job), JobRef("sagemaker", job["HyperParameterTuningJobName"])
        lists = {"ListTrainingJobsFor": {"TrainingJobSummaries": rows}}
        series = [
            {"Status": "Complete", "XAxisValues": [1, 2], "MetricValues": [0.5, 1]},
            {"Status": "ValidationError"},
        ]

        def status() -> object:
            return SageMakerTuning(self.aws, self.plan, self.context).status(ref)

        def describe() -> None:
            name = ref.id
            self.describe(sagemaker_description.describe_job, self.aws, name, self.plan)

        for each in found:
            self.stub.answers = {"DescribeHyperParameterTuningJob": each, **lists}
            yield "DescribeHyperParameterTuningJob", each, [status, describe]
        self.stub.answers = {"DescribeHyperParameterTuningJob": job, **lists}
        yield "ListTrainingJobsFor", lists["ListTrainingJobsFor"], [status]
        results = [{"TrainingJob": typed(each)} for each in trainings()]
        self.stub.answers["SageMaker.Search"] = {"Results": results[:3]}
        yield "SageMaker.Search", self.stub.answers["SageMaker.Search"], [status]
        status()
        count = self.stub.queries
        self.stub.answers["BatchGetMetrics"] = {"MetricQueryResults": [*(series * count)][:count]}
        yield "BatchGetMetrics", self.stub.answers["BatchGetMetrics"], [status]
        tags = {"Tags": [{"Key": "cloudtune:run", "Value": "x"}]}
        self.stub.answers["ListTags"] = tags
        yield "ListTags", tags, [describe]

    def sagemaker_training(self) -> Iterator[tuple[str, Any, list[Read]]]:
        def jobs() -> object:
            return self.poll(SageMakerJobs(self.aws, self.plan, self.context, nothing))

        named = [typed({**each, "TrainingJobName": "job-1"}) for each in trainings()]
        for job in named:
            self.stub.answers = {"DescribeTrainingJob": job}
            yield "DescribeTrainingJob", job, [jobs]
        self.stub.answers = {"SageMaker.Search": {"Results": [{"TrainingJob": named[-1]}]}}
        yield "SageMaker.Search", self.stub.answers["SageMaker.Search"], [jobs]

    def vertex_tuning(self) -> Iterator[tuple[str, Any, list[Read]]]:
        found = answers_of("vertex", "studySpec", "name")
        trials = [each["trials"] for each in answers_of("vertex", "trials")]
        (custom, *_) = answers_of("vertex", "jobSpec", "name")
        trial = {**trials[0][0], "customJob": custom["name"]}
        name = str(found[0]["name"])

        def status() -> object:
            return VertexTuning(self.google, self.plan, self.context).status(JobRef("vertex", name))

        def describe() -> None:
            self.describe(vertex_description.describe_job, self.google, name, self.plan)

        for each in [*found[:2], {**found[-1], "trials": [*trials[-1][:2], trial]}]:
            self.stub.answers = {"/hyperparameterTuningJobs/": each, "/customJobs/": custom}
            yield "/hyperparameterTuningJobs/", each, [status, describe]
        yield "/customJobs/", custom, [status]

    def vertex_custom(self) -> Iterator[tuple[str, Any, list[Read]]]:
        for each in answers_of("vertex", "jobSpec", "name"):
            rows = {"customJobs": [{**each, "labels": {"cloudtune-job": "job-1"}}]}

            def poll() -> object:
                return self.poll(VertexJobs(self.google, self.plan, self.context, nothing))

            self.stub.answers = {"/customJobs/": each, "/customJobs": rows}
            yield "/customJobs/", each, [poll]
            yield "/customJobs", rows, [poll]

    def watson_wml(self) -> Iterator[tuple[str, Any, list[Read]]]:
        class Client(WmlClient):
            """Gets each answer without IBM's package."""

            def call(self, call: Any) -> Any:
                del call
                return self.http.get(f"{URL}/ml/v4/trainings").json()

            def read(self, path: str) -> bytes | None:
                del path
                return None

        client = Client(self.http, self.facts)
        for each in answers_of("ibm", "entity", "metadata"):
            job = {**each, "metadata": {**each["metadata"], "tags": ["cloudtune-job:job-1"]}}
            rows = {"resources": [job]}

            def poll() -> object:
                return self.poll(WatsonJobs(client, self.plan, self.context, str))

            self.stub.answers = {"/ml/v4/trainings": rows}
            yield "/ml/v4/trainings", rows, [poll, lambda: client.get("x")]

    def watson_jobs(self) -> Iterator[tuple[str, Any, list[Read]]]:
        facts = {**self.facts, "iam_url": URL, "is_cloud": True}
        deployment = {"metadata": {"id": "d", "name": self.plan.facts.job_name}, "entity": {}}
        asset = {"metadata": {"name": "job-1", "asset_id": "a"}}
        others = {
            "/identity/token": {"access_token": "t"},
            "/deployments": {"resources": [deployment]},
            "/search": {"results": [asset]},
        }
        count = iter(range(10**9))

        def jobs() -> DeploymentJobs:
            context = JobContext(self.folder / str(next(count)))
            return DeploymentJobs(RuntimeClient(self.http, facts), self.plan, context, str)

        def poll() -> object:
            return self.poll(jobs())

        for each in answers_of("ibm", "entity", "metadata"):
            rows = {"resources": [{**each, "metadata": {**each["metadata"], "name": "job-1"}}]}
            self.stub.answers = {**others, "/deployment_jobs": rows}
            yield "/deployment_jobs", rows, [poll, lambda: jobs().stop("job-1")]
        for name, answer in others.items():
            yield name, answer, [poll]

    def watson_wmla(self) -> Iterator[tuple[str, Any, list[Read]]]:
        client = WmlaClient(self.http, {**self.facts})
        token = {"token": "t", "accessToken": "t"}
        for file in sorted(RECORDED.glob("*.json")):
            answer = json.loads(file.read_bytes())["response"]
            ref = JobRef("watson", "search")

            def status() -> object:
                return Search(client, self.plan, self.context).status(ref)  # noqa: B023

            def describe() -> None:
                self.describe(wmla_description.describe_job, client, "search")

            self.stub.answers = {"/hypersearch/": answer, "/log": "x", "": token}
            yield "/hypersearch/", answer, [status, describe]


def nothing() -> None: ...


def trainings() -> list[Any]:
    """Return the recorded training jobs, with the names that were not recorded."""
    arn = f"{ARN}:training-job/job"
    names = {"TrainingJobName": "job", "TrainingJobArn": arn, "TrainingJobStatus": "Completed"}
    found = answers_of("sagemaker", "TrainingStartTime", "AlgorithmSpecification")
    final = [{"MetricName": "accuracy", "Value": 0.5, "Timestamp": 1.7e9}]
    own = {"FinalMetricDataList": final, "HyperParameters": {"lr": "0.5", "kind": "1e3"}}
    return [{**names, **each} for each in (*found, {"CreationTime": 1.7e9, **found[-1], **own})]


def typed(value: Any, name: str = "") -> Any:
    """Return an answer of SageMaker with its times as numbers, as they are on the wire."""
    if is_map(value):
        return {key: typed(item, key) for key, item in value.items()}
    if is_list(value):
        return [typed(item) for item in value]
    if name.endswith("Time") and isinstance(value, str):
        return datetime.fromisoformat(value).timestamp()
    return value


def paths(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    if path:
        yield path
    items: Any = value.items() if is_map(value) else enumerate(value) if is_list(value) else ()
    for key, item in items:
        yield from paths(item, (*path, key))


def changed(answer: Any, path: Path_, *value: Any) -> Any:
    """Return an answer with another value at a path, or without it."""
    answer = copy.deepcopy(answer)
    *way, last = path
    parent = answer
    for key in way:
        parent = parent[key]
    if value:
        parent[last] = value[0]
    else:
        del parent[last]
    return answer


NAMES = (
    *("azure-command", "azure-tuning"),
    *("sagemaker-tuning", "sagemaker-training", "vertex-tuning", "vertex-custom"),
    *("watson-wml", "watson-jobs", "watson-wmla"),
)


@pytest.fixture
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    with pytest.MonkeyPatch.context() as patch:
        yield Service(request.param, tmp_path, patch)


def read_changed(service: Service, name: str, reads: list[Read], answer: Any) -> None:
    """Read an answer; only errors of cloudtune may come out."""
    known = service.stub.answers[name]
    service.stub.answers[name] = answer
    try:
        for read in reads:
            with suppress(CloudtuneError):
                read()
    finally:
        service.stub.answers[name] = known


def read_some_changes(service: Service, name: str, answer: Any, reads: list[Read]) -> None:
    everywhere = [*paths(answer)]

    @given(st.data())
    @settings(max_examples=5, deadline=None)  # the slow test has them all
    def check(data: st.DataObject) -> None:
        path = data.draw(st.sampled_from(everywhere))
        value = data.draw(st.sampled_from([(), *((each,) for each in OTHERS)]))
        read_changed(service, name, reads, changed(answer, path, *value))

    check()


@pytest.mark.parametrize("service", NAMES, indirect=True)
def test_some_changes_of_each_answer(service: Service) -> None:
    for name, answer, reads in service.cases():
        reads[0]()  # as it is, it can be read
        read_some_changes(service, name, answer, reads)


@pytest.mark.slow
@pytest.mark.parametrize("service", NAMES, indirect=True)
def test_each_field_of_each_answer(service: Service) -> None:
    for name, answer, reads in service.cases():
        for path in paths(answer):
            for value in [(), *((each,) for each in OTHERS)]:
                read_changed(service, name, reads, changed(answer, path, *value))


@pytest.mark.parametrize(
    ("service", "call", "path", "value", "message"),
    [
        (
            "azure-command",
            "/jobs/",
            ("properties", "services", "Tracking", "endpoint"),
            5,
            "the job job-1: properties.services.Tracking.endpoint is 5, and not a text",
        ),
        (
            "azure-tuning",
            "/jobs/",
            ("properties", "tags", "_aml_system_sweep_0"),
            "5",
            "the tag _aml_system_sweep_0 of the sweep is '5', and not a JSON object",
        ),
        (
            "azure-tuning",
            "/children",
            ("value", 0, "runId"),
            None,
            "the children of sweep: the response has no value[].runId",
        ),
        ("azure-command", "get-history", ("metrics", 0, "step"), "x", "a metric has the step 'x'"),
        (
            "sagemaker-tuning",
            "ListTrainingJobsFor",
            ("TrainingJobSummaries", 0, "TrainingJobName"),
            None,
            "ListTrainingJobsForHyperParameterTuningJob: the response has no "
            "TrainingJobSummaries[].TrainingJobName",
        ),
        (
            "sagemaker-tuning",
            "DescribeHyperParameterTuningJob",
            ("TrainingJobStatusCounters", "Completed"),
            "2",
            "TrainingJobStatusCounters.Completed is '2', and not a number",
        ),
        (
            "sagemaker-training",
            "DescribeTrainingJob",
            ("CreationTime",),
            "yesterday",
            "DescribeTrainingJob: CreationTime is 'yesterday', and not a time",
        ),
        (
            "vertex-tuning",
            "/hyperparameterTuningJobs/",
            ("name",),
            None,
            "HyperparameterTuningJob: the response has no name",
        ),
        ("vertex-custom", "/customJobs/", ("createTime",), 5, "createTime"),
        (
            "watson-wmla",
            "/hypersearch/",
            ("experiments", 0, "hyperParams", 0, "name"),
            None,
            "the search search: the response has no experiments[].hyperParams[].name",
        ),
        (
            "watson-jobs",
            "/deployment_jobs",
            ("resources", 0, "metadata", "id"),
            None,
            "a response of IBM has no metadata.id",
        ),
    ],
    indirect=["service"],
)
def test_an_error_names_the_answer_and_the_field(
    service: Service, call: str, path: Path_, value: Any, message: str
) -> None:
    name, answer, reads = next(each for each in service.cases() if each[0] == call)
    service.stub.answers[name] = changed(answer, path, value)
    with pytest.raises(ProviderError) as raised:
        reads[0]()
    assert message in str(raised.value)
