"""Checks ``native`` against the fields of a training that IBM describes and IBM's packages send.

Both packages build the request from the fields that they know, and silently drop the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cloudtune.provider import Finding, Note
from cloudtune_watson.rules.native import (
    DATA_REFERENCE,
    NATIVE,
    PROTECTED,
    Fields,
    check_fields,
    not_sent,
)

TRAINING: Fields = {
    "description": None,
    "training_data_references": [DATA_REFERENCE],
    "test_data_references": [DATA_REFERENCE],
    "test_output_data": None,
    "model_definition": {
        "id": None,
        "command": None,
        "hardware_spec": {"id": None, "name": None, "rev": None, "nodes": None, "num_nodes": None},
        "software_spec": {"id": None, "name": None, "rev": None},
        "model_type": None,
        "parameters": None,
    },
}
"""The fields of a training with the user's code that both packages send
(``_get_training_configuration_meta`` in ibm-watsonx-ai 1.8.1, training.py; ``run`` in
ibm-watson-machine-learning 1.0.370), with those of ``model_definition`` in IBM's notebooks."""
OTHER_TRAININGS = frozenset(
    {
        *("pipeline", "experiment", "prompt_tuning", "fine_tuning", "parameters"),
        *("federated_learning", "auto_update_model", "type"),
    }
)
"""Fields of other kinds of trainings."""
REQUIRED = frozenset({"description", "training_data_references"})
"""Fields that the packages read without a default."""


def native_rules(native: Mapping[str, Any]) -> Iterator[Finding | Note]:
    """Yield the findings on fields that are not sent, or that IBM does not describe."""
    for key, value in native.items():
        path = f"{NATIVE}.{key}"
        if key in TRAINING:
            if value is None and key in REQUIRED:
                yield Finding("refused", path, "IBM's packages cannot send a training without this")
            yield from check_fields(value, TRAINING[key], path)
        elif key in OTHER_TRAININGS:
            reason = "this creates another kind of training, which does not run your code"
            yield Finding("refused", path, reason)
        elif key not in PROTECTED:
            yield not_sent(key, TRAINING, "IBM's packages silently drop this field")
