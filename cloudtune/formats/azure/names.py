"""The names of Azure Machine Learning that its reader and its writer share."""

from __future__ import annotations

from cloudtune.formats.fields import Json

HOME = "azure"
SCHEMA = "https://azuremlschemas.azureedge.net/latest/sweepJob.schema.json"
AUTOML_SCHEMA = "https://azuremlschemas.azureedge.net/latest/autoMLJob.schema.json"
ALGORITHMS = {"random": "random", "grid": "grid", "bayesian": "bayesian"}
"""The strategy of each sampling algorithm."""
RULES = {"bandit": "bandit", "median_stopping": "median"}
"""The rule of each early termination policy that a study has."""
MAX_TRIALS = 1_000
"""``max_total_trials`` where a job has none."""
AUTOML_METRICS = {
    "image_classification": "accuracy",
    "image_classification_multilabel": "iou",
    "image_object_detection": "mean_average_precision",
    "image_instance_segmentation": "mean_average_precision",
    "text_classification": "accuracy",
    "text_classification_multilabel": "accuracy",
    "text_ner": "accuracy",
}
"""The primary metric of each task of AutoML that can have a sweep, if a job has none."""
MAXIMIZED = frozenset(
    [
        *AUTOML_METRICS.values(),
        *("auc_weighted", "average_precision_score_weighted", "norm_macro_recall"),
        *("precision_score_weighted", "f1_score_micro", "f1_score_macro", "f1_score_weighted"),
    ]
)
"""The primary metrics of these tasks, all of which AutoML maximizes."""


def is_automl(document: Json) -> bool:
    """Return whether a document, or what is kept of one, is an AutoML job."""
    words = f"{document.get('type', '')} {document.get('$schema', '')}".lower()
    return "automl" in words
