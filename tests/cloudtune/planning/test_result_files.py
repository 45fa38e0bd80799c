"""A warm start from a file: what counts, what is left out, and what is a mistake."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cloudtune.cli.main_group import cloudtune
from cloudtune.errors import StudyError
from cloudtune.ledger.ledger import Ledger
from cloudtune.planning.planner import plan
from cloudtune.planning.warm_start import read_parents
from cloudtune.runs import lifecycle
from cloudtune.study.loader import load
from cloudtune.study.study import Study

STUDY: dict[str, Any] = {
    "objective": {"metric": "loss", "goal": "minimize", "select": "best"},
    "parameters": {
        "lr": {"type": "float", "min": 1e-5, "max": 1, "scale": "log"},
        "depth": {"type": "int", "min": 1, "max": 9},
        "batch": {"type": "discrete", "values": [16, 32.5]},
        "kind": {"type": "categorical", "values": ["a", 1, "none"]},
        "warm": {"type": "bool"},
        "gamma": {"type": "float", "min": 0, "max": 1, "when": {"kind": "a"}},
    },
    "strategy": {"name": "bayesian", "seed": 1},
    "limits": {"max_trials": 12},
    "trial": {"script": "train.py"},
}
SCRIPT = """
from cloudtune.trial import params, report
p = params()
for step, value in enumerate((p["lr"], p["lr"] / 3, p["lr"] * 2), 1):
    report(loss=value + p["depth"], step=step)
if p["depth"] == 5:
    raise SystemExit("five")
