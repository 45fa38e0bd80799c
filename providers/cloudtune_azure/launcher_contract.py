"""The launcher's contract with command jobs of Azure Machine Learning.

Measurements go to the workspace's MLflow service by its REST API, without the package mlflow.
The archive of a job carries this file in ``cloudtune/``, so it uses only the standard library and
the syntax of Python 3.7. These calls are not verified against the live
service.
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.error
import urllib.request

from cloudtune.launcher.contract import Contract, parse_flags, skipped_metric

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from typing import Any

    Json = dict[str, Any]

FOLDER = "CLOUDTUNE_AZURE_FOLDER"
"""Environment variable: the folder in the datastore that all starts of a trial share."""
INPUT = "CLOUDTUNE_AZURE_INPUT_"
"""How the variables with the paths of the inputs begin; a number follows."""
SWEEP = "AZUREML_SWEEP_"
"""How the variables begin in which Azure puts the values of a sweep (learn.microsoft.com, class
SweepJob of azure-ai-ml, read 2026-11-30; no recording has them)."""
TRIALS = "CLOUDTUNE_AZURE_TRIALS"
"""Environment variable: set in the trials of a sweep, whose folder is one of the run."""
AFTER_STEP = "CLOUDTUNE_AZURE_AFTER_STEP"
"""Environment variable: the last step of the trial's earlier start."""
FAILURE, STARTED, MACHINE = "cloudtune.failure", "cloudtune.started", "cloudtune.machine"
"""Tags of the run in MLflow: why the trial failed, when the launcher started, and where."""
INTERVAL = 1.0
"""Minimum seconds between two calls."""
CLOSING = 60.0
"""Seconds in which the last measurements must be sent."""
MAX_BATCH = 500
"""Metrics of one call; MLflow allows 1,000 values (mlflow.org/docs, REST API, read 2026-11-30)."""
_MAX_TEXT = 4000
_MAX_PAUSE = 30.0
_TIMEOUT = 20
_PASSING = (401, 403, 408, 429)


class AzureContract(Contract):
    """The run of the job in MLflow gets each value with its step and a time of its own.

    The times of reports strictly increase, so that a batch that is sent twice can be recognized,
    and a reader knows which values belong together.
    """

    def __init__(self, raw: Json, trial: Json, environment: Mapping[str, str]) -> None:
        """Store the values of the trial and the variables of the job."""
        super().__init__(raw, trial)
        address = environment["MLFLOW_TRACKING_URI"].split("?")[0].rstrip("/")
        if address.startswith("azureml://"):
            address = "https://" + address[len("azureml://") :]
        self._service = address + "/api/2.0/mlflow/"
        self._run = environment.get("MLFLOW_RUN_ID") or environment["AZUREML_RUN_ID"]
        self._token = (
            environment.get("MLFLOW_TRACKING_TOKEN") or environment.get("AZUREML_RUN_TOKEN") or ""
        )
        self._after_step = int(environment.get(AFTER_STEP) or 0)
        self._has_begun = False
        self._metrics: list[Json] = []
        self._tags = [
            {"key": STARTED, "value": repr(time.time())},
            {"key": MACHINE, "value": os.uname().nodename},
        ]
        self._last_time = 0
        self._send_at = 0.0
        self._failures = 0

    def publish(self, report: Mapping[str, Any]) -> str:
        """Queue a report; return lines about values that the service does not accept."""
        if not self._has_begun:
            self._has_begun = True
            self._read_earlier_start()
        after = self._after_step if self.continues else 0
        self._last_time = max(self._last_time + 1, int(report["time"] * 1000))
        lines = ""
        for step, metrics in self.assign_steps(report, after).items():
            for name, value in metrics.items():
                if not abs(value) <= sys.float_info.max:
                    lines += skipped_metric(name, value)
                    continue
                entry = {"key": name, "value": value, "step": step, "timestamp": self._last_time}
                self._metrics.append(entry)
        return lines

    def report_failure(self, reason: str) -> None:
        """Queue why the trial failed."""
        self._tags.append({"key": FAILURE, "value": reason[:_MAX_TEXT]})

    def tick(self) -> float | None:
        """Send what is queued when it is due."""
        now = time.monotonic()
        if (self._metrics or self._tags) and now >= self._send_at:
            self._send()
            now = time.monotonic()
            pause = min(_MAX_PAUSE, INTERVAL * 2 ** min(self._failures, 8))
            self._send_at = now + pause
        return max(0.1, self._send_at - now) if self._metrics or self._tags else INTERVAL

    def close(self) -> None:
        """Send everything that is still queued."""
        deadline = time.monotonic() + CLOSING
        while self._metrics or self._tags:
            self._send()
            if not self._failures:
                continue
            if time.monotonic() >= deadline:
                _log("[cloudtune] the last measurements could not be sent\n")
                return
            time.sleep(min(INTERVAL, 0.1 * 2 ** min(self._failures, 8)))

    def _send(self) -> None:
        metrics, tags = self._metrics[:MAX_BATCH], list(self._tags)
        error = self._call("runs/log-batch", {"metrics": metrics, "tags": tags})[1]
        if error:
            if not self._failures:
                _log("[cloudtune] cannot send measurements: " + error + "\n")
            self._failures += 1
            return
        self._failures = 0
        del self._metrics[: len(metrics)]
        del self._tags[: len(tags)]

    def _read_earlier_start(self) -> None:
        """Continue what this job has logged before it was started again on another machine."""
        answer, error = self._call("runs/get?run_id=" + self._run, None)
        if error:
            _log("[cloudtune] cannot read earlier measurements: " + error + "\n")
        for metric in answer.get("run", {}).get("data", {}).get("metrics", []):
            self._last_time = max(self._last_time, int(metric.get("timestamp") or 0))
            if self.continues:
                self._last_steps[metric["key"]] = int(metric.get("step") or 0)

    def _call(self, call: str, content: Json | None) -> tuple[Json, str]:
        """Return the answer and no error, or an error that may pass.

        What the service refuses for good is logged, and given up.
        """
        body = None if content is None else json.dumps(dict(content, run_id=self._run)).encode()
        headers = {"Content-Type": "application/json", "Authorization": "Bearer " + self._token}
        request = urllib.request.Request(self._service + call, body, headers)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:  # noqa: S310
                return json.loads(response.read() or b"{}"), ""
        except urllib.error.HTTPError as error:
            text = "{} {}".format(error.code, error.read(1000).decode("utf-8", "replace"))
            if 400 <= error.code < 500 and error.code not in _PASSING:
                _log("[cloudtune] Azure refuses measurements: " + text + "\n")
                return {}, ""
            return {}, text
        except Exception as error:  # noqa: BLE001 - whatever breaks a connection or an answer
            return {}, repr(error)


