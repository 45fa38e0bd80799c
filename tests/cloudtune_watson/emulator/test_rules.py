"""What is no search is refused, with what is wrong."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from cloudtune_watson.emulator.errors import ServiceError
from cloudtune_watson.emulator.rules.search import check

if TYPE_CHECKING:
    from tests.cloudtune_watson.emulator.conftest import Cluster

X = {"name": "x", "type": "Range", "dataType": "DOUBLE", "minDbVal": 0.5, "maxDbVal": 2}
RESOURCE = [
    {"name": "ResourceName", "value": "epochs"},
    {"name": "ResourceValue", "value": "9"},
]
EXPERIMENT = {"id": 1, "hyperParams": [{"name": "x", "dataType": "DOUBLE", "fixedVal": 1}]}


def x(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in (X | changes).items() if value is not None}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"algorithm": "Genetic"}, "Unknown algorithm 'Genetic'"),
        ({"objective": "min"}, "'algoDef.objective' must be one of"),
        ({"objectiveMetric": ""}, "'algoDef.objectiveMetric' must not be empty"),
        ({"maxJobNum": 0}, "'algoDef.maxJobNum' must be at least 1, or -1"),
        ({"maxJobNum": "3"}, "'algoDef.maxJobNum' must be a whole number"),
        ({"maxRunTime": -2}, "'algoDef.maxRunTime' must be at least 1, or -1"),
        ({"maxParalleJobNum": 0}, "'algoDef.maxParalleJobNum' must be at least 1"),
        ({"maxParallelJobNum": 2}, "'algoDef.maxParallelJobNum' is not allowed"),
        ({"algoParams": [{"name": "RandomSeed", "value": 3}]}, "'algoDef.algoParams[0].value'"),
        ({"algoParams": [{"name": "RandomSeed", "value": "x"}]}, "RandomSeed must be a whole"),
        ({"algoParams": [{"name": "WarmUp", "value": "3"}]}, "Random has no parameter 'WarmUp'"),
        ({"algorithm": "Hyperband"}, "Hyperband needs ResourceName"),
        (
            {"algorithm": "Hyperband", "algoParams": [*RESOURCE, {"name": "eta", "value": "2.5"}]},
            "whole numbers from 2",
        ),
        (
            {
                "algorithm": "Hyperband",
                "algoParams": RESOURCE,
                "hyperParams": [x(name="epochs")],
            },
            "a unique name",
        ),
        ({"modelSpec": {"args": "--model-main main.py"}}, "--exec-start"),
        ({"modelSpec": {}}, "'modelSpec.args' is required"),
        (
            {"modelSpec": {"args": "--exec-start x --model-main ../main.py"}},
            "not a path in the archive",
        ),
        (
            {"modelSpec": {"args": "--exec-start x --model-dir /tmp --model-main m.py"}},
            "not a path in the archive",
        ),
        (
            {
                "modelSpec": {
                    "args": "--exec-start x --model-main m.py --cs-datastore-meta data_path=../x"
                }
            },
            "not a path of the volume",
        ),
        ({"hpoName": ".."}, "'hpoName' is not a valid name"),
        ({"hpoName": "a/b"}, "'hpoName' is not a valid name"),
        ({"hpoName": "algorithm"}, "'hpoName' is not a valid name"),
        ({"hyperParams": []}, "Random needs hyperParams"),
        ({"experiments": [EXPERIMENT]}, "Random needs hyperParams, and no experiments"),
        ({"algorithm": "ExperimentGridSearch"}, "ExperimentGridSearch needs experiments"),
        (
            {
                "algorithm": "ExperimentGridSearch",
                "hyperParams": None,
                "experiments": [EXPERIMENT, EXPERIMENT],
            },
            "a unique id",
        ),
        (
            {
                "algorithm": "ExperimentGridSearch",
                "hyperParams": None,
                "experiments": [
                    {"id": 1, "hyperParams": [{"name": "x", "dataType": "INT", "fixedVal": 1.5}]}
                ],
            },
            "fixedVal must be of the type INT",
        ),
        ({"hyperParams": [X, X]}, "a unique name"),
        ({"hyperParams": [x(type="List")]}, "'hyperParams[0].type' must be one of"),
        ({"hyperParams": [x(dataType="FLOAT")]}, "'hyperParams[0].dataType' must be one of"),
        ({"hyperParams": [x(minDbVal=None)]}, "needs minDbVal and maxDbVal"),
        ({"hyperParams": [x(minDbVal=3)]}, "minDbVal is above maxDbVal"),
        ({"hyperParams": [x(step="0")]}, "step must be above 0"),
        ({"hyperParams": [x(step="much")]}, "power and step must be numbers"),
        ({"hyperParams": [x(step=[])]}, "power and step must be numbers"),
        ({"hyperParams": [x(power="-1")]}, "power must be above 0"),
        ({"hyperParams": [x(power="10", maxDbVal=400)]}, "too large"),
        ({"hyperParams": [x(dataType="STR")]}, "a Range has numbers"),
        ({"hyperParams": [x(dataType="INT")]}, "needs minIntVal and maxIntVal"),
        (
            {"hyperParams": [x(dataType="INT", minIntVal=-1, maxIntVal=2, power="2")]},
            "exponents from 0",
        ),
        (
            {"hyperParams": [x(dataType="INT", minIntVal=1, maxIntVal=9, step="0.5")]},
            "above 0 and whole",
        ),
        ({"hyperParams": [x(type="Discrete")]}, "discreteDbVal needs at least one value"),
        ({"hyperParams": [x(type="Discrete", discreteDbVal=["1"])]}, "must be a number"),
    ],
)
def test_what_is_no_search_is_refused(cluster: Cluster, changes: dict[str, Any], why: str) -> None:
    status, body = cluster.submit(cluster.search(**changes))
    assert (status, body["status_code"]) == (400, 400)
    assert any(why in error["message"] for error in body["errors"]), body


def test_an_accelerator_alone_needs_an_instance_group(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDTUNE_WATSON_VERSION", "standalone")
    status, body = cluster.submit(cluster.search())
    assert (status, body["errors"][0]["message"]) == (400, "'modelSpec.sigName' is required.")


@pytest.mark.parametrize(
    ("algorithm", "name", "value", "right"),
    [
        ("Tpe", "WarmUp", "2", False),
        ("Tpe", "WarmUp", "3", True),
        ("Tpe", "EICandidate", "abc", False),
        ("Tpe", "EICandidate", "1", False),
        ("Tpe", "EICandidate", "2", True),
        ("Tpe", "GoodRatio", "-3", False),
        ("Tpe", "GoodRatio", "0", False),
        ("Tpe", "GoodRatio", "nan", False),
        ("Tpe", "GoodRatio", "0.1", True),
        ("Tpe", "GoodMax", "1", False),
        ("Tpe", "GoodMax", "2", True),
        ("Bayesian", "CubeSize", "2", False),
        ("Bayesian", "CubeSize", "3", True),
        ("Bayesian", "InitPoints", "-3", False),
        ("Bayesian", "InitPoints", "0", True),
        ("Bayesian", "Noiseless", "maybe", False),
        ("Bayesian", "Noiseless", "false", True),
    ],
)
def test_parameters_of_an_algorithm_are_what_ibm_says(
    *, algorithm: str, name: str, value: str, right: bool
) -> None:
    params = [{"name": name, "value": value}]
    about = {"algorithm": algorithm, "maxJobNum": 3, "algoParams": params}
    about |= {"objectiveMetric": "score", "objective": "maximize"}
    args = "--exec-start x --model-main m.py"
    data = {"modelSpec": {"args": args}, "algoDef": about, "hyperParams": [X]}
    if right:
        check(data, standalone=False)
        return
    with pytest.raises(ServiceError, match=f"{name} must be"):
        check(data, standalone=False)


@pytest.mark.parametrize(
    ("form", "why"),
    [
        ({"data": "{}"}, "one file and the field data"),
        ({"file": (io.BytesIO(b"x"), "m.modelDir.tar")}, "one file and the field data"),
        ({"file": (io.BytesIO(b"x"), "m.modelDir.tar"), "data": "{"}, "not valid JSON"),
        ({"file": (io.BytesIO(b"x"), "m.modelDir.tar"), "data": "[]"}, "must be a map"),
    ],
)
def test_a_form_needs_both_of_its_fields(cluster: Cluster, form: dict[str, Any], why: str) -> None:
    status, body = cluster.ask("POST", f"{cluster.wmla}/hypersearch", data=form)
    assert status == 400
    assert why in body["errors"][0]["message"]


def test_an_archive_that_is_none_is_refused(cluster: Cluster) -> None:
    form = {"file": (io.BytesIO(b"x"), "m.modelDir.tar"), "data": json.dumps(cluster.search())}
    status, body = cluster.ask("POST", f"{cluster.wmla}/hypersearch", data=form)
    assert (status, "cannot be unpacked" in body["errors"][0]["message"]) == (400, True)


def test_a_range_that_no_study_can_hold_is_not_here(cluster: Cluster) -> None:
    wide = x(dataType="INT", minIntVal=0, maxIntVal=2**53 + 1, step="1")
    status, body = cluster.submit(cluster.search(hyperParams=[wide]))
    assert (status, body["errors"][0]["code"]) == (501, "not_implemented")


@pytest.mark.parametrize("changes", [{"step": "5"}, {"minDbVal": 0.5, "maxDbVal": 0.5}])
def test_a_range_may_have_one_value(cluster: Cluster, changes: dict[str, Any]) -> None:
    body = cluster.searched(cluster.search(x(**changes), maxJobNum=2))
    assert set(cluster.values(body)) == {"0.5"}