"""


@pytest.fixture(autouse=True)
def _isolate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text(SCRIPT)


def call(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(cloudtune, words)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.output


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_exported_results_are_read_back_without_loss(ending: str) -> None:
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    study = Study.model_validate(STUDY)
    run = lifecycle.create([plan(study, "local", base=Path().absolute())]).id
    lifecycle.execute(run)
    call("results", run, "-o", f"results.{ending}")
    from_run, from_file = (
        read_parents(Study.model_validate(STUDY | {"warm_start": {"from": each}}), "local", Path())
        for each in (run, f"results.{ending}")
    )
    assert len(from_run[0]) > 8
    of_run = [replace(parent, source=f"results.{ending}") for parent in from_run[0]]
    assert from_file[:2] == (of_run, [])
    (note,) = from_file[2]
    assert note.startswith(f"results.{ending}: 2 of 12 rows are left out: ")
    assert note.count("has the state failed") == 2
    types = [{name: type(v) for name, v in each.parameters.items()} for each in from_file[0]]
    assert types == [{n: type(v) for n, v in each.parameters.items()} for each in from_run[0]]


def of_file(name: str, text: str, **more: Any) -> tuple[list[Any], list[str]]:
    Path(name).write_text(text)
    study = Study.model_validate(STUDY | more | {"warm_start": {"from": name}})
    parents, jobs, remarks = read_parents(study, "local", Path())
    assert jobs == []
    return parents, remarks


def test_a_table_from_elsewhere_is_matched_by_its_columns() -> None:
    text = """\ufefflr;depth;batch;kind;warm;gamma;loss;broken;who;seed
        0.1;3;16;a;True;0.5;0.7;;me;1
        1e-3;4.0;32.5;1;no;;0.6;;you;2

        0.5;3;16;none;0;;0.9;;;
        7;3;16;none;0;;0.9;;;
        0.5;3;16;none;0;0.5;0.9;;;
        0.5;3;16;none;0;;;;;
    """
    parents, remarks = of_file("table.csv", "\n".join(map(str.strip, text.splitlines())))
    assert [(dict(each.parameters), each.objective) for each in parents] == [
        ({"lr": 0.1, "depth": 3, "batch": 16, "kind": "a", "warm": True, "gamma": 0.5}, (0.7,)),
        ({"lr": 0.001, "depth": 4, "batch": 32.5, "kind": 1, "warm": False}, (0.6,)),
        ({"lr": 0.5, "depth": 3, "batch": 16, "kind": "none", "warm": False}, (0.9,)),
    ]
    left_out, unknown = remarks
    assert left_out.startswith("table.csv: 3 of 6 rows are left out: row 6 is not in the search")
    assert "(lr 7.0, depth 3" in left_out
    assert "row 7 is not in" in left_out  # gamma is not active
    assert "row 8 has no value of the objective" in left_out
    assert unknown == "table.csv: columns that the study does not have: who"
    study = Study.model_validate(STUDY | {"warm_start": {"from": "table.csv"}})
    notes = [n.text for n in plan(study, "local").notes if n.path.startswith("warm_start")]
    assert [left_out, unknown, "3 of 3 earlier trials fit this space"] == notes


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", 'x,loss\n"sgd,m=0.9,on=True",1\nadam,2\nsgd,3'),
        ("b.csv", "x.name,x.m,x.on,loss\nsgd,0.90,true,1\nadam,,,2\nsgd,0.8,true,3"),
        (
            "c.jsonl",
            '{"parameters": {"x": {"on": true, "m": 0.9, "name": "sgd"}}, "loss": 1}\n'
            '{"parameters": {"x": {"name": "adam"}}, "loss": 2}\n'
            '{"x": {"name": "adam", "m": 1}, "loss": 3}',
        ),
    ],
)
def test_a_map_is_one_column_or_its_parts(name: str, text: str) -> None:
    maps = [{"name": "sgd", "m": 0.9, "on": True}, {"name": "adam"}]
    parents, (left_out, *others) = of_file(
        name, text, parameters={"x": {"type": "categorical", "values": maps}}
    )
    assert [(each.parameters, each.objective) for each in parents] == [
        ({"x": "sgd,m=0.9,on=True"}, (1,)),
        ({"x": "adam"}, (2,)),
    ]
    assert "1 of 3 rows are left out" in left_out
    assert not others


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("m.csv", "x,x.name,parameters.x,loss\nadam,sgd,,1\nadam,,sgd,1\n,adam,,1"),
        (
            "m.jsonl",
            '{"x": "adam", "parameters": {"x": {"name": "sgd"}}, "loss": 1}\n'
            '{"x": "adam", "x.name": "sgd", "loss": 1}\n{"x": {"name": "adam"}, "loss": 1}',
        ),
    ],
)
def test_a_map_in_two_places_is_a_mistake(name: str, text: str) -> None:
    maps = [{"name": "sgd", "m": 0.9}, {"name": "adam"}]
    with pytest.raises(StudyError) as raised:
        of_file(name, text, parameters={"x": {"type": "categorical", "values": maps}})
    assert len(raised.value.problems) == 2
    assert " has x in the columns x and " in raised.value.problems[1].message


def test_each_row_may_have_its_own_columns() -> None:
    rows = [ROW, ROW.replace('"loss": 5', '"metrics": {"loss": 4}')]
    rows.append('{"parameters": ' + ROW.replace(', "loss": 5}', '}, "objective.loss": 3}'))
    parents, remarks = of_file("t.jsonl", "\n".join(rows))
    assert [each.objective for each in parents] == [(5,), (4,), (3,)]
    assert [each.parameters["lr"] for each in parents] == [0.1] * 3
    assert not remarks


def test_decimals_of_a_parquet_file_are_numbers() -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    arrow = pytest.importorskip("pyarrow")
    row = {"lr": Decimal("0.1"), "depth": Decimal(3), "batch": Decimal("32.5"), "kind": "none"}
    table = [{**row, "warm": True, "loss": Decimal("2.5")}]
    parquet.write_table(arrow.Table.from_pylist(table), "t.parquet")
    study = Study.model_validate(STUDY | {"warm_start": {"from": "t.parquet"}})
    ((parent,), *_) = read_parents(study, "local", Path())
    assert (parent.objective, parent.parameters["depth"]) == ((2.5,), 3)


def test_rows_that_other_tools_have_not_finished_are_left_out_and_said() -> None:
    rows = ["FAIL", "PRUNED", "RUNNING", "COMPLETE", ""]
    lines = [f"0.1,3,16,none,true,{index},{state}" for index, state in enumerate(rows)]
    text = "\n".join(["lr,depth,batch,kind,warm,loss,state", *lines])
    parents, (note, *_) = of_file("table.csv", text)
    assert [parent.objective for parent in parents] == [(3.0,), (4.0,)]
    assert "3 of 5 rows are left out: row 2 has the state FAIL; row 3 has the state PRUNED" in note


def test_rows_with_less_of_the_resource_are_left_out_and_said() -> None:
    lines = [f"0.1,3,16,none,true,{amount},{amount}" for amount in (1, 9, 3, 9)]
    text = "\n".join(["lr,depth,batch,kind,warm,loss,resource", *lines])
    parents, (note,) = of_file("table.csv", text)
    assert [parent.objective for parent in parents] == [(9.0,), (9.0,)]
    assert "2 of 4 rows are left out: row 2 has a resource of 1, and others have 9; row 4" in note


def test_rows_that_break_a_constraint_on_metrics_do_not_count() -> None:
    rows = (f"0.{number},2,16,1,1,,5,{memory}" for number, memory in ((1, 15), (2, 17), (3, "")))
    text = "\n".join([f"{HEAD.strip()},metrics.memory_gb", *rows])
    parents, remarks = of_file("t.csv", text, constraints=["memory_gb <= 16"])
    assert [each.parameters["lr"] for each in parents] == [0.1]
    assert remarks[0].endswith(
        "row 3 breaks a constraint on metrics; row 4 has no value of memory_gb, which is in "
        "constraints"
    )


ROW = '{"lr": 0.1, "depth": 2, "batch": 16, "kind": 1, "warm": true, "loss": 5}'
HEAD = "lr,depth,batch,kind,warm,gamma,loss\n"


@pytest.mark.parametrize(
    ("name", "text", "problems"),
    [
        ("t.csv", "", ["has no rows"]),
        ("t.csv", HEAD, ["has no rows"]),
        (
            "t.csv",
            "lr,dept,batch,kind,warm,acc\n1,2,16,a,1,3\n",
            ["parameter depth (did you mean dept?)", "no column for the objective loss"],
        ),
        (
            "t.csv",
            f"{HEAD}x,2.5,y,a,maybe,,z\n0.1,2,16,a,1,0,1\n0.1,two,16,a,1,0,1\n",
            [
                "row 2, column lr: 'x' is not a value of a float",
                "row 2, column batch: 'y' is not a value of a discrete",
                "row 2, column warm: 'maybe' is not a value of a bool",
                "row 2, column loss: 'z' is not a number",
                "row 4, column depth: 'two' is not a value of a int",
            ],
        ),
        ("t.csv", f"{HEAD}1,2,16,a,1,0,1,5\n", ["line 2 has 8 values, and the header 7 names"]),
        ("t.csv", "lr,lr\n1,2\n", ["has two columns lr"]),
        (
            "t.csv",
            f"{HEAD[:-1]},parameters.lr,metrics.loss,mem,metrics.mem\n"
            "0.1,2,16,a,1,0,1,,,,1\n0.1,2,16,a,1,0,1,7,9,2,3\n",
            [
                "row 3 has lr in the columns lr and parameters.lr",
                "row 3 has loss in the columns loss and metrics.loss",
                "row 3 has mem in the columns mem and metrics.mem",
            ],
        ),
        (
            "t.csv",
            f"{HEAD}0.1,2,16,a,1,0,1_0\n0.1,\u0662,16,a,1,0,1\n",
            [
                "row 2, column loss: '1_0' is not a number",
                "row 3, column depth: '\u0662' is not a value of a int",
            ],
        ),
        (
            "t.jsonl",
            f"{ROW}\n".replace("0.1", '"0.10"')
            + f"{ROW}\n".replace("0.1", '"0.1"')
            + f"{ROW}\n".replace("5", '"5_0"'),
            [
                "row 1, column lr: '0.10' is not a value of a float",
                "row 3, column loss: '5_0' is not a number",
            ],
        ),
        ("t.jsonl", '{"lr": 1, "lr": 2}', ["line 1 is not JSON: lr is there twice"]),
        ("t.jsonl", '{"x": {"m": 1}, "x.m": 2}', ["row 1 has x.m twice"]),
        ("t.csv", '"\n', ["has no rows"]),
        ("t.jsonl", "{}\n{", ["line 2 is not JSON"]),
        ("t.jsonl", "[1]", ["line 1 is not a JSON object"]),
        ("t.jsonl", '{"parameters": {"lr": [1]}}', ["no column for the parameter depth"]),
        ("t.parquet", "PAR1", ["cannot be read: not a Parquet file"]),
        ("t.csv", "\udcff", ["cannot be read"]),
    ],
)
def test_mistakes_are_reported_all_at_once(name: str, text: str, problems: list[str]) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    Path(name).write_bytes(text.encode(errors="surrogateescape"))
    constraints = ["mem < 9"] if "mem" in text else []
    blocks = {"warm_start": {"from": [name]}, "constraints": constraints}
    Path("study.yaml").write_text(json.dumps(STUDY | blocks))
    with pytest.raises(StudyError) as raised:
        plan(load("study.yaml"), "local")
    found = [f"{problem.path} {problem.message}" for problem in raised.value.problems]
    assert len(found) == len(problems) or "no column" in found[0], found
    for problem in problems:
        assert any(problem in each for each in found), (problem, found)
    assert all(each.startswith(f"warm_start.from.0 {name}: ") for each in found)


def fifo() -> None:
    os.mkfifo("t.csv")


def folder() -> None:
    Path("t.csv").mkdir()


def nothing() -> None:
    """No file."""


@pytest.mark.parametrize("create", [fifo, folder, nothing])
def test_what_is_no_file_is_a_mistake(create: Callable[[], None]) -> None:
    create()
    study = Study.model_validate(STUDY | {"warm_start": {"from": "t.csv"}})
    with pytest.raises(StudyError, match=r"t\.csv: cannot be read"):
        plan(study, "local")


def test_a_service_that_drives_learns_from_no_file() -> None:
    Path("t.csv").write_text(f"{HEAD}0.1,2,16,a,1,0,1\n")
    blocks = {
        "providers": {"sagemaker": {"mode": "managed"}},
        "parameters": {"lr": {"type": "float", "min": 0, "max": 1}},
    }
    study = Study.model_validate(STUDY | blocks | {"warm_start": {"from": "t.csv"}})
    found = [each for each in plan(study, "sagemaker").findings if "warm_start" in each.path]
    assert any("learns only from its own jobs; use mode: driven" in each.reason for each in found)


def test_a_run_after_another_learns_from_it() -> None:
    Path("study.yaml").write_text(json.dumps(STUDY | {"limits": {"max_trials": 3}}))
    call("run", "study.yaml")
    with Ledger() as ledger:
        (first,) = ledger.run_ids()
    call("results", "-o", "first.csv")
    for source in (first, "first.csv"):
        call("run", "study.yaml", "--after", source)
        with Ledger() as ledger:
            record = ledger.run(None)
        assert record.study["warm_start"] == {"from": [source]}
        facts = record.jobs[0].plan["facts"]
        assert len(facts["parents"]) >= 2
    call("resume")
    failed = CliRunner().invoke(cloudtune, ["run", "study.yaml", "--after", "absent"]).exception
    assert str(failed).startswith("--after absent: run 'absent' not found")


def test_a_trial_in_several_sources_counts_once() -> None:
    study = STUDY | {"limits": {"max_trials": 3}, "strategy": {"name": "random", "seed": 2}}
    run = lifecycle.create([plan(Study.model_validate(study), "local")]).id
    lifecycle.execute(run)
    call("results", run, "-o", "r.csv")
    call("results", run, "-o", "r.jsonl")
    Path("link.csv").symlink_to("r.csv")
    Path("hand.csv").write_text(f"{HEAD}0.1,2,16,1,1,,5\n0.1,2,16,1,1,,5\n")

    def read(*sources: str) -> tuple[int, list[str]]:
        blocks = {"warm_start": {"from": [*sources]}}
        parents, _, remarks = read_parents(Study.model_validate(study | blocks), "local", Path())
        return len(parents), remarks

    count = read(run)[0]
    assert count > 1
    once = f"{count} trials are in"
    for sources, said in (
        ((run[:5], run), f"{run} is the same as {run[:5]}, and counts once"),
        (("r.csv", "./r.csv"), "./r.csv is the same as r.csv, and counts once"),
        (("r.csv", "link.csv"), "link.csv is the same as r.csv, and counts once"),
        (("r.csv", run), f"{run}: {once} r.csv, too, and count once"),
        ((run, "r.jsonl"), f"r.jsonl: {once} {run}, too, and count once"),
        (("r.jsonl", "r.csv"), f"r.csv: {once} r.jsonl, too, and count once"),
    ):
        assert read(*sources) == (count, [said])
    assert read("hand.csv")[0] == 2  # two trials by hand, of one setting


def test_a_table_without_the_metric_of_a_constraint_says_so() -> None:
    study = STUDY | {
        "constraints": ["memory <= 4"],
        "parameters": {"lr": STUDY["parameters"]["lr"]},
    }
    for header, wanted in (
        ("lr,loss", "row 2 has no value of memory, which is in constraints"),
        ("lr,loss,memory", "row 2 breaks a constraint on metrics"),
    ):
        Path("table.csv").write_text(f"{header}\n0.5,1{',9' * header.count('memory')}\n", "utf-8")
        warm = {"from": ["table.csv", "table.csv"]}
        planned = plan(Study.model_validate(study | {"warm_start": warm}), "local")
        notes = [each.text for each in planned.notes if each.path.startswith("warm_start")]
        assert notes[:2] == [
            f"table.csv: 1 of 1 row are left out: {wanted}",
            "table.csv is named twice, and counts once",
        ]
        assert "measured loss and fits the study" in str(planned.findings)
