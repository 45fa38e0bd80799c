"""Exports of W&B, in each of the forms that people make.

W&B needs an account to export, so these files follow its documentation and the code of its client
(see `cloudtune.formats.tool_runs.wandb_rows`); none was written by W&B itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cloudtune.errors import UsageError
from cloudtune.formats import run_readers
from cloudtune.results.model import Measurement
from tests.cloudtune.formats.tool_runs.conftest import read

Runs = list[dict[str, Any]]
MINIMIZE = {"metric": "loss", "goal": "minimize"}


def runs() -> Runs:
    found: Runs = []
    for number in range(12):
        uses_sgd = number % 3 == 0
        config: dict[str, Any] = {
            "lr": 0.001 * (number + 1),
            "opt": {"name": "sgd" if uses_sgd else "adam"},
            "epochs": 5,
            "_wandb": {"cli": 1},
        }
        if uses_sgd:
            config["momentum"] = 0.9 + number / 1000
        summary = {
            "loss": number / 10 if number != 4 else float("nan"),
            "best": {"max": 1.5},
            "_step": 40,
            "_runtime": 3.5,
            "_timestamp": 1.7e9 + number,
        }
        state = {5: "crashed", 6: "killed", 7: "running"}.get(number, "finished")
        found.append(
            {"name": f"run-{number}", "state": state, "config": config} | {"summary": summary}
        )
    return found


def as_list(path: Path) -> None:
    path.with_suffix(".json").write_text(json.dumps(runs()))


def as_lines(path: Path) -> None:
    lines = [json.dumps(run) for run in runs()]
    path.with_suffix(".jsonl").write_text("\n".join([*lines, '{"name": "torn']))


def as_graphql(path: Path) -> None:
    nodes = [
        {
            "name": run["name"],
            "state": run["state"],
            "config": json.dumps({key: {"value": value} for key, value in run["config"].items()}),
            "summaryMetrics": json.dumps(run["summary"]),
        }
        for run in runs()
    ]
    data = {"data": {"project": {"runs": {"edges": [{"node": node} for node in nodes]}}}}
    path.with_suffix(".json").write_text(json.dumps(data))


def as_documented(path: Path) -> None:
    """Write what the script in W&B's documentation writes, with the state."""
    frame = {key: [run[key] for run in runs()] for key in ("summary", "config", "name", "state")}
    pd.DataFrame(frame).to_csv(path.with_suffix(".csv"))


def as_columns(path: Path) -> None:
    frame = {key: [run[key] for run in runs()] for key in ("summary", "config", "name", "state")}
    path.with_suffix(".json").write_text(json.dumps(pd.DataFrame(frame).to_dict()))


def as_flat(path: Path) -> None:
    pd.json_normalize(runs()).to_csv(path.with_suffix(".csv"), index=False)


FORMS = pytest.mark.parametrize(
    "write", [as_list, as_lines, as_graphql, as_documented, as_columns, as_flat]
)


@FORMS
def test_each_form(write: Callable[[Path], None], tmp_path: Path) -> None:
    write(tmp_path / "export")
    (path,) = tmp_path.iterdir()
    assert run_readers.detect(path).name == "wandb"
    run, trials = read("wandb", path, **MINIMIZE)
    assert run.study.constants == {"epochs": 5}
    parameters = run.study.to_json()["parameters"]
    assert parameters["opt.name"][0]["values"] == ["sgd", "adam"]
    assert parameters["momentum"][0]["when"] == {"opt.name": ["sgd"]}
    assert [trial.state for trial in trials] == [
        *("completed",) * 5,
        *("failed", "cancelled", "cancelled"),
        *("completed",) * 4,
    ]
    assert trials[0].parameters == {"lr": 0.001, "opt.name": "sgd", "momentum": 0.9}
    assert trials[1].parameters == {"lr": 0.002, "opt.name": "adam"}
    assert trials[5].reason == "crashed"
    expected = Measurement(40, {"loss": 0.1, "best.max": 1.5}, 1.7e9 + 1)
    if write is as_flat:  # the columns of W&B's own numbers have no step or time
        assert trials[1].measurements[0].metrics == expected.metrics
    else:
        assert trials[1].measurements == (expected,)
        assert trials[1].seconds == 3.5
    if write not in {as_flat}:
        assert repr(trials[4].measurements[0].metrics["loss"]) == "nan"


def test_the_table_of_the_app_needs_the_names_of_the_parameters(tmp_path: Path) -> None:
    path = tmp_path / "wandb_export.csv"
    path.write_text(
        '"Name","State","Created","Runtime","Sweep","lr","opt","loss","note"\n'
        '"a","finished","2023-11-14T22:13:20.000Z","60","s1","0.1","adam","0.5","x"\n'
        '"b","finished","2023-11-14T22:13:20.000Z","","s1","1e-3","sgd","NaN","y"\n'
        '"c","failed","2023-11-14T22:13:20.000Z","1","","0.2","sgd","",""\n'
        '"d","fini\n'
    )
    with pytest.raises(UsageError, match=r"--parameters A,B. Columns: lr, opt, loss, note"):
        read("wandb", path, **MINIMIZE)
    with pytest.raises(UsageError, match=r"no column depth. Columns: lr"):
        read("wandb", path, parameters=("depth",), **MINIMIZE)
    run, (first, second) = read("wandb", path, parameters=("lr", "opt"), **MINIMIZE)
    assert first.parameters == {"lr": 0.1, "opt": "adam"}
    assert (first.started, first.seconds) == (1_700_000_000.0, 60.0)
    assert first.measurements == (Measurement(1, {"loss": 0.5}),)
    assert repr(second.measurements[0].metrics) == "{'loss': nan}"
    assert run.job == "s1"
    assert "1 run without a sweep left out" in str(run.findings[0])


