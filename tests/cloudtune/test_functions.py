"""Functions as studies: each trial calls one in a process of its own."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import cloudtune
from cloudtune.bundle import function as function_module
from cloudtune.ledger.ledger import Ledger
from cloudtune.trial import params, report

X = {"x": cloudtune.float(0, 1)}
RANDOM = {"name": "random", "seed": 5}


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def local(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of a test as one of a notebook: trials cannot import this module."""
    function.__module__ = "__main__"
    return function


def tune(function: Callable[..., Any], parameters: Any = X, **more: Any) -> cloudtune.Results:
    settings: dict[str, Any] = {
        "objective": "maximize score",
        "max_trials": 3,
        "strategy": RANDOM,
        **more,
    }
    return cloudtune.tune(local(function), parameters, show=False, **settings).results()


def test_arguments_are_parameters_and_the_result_is_the_objective() -> None:
    offset = 0.25

    def train(x: float, layers: int, epochs: int, momentum: float = 0.5) -> float:
        print(os.getpid(), type(layers).__name__, epochs, momentum)  # noqa: T201
        return x + layers + offset

    results = tune(
        train,
        {
            "x": cloudtune.float(0, 1),
            "layers": cloudtune.int(1, 4),
            "momentum": cloudtune.float(0.8, 0.9, when={"layers": [3, 4]}),
        },
        max_trials=8,
        parallel_trials=2,
        constants={"epochs": 20},
    )
    processes: set[str] = set()
    for trial in results.trials:
        values: Any = trial.parameters
        assert trial.objective == (values["x"] + values["layers"] + 0.25,)
        assert trial.log is not None
        pid, *printed = Path(trial.log).read_text("utf-8").split()
        assert printed == ["int", "20", str(values.get("momentum", 0.5))]
        processes.add(pid)
    assert len(processes) == 8
    assert str(os.getpid()) not in processes
    assert results.jobs[0].study.name == "train"


def test_a_dict_and_reports_are_measurements() -> None:
    def measure(x: float) -> dict[str, float]:
        return {"score": x, "size": 3}

    def step_by_step() -> None:
        for step in (1, 2):
            report(score=params()["x"] * step, step=step)

    for trial in tune(measure).trials:
        assert trial.metrics == {"score": trial.parameters["x"], "size": 3}
    for trial in tune(step_by_step).trials:
        assert [each.metrics["score"] for each in trial.measurements] == [
            trial.parameters["x"],
            2 * trial.parameters["x"],
        ]
    both = tune(measure, objective=["maximize score", "minimize size"])
    assert all(trial.objective == (trial.parameters["x"], 3) for trial in both.trials)


def test_modules_and_files_of_the_working_folder_and_the_import_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("helper.py").write_text("def double(x):\n    return 2 * x\n", "utf-8")
    Path("data.json").write_text("3", "utf-8")
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "far_away.py").write_text("ONE = 1\n", "utf-8")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "library"), *sys.path])

    def train(x: float) -> float:
        far_away: Any = import_module("far_away")
        helper: Any = import_module("helper")
        Path("written").touch()
        score: float = helper.double(x) + far_away.ONE
        return score + float(Path("data.json").read_text("utf-8"))

    for trial in tune(train).trials:
        given: Any = trial.parameters["x"]
        assert trial.objective == (2 * given + 4,)
    assert not Path("written").exists()


def test_modules_are_imported_before_the_forks() -> None:
    files = function_module.pack_function(
        local(lambda x: json.dumps(x) + str(subprocess)), ["score"], Path.cwd()
    )
    script = files["cloudtune_function.py"].decode()
    assert "import json\n" in script.partition("def ")[0]
    assert "import subprocess\n" in script.partition("def ")[0]


def test_equal_functions_are_equal_code() -> None:
    source = (
        "class Model:\n    def fit(self, x):\n        return [x for _ in range(2)][0]\n"
        "def train(x):\n    return Model().fit(x)\n"
    )

    def hash_of(source: str, file: str) -> str | None:
        Path("tuning.ipynb").write_text(file, "utf-8")
        names: dict[str, Any] = {"__name__": "__main__"}
        exec(compile(source, file, "exec"), names)
        return tune(names["train"]).jobs[0].source_hash

    first = hash_of(source, "/tmp/ipykernel_1/1234.py")
    assert first == hash_of(f"{source}# the rest of the cell", "/tmp/ipykernel_2/5678.py")
    assert first != hash_of(source.replace("(2)", "(3)"), "/tmp/ipykernel_1/1234.py")


def test_a_report_has_the_lines_that_run_a_function_again() -> None:
    def train(x: float) -> float:
        return x

    results = tune(train)
    assert results.best is not None
    lines = cloudtune.report(results).splitlines()
    for begin in (
        "cloudtune.tune(train, ..., overrides=['strategy=list'",
        "for seed in [1, 2, 3, 4",
    ):
        (line,) = [each.strip() for each in lines if each.strip().startswith(begin)]
        code = line.replace("train, ...,", "train, X, 'maximize score', max_trials=3, show=False,")
        before = len(_runs())
        exec(code, {"cloudtune": cloudtune, "train": train, "X": X})
        assert len(_runs()) == before + (4 if "for" in line else 1)
    again = cloudtune.Run(_runs()[4]).results()
    assert [trial.parameters for trial in again.trials] == [results.best.parameters]


