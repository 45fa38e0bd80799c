"""The fields of a study behind the defaults of a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

STUDY_FIELDS: Mapping[str, Sequence[str]] = {
    "properties.experimentName": ("providers.azure.experiment", "name"),
    "properties.displayName": (),
    "properties.resources.instanceCount": (),
    "properties.trial.resources.instanceCount": (),
    "properties.samplingAlgorithm": ("strategy",),
    "properties.limits.maxTotalTrials": ("limits.max_trials", "providers.azure.limits.max_trials"),
    "properties.limits.maxConcurrentTrials": (
        "limits.parallel_trials",
        "providers.azure.limits.parallel_trials",
    ),
}
