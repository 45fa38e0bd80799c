"""The launcher's contract with deployment jobs of watsonx.ai Runtime.

The archive of a run carries this file in ``cloudtune/``, so it uses only the standard
library and the syntax of Python 3.7.
"""

from __future__ import annotations

import json
import os

from cloudtune.launcher.contract import Contract
from cloudtune.trial import TRIAL, append_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    Json = dict[str, Any]

PARAMETERS_VARIABLE = "CLOUDTUNE_PARAMETERS"
"""The variable with the values of a trial, as a JSON object."""
JOB_NAME_VARIABLE = "CLOUDTUNE_JOB"
"""The variable with the name of a trial's start."""
METRICS = "cloudtune_metrics.jsonl"
"""In ``BATCH_OUTPUT_DIR``: one line per measurement."""
FAILURE = "cloudtune_failure.txt"
"""In ``BATCH_OUTPUT_DIR``: why the trial failed."""
MODEL = "model"
"""In ``BATCH_OUTPUT_DIR``: the folder for what the script saves."""


class DeploymentJobContract(Contract):
    """A deployment job gets values in a variable, and leaves its results in a folder."""

    def __init__(self, raw: Json, trial: Json, results: str) -> None:
        """Take the trial's folder for results; other arguments as in `Contract`."""
        super().__init__(raw, trial)
        self._results = results

    def publish(self, report: Mapping[str, Any]) -> str:
        """Write a report to the results, and print it."""
        for step, metrics in self.assign_steps(report).items():
            line: Json = {"step": step, "time": report["time"], "metrics": metrics}
            append_line(os.path.join(self._results, METRICS), line)
        return super().publish(report)

    def report_failure(self, reason: str) -> None:
        """Write the reason to the results."""
        with open(os.path.join(self._results, FAILURE), "w", encoding="utf-8") as file:
            file.write(reason)


def find_contract(study: Json, _argv: Sequence[str]) -> Contract | None:
    """Return the contract in a deployment job."""
    env = os.environ
    results = env.get("BATCH_OUTPUT_DIR")
    if not results or TRIAL in env:
        return None
    os.makedirs(results, exist_ok=True)
    data = env.get("BATCH_INPUT_DIR")
    trial = {
        "trial": env.get(JOB_NAME_VARIABLE) or study["run"],
        "output": os.path.join(results, MODEL),
        "inputs": {
            name: path.replace("$BATCH_INPUT_DIR", data, 1) if data else path
            for name, path in study["inputs"].items()
        },
    }
    raw = json.loads(env.get(PARAMETERS_VARIABLE) or "{}")
    return DeploymentJobContract(raw, trial, results)
