"""Run by a Python that has MLflow: exports a result twice, and tells what MLflow then holds."""

from __future__ import annotations

import functools
import importlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from cloudtune.errors import UsageError
from cloudtune.formats import mlflow as to_mlflow
from cloudtune.results.model import Decision, StudyResult


def main(file: str, to: str) -> None:
    mlflow: Any = importlib.import_module("mlflow")
    # a page holds 1,000 runs, and a job may have more trials than that
    found = mlflow.MlflowClient.search_runs
    mlflow.MlflowClient.search_runs = functools.partialmethod(found, max_results=3)
    result = StudyResult.from_json(Path(file).read_text("utf-8"))
    client: Any = mlflow.MlflowClient(tracking_uri=to)
    own = {"cloudtune.run": result.run, "cloudtune.provider": result.provider}
    client.create_run(client.create_experiment("demo"), tags=own, run_name="broken off")
    for trials in (1, 2, 2):  # while it goes on
        running = replace(result, state="running", ended=None)
        to_mlflow.export(running, result.trials[:trials], to)
    to_mlflow.export(result, result.trials, to)
    decision = Decision(3, elsewhere=False, reason="a confirmation decides")
    result = replace(result, decision=decision)
    parent = to_mlflow.export(result, result.trials, to)
    again = ""
    try:
        to_mlflow.export(result, result.trials, to)
    except UsageError as error:
        again = str(error)
    (experiment,) = client.search_experiments(filter_string="name = 'demo'")
    runs = client.search_runs([experiment.experiment_id], max_results=100)
    told = [
        {
            "id": run.info.run_id,
            "name": run.info.run_name,
            "status": run.info.status,
            "times": [run.info.start_time, run.info.end_time],
            "params": run.data.params,
            "metrics": run.data.metrics,
            "tags": run.data.tags,
            "history": {
                name: [
                    [m.step, m.value, m.timestamp]
                    for m in client.get_metric_history(run.info.run_id, name)
                ]
                for name in run.data.metrics
            },
        }
        for run in runs
    ]
    sys.stdout.write(json.dumps({"parent": parent, "again": again, "runs": told}))


main(*sys.argv[1:])
