"""Runs that Ray Tune, Syne Tune and MLflow made themselves, in the archives of this folder."""

from __future__ import annotations

import pickle
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cloudtune.errors import UsageError
from cloudtune.formats import run_readers
from cloudtune.study.search_space import Space
from tests.cloudtune.formats.tool_runs.conftest import Unpack, read

CHOICES: dict[str, dict[str, Any]] = {
    "ray": {"goal": "minimize"},
    "syne-tune": {},
    "mlruns": {"name": "grid", "metric": "loss", "goal": "minimize"},
}
TOOLS = {"ray": "ray", "syne-tune": "syne-tune", "mlruns": "mlflow"}
EACH = pytest.mark.parametrize("archive", CHOICES)


class Trap:
    """A pickle that leaves a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.path,)


@EACH
def test_each_folder_is_recognized_by_its_tool_alone(archive: str, unpack: Unpack) -> None:
    folder = unpack(archive)
    assert run_readers.detect(folder).name == TOOLS[archive]


@EACH
def test_no_pickle_is_loaded(archive: str, unpack: Unpack, tmp_path: Path) -> None:
    folder, mark = unpack(archive), tmp_path / "loaded"
    trap = pickle.dumps(Trap(mark))
    places = [folder, *(each for each in folder.rglob("*") if each.is_dir())]
    for place in places:
        for name in ("tuner.pkl", "params.pkl", "error.pkl", "tuner.dill", "model.pkl"):
            (place / name).write_bytes(trap)
    state = next(iter(folder.glob("experiment_state-*.json")), None)
    if state:
        state.write_text(state.read_text().replace("80054e2e", trap.hex()))
    assert read(TOOLS[archive], folder, **CHOICES[archive])[1]
    assert not mark.exists()
    pickle.loads(trap)
    assert mark.exists()


@EACH
def test_each_trial_has_the_parameters_of_the_space(archive: str, unpack: Unpack) -> None:
    run, trials = read(TOOLS[archive], unpack(archive), **CHOICES[archive])
    space = Space.from_study(run.study)
    for trial in trials:
        assert trial.parameters.keys() == {node.name for node in space.nodes}
    assert [trial.number for trial in trials] == [*range(1, len(trials) + 1)]
    assert run.started
    assert run.ended
    assert run.started < run.ended


def test_ray(unpack: Unpack) -> None:
    run, trials = read("ray", unpack("ray"), goal="minimize")
    assert run.study.objectives[0].metric == "loss"
    assert run.study.constants == {"fixed": 7}
    assert [*run.study.parameters] == ["lr", "depth", "kind", "opt.wd", "flag"]
    states = [trial.state for trial in trials]
    assert states == [
        *("failed", "completed", "failed", "failed", "completed", "completed", "failed"),
        "completed",
    ]
    assert trials[0].reason == "RuntimeError: out of depth"
    assert trials[0].log
    assert Path(trials[0].log).name == "error.txt"
    assert 'raise RuntimeError("out of depth")' in trials[0].log_tail
    last = trials[7]
    assert last.id == "7d76d_00007"
    assert last.parameters["flag"] is False
    assert [m.step for m in last.measurements] == [1, 2, 3]
    lr = last.parameters["lr"]
    assert isinstance(lr, float)
    assert [m.metrics for m in last.measurements] == [
        {"loss": pytest.approx(lr * n), "nested.acc": 1 - lr} for n in (1, 2, 3)
    ]
    assert "types and ranges are derived from the values" in str(run.findings[0])


def test_ray_without_its_state_is_read_from_the_trials(unpack: Unpack) -> None:
    folder = unpack("ray")
    _, whole = read("ray", folder, goal="minimize")
    (state,) = folder.glob("experiment_state-*.json")
    state.write_text(state.read_text()[:5000])
    run, trials = read("ray", folder, metric="loss", goal="minimize")
    assert "has no readable list trial_data" in str(run.findings[0])
    state.unlink()
    _, again = read("ray", folder, metric="loss", goal="minimize")
    for other in (trials, again):
        assert [t.parameters for t in other] == [t.parameters for t in whole]
        assert [t.measurements for t in other] == [t.measurements for t in whole]
        assert [t.state for t in other] == [t.state for t in whole]


def test_ray_with_csv_alone(unpack: Unpack) -> None:
    folder = unpack("ray")
    _, whole = read("ray", folder, goal="minimize")
    for path in folder.glob("*/result.json"):
        path.unlink()
    _, trials = read("ray", folder, goal="minimize")
    assert [t.measurements for t in trials] == [t.measurements for t in whole]
    (path,) = folder.glob("*_00007_*/progress.csv")
    header, *_, last = lines = path.read_text().splitlines()
    lines[-1] = ",".join(
        "nan" if name == "loss" else cell
        for name, cell in zip(header.split(","), last.split(","), strict=True)
    )
    path.write_text("\n".join(lines))
    _, trials = read("ray", folder, goal="minimize")
    assert repr(trials[7].measurements[-1].metrics["loss"]) == "nan"  # as in result.json


def test_ray_with_torn_lines_and_odd_numbers(unpack: Unpack) -> None:
    folder = unpack("ray")
    (path,) = folder.glob("*_00007_*/result.json")
    lines = path.read_text().splitlines()
    odd = '{"loss": NaN, "training_iteration": 4, "timestamp": 1e400, "huge": 1' + "0" * 400 + "}"
    deep = '{"loss":' + "[" * 100_000
    path.write_text("\n".join([lines[0], "garbage", deep, odd, lines[1][:20]]))
    _, trials = read("ray", folder, goal="minimize")
    first, second = trials[7].measurements
    assert first.step == 1
    assert (second.step, second.time) == (4, None)
    assert repr(second.metrics) == "{'loss': nan, 'huge': inf}"


def test_ray_says_what_is_missing(unpack: Unpack, tmp_path: Path) -> None:
    folder = unpack("ray")
    with pytest.raises(UsageError, match="add --goal maximize or --goal minimize"):
        read("ray", folder)
    with pytest.raises(UsageError, match=r"'los', did you mean loss\? Metrics: loss, nested.acc"):
        read("ray", folder, metric="los", goal="minimize")
    with pytest.raises(UsageError, match="is not a folder"):
        read("ray", tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="is not the folder of a Ray Tune experiment"):
        read("ray", tmp_path / "empty")
    run, _ = read("ray", folder.parent, goal="minimize")
    assert run.job == "demo"


def test_syne_tune(unpack: Unpack) -> None:
    run, trials = read("syne-tune", unpack("syne-tune"))
    dump = {name: each[0].model_dump() for name, each in run.study.parameters.items()}
    assert (dump["lr"]["min"], dump["lr"]["max"], dump["lr"]["scale"]) == (1e-4, 1.0, "log")
    assert (dump["width"]["min"], dump["width"]["max"], dump["width"]["type"]) == (8, 64, "int")
    assert dump["act"]["values"] == ["relu", "tanh"]
    assert run.study.constants == {"epochs": 9}
    (objective,) = run.study.objectives
    assert (objective.metric, objective.goal, objective.select) == ("loss", "minimize", "best")
    assert [trial.state for trial in trials] == [
        *("completed", "completed", "completed", "failed", "failed"),
        *("stopped_early", "stopped_early", "cancelled", "cancelled"),
    ]
    assert trials[3].reason == "too wide"
    assert trials[3].log
    assert Path(trials[3].log).read_text() == "too wide\n"
    assert [m.step for m in trials[0].measurements] == [*range(1, 10)]
    assert trials[0].measurements[0].metrics.keys() == {"loss", "acc"}
    assert run.findings == ()


@pytest.mark.parametrize(
    ("end", "mark"),
    [
        (500, b""),
        (0, b""),
        (None, b"PK\x01\x02"),
    ],
)
def test_syne_tune_with_a_broken_archive(end: int | None, mark: bytes, unpack: Unpack) -> None:
    folder = unpack("syne-tune")
    file = folder / "results.csv.zip"
    data = file.read_bytes()[:end]
    file.write_bytes(data.replace(mark, b"PK\x09\x09") if mark else data)
    with pytest.raises(UsageError, match="cannot be read"):
        read("syne-tune", folder)


def test_syne_tune_with_torn_rows(unpack: Unpack) -> None:
    import zipfile

    folder = unpack("syne-tune")
    file = folder / "results.csv.zip"
    with zipfile.ZipFile(file) as archive:
        text = archive.read("results.csv").decode()
    lines = text.splitlines()
    row = lines[1].replace(",0,", ",nan,", 1)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("results.csv", "\n".join([*lines, row, "1,2,3"]))
    run, trials = read("syne-tune", folder)
    assert len(trials) == 9
    assert "1 row of results.csv.zip without a trial left out" in str(run.findings[0])


def test_syne_tune_with_texts_that_look_like_other_values(unpack: Unpack) -> None:
    import zipfile

    folder = unpack("syne-tune")
    _, before = read("syne-tune", folder)
    with zipfile.ZipFile(folder / "results.csv.zip") as archive:
        table = archive.read("results.csv").decode()
    with zipfile.ZipFile(folder / "results.csv.zip", "w") as archive:
        archive.writestr("results.csv", table.replace("relu", "007").replace("tanh", "true"))
    for file in folder.rglob("*.json"):
        text = file.read_text("utf-8").replace("relu", "007").replace("tanh", "true")
        file.write_text(text, "utf-8")
    _, trials = read("syne-tune", folder)
    words = {"relu": "007", "tanh": "true"}
    assert [trial.parameters["act"] for trial in trials] == [
        words[str(trial.parameters["act"])] for trial in before
    ]
    assert {trial.parameters["act"] for trial in trials} == {"007", "true"}


def test_a_table_without_end_is_read_in_bounded_memory_and_time(
    unpack: Unpack, monkeypatch: pytest.MonkeyPatch
) -> None:
    from io import StringIO

    from cloudtune.formats.tool_runs import syne_tune, tables

    monkeypatch.setattr(tables, "MAX_LINE", 100)
    rows = list(tables.read_rows(StringIO("a,b\n1,2\n" + "x" * 1000 + "\n3,4\n")))
    assert [row for row in rows if row] == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]
    assert rows.count(None) >= 10, "the long line was read in pieces"
    monkeypatch.undo()
    monkeypatch.setattr(syne_tune, "_MAX_ROWS", 5)
    with pytest.raises(UsageError, match=r"results\.csv\.zip has more than 5 rows"):
        read("syne-tune", unpack("syne-tune"))


def test_mlflow(unpack: Unpack) -> None:
    folder = unpack("mlruns")
    run, trials = read("mlflow", folder, name="grid", metric="loss", goal="minimize")
    assert run.study.constants == {"fixed": "x", "flag": "True"}
    assert [trial.state for trial in trials].count("failed") == 1
    assert trials[4].state == "failed"
    first = trials[0]
    lr = first.parameters["lr"]
    assert isinstance(lr, float)
    assert [(m.step, m.metrics) for m in first.measurements] == [
        (0, {"loss": lr, "acc": 1 - lr}),
        (1, {"loss": lr / 2}),
        (2, {"loss": lr / 3}),
    ]
    assert first.measurements[0].time
    parent = run.address.rpartition("#")[2]
    assert read("mlflow", folder, name=parent, metric="loss", goal="minimize")[1] == trials
    experiment, others = read("mlflow", folder, name="tuning", metric="loss", goal="minimize")
    assert [trial.parameters for trial in others] == [{"lr": 0.0}, {"lr": 0.1}, {"lr": 0.2}]
    assert experiment.job == "tuning"


def test_mlflow_needs_a_metric(unpack: Unpack) -> None:
    with pytest.raises(UsageError, match=r"--metric NAME --goal .* Metrics: acc, loss"):
        read("mlflow", unpack("mlruns"))


SCHEMA = """
CREATE TABLE experiments (experiment_id INTEGER, name TEXT, lifecycle_stage TEXT);
CREATE TABLE runs (run_uuid TEXT, name TEXT, status TEXT, start_time INTEGER, end_time INTEGER,
                   lifecycle_stage TEXT, experiment_id INTEGER);
