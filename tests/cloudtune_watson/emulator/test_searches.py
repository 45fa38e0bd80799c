"""Searches of WML Accelerator that run for real."""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from cloudtune.results.events import Started
from cloudtune_watson.emulator.search_space import experiment_values

if TYPE_CHECKING:
    from tests.cloudtune_watson.emulator.conftest import Cluster

X = {"name": "x", "type": "Range", "dataType": "DOUBLE", "minDbVal": 0.5, "maxDbVal": 2}
K = {"name": "k", "type": "Range", "dataType": "INT", "minIntVal": 1, "maxIntVal": 7, "step": "3"}
KIND = {"name": "kind", "type": "Discrete", "dataType": "STR", "discreateStrVal": ["007", "1e3"]}
SLEEPS = """
    import time
    print("begun", flush=True)
    time.sleep(600)
"""


def test_a_search_runs_its_trials_under_ibms_contract(cluster: Cluster) -> None:
    body = cluster.searched(
        cluster.search(
            X, K, KIND, additionalMetrics={"acc": "latest"}, algoParams=[seed("3")], maxRunTime=5
        )
    )
    assert body["state"] == "FINISHED"
    counts = [body[name] for name in ("progress", "complete", "failed", "running")]
    assert counts == ["3/3", 3, 0, 0]
    assert body["algoDef"]["algorithm"] == "Random"
    for number, each in enumerate(body["experiments"]):
        params = {param["name"]: param for param in each["hyperParams"]}
        assert each["id"] == number
        assert each["state"] == "FINISHED"
        assert [params[name]["dataType"] for name in ("x", "k", "kind")] == ["double", "int", "str"]
        assert all(isinstance(param["fixedVal"], str) for param in params.values())
        assert params["k"]["fixedVal"] in {"1", "4", "7"}
        assert params["kind"]["fixedVal"] in {"007", "1e3"}
        config = json.loads(cluster.printed(each))
        assert config["x"] == float(params["x"]["fixedVal"])
        assert config["k"] == int(params["k"]["fixedVal"])
        assert config["kind"] == params["kind"]["fixedVal"]
        assert each["metricVal"] == pytest.approx((config["x"] - 1) ** 2)  # the best, not the last
        assert each["metrics"] == [{"name": "acc", "min": 1.0, "max": 3.0, "latest": 2.0}]
    assert body["best"] == min(body["experiments"], key=lambda each: each["metricVal"])


def seed(value: str) -> dict[str, str]:
    return {"name": "RandomSeed", "value": value}


