"""The names of AI Platform that its readers share."""

from __future__ import annotations

from cloudtune.formats.fields import Fields, Json

HOME = "ai-platform"
INPUT = "trainingInput"
SEARCH = "hyperparameters"
STUDY = "studyConfig"
GOALS = {"MAXIMIZE": "maximize", "MINIMIZE": "minimize"}
ALGORITHMS: dict[str, Json] = {
    "ALGORITHM_UNSPECIFIED": {"name": "bayesian"},
    "GRID_SEARCH": {"name": "grid"},
    "RANDOM_SEARCH": {"name": "random"},
    "GAUSSIAN_PROCESS_BANDIT": {"name": "bayesian", "method": "gp"},
}
SCALES = {
    "NONE": "auto",
    "SCALE_TYPE_UNSPECIFIED": "auto",
    "UNIT_LINEAR_SCALE": "linear",
    "UNIT_LOG_SCALE": "log",
    "UNIT_REVERSE_LOG_SCALE": "reverse_log",
}


def read_scale(fields: Fields) -> Json:
    """Take the scale of a parameter; linear is the study's default."""
    value = fields.word("scaleType") or "NONE"
    if value not in SCALES:
        fields.mistake("scaleType", f"unknown scale {value!r}", f"use {', '.join(SCALES)}")
        return {}
    scale = SCALES[str(value)]
    return {} if scale == "linear" else {"scale": scale}


def read_algorithm(fields: Fields) -> Json:
    """Take the algorithm, bayesian by default."""
    value = fields.word("algorithm") or "ALGORITHM_UNSPECIFIED"
    if value not in ALGORITHMS:
        hint = f"use {', '.join(ALGORITHMS)}"
        fields.mistake("algorithm", f"unknown algorithm {value!r}", hint)
        return {}
    return dict(ALGORITHMS[str(value)])


def read_goal(fields: Fields) -> str | None:
    """Take the goal of a metric; MAXIMIZE by default, with a note."""
    value = fields.word("goal")
    if value in {None, "", "GOAL_TYPE_UNSPECIFIED"}:
        fields.note("goal", "absent, so AI Platform's default MAXIMIZE")
        value = "MAXIMIZE"
    if value not in GOALS:
        fields.mistake("goal", f"must be MAXIMIZE or MINIMIZE, not {value!r}")
        return None
    return GOALS[str(value)]