def find_contract(study: Json, argv: Sequence[str]) -> Contract | None:
    """Return the contract in a command job that cloudtune has created."""
    env = os.environ
    if FOLDER not in env or "MLFLOW_TRACKING_URI" not in env:
        return None
    run = env.get("MLFLOW_RUN_ID") or env.get("AZUREML_RUN_ID") or ""
    folder, raw = env[FOLDER], parse_flags(study, argv)
    if TRIALS in env:
        folder = os.path.join(folder, str(trial_number(run)))
        raw = _sweep_values(study, raw, env)
    trial: Json = {
        "trial": run,
        "inputs": {name: env.get(variable, "") for name, variable in study["inputs"].items()},
        "checkpoint": os.path.join(folder, "checkpoint"),
        "output": os.path.join(folder, "output"),
    }
    return AzureContract(raw, trial, env)


def trial_number(run: str) -> int:
    """Return the number of a trial of a sweep, whose jobs are SWEEP_0, SWEEP_1 and so on."""
    return int(run.rpartition("_")[2]) + 1


def flatten(values: Mapping[str, Any], names: Collection[str]) -> Json:
    """Return the values of a trial by the names of its parameters.

    A choice of maps has the value of one parameter, and the parameters that depend on it.
    """
    raw: Json = {}
    for name, value in values.items():
        if not hasattr(value, "items"):
            raw[name] = value
            continue
        for key, inner in value.items():
            full = next((each for each in (name + "." + key, key) if each in names), name)
            raw.update(flatten({full: inner}, names) if full != name else {name: inner})
    return raw


def _sweep_values(study: Json, flags: Json, env: Mapping[str, str]) -> Json:
    """Return the values that Azure has chosen, by the flags of the command and its variables."""
    names = {each.get("sent", each["name"]) for each in study["parameters"]}
    parents = {parent for each in study["parameters"] for parent in each.get("when") or ()}
    values: Json = {name: env[SWEEP + name] for name in names if SWEEP + name in env}
    for name in parents & values.keys():
        try:
            value = json.loads(values[name])
        except ValueError:
            continue
        if isinstance(value, dict):
            values[name] = value
    return flatten(dict(values, **flags), names)


def _log(text: str) -> None:
    print(text, end="", file=sys.stderr)  # noqa: T201