def test_a_failure_shows_the_line() -> None:
    def train(x: float) -> float:
        raise ValueError("too hot")  # this line

    for trial in tune(train, max_failed_trials=9, limits={"trial_timeout": "1h"}).trials:
        assert trial.state == "failed"
        assert 'raise ValueError("too hot")  # this line' in trial.log_tail
        assert "cloudtune_function" not in trial.log_tail


@pytest.mark.parametrize(
    ("result", "objective", "message"),
    [
        ("high", "maximize score", "returned 'high': metric score: expected a number"),
        (1, ["maximize score", "minimize size"], "returned 1, not a dict with the metrics score,"),
    ],
)
def test_a_result_that_is_no_measurement(result: Any, objective: Any, message: str) -> None:
    with pytest.raises(cloudtune.RunFailedError) as caught:
        tune(lambda x: result, objective=objective)
    for trial in cloudtune.Run(caught.value.run).results().trials:
        assert message in trial.log_tail


@pytest.mark.parametrize("max_trials", [2, 4])
def test_a_run_without_a_result_raises_the_first_traceback(max_trials: int) -> None:
    def train(x: float) -> float:
        try:
            return 1 / (x - x)
        except ZeroDivisionError as error:
            raise ValueError("too hot") from error  # this line

    with pytest.raises(cloudtune.RunFailedError) as caught:
        tune(train, max_trials=max_trials)
    message = str(caught.value)
    assert message.count("Traceback") == 2
    assert 'in train\n    raise ValueError("too hot") from error  # this line' in message
    assert message.endswith("\nValueError: too hot")
    assert caught.value.run == _runs()[0]


def test_a_function_that_returns_nothing() -> None:
    def reports(x: float) -> None:
        report(score=x)

    def prints(x: float) -> None:
        print("score", x)  # noqa: T201

    def nothing(x: float) -> None:
        report(loss=x)

    assert tune(reports).best
    assert tune(prints, trial={"metrics": {"score": r"score (\S+)"}}).best
    for objective, value in (
        ("maximize score", "`return score`"),
        (["maximize score", "minimize size"], "`return {'score': ..., 'size': ...}`"),
    ):
        with pytest.raises(cloudtune.RunFailedError) as caught:
            tune(nothing, objective=objective)
        assert f"end it with {value}" in str(caught.value)
        assert "nothing() returned nothing" in str(caught.value)


POOL = """\
import functools, multiprocessing, sys
import cloudtune

class Point:
    def __init__(self, x): self.x = x

def square(point): return Point(point.x ** 2)

def train(x, method):
    with multiprocessing.get_context(method).Pool(1) as pool:
        return pool.map(square, [Point(x)])[0].x

def report(x, method): return train(x, method)

SPACE = {
    "x": cloudtune.discrete([3.0]),
    "method": cloudtune.categorical(["spawn", "forkserver", "fork"]),
}

if __name__ == "__main__":
    for function in (train, report, functools.partial(train)):
        run = cloudtune.tune(
            function, SPACE, "maximize score",
            strategy="grid", show=False, trial={"warm": sys.argv[1] == "warm"}, parallel_trials=3,
        )
        assert [t.objective for t in run.results().trials] == [(9.0,)] * 3
"""


@pytest.mark.slow
@pytest.mark.parametrize("start", ["warm", "cold"])
def test_pools_find_the_functions_and_classes(start: str) -> None:
    """Their processes import ``__main__``, which is not the module that the trial runs."""
    Path("tuning.py").write_text(POOL, "utf-8")
    subprocess.run([sys.executable, "tuning.py", start], check=True)


