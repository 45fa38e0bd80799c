"""Properties of requests; tests/test_golden_requests.py has those of whole studies."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from cloudtune.diagnostics import Finding
from cloudtune.planning.native import merge
from cloudtune_vertex import VertexProvider
from cloudtune_vertex.request.layout import BOOTSTRAP
from cloudtune_vertex.request.study_part import to_duration
from tests.cloudtune_vertex import support


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A folder with what the studies name."""
    (tmp_path / "train.py").write_text("print('acc=1')\n", "utf-8")
    (tmp_path / "requirements.txt").write_text("", "utf-8")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.csv").write_text("1,2\n", "utf-8")
    return tmp_path


def test_variable_references_are_escaped(base: Path) -> None:
    trial = {"script": "train.py", "env": {"A": "$(HOME) $HOME $((1))"}}
    job = support.job_of(support.plan_of(support.study_of({"trial": trial}), base))
    (pool,) = job["trialJobSpec"]["workerPoolSpecs"]
    assert pool["pythonPackageSpec"]["env"] == [{"name": "A", "value": "$$(HOME) $HOME $$((1))"}]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(60.0, "60s"), (600.0, "600s"), (0.5, "0.5s"), (86400.25, "86400.25s"), (1e-6, "0.000001s")],
)
def test_durations(seconds: float, text: str) -> None:
    assert to_duration(seconds) == text


@pytest.mark.parametrize(
    ("limits", "most", "failures"),
    [
        ({"max_trials": 20, "max_failed_trials": 0}, 20, 1),
        ({"max_trials": 20, "max_failed_trials": 19}, 20, 20),
        ({"max_trials": 20, "max_failed_trials": 50}, 20, 20),
        ({"max_trials": 20}, 20, 20),
        ({"timeout": "1h"}, None, None),
        ({"timeout": "1h", "max_failed_trials": 2}, None, 3),
    ],
)
def test_one_failure_more_than_tolerated_ends_the_job(
    limits: dict[str, Any], most: int | None, failures: int | None, base: Path
) -> None:
    job = support.job_of(support.plan_of(support.study_of({"limits": limits}), base))
    assert job.get("maxTrialCount") == most
    assert job.get("maxFailedTrialCount") == failures


def test_a_grid_ends_with_its_combinations(base: Path) -> None:
    study = {
        "strategy": {"name": "grid"},
        "parameters": {
            "a": {"type": "bool"},
            "b": {"type": "int", "min": 1, "max": 3},
            "c": {"type": "float", "min": 0, "max": 1, "step": 0.25, "when": {"a": True}},
        },
    }
    counts = {}
    for wanted in (None, 5, 18, 100):
        plan = support.plan_of(support.study_of({**study, "limits": {"max_trials": wanted}}), base)
        counts[wanted] = support.job_of(plan)["maxTrialCount"], *plan.at("limits.max_trials")
    # b is 1, 2 or 3, with c where a is true and without where it is not.
    assert counts == {
        None: (18, "note"),
        5: (5, "approximated"),
        18: (18, "note"),
        100: (18, "note"),
    }