def test_a_seed_gives_the_same_trials(cluster: Cluster) -> None:
    data = cluster.search(X, algoParams=[seed("5")], maxParalleJobNum=1)
    first, second = (cluster.values(cluster.searched(data)) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("algorithm", ["Bayesian", "Tpe", "TPE"])
def test_searches_that_learn(cluster: Cluster, algorithm: str) -> None:
    body = cluster.searched(cluster.search(X, K, algorithm=algorithm, maxParalleJobNum=2))
    assert (body["state"], body["progress"]) == ("FINISHED", "3/3")


def test_bounds_with_a_power_are_exponents(cluster: Cluster) -> None:
    rate = {**X, "minDbVal": -3, "maxDbVal": -1, "power": "10", "step": "1"}
    size = {**K, "name": "size", "minIntVal": 5, "maxIntVal": 8, "power": "2", "step": 1}
    body = cluster.searched(cluster.search(rate, size, maxJobNum=8, maxParalleJobNum=4))
    assert body["state"] == "FINISHED"
    found = [float(value) for value in cluster.values(body)]
    assert all(any(value == pytest.approx(each) for each in (1e-3, 1e-2, 0.1)) for value in found)
    assert set(cluster.values(body, "size")) <= {"32", "64", "128", "256"}


@pytest.mark.parametrize("bound", [0.3, 0.4, 1e-05, 0.003, 700.0])
def test_a_power_of_a_bounds_exponent_is_the_bound(bound: float) -> None:
    rate = {"name": "rate", "type": "range", "dataType": "double", "power": "10"}
    data = {"algoDef": {"algorithm": "Random"}, "hyperParams": [rate]}
    started = Started(1, 0.0, {"p0": math.log10(bound)})
    _, values = experiment_values(data, started)
    assert values == {"rate": bound}


def test_hyperband_tells_scripts_its_resource(cluster: Cluster) -> None:
    body = cluster.searched(
        cluster.search(
            X,
            algorithm="Hyperband",
            maxJobNum=9,
            algoParams=[
                {"name": "ResourceName", "value": "epochs"},
                {"name": "ResourceValue", "value": "9"},
            ],
        )
    )
    assert (body["state"], body["progress"]) == ("FINISHED", "9/9")
    amounts = cluster.values(body, "epochs")
    assert set(amounts) <= {"1", "3", "9"}
    assert "3" in amounts
    assert {each["dataType"] for e in body["experiments"] for each in e["hyperParams"][1:]} == {
        "str"
    }
    config = json.loads(cluster.printed(body["experiments"][0]))
    assert config["epochs"] == amounts[0]
    assert len(set(cluster.values(body))) < len(amounts)  # some went on with more


def test_a_grid_is_a_list_of_experiments(cluster: Cluster) -> None:
    experiments = [
        {"id": number, "hyperParams": [{"name": "x", "dataType": "DOUBLE", "fixedVal": value}]}
        for number, value in ((4, 0.5), (9, 1), (2, 1.5))
    ]
    data = cluster.search(
        algorithm="ExperimentGridSearch",
        hyperParams=None,
        experiments=experiments,
        maxJobNum=-1,
        maxParalleJobNum=1,
    )
    body = cluster.searched(data)
    assert (body["state"], body["progress"]) == ("FINISHED", "3/3")
    assert [each["id"] for each in body["experiments"]] == [0, 1, 2]
    assert list(cluster.values(body)) == ["0.5", "1", "1.5"]
    assert body["best"]["id"] == 1
    assert body["best"]["hyperParams"][0]["type"] == "fix"


def test_complete_counts_failures(cluster: Cluster) -> None:
    code = """
        x = json.load(open("config.json"))["x"]
        if x > 1: sys.exit("too large")
        listed([{"loss": x}])
    """
    grid = [
        {"id": number, "hyperParams": [{"name": "x", "dataType": "INT", "fixedVal": number}]}
        for number in range(4)
    ]
    data = cluster.search(algorithm="ExperimentGridSearch", hyperParams=None, experiments=grid)
    body = cluster.searched({**data, "algoDef": {**data["algoDef"], "maxJobNum": 12}}, code)
    counts = [body[name] for name in ("state", "progress", "complete", "failed")]
    assert counts == ["FINISHED", "4/4", 4, 2]
    failed = [each for each in body["experiments"] if each["state"] == "FAILED"]
    assert all("metricVal" not in each for each in failed)
    assert "too large" in cluster.printed(failed[0])
    assert cluster.ask("GET", f"{cluster.wmla}/execs/{failed[0]['appId']}")[1]["state"] == "ERROR"


@pytest.mark.parametrize(("code", "state"), [("sys.exit(1)", "FAILED"), ("pass", "FINISHED")])
def test_a_search_without_any_metric_fails(cluster: Cluster, code: str, state: str) -> None:
    body = cluster.searched(cluster.search(maxJobNum=2), code)
    assert body["state"] == "FAILED"
    assert [each["state"] for each in body["experiments"]] == [state, state]
    assert "best" not in body


@pytest.mark.parametrize("how", ["", "/force"])
def test_a_search_can_be_stopped(cluster: Cluster, how: str) -> None:
    name = cluster.start(cluster.search(maxParalleJobNum=2), SLEEPS)
    cluster.until(
        lambda: cluster.get_search(name), lambda body: body["running"] == 2 and begun(cluster, body)
    )
    path = f"{cluster.wmla}/hypersearch/{name}"
    assert cluster.ask("PUT", path + how)[0] == 200
    body = cluster.until(lambda: cluster.get_search(name), lambda body: body["state"] == "STOPPED")
    assert {each["state"] for each in body["experiments"]} == {"KILLED"}
    status, error = cluster.ask("PUT", path)
    assert (status, error["errors"][0]["code"]) == (400, "invalid_request_entity")
    assert cluster.ask("DELETE", path)[0] == 204
    assert cluster.ask("GET", path)[0] == 404


def begun(cluster: Cluster, body: dict[str, Any]) -> bool:
    return all("begun" in cluster.printed(each) for each in body["experiments"])


def test_a_search_that_has_no_time_left_ends_its_trials(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cloudtune_watson.emulator import tuner

    monkeypatch.setattr(tuner, "MINUTE", 0.5)
    body = cluster.searched(cluster.search(maxRunTime=1, maxJobNum=-1), SLEEPS)
    assert {each["state"] for each in body["experiments"]} == {"KILLED"}
    assert body["complete"] == len(body["experiments"])


def test_one_execution_can_be_stopped(cluster: Cluster) -> None:
    name = cluster.start(cluster.search(maxJobNum=1), SLEEPS)
    body = cluster.until(
        lambda: cluster.get_search(name), lambda body: body["running"] and begun(cluster, body)
    )
    path = f"{cluster.wmla}/execs/{body['experiments'][0]['appId']}"
    assert cluster.ask("POST", f"{path}/stop")[0] == 200
    body = cluster.until(lambda: cluster.get_search(name), lambda body: body["running"] == 0)
    assert body["experiments"][0]["state"] == "KILLED"


def test_an_execution_has_a_log_and_a_result(cluster: Cluster) -> None:
    code = """
        print("hello", os.environ["SUBID"])
        open(os.environ["RESULT_DIR"] + "/model.bin", "w").write("weights")
        listed([{"loss": 1}])
    """
    body = cluster.searched(cluster.search(maxJobNum=1), code)
    [each] = body["experiments"]
    assert cluster.printed(each) == "hello 0\n"
    path = f"{cluster.wmla}/execs/{each['appId']}"
    answer = cluster.client.get(f"{path}/result")
    assert "filename=" in answer.headers["Content-Disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.get_data())) as archive:
        assert archive.read("model.bin") == b"weights"
        assert "val_dict_list.json" in archive.namelist()
    status, execs = cluster.ask("GET", f"{cluster.wmla}/execs")
    assert status == 200
    assert each["appId"] in {row["id"] for row in execs}
    assert cluster.ask("GET", f"{cluster.wmla}/execs/none/log")[0] == 404


def test_a_search_of_one_file(cluster: Cluster) -> None:
    code = """
import json, os
with open(os.environ["RESULT_DIR"] + "/val_dict_list.json", "w") as file:
    json.dump([{"loss": 1}], file)
"""
    form = {
        "file": (io.BytesIO(code.encode()), "main.py"),
        "data": json.dumps(cluster.search(maxJobNum=1)),
    }
    status, body = cluster.ask("POST", f"{cluster.wmla}/hypersearch", data=form)
    assert status == 201
    body = cluster.until(
        lambda: cluster.get_search(body["uid"]),
        lambda body: body["state"] in {"FINISHED", "FAILED"},
    )
    assert body["state"] == "FINISHED"


def test_a_name_that_is_given_is_kept(start_cluster: Callable[..., Cluster]) -> None:
    cluster = start_cluster()
    data = cluster.search(hpoName="my-search", maxJobNum=1)
    assert cluster.submit(data) == (
        201,
        {"uid": "my-search", "href": f"{cluster.wmla}/hypersearch/my-search"},
    )
    status, body = cluster.submit(data)
    assert (status, body["errors"][0]["code"]) == (409, "already_exists")
    assert [each["hpoName"] for each in cluster.ask("GET", f"{cluster.wmla}/hypersearch")[1]] == [
        "my-search"
    ]
    assert cluster.watson.busy()
    cluster.until(cluster.watson.busy, lambda busy: not busy)
    assert cluster.ask("DELETE", f"{cluster.wmla}/hypersearch")[0] == 204
    assert cluster.ask("GET", f"{cluster.wmla}/hypersearch") == (200, [])


def test_a_standalone_accelerator_answers_with_a_text(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDTUNE_WATSON_VERSION", "standalone")
    args = "--exec-start PyTorch --model-main main.py"
    data = cluster.search(modelSpec={"args": args, "sigName": "group"}, maxJobNum=1)
    status, name = cluster.submit(data)
    assert status == 200
    assert isinstance(name, str)
    assert cluster.get_search(name)["hpoName"] == name


def test_algorithms_are_listed(cluster: Cluster) -> None:
    path = f"{cluster.wmla}/hypersearch/algorithm"
    status, rows = cluster.ask("GET", path, {"type": "BUILD_IN"})
    assert status == 200
    assert "TPE" in {row["name"] for row in rows}
    assert cluster.ask("GET", path, {"type": "USER_PLUGIN"}) == (200, [])
