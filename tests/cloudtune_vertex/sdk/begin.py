# pyright: basic, reportMissingImports=false
# mypy: disable-error-code="no-untyped-call"
"""Starts a tuning job with Google's SDK and leaves: ``begin.py TRIALS BEGINNING``.

The script of the trials starts with the beginning.

Prints the job's resource name. With ``read NAME``, prints what the SDK knows of the job, as JSON.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from google.cloud import aiplatform
from google.cloud.aiplatform import hyperparameter_tuning as hpt

client: Any = import_module("client")
CODE = """
import argparse, json, os, time
parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=float, required=True)
parser.add_argument("--batch", type=int, required=True)
parser.add_argument("--optimizer", required=True)
parser.add_argument("--momentum", type=float)
given = parser.parse_args()
assert (given.momentum is not None) == (given.optimizer == "sgd")
path = os.environ["CLOUD_ML_HP_METRIC_FILE"]
os.makedirs(os.path.dirname(path), exist_ok=True)
with open(path, "w") as file:
    file.write(json.dumps({"timestamp": time.time(), "trial": os.environ["CLOUD_ML_TRIAL_ID"],
        "score": str(1 - given.rate - given.batch / 1000), "global_step": "1",
        "checkpoint_path": ""}) + chr(10))
"""


def start(trials: int, beginning: str) -> str:
    script = Path("task.py")
    script.write_text(beginning + CODE)
    custom = aiplatform.CustomJob.from_local_script(
        display_name="attached",
        script_path=str(script),
        container_uri=client.IMAGE,
        machine_type="n1-standard-4",
        base_output_dir=f"gs://{client.BUCKET}/attached",
    )
    momentum = hpt.DoubleParameterSpec(0.1, 0.9, "linear", parent_values=["sgd"])
    created = aiplatform.HyperparameterTuningJob(
        display_name="attached",
        custom_job=custom,
        metric_spec={"score": "maximize"},
        parameter_spec={
            "rate": hpt.DoubleParameterSpec(0.001, 0.1, "log"),
            "batch": hpt.DiscreteParameterSpec([16, 32, 64], "linear"),
            "optimizer": hpt.CategoricalParameterSpec(
                ["sgd", "adam"], conditional_parameter_spec={"momentum": momentum}
            ),
        },
        max_trial_count=trials,
        parallel_trial_count=2,
    )
    created.run(sync=False)
    created.wait_for_resource_creation()
    return str(created.resource_name)


def read(name: str) -> str:
    job: Any = aiplatform.HyperparameterTuningJob.get(name)
    trials = {
        trial.id: {
            "state": trial.state.name,
            "parameters": {each.parameter_id: each.value for each in trial.parameters},
            "score": [metric.value for metric in trial.final_measurement.metrics],
        }
        for trial in job.trials
    }
    return json.dumps({"state": job.state.name, "trials": trials})


if __name__ == "__main__":
    client.begin()
    first, second = sys.argv[1:]
    sys.stdout.write(read(second) if first == "read" else start(int(first), second))
    sys.stdout.flush()
    os._exit(0)  # the SDK's thread would wait for the job