def below(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the tree of a parameter's spec as names alone, with the values of the conditions."""
    return {
        f"{child['parameterSpec']['parameterId']} {condition['values']}": below(
            child["parameterSpec"]
        )
        for child in spec.get("conditionalParameterSpecs", ())
        for key, condition in child.items()
        if key != "parameterSpec"
    }


def trees(base: Path, **parameters: Any) -> tuple[dict[str, Any], Any]:
    plan = support.plan_of(support.study_of({"parameters": parameters}), base)
    specs = support.job_of(plan)["studySpec"]["parameters"]
    return {spec["parameterId"]: below(spec) for spec in specs}, plan


WORDS = {"type": "categorical", "values": ["x", "y", "z"]}
BOOL = {"type": "bool"}


def test_a_chain_of_conditions_is_a_branch(base: Path) -> None:
    tree, plan = trees(
        base,
        a=WORDS,
        b={**WORDS, "when": {"a": ["x", "y"]}},
        c={**BOOL, "when": {"b": "z", "a": ["x", "y"]}},
        d={**BOOL, "when": {"b": "z"}},
    )
    assert tree == {"a": {"b ['x', 'y']": {"c ['z']": {}, "d ['z']": {}}}}
    assert not plan.refused
    assert plan.at("parameters.c.when") == []


def test_conditions_that_the_branch_does_not_imply_are_approximated(base: Path) -> None:
    tree, plan = trees(
        base,
        a=WORDS,
        b={**WORDS, "when": {"a": ["x", "y"]}},
        c={**BOOL, "when": {"b": "z", "a": "x"}},
    )
    assert tree == {"a": {"b ['x', 'y']": {"c ['z']": {}}}}
    assert plan.at("parameters.c.when") == ["approximated"]
    assert "for every value of a" in plan.said("parameters.c.when")


def test_two_independent_parents(base: Path) -> None:
    tree, plan = trees(base, a=WORDS, b=WORDS, c={**BOOL, "when": {"a": "x", "b": "y"}})
    assert tree == {"a": {}, "b": {"c ['y']": {}}}
    assert plan.at("parameters.c.when") == ["approximated"]
    assert not plan.refused


def test_a_name_that_could_be_tuned_twice_at_once_is_refused(base: Path) -> None:
    _, plan = trees(
        base,
        a=WORDS,
        b=WORDS,
        c=[
            {**BOOL, "when": {"a": "x", "b": "y"}},
            {"type": "int", "min": 1, "max": 3, "when": {"a": "z"}},
        ],
    )
    assert plan.at("parameters.c.0.when") == ["refused"]


def test_a_parent_with_several_definitions_has_the_child_below_each(base: Path) -> None:
    tree, plan = trees(
        base,
        a=WORDS,
        n=[
            {"type": "int", "min": 1, "max": 3, "when": {"a": "x"}},
            {"type": "discrete", "values": [2, 4], "when": {"a": "y"}},
        ],
        c={**BOOL, "when": {"n": [1, 2]}},
    )
    assert tree == {"a": {"n ['x']": {"c ['1', '2']": {}}, "n ['y']": {"c [2.0]": {}}}}
    assert plan.at("parameters.c") == ["note", "note"]
    assert not plan.refused


def test_each_kind_of_parent_has_its_own_condition(base: Path) -> None:
    _, plan = trees(
        base,
        w={"type": "categorical", "values": ["1", 1.5, True]},
        d={"type": "discrete", "values": [0.5, 1]},
        s={"type": "int", "min": 2, "max": 8, "step": 2},
        i={"type": "int", "min": -3, "max": 3},
        c1={**BOOL, "when": {"w": [1.5, True]}},
        c2={**BOOL, "when": {"d": 0.5}},
        c3={**BOOL, "when": {"s": [4, 8]}},
        c4={**BOOL, "when": {"i": [-3, 0]}},
    )
    found = {
        child["parameterSpec"]["parameterId"]: {
            key: value for key, value in child.items() if key != "parameterSpec"
        }
        for spec in support.job_of(plan)["studySpec"]["parameters"]
        for child in spec["conditionalParameterSpecs"]
    }
    assert found == {
        "c1": {"parentCategoricalValues": {"values": ["1.5", "True"]}},
        "c2": {"parentDiscreteValues": {"values": [0.5]}},
        "c3": {"parentDiscreteValues": {"values": [4.0, 8.0]}},
        "c4": {"parentIntValues": {"values": ["-3", "0"]}},
    }


def test_native_is_merged_but_cannot_change_protected_fields(base: Path) -> None:
    native = {
        "hyperparameterTuningJob": {
            "displayName": "mine",
            "labels": {"team": "vision", "cloudtune-run": "x"},
            "studySpec": {"parameters": [{"parameterId": "lr", "scaleType": None}]},
            "trialJobSpec": {"workerPoolSpecs": [{"replicaCount": "2"}]},
        }
    }
    plan = support.plan_of(support.study_of(), base)
    merged, findings = merge(
        plan.request, native, provider="vertex", protected_paths=VertexProvider.protected_paths
    )
    job = merged["hyperparameterTuningJob"]
    assert job["trialJobSpec"]["workerPoolSpecs"][0]["machineSpec"]["machineType"]
    assert job["trialJobSpec"]["workerPoolSpecs"][0]["replicaCount"] == "2"
    assert "scaleType" not in job["studySpec"]["parameters"][0]
    start = "providers.vertex.native.hyperparameterTuningJob"
    assert {f.path for f in findings if isinstance(f, Finding) and f.kind == "refused"} == {
        f"{start}.displayName",
        f"{start}.labels.cloudtune-run",
    }


def test_the_bootstrap_passes_its_arguments_to_the_launcher(tmp_path: Path) -> None:
    program = tmp_path / "cloudtune_launch.py"
    program.write_text("import os, sys\nprint(os.path.exists(__file__), sys.argv[1:])\n", "utf-8")
    archive = tmp_path / "my-bucket" / "job" / "bundle.tar.gz"
    archive.parent.mkdir(parents=True)
    with tarfile.open(archive, "w:gz") as bundle:
        bundle.add(program, program.name)
    program.unlink()
    words = ["my-bucket/job/bundle.tar.gz", "--lr=0.1", "--name=a b"]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", BOOTSTRAP, *words],
        env={**os.environ, "CLOUDTUNE_GCS": str(tmp_path), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "True ['--lr=0.1', '--name=a b']", done.stderr
