"""Configuration spaces of Syne Tune: read as studies, and written back with the same meaning."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from cloudtune.conversion import exporter, importer
from cloudtune.errors import ConversionError, StudyError
from cloudtune.study.loader import load
from tests.cloudtune.formats.foreign_files import ForeignFiles
from tests.document_equality import Equalities, is_map

STATE = (
    *("searcher", "trial_info", "brackets", "num_stopped", "metric_multiplier", "config_space"),
    *("sorted_results", "scheduler", "trial_to_results", "metric", "metrics", "do_minimize"),
)


def with_defaults(document: dict[str, Any]) -> dict[str, Any]:
    """Read the space where it is text, and leave out what repeats other fields."""
    data: dict[str, Any] = copy.deepcopy(document)
    if "config_space" not in data:
        plain: dict[str, Any] = {"config_space": data}
        data = plain
    if isinstance(data["config_space"], str):
        try:
            data["config_space"] = json.loads(data["config_space"])
        except ValueError:
            return data
    for domain in data["config_space"].values():
        if not is_map(domain) or domain.get("sampler_cls") != "LogUniform":
            continue
        if domain["domain_kwargs"].get("lower") == 0:
            domain["sampler_cls"] = "ReverseLogUniform"  # a log scale has no 0
    for key in STATE:
        data.get("scheduler_kwargs", {}).pop(key, None)
    data.pop("metric", None)
    return data


FILES = ForeignFiles(
    "syne-tune",
    Equalities(
        numbers=("config_space.*.domain_kwargs.**", "stop_criterion.*"),
        ignored=(
            *("st_*", "metric", "config_space.*.sampler_kwargs.base"),
            *(f"scheduler_kwargs.{key}" for key in STATE),
            *(f"scheduler_kwargs.{key}.**" for key in STATE),
        ),
        defaults={"scheduler_kwargs.reduction_factor": [3], "metric_mode": ["min"]},
    ),
    with_defaults,
)


@pytest.mark.parametrize("name", FILES.names)
def test_a_space_comes_back_with_the_same_meaning(name: str, tmp_path: Path) -> None:
    assert FILES.round_trip(name, tmp_path) == []


@pytest.mark.parametrize("name", FILES.names)
def test_the_comparison_notices_each_change(name: str) -> None:
    permitted = ["scheduler_kwargs.reduction_factor", "metric_mode", "**.sampler_kwargs.base"]
    permitted.append("*.sampler_kwargs.sampler")
    assert FILES.unnoticed(name, permitted) == []


def test_ranges_and_constants() -> None:
    data, _ = FILES.read("ranges.json")
    assert data["parameters"] == {
        "u": {"type": "float", "min": 0, "max": 1},
        "lr": {"type": "float", "min": 1e-4, "max": 1, "scale": "log"},
        "n": {"type": "int", "min": 1, "max": 10},
        "units": {"type": "int", "min": 1, "max": 100, "scale": "log"},
        "x.y": {"type": "float", "min": -1.5, "max": 2},
    }
    assert data["constants"] == {"epochs": 7, "path": "s3://x", "flag": True}


def test_choices_and_finite_ranges() -> None:
    parameters = FILES.read("choices.json")[0]["parameters"]
    assert parameters["bools"] == {"type": "bool"}
    assert parameters["words"] == {"type": "categorical", "values": ["s", "m", "l"]}
    assert parameters["falling"] == {"type": "categorical", "values": [9, 4, 1]}
    assert parameters["log"] == {"type": "discrete", "values": [16, 32, 128], "scale": "log"}
    finite = FILES.read("finite.json")[0]["parameters"]
    assert finite["linear"] == {"type": "float", "min": 0.1, "max": 0.5, "step": 0.1}
    assert finite["ints"] == {"type": "int", "min": 1, "max": 9, "step": 2}
    assert finite["uneven"]["values"] == [0, 3, 7, 10]
    assert finite["log-ints"]["values"] == [2**exponent for exponent in range(10)]
    assert finite["log"]["values"] == pytest.approx([0.001, 0.01, 0.1, 1], rel=1e-12)


def test_a_reversed_scale_that_the_file_does_not_tell() -> None:
    parameters = FILES.read("reverse.json")[0]["parameters"]
    assert [each["scale"] for each in parameters.values()] == ["log", "reverse_log", "log"]
    texts = FILES.texts("reverse.json")
    assert "loguniform and reverseloguniform alike" in texts["config_space.momentum.sampler_cls"]
    assert "config_space.lr.sampler_cls" not in texts
    named = FILES.read("named-reverse.json")[0]["parameters"]["momentum"]
    assert named["scale"] == "reverse_log"


def test_metadata_of_experiments() -> None:
    data, _ = FILES.read("asha.json")
    assert data["objective"] == {"metric": "acc", "goal": "maximize"}
    assert data["strategy"] == {"name": "random", "seed": 5}
    assert data["early_stopping"] == {"rule": "halving", "eta": 3}
    texts = FILES.texts("asha.json")
    assert "the script train_height.py" in texts["metric_names"]
    assert "no trial ends at 81" in texts["scheduler_kwargs.max_t"]
    assert FILES.read("median.json")[0]["early_stopping"] == {
        "rule": "median",
        "min_step": 2,
        "min_trials": 4,
    }
    assert FILES.read("rea.json")[0]["strategy"] == {"name": "genetic", "seed": 8}
    limits, _ = FILES.read("limits.json")
    assert limits["limits"] == {
        "max_trials": 100,
        "parallel_trials": 4,
        "timeout": "1h",
        "max_failed_trials": 0,
    }
    assert [each["goal"] for each in limits["objective"]] == ["minimize", "maximize"]


@pytest.mark.parametrize(
    ("domain", "error", "message"),
    [
        ({"domain_cls": "Float", "sampler_cls": "Normal"}, ConversionError, "no normal"),
        ({"domain_cls": "Other"}, StudyError, "unknown domain"),
        ({"domain_cls": "Float", "sampler_cls": "Odd"}, StudyError, "unknown sampler"),
        ({"domain_cls": "Float", "domain_kwargs": {"lower": 1}}, StudyError, "lower and upper"),
        (
            {"domain_cls": "Float", "domain_kwargs": {"lower": 2, "upper": 1}},
            StudyError,
            "greater than upper",
        ),
        (
            {
                "domain_cls": "Integer",
                "domain_kwargs": {"lower": 0, "upper": 1},
                "sampler_cls": "LogUniform",
            },
            StudyError,
            "above 0",
        ),
        (
            {"domain_cls": "Categorical", "domain_kwargs": {"categories": [None]}},
            ConversionError,
            "only strings, numbers and booleans",
        ),
        ({"domain_cls": "Categorical", "domain_kwargs": {}}, StudyError, "at least one value"),
        (
            {"domain_cls": "FiniteRange", "domain_kwargs": {"lower": 0, "upper": 1, "size": 0}},
            StudyError,
            "1 to 1,000 values",
        ),
    ],
)
def test_what_a_study_cannot_hold(
    domain: dict[str, Any], error: type[Exception], message: str, tmp_path: Path
) -> None:
    bounds = {"domain_kwargs": {"lower": 0, "upper": 1}}
    with pytest.raises(error, match=message):
        FILES.read_text(json.dumps({"x": {**bounds, **domain}}), tmp_path, "space.json")


def test_population_based_training_is_refused(tmp_path: Path) -> None:
    document = FILES.document("random.json") | {"scheduler_name": "PopulationBasedTraining"}
    with pytest.raises(ConversionError, match="no population-based training"):
        FILES.read_text(json.dumps(document), tmp_path, "metadata.json")


def test_what_syne_tune_does_not_have(tmp_path: Path) -> None:
    study = load(
        {
            "objective": {"metric": "loss", "goal": "minimize", "target": 1},
            "parameters": {
                "a": {"type": "float", "min": 1, "max": 2, "scale": "reverse_log"},
                "b": {"type": "float", "min": 0.5, "max": 0.9, "scale": "reverse_log"},
                "c": {"type": "categorical", "values": [1, "x"]},
                "d": {"type": "int", "min": 1, "max": 9, "step": 4, "scale": "log"},
                "e": {"type": "int", "min": 1, "max": 10, "step": 4},
            },
            "strategy": {"name": "bayesian", "method": "cmaes"},
            "early_stopping": {"rule": "bandit"},
            "limits": {"max_trials": 10},
        }
    )
    exported = exporter.write(study, "syne-tune")
    space = exported.document["config_space"]
    assert space["b"]["sampler_cls"] == "ReverseLogUniform"
    assert space["c"]["domain_kwargs"] == {"categories": ["1", "x"]}
    assert space["d"]["domain_kwargs"] == {"categories": [1, 5, 9], "log_scale": True}
    assert space["e"]["domain_kwargs"]["upper"] == 9
    assert exported.document["stop_criterion"] == {"max_num_trials_started": 9}
    assert {each.path for each in exported.findings} == {
        *("objective.target", "parameters.a.scale", "parameters.c", "parameters.d.step"),
        *("strategy.method", "early_stopping"),
    }
    file = tmp_path / "space.json"
    file.write_text(exported.to_text(file), "utf-8")
    assert importer.read(file).format.name == "syne-tune"


def test_syne_tune_reads_what_is_written(tmp_path: Path) -> None:
    module = pytest.importorskip("syne_tune.config_space")
    for name in FILES.names:
        if name != "quantized.json":  # which Syne Tune cannot read itself
            exported = exporter.write(
                importer.read(FILES.folder / name).studies[0].study, FILES.name
            )
            module.config_space_from_json_dict(exported.document["config_space"])


def test_a_grid_is_a_finding_in_both_directions(tmp_path: Path) -> None:
    study = load(
        {
            "objective": {"metric": "loss", "goal": "minimize"},
            "parameters": {"depth": {"type": "int", "min": 1, "max": 8}},
            "strategy": "grid",
        }
    )
    exported = exporter.write(study, "syne-tune")
    assert "at most 5 values" in next(
        str(each) for each in exported.findings if each.path == "strategy.name"
    )
    file = tmp_path / "metadata.json"
    file.write_text(exported.to_text(file), "utf-8")
    imported = importer.read(file)
    assert imported.studies[0].data["strategy"] == {"name": "grid"}
    assert "at most 5 values" in next(
        str(each) for each in imported.findings if each.path == "scheduler_name"
    )
