# pyright: basic, reportMissingImports=false
"""Uses azure-ai-ml as its users do; it finds the emulator by its own variable for clouds."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from azure.ai.ml import Input, MLClient, Output, command
from azure.ai.ml.entities import Environment
from azure.ai.ml.sweep import BanditPolicy, Choice, Uniform
from azure.core.credentials import AccessToken
from azure.core.exceptions import ResourceNotFoundError

ENDED = ("Completed", "Failed", "Canceled")
SOURCE = str(Path(__file__).parent / "source")
ON: dict[str, Any] = {"environment": "azureml:sklearn:5", "compute": "cpu-cluster"}


class Key:
    """A credential that has the key of the emulator as its token."""

    def get_token(self, *_scopes: str, **_more: Any) -> AccessToken:
        return AccessToken(os.environ["MLFLOW_TRACKING_TOKEN"], int(time.time()) + 3600)


def client() -> MLClient:
    return MLClient(Key(), "00000000-0000-4000-8000-000000000001", "group", "work")


def follow(name: str) -> list[str]:
    """Return the states of a job until its end."""
    seen: list[str] = []
    while not seen or seen[-1] not in ENDED:
        status = str(getattr(client().jobs.get(name).status, "value", ""))
        if seen[-1:] != [status]:
            seen.append(status)
        time.sleep(0.1)
    return seen


def create(job: Any) -> str:
    return str(client().jobs.create_or_update(job).name)


def command_job() -> dict[str, Any]:
    words = "python train.py --lr ${{inputs.lr}}"
    job = command(code=SOURCE, command=words, inputs={"lr": 0.5}, experiment_name="digits", **ON)
    made = client().jobs.create_or_update(job)
    states = follow(str(made.name))
    found = client().jobs.get(str(made.name))
    listed = [each.name for each in client().jobs.list()]
    return {"name": made.name, "states": states, "studio": found.studio_url, "listed": listed}


def failed_job() -> list[str]:
    labelled = {**ON, "environment": "azureml:sklearn@latest"}
    return follow(create(command(command="exit 3", **labelled)))


def cancelled_job() -> list[str]:
    own = {**ON, "environment": Environment(image="python:3.11", name="own", version="1")}
    name = create(command(command="sleep 600", **own))
    client().jobs.begin_cancel(name).result()
    return follow(name)


def sweep() -> dict[str, Any]:
    words = "python train.py --lr ${{inputs.lr}} --n ${{inputs.n}}"
    trial = command(code=SOURCE, command=words, inputs={"lr": 0.5, "n": 1}, **ON)
    job = trial(lr=Uniform(0.1, 0.9), n=Choice([1, 2])).sweep(
        sampling_algorithm="random", primary_metric="acc", goal="Maximize"
    )
    job.set_limits(max_total_trials=3, max_concurrent_trials=2, timeout=600)
    job.early_termination = BanditPolicy(evaluation_interval=1, slack_factor=0.1)
    name = create(job)
    states = follow(name)
    trials = [each.name for each in client().jobs.list(parent_job_name=name)]
    return {"name": name, "states": states, "trials": trials}


def streamed_job() -> dict[str, Any]:
    """Stream the log of a job that reads a local folder, and download what it leaves."""
    Path("data").mkdir()
    Path("data/rows.csv").write_text("12")
    words = "ls ${{inputs.data}} && mkdir outputs && echo a > outputs/a && cp -r ${{inputs.data}} "
    job = command(
        command=words + "${{outputs.model}}/kept",
        inputs={"data": Input(type="uri_folder", path="data")},
        outputs={"model": Output(type="uri_folder")},
        **ON,
    )
    name = create(job)
    client().jobs.stream(name)
    client().jobs.download(name, download_path="all")
    client().jobs.download(name, download_path="named", output_name="model")
    files = [path for top in ("all", "named") for path in Path(top).rglob("*") if path.is_file()]
    return {str(path): path.read_text() for path in files}


def missing_job() -> str:
    try:
        client().jobs.get("none")
    except ResourceNotFoundError as error:
        return str(error)
    return ""


if __name__ == "__main__":
    result = globals()[sys.argv[1]]()
    Path(f"{sys.argv[1]}.json").write_text(json.dumps(result), "utf-8")