def test_mistakes_are_found_before_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    lock = threading.Lock()
    data, API_KEY = bytes(5_000_000), "not to be written"  # noqa: N806
    conditional = {"x": cloudtune.float(0, 1), "y": cloudtune.float(0, 1, when={"b": True})}
    monkeypatch.setattr(function_module, "MAX_BYTES", 1_000_000)

    def n_trials() -> cloudtune.Results:
        return tune(lambda x: x, n_trials=4)

    cases: list[tuple[str, Callable[[], Any]]] = [
        ("uses lock, a lock, which cannot be copied", lambda: tune(lambda x: lock and x)),
        ("most of it in data (5 MB)", lambda: tune(lambda x: len(data) + x)),
        ("API_KEY may be a secret", lambda: tune(lambda x: x + len(API_KEY))),
        ("has no argument x", lambda: tune(lambda y=1: y)),
        ("needs config, which is no parameter", lambda: tune(lambda config: config["x"])),
        ("takes x only by position", lambda: tune(_by_position)),
        (
            "needs a default value for y, which is not active",
            lambda: tune(lambda x, y, b: x, {**conditional, "b": cloudtune.bool()}),
        ),
        ("sagemaker runs scripts", lambda: tune(lambda x: x, on=["local", "sagemaker"])),
        ("cloudtune.to_script(FOLDER, function", lambda: tune(lambda x: x, on="vertex")),
        ("not 'highest score'", lambda: tune(lambda x: x, objective="highest score")),
        ("trial.script: cannot be set", lambda: tune(lambda x: x, trial={"script": "a.py"})),
        ("did you mean parallel_trials", lambda: tune(lambda x: x, parallel=4)),
        ("n_trials is no argument and no key of a study; did you mean max_trials", n_trials),
    ]
    for message, call in cases:
        with pytest.raises(cloudtune.CloudtuneError) as caught:
            call()
        assert message in str(caught.value)
    monkeypatch.setenv("HOME", str(Path.cwd()))
    with pytest.raises(cloudtune.UsageError, match="change to a folder"):
        tune(lambda x: x)
    assert not Path(os.environ["CLOUDTUNE_HOME"]).exists()


def _by_position(x: float, /) -> float:
    return x


SCRIPT = """\
import os, time
import cloudtune

def train(x):
    if "TRIALS" in os.environ:
        with open(os.environ["TRIALS"], "a+") as trials:
            trials.write("x")
            trials.flush()
            time.sleep(1000 if trials.tell() > 3 else 0)
    return x

if __name__ == "__main__":
    cloudtune.tune(train, {"x": cloudtune.float(0, 1)}, "maximize score", max_trials=12,
                   strategy={"name": "random", "seed": 5}, show=False)
"""


def test_a_killed_run_is_resumed_elsewhere(tmp_path: Path) -> None:
    """Its fourth trial does not end before the run is killed."""
    Path("tuning.py").write_text(SCRIPT, "utf-8")
    env = {**os.environ, "TRIALS": str(tmp_path / "trials")}
    process = subprocess.Popen([sys.executable, "tuning.py"], env=env)
    try:
        while not (runs := _runs()) or len(cloudtune.Run(runs[0]).results().trials) < 4:
            assert process.poll() is None
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    Path("tuning.py").unlink()
    results = cloudtune.resume(runs[0], show=False).results()
    completed = {trial.parameters["x"]: trial for trial in results.trials if trial.objective}
    assert len(completed) == 12
    uninterrupted = tune(lambda x: x, max_trials=12)
    assert set(completed) == {trial.parameters["x"] for trial in uninterrupted.trials}


def _runs() -> list[str]:
    with Ledger(create=True) as ledger:
        return list(ledger.run_ids())


def test_a_function_as_a_script(tmp_path: Path) -> None:
    source = (
        "import json as j\nfrom math import sqrt\nSCALE = [2, 0.5]\ndata = 'of another name'\n"
        "class Model:\n    def fit(self, x):\n        return sqrt(x) * SCALE[0]\n"
        "def helper(x):\n    data = x\n    return Model().fit(data)\n"
        "def train(x, mode='a'):\n    j.dumps(x)\n    return helper(x)\n"
    )
    Path("cells.py").write_text(source, "utf-8")
    code = (
        "import cloudtune, sys\nsys.modules['__main__'].__file__ = 'cells.py'\n"
        "exec(compile(open('cells.py').read(), 'cells.py', 'exec'))\n"
        "print(cloudtune.to_script('out', train, {'x': cloudtune.float(0, 1)}, 'maximize score',\n"
        "    max_trials=3, strategy='random'))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"{Path('out', 'study.yaml')}\n"
    script = Path("out", "train.py").read_text("utf-8")
    assert "data = 'of another name'" not in script
    assert script.index("class Model") < script.index("def helper") < script.index("def train")
    for trial in cloudtune.run("out/study.yaml", show=False).results().trials:
        x: Any = trial.parameters["x"]
        assert trial.objective == (2 * math.sqrt(x),)
    assert not cloudtune.plan("out/study.yaml", on="sagemaker", emulate=True).refused


def test_what_a_script_cannot_have() -> None:
    table = object()
    API_KEY = "not to be written"  # noqa: N806

    def train(x: float) -> float:
        return x + hash(table)

    def call(x: float) -> float:
        return x + len(API_KEY)

    for function, message in (
        (train, "table, a object, has no source"),
        (call, "API_KEY may be a secret"),
        (lambda x: x, "only a function that is defined with def"),
    ):
        with pytest.raises(cloudtune.UsageError, match=message):
            cloudtune.to_script("out", function, X, "maximize score")
    assert not Path("out").exists()
    Path("out").mkdir()
    Path("out", "study.yaml").touch()
    with pytest.raises(cloudtune.UsageError, match="not overwriting"):
        cloudtune.to_script("out", _free, X, "maximize score")


def _free(x: float) -> float:
    return x