CREATE TABLE tags (key TEXT, value TEXT, run_uuid TEXT);
CREATE TABLE params (key TEXT, value TEXT, run_uuid TEXT);
CREATE TABLE metrics (key TEXT, value REAL, timestamp INTEGER, run_uuid TEXT, step INTEGER,
                      is_nan BOOLEAN);
CREATE TABLE latest_metrics (key TEXT, value REAL, timestamp INTEGER, step INTEGER,
                             is_nan BOOLEAN, run_uuid TEXT);
INSERT INTO experiments VALUES (1, 'e', 'active');
INSERT INTO runs VALUES ('p', 'parent', 'FINISHED', 1000000, 9000000, 'active', 1),
  ('a', 't0', 'FINISHED', 2000000, 3000000, 'active', 1),
  ('b', 't1', 'KILLED', 3000000, NULL, 'active', 1),
  ('c', 't2', 'FINISHED', 3000000, 4000000, 'deleted', 1),
  ('d', 't3', 'SCHEDULED', NULL, NULL, 'active', 1);
INSERT INTO tags SELECT 'mlflow.parentRunId', 'p', run_uuid FROM runs WHERE run_uuid != 'p';
INSERT INTO params VALUES ('lr', '0.1', 'a'), ('lr', '0.10', 'b'), ('n', '4', 'a'), ('n', '5', 'b');
INSERT INTO metrics VALUES ('loss', 3, 2000500, 'a', 0, 0), ('loss', 2, 2000600, 'a', 0, 0),
  ('loss', 0, 2000700, 'a', 0, 1), ('loss', 1, 3000500, 'b', 7, 0),
  ('loss', 1.7976931348623157e308, 3000600, 'b', 8, 0),
  ('loss', 5, 3000700, 'b', 9, 0), ('loss', 4, 3000700, 'b', 9, 0);
