"""The names of NNI that its reader and its writer share."""

from __future__ import annotations

from cloudtune.formats.fields import Json

HOME = "nni"
METRIC = "default"
"""The name of the metric that a trial reports."""
SPELLINGS: dict[str, tuple[str, str, str]] = {
    "name": ("experimentName", "experiment_name", "experimentName"),
    "space": ("searchSpace", "search_space", "searchSpace"),
    "space_file": ("searchSpaceFile", "search_space_file", "searchSpacePath"),
    "parallel": ("trialConcurrency", "trial_concurrency", "trialConcurrency"),
    "trials": ("maxTrialNumber", "max_trial_number", "maxTrialNum"),
    "duration": ("maxExperimentDuration", "max_experiment_duration", "maxExecDuration"),
    "trial_duration": ("maxTrialDuration", "max_trial_duration", "maxTrialDuration"),
    "arguments": ("classArgs", "class_args", "classArgs"),
}
"""Of each key: in camelCase, in snake_case, and in the older configuration."""
ALGORITHM_NAMES = {
    "tuner": "builtinTunerName",
    "assessor": "builtinAssessorName",
    "advisor": "builtinAdvisorName",
}
"""The key of the name in the older configuration; the newer one has ``name``."""
CUSTOM = ("className", "class_name", "codeDirectory", "code_directory", "codeDir", "classFileName")
"""The keys of an algorithm that is code of its own."""
TPE, BATCH, HYPERBAND, MEDIAN_STOP = "TPE", "Batch", "Hyperband", "Medianstop"
TUNERS: dict[str, Json] = {
    TPE: {"name": "bayesian", "method": "tpe"},
    "GP": {"name": "bayesian", "method": "gp"},
    "Random": {"name": "random"},
    "GridSearch": {"name": "grid"},
    HYPERBAND: {"name": "hyperband"},
    BATCH: {"name": "list"},
}
"""The strategy of each tuner that a study can name."""
SIMILAR: dict[str, Json] = {
    "Evolution": {"name": "genetic"},
    "Anneal": {"name": "bayesian"},
    "SMAC": {"name": "bayesian"},
    "Metis": {"name": "bayesian"},
    "DNGO": {"name": "bayesian"},
    "BOHB": {"name": "hyperband"},
}
"""The strategy that is most like each of the other tuners."""
_BUILT_IN = {name.lower(): name for name in TUNERS | SIMILAR}
GOALS = {"tpe": "minimize", "hyperband": "maximize", "dngo": "maximize"}
"""The goal of a tuner without ``optimize_mode``. Those of the other tuners are not verified."""
WITHOUT_GOAL = frozenset(["Random", "GridSearch", BATCH])
"""The tuners without ``optimize_mode``: current versions of NNI refuse it, older ones ignore it."""
RESOURCE = "TRIAL_BUDGET"
"""The parameter that the Hyperband advisor adds."""
BUDGETS = {HYPERBAND: {"max": "R"}, "BOHB": {"min": "min_budget", "max": "max_budget"}}
"""The arguments for the resource of hyperband."""
DEFAULT_BUDGET = 60
"""``R`` where the Hyperband advisor has none."""
COMBINED = "combine_params"
"""The one parameter of the Batch tuner."""
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def built_in_tuner(name: str) -> str | None:
    """Return the name of a built-in tuner, without the ending Tuner; None if it is none.

    >>> built_in_tuner("BatchTuner"), built_in_tuner("tpe"), built_in_tuner("PPOTuner")
    ('Batch', 'TPE', None)
    """
    return _BUILT_IN.get(name.lower().removesuffix("tuner"))
