"""The names of Katib that its reader and its writer share."""

from __future__ import annotations

import re

from cloudtune.formats.fields import Json

HOME = "katib"
STUDY_JOB = "StudyJob"
"""The kind of ``kubeflow.org/v1alpha1``, whose fields are others."""
API_VERSION = "kubeflow.org/v1beta1"
DEFAULT_PARALLEL = 3
"""``parallelTrialCount`` where the file has none."""
NUMBER = r"([+-]?\d*\.?\d+(?:[Ee][+-]?\d+)?)"
EXTREMES = {"maximize": "max", "minimize": "min"}
"""The strategy of a metric by goal, which Katib takes by default."""
ALGORITHMS: dict[str, Json] = {
    "random": {"name": "random"},
    "grid": {"name": "grid"},
    "bayesianoptimization": {"name": "bayesian"},
    "tpe": {"name": "bayesian", "method": "tpe"},
    "cmaes": {"name": "bayesian", "method": "cmaes"},
    "sobol": {"name": "random", "method": "sobol"},
    "hyperband": {"name": "hyperband"},
}
"""The strategy of each algorithm that a study can name."""
ROUNDING = frozenset({"random", "tpe"})
"""The algorithms that round to multiples of a step, also beyond the bounds: hyperopt's quniform
(kubeflow/katib, pkg/suggestion/v1beta1/hyperopt/base_service.py and the katib-config, 2026-12-01).
"""
WITHOUT_STEPS = frozenset({"bayesianoptimization"})
"""The algorithms that ignore a step (pkg/suggestion/v1beta1/skopt/base_service.py, 2026-12-01)."""
SIMILAR: dict[str, Json] = {"multivariate-tpe": {"name": "bayesian", "method": "tpe"}}
"""The strategy that is most like each of the other algorithms."""
RULES = {"medianstop": "median"}


def default_expression(metric: str) -> str:
    """Return the expression for the lines ``metric=value`` of a metric."""
    return rf"(?:^|[^\w|-]){re.escape(metric)}\s*=\s*{NUMBER}"
