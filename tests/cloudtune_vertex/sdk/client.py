# pyright: basic, reportMissingImports=false
# mypy: disable-error-code="no-untyped-call"
"""What a user of Google's high-level SDK writes. Runs in an environment that has it, and not ours.

Each use is a function that returns what a test looks at. ``client.py USE`` leaves it as JSON in a
file of that name in the working folder. Nothing of the SDK is changed.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from google.cloud import aiplatform, storage
from google.cloud.aiplatform import hyperparameter_tuning as hpt
from google.oauth2.credentials import Credentials

BUCKET = "staging-bucket"
IMAGE = "us-docker.pkg.dev/vertex-ai/training/sklearn-cpu.1-0:latest"
AWAY = ("192.0.2.1", 443)
"""An address that nobody has."""


def begin() -> None:
    credentials = Credentials(token=os.environ["TEST_KEY"])
    aiplatform.init(
        project="team",
        location="us-central1",
        staging_bucket=f"gs://{BUCKET}",
        credentials=credentials,
        api_endpoint=os.environ["TEST_URL"],
        api_transport="rest",
    )
    client = storage.Client(project="team", credentials=credentials)
    if client.lookup_bucket(BUCKET) is None:
        client.create_bucket(BUCKET)


def job(name: str, *words: str, **more: Any) -> Any:
    custom = aiplatform.CustomJob.from_local_script(
        display_name=name,
        script_path=str(Path(__file__).with_name("task.py")),
        container_uri=IMAGE,
        args=["--base=2", *words],
        machine_type="n1-standard-4",
        base_output_dir=f"gs://{BUCKET}/{name}",
    )
    momentum = hpt.DoubleParameterSpec(0.1, 0.9, "linear", parent_values=["sgd"])
    given: dict[str, Any] = {
        "metric_spec": {"score": "maximize"},
        "parameter_spec": {
            "rate": hpt.DoubleParameterSpec(0.001, 0.1, "log"),
            "layers": hpt.IntegerParameterSpec(1, 6, "linear"),
            "batch": hpt.DiscreteParameterSpec([16, 32, 64], "linear"),
            "optimizer": hpt.CategoricalParameterSpec(
                ["sgd", "adam"], conditional_parameter_spec={"momentum": momentum}
            ),
        },
        "max_trial_count": 4,
        "parallel_trial_count": 2,
        "labels": {"use": name},
    }
    return aiplatform.HyperparameterTuningJob(display_name=name, custom_job=custom, **given | more)


def told_of(created: Any) -> dict[str, Any]:
    return {
        "name": created.resource_name,
        "state": created.state.name,
        "error": created.error.code,
        "trials": [
            {
                "id": trial.id,
                "state": trial.state.name,
                "parameters": {each.parameter_id: each.value for each in trial.parameters},
                "score": [metric.value for metric in trial.final_measurement.metrics],
                "job": aiplatform.CustomJob.get(trial.custom_job).state.name,
            }
            for trial in created.trials
        ],
    }


def tuned() -> dict[str, Any]:
    created = job("tuned")
    created.run()
    listed = aiplatform.HyperparameterTuningJob.list(filter='labels.use="tuned"')
    again = aiplatform.HyperparameterTuningJob.get(created.resource_name)
    return {
        **told_of(created),
        "listed": [each.resource_name for each in listed],
        "again": told_of(again),
    }


def grid() -> dict[str, Any]:
    layers = hpt.IntegerParameterSpec(1, 2, "linear")
    created = job(
        "grid",
        "--rate=0.1",
        "--batch=1",
        "--optimizer=adam",
        parameter_spec={"layers": layers},
        search_algorithm="grid",
        measurement_selection="last",
        max_trial_count=9,
    )
    created.run()
    return told_of(created)


def failed() -> dict[str, Any]:
    created = job("failed", "--fail", parallel_trial_count=1)
    try:
        created.run()
    except RuntimeError as error:
        return {**told_of(created), "raised": str(error)}
    raise AssertionError("it should fail")


def cancelled() -> dict[str, Any]:
    created = job("cancelled", "--wait")
    created.run(sync=False)
    created.wait_for_resource_creation()
    created.cancel()
    try:
        created.wait()
    except RuntimeError as error:
        return {**told_of(created), "raised": str(error)}
    raise AssertionError("it should be cancelled")


def deleted() -> dict[str, Any]:
    layers = hpt.IntegerParameterSpec(1, 2, "linear")
    words = ("--rate=0.1", "--batch=1", "--optimizer=adam")
    created = job("deleted", *words, parameter_spec={"layers": layers}, max_trial_count=1)
    created.run()
    created.delete()
    listed = aiplatform.HyperparameterTuningJob.list(filter='labels.use="deleted"')
    return {"listed": [each.resource_name for each in listed]}


def refused() -> dict[str, Any]:
    created = job("refused", search_algorithm="grid")
    try:
        created.run()
    except Exception as error:  # noqa: BLE001 - whatever the SDK makes of it
        return {"kind": type(error).__name__, "raised": str(error)}
    raise AssertionError("it should be refused")


SAVE = """
import os
folder = os.environ["AIP_MODEL_DIR"].replace("gs://", "/gcs/")
os.makedirs(folder, exist_ok=True)
open(folder + "model.txt", "w").write("trained")
"""


def saved(path: str) -> str:
    text: str = storage.Client(project="team").bucket(BUCKET).blob(path).download_as_text()
    return text


def trained() -> dict[str, Any]:
    """Two of the SDK's classes for training, with a script that writes to a path below /gcs."""
    Path("save.py").write_text(SAVE)
    training: Any = aiplatform.CustomTrainingJob
    pipeline = training(display_name="trained", script_path="save.py", container_uri=IMAGE)
    model = pipeline.run(machine_type="n1-standard-4", base_output_dir=f"gs://{BUCKET}/pipeline")
    serving = training(
        display_name="served",
        script_path="save.py",
        container_uri=IMAGE,
        model_serving_container_image_uri=IMAGE.replace("training", "prediction"),
    )
    served = serving.run(machine_type="n1-standard-4", base_output_dir=f"gs://{BUCKET}/served")
    custom = aiplatform.CustomJob.from_local_script(
        display_name="own-image",
        script_path="save.py",
        container_uri="europe-docker.pkg.dev/team/own/image:1",  # installs its package from /gcs
        base_output_dir=f"gs://{BUCKET}/custom",
    )
    custom.run()
    return {
        "states": [pipeline.state.name, custom.state.name],
        "model": model,
        "served": served.uri,
        "listed": [each.state.name for each in training.list()],
        "saved": [saved(f"{name}/model/model.txt") for name in ("pipeline", "custom")],
    }


def experiment() -> dict[str, Any]:
    """Log parameters and metrics to an experiment, and read them."""
    aiplatform.init(experiment="an-experiment", experiment_tensorboard=False)
    with aiplatform.start_run("one"):
        aiplatform.log_params({"rate": 0.1})
        aiplatform.log_metrics({"loss": 1.5})
    rows = aiplatform.get_experiment_df("an-experiment").to_dict("records")
    return {"rows": [{key: row[key] for key in ("param.rate", "metric.loss")} for row in rows]}


def guarded() -> dict[str, Any]:
    try:
        socket.create_connection(AWAY, timeout=1)  # short: it cannot connect
    except PermissionError:
        return {"refused": True}
    return {"refused": False}


USES: dict[str, Callable[[], dict[str, Any]]] = {
    each.__name__: each
    for each in (tuned, grid, failed, cancelled, deleted, refused, trained, experiment, guarded)
}

if __name__ == "__main__":
    name = sys.argv[1]
    if name != "guarded":
        begin()
    Path(f"{name}.json").write_text(json.dumps(USES[name]()))
