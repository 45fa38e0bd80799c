"""Rules of the trials on a cluster, whose metrics and inputs are files of its volume."""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.provider import Facts, Finding, Study
from cloudtune_watson.settings import NAME

_STEP_KEYS = frozenset({"step", "steps"})
"""Keys of val_dict_list.json that are not metrics."""


def metric_rules(study: Study) -> Iterator[Finding]:
    """Yield the objectives that IBM's metrics file cannot have."""
    for index, objective in enumerate(study.objectives):
        if objective.metric in _STEP_KEYS:
            reason = f"{objective.metric} counts the steps in IBM's metrics file: rename the metric"
            yield Finding("refused", f"{study.objective_path(index)}.metric", reason)


def volume_problem(name: str, address: str, facts: Facts) -> str:
    """Return why an address is no folder of the data volume; empty if it is one."""
    local = facts.data["local_inputs"]
    if name in local:
        return (
            f"cloudtune does not upload {local[name]} to a cluster: copy it to the data volume and "
            f"set its folder there as trial.inputs.{name}.{NAME}"
        )
    if facts.emulated:
        return f"the emulator does not have {address}: add a local address"
    if "://" in address:
        return (
            "must be a folder of the cluster's data volume, such as mnist; other sources need "
            "native: training_data_references"
        )
    return ""
