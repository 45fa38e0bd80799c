"""The names of Vertex AI that the reader and the writer of its files share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudtune.formats import Words
from cloudtune.provider import is_list, is_map

JOB = "hyperparameterTuningJob"
"""The key of the job in a call, and in ``providers.vertex.native``."""
GOALS = {"MAXIMIZE": "maximize", "MINIMIZE": "minimize"}
ALGORITHMS = {
    "ALGORITHM_UNSPECIFIED": "bayesian",
    "GRID_SEARCH": "grid",
    "RANDOM_SEARCH": "random",
}
SELECTIONS = {
    "MEASUREMENT_SELECTION_TYPE_UNSPECIFIED": "last",
    "LAST_MEASUREMENT": "last",
    "BEST_MEASUREMENT": "best",
}
WORDS = Words(
    strategies={word: {"name": name} for word, name in ALGORITHMS.items()},
    plain={"random": "uniform"},
    goals=GOALS,
    selects=SELECTIONS,
    automatic="median",
)
NUMBERS: Mapping[str, Mapping[int, str]] = {
    "goal": {0: "", 1: "MAXIMIZE", 2: "MINIMIZE"},
    "algorithm": {0: "ALGORITHM_UNSPECIFIED", 2: "GRID_SEARCH", 3: "RANDOM_SEARCH"},
    "measurementSelectionType": dict(enumerate(SELECTIONS)),
    "acceleratorType": {
        1: "NVIDIA_TESLA_K80",
        2: "NVIDIA_TESLA_P100",
        3: "NVIDIA_TESLA_V100",
        4: "NVIDIA_TESLA_P4",
        5: "NVIDIA_TESLA_T4",
        6: "TPU_V2",
        7: "TPU_V3",
        8: "NVIDIA_TESLA_A100",
        9: "NVIDIA_A100_80GB",
        10: "TPU_V4_POD",
        11: "NVIDIA_L4",
        12: "TPU_V5_LITEPOD",
        13: "NVIDIA_H100_80GB",
        14: "NVIDIA_H100_MEGA_80GB",
        15: "NVIDIA_H200_141GB",
        16: "NVIDIA_B200",
        17: "NVIDIA_GB200",
        18: "NVIDIA_RTX_PRO_6000",
    },
    "strategy": {1: "ON_DEMAND", 2: "LOW_COST", 3: "STANDARD", 4: "SPOT", 6: "FLEX_START"},
}
"""The names of enum values by their numbers (study.proto, accelerator_type.proto, custom_job.proto
of google-cloud-aiplatform 2.7.0)."""
FIELDS = (
    *("name", "displayName", "studySpec", "maxTrialCount", "parallelTrialCount", "trials"),
    *("maxFailedTrialCount", "trialJobSpec", "state", "createTime", "startTime", "endTime"),
    *("updateTime", "error", "labels", "encryptionSpec", "satisfiesPzs", "satisfiesPzi"),
)
"""The fields of a tuning job (hyperparameter_tuning_job.proto of google-cloud-aiplatform 2.7.0)."""


def name_enums(value: Any) -> Any:
    """Return a part of a job with the names of accelerators and scheduling instead of numbers.

    The value that means none, which the client library writes, is left out.
    """
    if is_list(value):
        return [name_enums(item) for item in value]
    if not is_map(value):
        return value
    result: dict[str, Any] = {}
    for key, inner in value.items():
        if key not in {"acceleratorType", "strategy"} or is_map(inner) or is_list(inner):
            result[key] = name_enums(inner)
        elif inner != 0 and not str(inner).endswith("_UNSPECIFIED"):
            result[key] = NUMBERS[key].get(inner, inner) if isinstance(inner, int) else inner
    return result
