"""A finished tuning job is attached where the service only describes it and lists its trials."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cloudtune.attachments.attach import attach
from tests import recorded

FOLDER = recorded.OWN / "sagemaker"
REFUSALS = {
    "no page": (404, "text/html", "<html>Not Found</html>"),
    "no operation": (400, "application/json", json.dumps({"__type": "UnknownOperationException"})),
    "no right": (400, "application/json", json.dumps({"__type": "AccessDeniedException"})),
}


def finished_job() -> dict[str, Any]:
    """Return a recorded description of a job with built-in metrics, as if it had succeeded."""
    file = FOLDER / "custodian_test_sagemaker_hyperparameter_tuning_job_query.json"
    sequence = recorded.read(file)["sequence"]
    job = next(item["answer"] for item in sequence if "TrainingJobDefinition" in str(item))
    counters = {**job["TrainingJobStatusCounters"], "Completed": 2, "NonRetryableError": 0}
    return {
        **{name: value for name, value in job.items() if name != "FailureReason"},
        "HyperParameterTuningJobStatus": "Completed",
        "TrainingJobStatusCounters": counters,
    }


def trial_rows(job: dict[str, Any]) -> list[dict[str, Any]]:
    definition = job.get("TrainingJobDefinition") or job["TrainingJobDefinitions"][0]
    config = job["HyperParameterTuningJobConfig"]
    ranges = definition.get("HyperParameterRanges") or config["ParameterRanges"]
    tuned = {each["Name"]: each["MinValue"] for each in ranges["ContinuousParameterRanges"]}
    tuned |= {each["Name"]: each["MinValue"] for each in ranges["IntegerParameterRanges"]}
    tuned |= {each["Name"]: each["Values"][0] for each in ranges["CategoricalParameterRanges"]}
    goal = definition.get("TuningObjective") or config["HyperParameterTuningJobObjective"]
    name = job["HyperParameterTuningJobName"]
    arn = "arn:aws:sagemaker:us-east-1:111122223333:training-job/"
    return [
        {
            "TrainingJobDefinitionName": definition.get("DefinitionName"),
            "TrainingJobName": f"{name}-00{number}-0123456{number}",
            "TrainingJobArn": f"{arn}{name}-00{number}-0123456{number}",
            "CreationTime": 1.7e9 + number,
            "TrainingStartTime": 1.7e9 + number + 60,
            "TrainingEndTime": 1.7e9 + number + 90,
            "TrainingJobStatus": "Completed",
            "TunedHyperParameters": tuned,
            "FinalHyperParameterTuningJobObjectiveMetric": {
                "MetricName": goal["MetricName"],
                "Value": number / 4,
            },
            "ObjectiveStatus": "Succeeded",
        }
        for number in (1, 2)
    ]


@contextmanager
def served(job: dict[str, Any], refusal: tuple[int, str, str]) -> Generator[str]:
    """Serve the description of a job and the list of its trials; refuse the rest."""
    times = {
        name: 1.7e9 if name.endswith("Time") and isinstance(value, str) else value
        for name, value in job.items()
    }
    answers = {
        "DescribeHyperParameterTuningJob": times,
        "ListTrainingJobsForHyperParameterTuningJob": {"TrainingJobSummaries": trial_rows(job)},
    }

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            operation = self.headers.get("X-Amz-Target", "").removeprefix("SageMaker.")
            status, kind, body = refusal
            if operation in answers:
                status, kind, body = 200, "application/json", json.dumps(answers[operation])
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - theirs
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("refusal", REFUSALS)
def test_the_list_of_trials_is_enough(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    refusal: str,
) -> None:
    job = finished_job()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "key")
    with served(job, REFUSALS[refusal]) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        name = job["HyperParameterTuningJobName"]
        run = attach(f"sagemaker:{name}", overrides=["providers.sagemaker.region=us-east-1"])
        (result,) = run.execute().results().jobs
    assert result.state == "completed"
    assert [trial.state for trial in result.trials] == ["completed"] * 2
    assert [trial.objective for trial in result.trials] == [(0.25,), (0.5,)]
    metrics = {name for trial in result.trials for m in trial.measurements for name in m.metrics}
    assert len(metrics) == 1
    assert "measurements are only the final ones" in capsys.readouterr().err
