"""A value of another form than expected gives a message, whatever the format and the field."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from cloudtune.conversion import exporter, registry
from cloudtune.errors import CloudtuneError, ConversionError
from cloudtune.formats.documents import parse_documents
from cloudtune.formats.fields import Fields, Report
from cloudtune.study.loader import load
from tests.document_equality import is_list, is_map

TESTS = Path(__file__).parents[2]
FORMATS = TESTS / "cloudtune" / "formats"
FILES = {
    "azure": [
        TESTS / "cloudtune_azure" / "native" / f"{name}.yaml"
        for name in ("nested", "bandit", "automl-image")
    ],
    "configspace": [
        FORMATS / "configspace" / f"{name}.json"
        for name in ("ranges", "choices", "conditional", "comparisons", "or", "forbidden", "old")
    ],
    "katib": [TESTS / "cloudtune" / "formats" / "katib" / "strategies.yaml"],
    "sagemaker": [
        TESTS / "cloudtune_sagemaker" / folder / f"{name}.json"
        for folder, name in (
            *(("native", "sdk"), ("native", "conditional")),
            ("state_machines", "parallel"),
        )
    ],
    "watson": [
        TESTS / "cloudtune_watson" / "native" / f"{name}.json"
        for name in ("xgboost", "tpe", "hyperband", "grid", "bayesian")
    ],
    "hydra": [
        FORMATS / "hydra" / f"{name}.yaml"
        for name in ("sphere", "grid", "log", "several", "older", "template")
    ],
    "vizier": [
        FORMATS / "vizier" / f"{name}.json"
        for name in ("external", "conditional", "numbers", "vertex-vizier")
    ],
    "vertex": [
        TESTS / "cloudtune_vertex" / "native" / f"{name}.json" for name in ("rest", "conditional")
    ],
    "optuna": [
        FORMATS / "optuna" / f"{name}.json"
        for name in ("tpe", "texts", "conditional", "enqueued", "halving", "hyperband")
    ],
    "ray": [
        FORMATS / "ray" / f"{name}.json"
        for name in ("asha", "quantized", "nested", "grid-mixed", "optuna", "hyperband", "median")
    ],
    "syne-tune": [
        FORMATS / "syne-tune" / f"{name}.json"
        for name in ("choices", "finite", "quantized", "asha", "median", "limits")
    ],
    "wandb": [
        FORMATS / "wandb" / f"{name}.yaml"
        for name in ("distributions", "early", "early-backwards", "nested", "custom")
    ],
}
VALUES: Sequence[Any] = (1, "x", [], {}, [1], [[]], {"a": 1}, True, "1e400", 10**400, -1, 0)


def places(value: Any, keys: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield keys
    if is_map(value):
        for key, inner in value.items():
            yield from places(inner, (*keys, key))
    elif is_list(value):
        for index, inner in enumerate(value):
            yield from places(inner, (*keys, index))


def replaced(document: Any, keys: Sequence[str | int], value: Any) -> Any:
    changed = copy.deepcopy(document)
    inner = changed
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = copy.deepcopy(value)
    return changed


@pytest.mark.parametrize("name", sorted(registry.all_formats()))
def test_an_odd_value_never_fails_without_a_message(name: str) -> None:
    assert name in FILES, f"FILES needs files of the format {name}"
    found = registry.get(name)
    for path in FILES[name]:
        (document,) = parse_documents(path.read_text("utf-8"), path.name)
        for number, keys in enumerate(places(document.data)):
            if not keys:
                continue
            for value in VALUES[number % 6 :: 6]:
                report = Report(path)
                drafts = found.read(Fields(replaced(document.data, keys, value), report))
                for draft in drafts if not report.problems else ():
                    with contextlib.suppress(CloudtuneError):
                        study = load(draft.data)
                        if found.dialect():
                            exporter.write(study, name)


@pytest.mark.parametrize("odd", [None, True, 3, 0.5, "text", [], [1], {}, {"_type": "choice"}])
def test_an_odd_value_of_a_key_does_not_end_the_detection(odd: Any) -> None:
    """Each format looks at documents of all others, and at any YAML."""
    keys = (
        "kind apiVersion type $schema jobs properties objective search_space method parameters "
        "metric trialConcurrency tuner searchSpace spec studySpec hyperparameters ParameterRanges"
    )
    for key in keys.split():
        assert isinstance(registry.detect({key: odd}), list)
        others = dict.fromkeys(set(keys.split()) - {key}, "text")
        assert isinstance(registry.detect({**others, key: odd}), list)


@pytest.mark.parametrize("tool", ["configspace", "hydra", "optuna", "syne-tune"])
def test_values_that_are_equal_to_a_tool_and_as_text_are_refused(tool: str) -> None:
    values = ["1", 1, True]
    study = load({"parameters": {"x": {"type": "categorical", "values": values}}})
    with pytest.raises(ConversionError, match="equal as text"):
        exporter.write(study, tool)
