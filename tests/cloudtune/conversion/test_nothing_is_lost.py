"""A field of a study that an export does not hold has a finding."""

from __future__ import annotations

from typing import Any

import pytest

from cloudtune.conversion import exporter
from cloudtune.errors import ConversionError
from cloudtune.study.loader import load

METRICS = {"metrics": {"acc": ["a=(.*)"], "loss": ["l=(.*)"]}}
BAND = {"name": "hyperband", "resource": "epochs", "max": 9}
FIELDS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("description", {"description": "text"}, {}),
    ("target", {"objective": {"metric": "loss", "goal": "minimize", "target": 0.1}}, {}),
    ("select", {"objective": {"metric": "loss", "goal": "minimize", "select": "best"}}, {}),
    ("constants", {"constants": {"k": 3}}, {}),
    ("initial_trials", {"initial_trials": [{"lr": 0.5}]}, {}),
    ("seed", {"strategy": {"name": "bayesian", "seed": 7}}, {}),
    ("method", {"strategy": {"name": "bayesian", "method": "cmaes"}}, {}),
    ("random", {"strategy": {"name": "random"}}, {}),
    ("eta", {"strategy": {**BAND, "eta": 4}}, {"strategy": BAND}),
    ("parallel_trials", {"limits": {"parallel_trials": 3}}, {}),
    ("timeout", {"limits": {"timeout": "3h"}}, {}),
    ("trial_timeout", {"limits": {"trial_timeout": "10m"}}, {}),
    ("max_failed_trials", {"limits": {"max_failed_trials": 2}}, {}),
    ("patience", {"limits": {"patience": 4}}, {}),
    ("max_cost", {"limits": {"max_cost": "5 USD"}}, {}),
    *(
        (f"{rule} {field}", {"early_stopping": {"rule": rule, field: 5}}, {"early_stopping": rule})
        for rule, field in (
            ("median", "min_step"),
            ("median", "interval"),
            ("median", "min_trials"),
            ("halving", "eta"),
        )
    ),
    ("bandit", {"early_stopping": {"rule": "bandit", "slack": 0.1}}, {}),
    ("requirements", {"trial": {"requirements": "r.txt"}}, {}),
    ("args", {"trial": {"args": ["--a"]}}, {}),
    ("arguments", {"trial": {"arguments": "json"}}, {}),
    ("metrics", {"trial": METRICS}, {}),
    ("metric select", {"trial": {**METRICS, "select": {"acc": "min"}}}, {"trial": METRICS}),
    ("inputs", {"trial": {"inputs": {"data": "s3://b/x"}}}, {}),
    ("env", {"trial": {"env": {"A": "b"}}}, {}),
    ("secret", {"trial": {"env": {"A": {"from_env": "X"}}}}, {}),
    ("cpus", {"trial": {"resources": {"cpus": 2}}}, {}),
    ("warm_start", {"warm_start": {"from": ["abc"], "kind": "same"}}, {}),
]
FORMATS = [
    *("azure", "configspace", "ibm-experiments", "katib", "nni", "optuna", "ray", "sagemaker"),
    *("syne-tune", "vertex", "vizier", "wandb", "watson"),
]


def exported(name: str, changes: dict[str, Any]) -> tuple[Any, set[str]]:
    data: dict[str, Any] = {
        "name": "s",
        "objective": {"metric": "loss", "goal": "minimize"},
        "parameters": {"lr": {"type": "float", "min": 0.1, "max": 1}},
        "strategy": {"name": "bayesian"},
        "limits": {"max_trials": 5},
        "trial": {"script": "train.py"},
    }
    for block, fields in changes.items():
        merges = block in {"limits", "trial"}
        data[block] = {**data[block], **fields} if merges else fields
    found = exporter.write(load(data), name)
    return found.document, {str(each) for each in found.findings}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(("field", "changes", "basis"), FIELDS, ids=[each[0] for each in FIELDS])
def test_a_field_is_in_the_document_or_in_the_findings(
    name: str, field: str, changes: dict[str, Any], basis: dict[str, Any]
) -> None:
    try:
        document, findings = exported(name, changes)
    except ConversionError:  # it is refused
        return
    without, already = exported(name, basis)
    whole = any("early_stopping:" in each or "trial:" in each for each in already)
    assert document != without or findings - already or whole, field