INSERT INTO latest_metrics VALUES ('loss', 0, 2000700, 0, 1, 'a'), ('loss', 1, 3000500, 7, 0, 'b');
"""


def test_mlflow_in_a_database(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    db = sqlite3.connect(path)
    db.executescript(SCHEMA)
    db.close()
    assert run_readers.detect(path).name == "mlflow"
    run, (first, second) = read("mlflow", f"sqlite:///{path}", goal="minimize")
    assert run.job == "parent"
    assert first.parameters == {"lr": "0.1", "n": 4}  # 0.10 is text, so both are
    assert second.parameters == {"lr": "0.10", "n": 5}
    steps = [(m.step, repr(m.metrics["loss"]), m.time) for m in first.measurements]
    assert steps == [(1, "3.0", 2000.5), (2, "2.0", 2000.6), (3, "nan", 2000.7)]
    assert (second.state, second.started, second.ended) == ("cancelled", 3000.0, None)
    assert second.measurements[0].step == 7
    assert second.measurements[1].metrics == {"loss": float("inf")}  # a database has no infinity
    assert [m.metrics["loss"] for m in second.measurements[2:]] == [4, 5]  # MLflow shows 5
    assert "1 run that never started" in str(run.findings[0])


class Page(list[Any]):
    """A page of a tracking server."""

    token: str | None = None


class Server:
    """What MLflow's client returns of a database, one run on each page."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path)

    def close(self) -> None:
        self._db.close()

    def search_experiments(self, page_token: str | None = None) -> Page:
        return Page([SimpleNamespace(experiment_id="1", name="e")])

    def search_runs(self, experiments: list[str], page_token: str | None = None) -> Page:
        assert experiments == ["1"]
        query = "SELECT run_uuid, name, status, start_time, end_time FROM runs "
        rows = self._db.execute(f"{query} WHERE lifecycle_stage = 'active'").fetchall()
        index = int(page_token or 0)
        names = ("run_id", "run_name", "status", "start_time", "end_time")
        info = SimpleNamespace(**dict(zip(names, rows[index], strict=True)))
        page = Page([SimpleNamespace(info=info, data=self._data(info.run_id))])
        page.token = str(index + 1) if index + 1 < len(rows) else None
        return page

    def _data(self, run: str) -> SimpleNamespace:
        query = "SELECT key, value FROM {} WHERE run_uuid = ?"
        tables = {
            name: dict(self._db.execute(query.format(name), [run]))
            for name in ("params", "tags", "metrics")
        }
        return SimpleNamespace(**tables)

    def get_metric_history(self, run: str, name: str) -> list[SimpleNamespace]:
        query = "SELECT value, timestamp, step, is_nan FROM metrics WHERE run_uuid = ? AND key = ?"
        return [
            SimpleNamespace(value=float("nan") if nan else value, timestamp=time, step=step)
            for value, time, step, nan in self._db.execute(query, [run, name])
        ]


