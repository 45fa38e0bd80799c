"""The launcher's contract with SageMaker training jobs.

The archive of a job carries this file in ``cloudtune/``, so it uses only the standard
library and the syntax of Python 3.7.
"""

from __future__ import annotations

import json
import os

from cloudtune.launcher.contract import Contract
from cloudtune.trial import load_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    Json = dict[str, Any]


CONTINUED = "cloudtune:continued"
"""The metric that is 1 if a driven trial continues from a checkpoint, else 0."""


class SageMakerContract(Contract):
    """SageMaker reads metrics from the log, and the reason of a failure from a file."""

    def __init__(self, raw: Json, trial: Json, *, is_managed: bool, is_first_host: bool) -> None:
        """Store the values.

        Args:
            raw: As in `Contract`.
            trial: As in `Contract`.
            is_managed: Whether SageMaker's tuner started the job: then a trial has only this one.
            is_first_host: Whether this is the one of the job's hosts whose metrics count.
        """
        super().__init__(raw, trial)
        self._reports_start = not is_managed
        self._is_first_host = is_first_host

    def publish(self, report: Mapping[str, Any]) -> str:
        """Return the lines to print; those of the first report are preceded by `CONTINUED`.

        SageMaker counts the values of each training job from 1. The reader needs to know whether
        they follow those of an earlier training job, which this one continues. The values of all
        hosts would be one series, so only one of them prints any.
        """
        if not self._is_first_host:
            return ""
        lines = super().publish(report)
        if self._reports_start:
            self._reports_start = False
            return super().publish({"metrics": {CONTINUED: self.continues}}) + lines
        return lines

    def report_failure(self, reason: str) -> None:
        """Write the file ``failure``, from which SageMaker takes ``FailureReason``."""
        folder = os.environ.get("SM_OUTPUT_DIR")
        if folder:
            with open(os.path.join(folder, "failure"), "w", encoding="utf-8") as file:
                file.write(reason)

    def report_warning(self, warning: str) -> None:
        """Do nothing: SageMaker shows no text of a job that succeeded but its log."""


def find_contract(study: Json, _argv: Sequence[str]) -> Contract | None:
    """Return the contract if SageMaker's training toolkit started this process.

    Values come from ``hyperparameters.json``. The toolkit also passes them as arguments, but
    decoded: "true" becomes "True", and "null" an empty string.
    """
    config = os.environ.get("SM_INPUT_CONFIG_DIR")
    path = os.path.join(config or "", "hyperparameters.json")
    if not config or not os.path.exists(path):
        return None
    raw = load_json(path)
    base = os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml")
    job = os.environ.get("TRAINING_JOB_NAME") or study["run"]
    checkpoint = os.path.join(base, "checkpoints")
    is_managed = "_tuning_objective_metric" in raw
    if is_managed:  # all trials of a tuning job share one S3 address
        checkpoint = os.path.join(checkpoint, job)
    trial = {
        "trial": job,
        "checkpoint": checkpoint,
        "output": os.environ.get("SM_MODEL_DIR") or os.path.join(base, "model"),
        "inputs": {name: _channel(base, name, path) for name, path in study["inputs"].items()},
    }
    hosts = json.loads(os.environ.get("SM_HOSTS") or "[]")
    is_first_host = os.environ.get("SM_CURRENT_HOST") in hosts[:1] or not hosts
    return SageMakerContract(raw, trial, is_managed=is_managed, is_first_host=is_first_host)


def _channel(base: str, name: str, path: str) -> str:
    """Return the folder of an input's channel, or the file in it that ``path`` names."""
    folder = os.environ.get("SM_CHANNEL_" + name.upper())
    if not folder:
        folder = os.environ.get("SM_INPUT_DIR") or os.path.join(base, "input")
        folder = os.path.join(folder, "data", name)
    default = "/opt/ml/input/data/" + name + "/"
    return os.path.join(folder, path[len(default) :]) if path.startswith(default) else folder
