"""Training pipelines, which the SDK's classes for training jobs create."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

import pytest

from cloudtune_vertex.google_sdk import import_google
from tests.cloudtune_vertex.emulator.conftest import PARENT

CUSTOM = "gs://google-cloud-aiplatform/schema/trainingjob/definition/custom_task_1.0.0.yaml"
TABLES = "gs://google-cloud-aiplatform/schema/trainingjob/definition/automl_tabular_1.0.0.yaml"
MODEL = {"displayName": "m", "containerSpec": {"imageUri": "gcr.io/team/serve"}}


def exceptions() -> Any:
    return pytest.importorskip("google.api_core.exceptions")


class Pipelines:
    """Google's own client of PipelineService."""

    def __init__(self, emulator: Any, version: str = "v1") -> None:
        self._emulator = emulator
        package = f"google.cloud.aiplatform_{version}"
        self._type = import_google(f"{package}.types").TrainingPipeline
        service: Any = import_google(f"{package}.services.pipeline_service")
        self.client = service.PipelineServiceClient(
            transport="rest",
            credentials=emulator.credentials(),
            client_options={"api_endpoint": emulator.url},
        )

    def create(self, code: str, *, output: str = "pipeline", **changes: Any) -> Any:
        """Create a pipeline as the SDK does: its inputs are a CustomJobSpec in snake case."""
        container = {"image_uri": "gcr.io/team/x", "command": ["python3", "-c", code]}
        pool = {
            "machine_spec": {"machine_type": "n1-standard-4"},
            "replica_count": 1,
            "container_spec": container,
        }
        pipeline = {
            "displayName": self._emulator.name(),
            "trainingTaskDefinition": CUSTOM,
            "trainingTaskInputs": {
                "worker_pool_specs": [pool],
                "base_output_directory": {"output_uri_prefix": f"gs://team-bucket/{output}"},
                "scheduling": {"timeout": "600s", "strategy": 4, "max_wait_duration": None},
            },
            **changes,
        }
        message = self._type.from_json(json.dumps(pipeline))
        return self.client.create_training_pipeline(
            parent=PARENT, training_pipeline=message, timeout=200
        )

    def ended(self, name: str) -> Any:
        def has_ended(pipeline: Any) -> bool:
            return pipeline.end_time is not None

        return self._emulator.until(
            lambda: self.client.get_training_pipeline(name=name, timeout=200), has_ended
        )


@pytest.fixture
def pipelines(emulator: Any) -> Any:
    created = Pipelines(emulator)
    yield created
    created.client.transport.close()


def test_a_pipeline_runs_a_custom_job(emulator: Any, pipelines: Any) -> None:
    created = pipelines.create(
        "import os; print(os.environ['AIP_MODEL_DIR'])", labels={"team": "a"}
    )
    assert created.state.name == "PIPELINE_STATE_PENDING"
    pipeline = pipelines.ended(created.name)
    assert pipeline.state.name == "PIPELINE_STATE_SUCCEEDED"
    job = emulator.get(pipeline.training_task_metadata["backingCustomJob"])
    assert job.state.name == "JOB_STATE_SUCCEEDED"
    assert dict(job.labels) == {"team": "a"}
    assert job.job_spec.scheduling.strategy.name == "SPOT"
    assert emulator.log(job.name) == "gs://team-bucket/pipeline/model/\n"
    listed = pipelines.client.list_training_pipelines(
        request={"parent": PARENT, "filter": 'labels.team="a" AND state="PIPELINE_STATE_SUCCEEDED"'}
    )
    assert [each.name for each in listed] == [created.name]
    assert pipelines.client.delete_training_pipeline(name=created.name).done()
    with pytest.raises(exceptions().NotFound):
        pipelines.client.get_training_pipeline(name=created.name)


def test_a_pipeline_fails_and_is_cancelled_with_its_job(pipelines: Any) -> None:
    failed = pipelines.ended(pipelines.create("raise SystemExit(3)").name)
    assert failed.state.name == "PIPELINE_STATE_FAILED"
    assert "non-zero status of 3" in failed.error.message
    created = pipelines.create("import time; time.sleep(600)")
    pipelines.client.cancel_training_pipeline(name=created.name)
    assert pipelines.ended(created.name).state.name == "PIPELINE_STATE_CANCELLED"


SAVE = """
import os
folder = os.environ["AIP_MODEL_DIR"].replace("gs://", "/gcs/")
os.makedirs(folder, exist_ok=True)
open(folder + "model.txt", "w").write("trained")
"""


def test_a_pipeline_uploads_its_model(emulator: Any, pipelines: Any) -> None:
    service: Any = import_module("google.cloud.aiplatform_v1")
    pipeline = pipelines.ended(pipelines.create(SAVE, output="uploaded", modelToUpload=MODEL).name)
    assert pipeline.state.name == "PIPELINE_STATE_SUCCEEDED", pipeline.error
    client = service.ModelServiceClient(
        transport="rest",
        credentials=emulator.credentials(),
        client_options={"api_endpoint": emulator.url},
    )
    model = client.get_model(name=pipeline.model_to_upload.name)
    assert model.display_name == "m"
    assert model.artifact_uri == "gs://team-bucket/uploaded/model"
    assert [each.name for each in client.list_models(parent=PARENT)] == [model.name]
    assert client.delete_model(name=model.name).done()
    with pytest.raises(exceptions().NotFound):
        client.get_model(name=model.name)
    client.transport.close()


def test_a_pipeline_without_files_for_its_model_fails(pipelines: Any) -> None:
    pipeline = pipelines.ended(pipelines.create("", output="empty", modelToUpload=MODEL).name)
    assert pipeline.state.name == "PIPELINE_STATE_FAILED"
    assert 'no files under "gs://team-bucket/empty/model"' in pipeline.error.message


def test_the_beta_version_is_served(emulator: Any) -> None:
    beta = Pipelines(emulator, "v1beta1")
    assert beta.ended(beta.create("").name).state.name == "PIPELINE_STATE_SUCCEEDED"
    beta.client.transport.close()


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"displayName": ""}, "BadRequest", "display_name"),
        ({"trainingTaskInputs": {}}, "BadRequest", "training_task_inputs"),
        ({"trainingTaskInputs": {"network": "n"}}, "BadRequest", "worker_pool_specs"),
        ({"trainingTaskInputs": {"workers": 1}}, "BadRequest", "Invalid JSON payload"),
        ({"trainingTaskDefinition": TABLES}, "MethodNotImplemented", "runs no gs://"),
        ({"inputDataConfig": {"datasetId": "1"}}, "MethodNotImplemented", "no datasets"),
    ],
)
def test_what_it_does_not_run_is_refused(
    pipelines: Any, changes: dict[str, Any], kind: str, message: str
) -> None:
    with pytest.raises(getattr(exceptions(), kind), match=message):
        pipelines.create("", **changes)


@pytest.mark.parametrize("resource", ["models:upload", "datasets", "metadataStores"])
def test_other_services_are_refused_with_what_there_is(emulator: Any, resource: str) -> None:
    requests: Any = import_module("google.auth.transport.requests")
    session = requests.AuthorizedSession(emulator.credentials())
    answer = session.post(f"{emulator.url}/v1/{PARENT}/{resource}", json={})
    session.close()
    error = answer.json()["error"]
    assert (answer.status_code, error["status"]) == (501, "UNIMPLEMENTED")
    assert "trainingPipelines" in error["message"]


def test_inputs_must_be_an_object(emulator: Any) -> None:
    with pytest.raises(exceptions().BadRequest, match="must be an object"):
        Pipelines(emulator).create("", trainingTaskInputs=[1])