def test_mlflow_on_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mlflow.db"
    db = sqlite3.connect(path)
    db.executescript(SCHEMA)
    db.close()
    server = Server(path)

    def make_client(tracking_uri: str) -> Server:
        return server

    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace(MlflowClient=make_client))
    exceptions = SimpleNamespace(MlflowException=RuntimeError)
    monkeypatch.setitem(sys.modules, "mlflow.exceptions", exceptions)
    run, trials = read("mlflow", "http://user:secret@localhost:1", goal="minimize")
    expected, others = read("mlflow", path, goal="minimize")
    assert run.study == expected.study
    assert repr([asdict(each) for each in trials]) == repr([asdict(each) for each in others])
    assert "secret" not in run.address
    assert run.address.endswith("localhost:1#p")
    monkeypatch.setattr(Server, "search_runs", Path.rmdir)
    exceptions.MlflowException = TypeError
    with pytest.raises(UsageError, match=r"MLflow at http.* cannot be read"):
        read("mlflow", "http://localhost:1", goal="minimize")
    server.close()


@EACH
def test_links_out_of_the_folder_are_not_followed(
    archive: str, unpack: Unpack, tmp_path: Path
) -> None:
    folder = unpack(archive)
    secret = tmp_path / "secret"
    secret.mkdir()
    for name in ("result.json", "params.json", "config.json", "std.err", "error.txt"):
        (secret / name).write_text('{"password": "hunter2"}')
    for path in [*folder.rglob("*")]:
        if path.is_file() and (secret / path.name).exists():
            path.unlink()
            path.symlink_to(secret / path.name)
        elif path.parent.name == "params":
            path.unlink()
            path.symlink_to(secret / "params.json")
    (folder / "linked").symlink_to(secret)
    run, trials = read(TOOLS[archive], folder, **CHOICES[archive])
    assert "hunter2" not in f"{run} {trials}"


def test_a_device_or_a_pipe_is_not_opened(unpack: Unpack) -> None:
    import os

    folder = unpack("ray")
    (path,) = folder.glob("*_00007_*/result.json")
    path.unlink()
    os.mkfifo(path)
    assert len(read("ray", folder, goal="minimize")[1]) == 8
