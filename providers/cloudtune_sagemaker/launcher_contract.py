"""The launcher's contract with SageMaker training jobs.

The archive of a job carries this file next to ``cloudtune/trial.py``, so it uses only the standard
library and the syntax of Python 3.7.
"""

from __future__ import annotations

import os

from cloudtune.trial import Contract, load_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    Json = dict[str, Any]


class SageMakerContract(Contract):
    """SageMaker reads metrics from the log, and the reason of a failure from a file."""

    def report_failure(self, reason: str) -> None:
        """Write the file ``failure``, from which SageMaker takes ``FailureReason``."""
        folder = os.environ.get("SM_OUTPUT_DIR")
        if folder:
            with open(os.path.join(folder, "failure"), "w", encoding="utf-8") as file:
                file.write(reason)


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
    if "_tuning_objective_metric" in raw:  # all trials of a tuning job share one S3 address
        checkpoint = os.path.join(checkpoint, job)
    trial = {
        "trial": job,
        "checkpoint": checkpoint,
        "output": os.environ.get("SM_MODEL_DIR") or os.path.join(base, "model"),
        "inputs": {name: _channel(base, name, path) for name, path in study["inputs"].items()},
    }
    return SageMakerContract(raw, trial)


def _channel(base: str, name: str, path: str) -> str:
    """Return the folder of an input's channel, or the file in it that ``path`` names."""
    folder = os.environ.get("SM_CHANNEL_" + name.upper())
    if not folder:
        folder = os.environ.get("SM_INPUT_DIR") or os.path.join(base, "input")
        folder = os.path.join(folder, "data", name)
    default = "/opt/ml/input/data/" + name + "/"
    return os.path.join(folder, path[len(default) :]) if path.startswith(default) else folder
