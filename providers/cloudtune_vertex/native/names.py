"""The names of Vertex AI that the reader and the writer of its files share."""

from __future__ import annotations

from collections.abc import Mapping

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
NUMBERS: Mapping[str, Mapping[int, str]] = {
    "goal": {0: "", 1: "MAXIMIZE", 2: "MINIMIZE"},
    "algorithm": {0: "ALGORITHM_UNSPECIFIED", 2: "GRID_SEARCH", 3: "RANDOM_SEARCH"},
    "measurementSelectionType": dict(enumerate(SELECTIONS)),
}
"""The names of enum values by their numbers (study.proto)."""