def test_texts_in_a_table_that_look_like_other_values_stay_texts(tmp_path: Path) -> None:
    path = tmp_path / "wandb.csv"
    path.write_text(
        "Name,code,flag,cache,lr,loss\n"
        "a,007,true,true,1e-07,0.5\n"
        "b,1e3,false,auto,0.001,0.4\n"
        "c,12,true,,1,0.3\n"
    )
    names = ("code", "flag", "cache", "lr")
    _, trials = read("wandb", path, parameters=names, **MINIMIZE)
    assert [trial.parameters for trial in trials] == [
        {"code": "007", "flag": True, "cache": "true", "lr": 1e-7},
        {"code": "1e3", "flag": False, "cache": "auto", "lr": 0.001},
        {"code": "12", "flag": True, "lr": 1.0},
    ]


def test_a_sweep_brings_its_ranges_and_its_objective(tmp_path: Path) -> None:
    sweep = {
        "method": "bayes",
        "metric": {"name": "loss", "goal": "minimize"},
        "parameters": {
            "lr": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1},
            "n": {"values": [1, 2, 4]},
        },
    }
    rows = [
        {"name": str(n), "config": {"lr": 0.1, "n": n}, "summary": {"loss": n}, "sweep": "s"}
        for n in (1, 2)
    ]
    path = tmp_path / "sweep.json"
    path.write_text(json.dumps({"config": sweep, "runs": rows}))
    run, trials = read("wandb", path)
    parameters = run.study.to_json()["parameters"]
    assert parameters["lr"] == [{"type": "float", "min": 1e-5, "max": 1, "scale": "log"}]
    assert parameters["n"][0]["values"] == [1, 2, 4]
    assert run.study.objectives[0].goal == "minimize"
    assert len(trials) == 2
    assert run.findings == ()


def test_a_history_is_the_curve(tmp_path: Path) -> None:
    history = [
        {"_step": 0, "loss": 2, "_timestamp": 1.7e9},
        {"_step": 5, "loss": "NaN", "text": "x"},
        "torn",
    ]
    row = {"config": {"lr": 0.1}, "summary": {"loss": 1, "acc": 2, "_step": 9}, "history": history}
    path = tmp_path / "runs.json"
    path.write_text(json.dumps([row, row]))
    _, (trial, _) = read("wandb", path, **MINIMIZE)
    steps = [(m.step, repr(dict(m.metrics)), m.time) for m in trial.measurements]
    assert steps == [
        (0, "{'loss': 2.0}", 1.7e9),
        (5, "{'loss': nan}", None),
        (9, "{'loss': 1.0, 'acc': 2.0}", None),  # a history is a sample; the summary counts
    ]


def test_several_sweeps(tmp_path: Path) -> None:
    rows = [
        {"config": {"lr": n}, "summary": {"loss": n}, "sweepName": name}
        for name in ("first", "second")
        for n in (0.1, 0.2, 0.3)
    ]
    path = tmp_path / "runs.json"
    path.write_text(json.dumps(rows))
    with pytest.raises(UsageError, match="several runs: first, second"):
        read("wandb", path, **MINIMIZE)
    run, trials = read("wandb", path, name="second", **MINIMIZE)
    assert (run.job, len(trials)) == ("second", 3)


def test_secrets_are_left_out(tmp_path: Path) -> None:
    rows = [
        {"config": {"lr": n, "api_key": f"abcdef{n}"}, "summary": {"loss": n}} for n in (1.5, 2.5)
    ]
    path = tmp_path / "runs.json"
    path.write_text(json.dumps(rows))
    run, trials = read("wandb", path, **MINIMIZE)
    assert "abcdef" not in f"{run.study.to_json()} {trials}"
    assert any("api_key left out: looks like a secret" in str(each) for each in run.findings)


@pytest.mark.parametrize(
    "content",
    [
        "[" * 200_000,
        '{"a":' * 200_000,
        '[{"config": {"lr": 1}, "summary": {"loss": 1}}',
        "",
        "\0\1\2",
        '{"runs": []}',
        "x,y\n1,2\n",
        "Name,State,lr\n",
    ],
)
def test_a_broken_file_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "runs.json"
    path.write_text(content)
    with pytest.raises(UsageError):
        read("wandb", path, **MINIMIZE)
    with pytest.raises(UsageError, match="cannot be read"):
        read("wandb", tmp_path, **MINIMIZE)


def test_a_literal_that_explodes_is_no_map(tmp_path: Path) -> None:
    path = tmp_path / "project.csv"
    deep = "{'a':" + "[" * 5000 + "]" * 5000 + "}"
    rows = [f'"{deep}","{{\'lr\': 1}}",a', "\"{'loss': nan, 'x': -inf}\",\"{'lr': 0.1}\",b"]
    path.write_text("summary,config,name\n" + "\n".join(rows))
    _, trials = read("wandb", path, **MINIMIZE)
    assert [trial.id for trial in trials] == ["a", "b"]
    assert trials[0].measurements == ()
    assert repr(trials[1].measurements[0].metrics) == "{'loss': nan, 'x': -inf}"
