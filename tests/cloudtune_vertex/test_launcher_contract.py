"""The launcher in a job of Vertex AI, compared with local trials."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tarfile
import textwrap
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

import cloudtune
from cloudtune.bundle import archive
from cloudtune.bundle.files import copy_files, list_files
from cloudtune.bundle.launcher import PROGRAM, SOURCE, launch_data, launcher_files
from cloudtune.fitting.capabilities import DRIVEN, Capabilities
from cloudtune.fitting.fit import FittedStudy, fit, restore_definitions
from cloudtune.study.search_space import format_value
from cloudtune.study.study import Study
from cloudtune.trial import Contract
from cloudtune_vertex import launcher_contract
from tests.cloudtune_sagemaker import test_launcher_contract as other

TREE = replace(
    DRIVEN,
    parameters={
        "float": frozenset({"linear", "log"}),
        "int": frozenset({"linear"}),
        "discrete": frozenset({"linear"}),
        "categorical": frozenset(),
    },
    steps=False,
    conditions="tree",
)
"""What a service like Vertex AI can hold: conditions, and no bool."""
MEASUREMENTS = "gs://bucket/mine/measurements"


def fitted(study: Mapping[str, Any]) -> FittedStudy:
    able = Capabilities("vertex", "Vertex AI", "offline only", TREE, None)
    return fit(Study.model_validate(study), able, "managed")


def flags(of: FittedStudy, values: Mapping[str, Any]) -> list[str]:
    """Return the words that the service appends: those of active parameters."""
    sent = {definition["name"]: definition["sent"] for definition in restore_definitions(of)}
    return [f"--{sent[name]}={format_value(value)}" for name, value in values.items()]


@dataclass
class Container:
    """A container's files and variables below a folder of its own, with the bundle unpacked."""

    folder: Path
    job: str | None = None
    """The name of a driven trial's start."""
    env: dict[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        self.gcs = self.folder / "gcs"
        self.code = self.folder / "code"
        (self.gcs / "bucket").mkdir(parents=True)
        self.metric_file = self.folder / "hypertune" / "output.metrics"

    def unpack(self, of: FittedStudy, source: Path, paths: Mapping[str, str]) -> None:
        snapshot = self.folder / "snapshot"
        copy_files(source, list_files(source), snapshot)
        files = launcher_files(of, "run-id", paths, MEASUREMENTS, Path(launcher_contract.__file__))
        archive.write_archive(self.folder / "bundle.tar.gz", snapshot, SOURCE, files)
        with tarfile.open(self.folder / "bundle.tar.gz", "r:gz") as tar:
            tar.extractall(self.code, filter="data")

    def start(self, words: list[str]) -> subprocess.Popen[bytes]:
        base = "gs://bucket/mine/output/7"
        env = {name: value for name, value in os.environ.items() if name != "CLOUDTUNE_TRIAL"}
        env |= {
            "CLOUD_ML_JOB_ID": "4711",
            "CLOUDTUNE_GCS": str(self.gcs),
            "AIP_MODEL_DIR": f"{base}/model/",
            "AIP_CHECKPOINT_DIR": f"{base}/checkpoints/",
            "AIP_TENSORBOARD_LOG_DIR": f"{base}/logs/",
            "PYTHONPATH": os.pathsep.join(sys.path),
            "TMPDIR": str(self.folder),
        }
        if self.job:
            env["CLOUDTUNE_JOB"] = self.job
        else:
            env["CLOUD_ML_TRIAL_ID"] = "7"
            env["CLOUD_ML_HP_METRIC_FILE"] = str(self.metric_file)
        return subprocess.Popen(
            [sys.executable, str(self.code / PROGRAM), *words],
            cwd=self.folder,
            env={**env, **self.env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, words: list[str]) -> tuple[int, str, str]:
        """Return the exit code, the output and the errors."""
        with self.start(words) as process:
            out, err = process.communicate(timeout=60)
        return process.returncode, out.decode(), err.decode()

    @property
    def kept_file(self) -> Path:
        return self.gcs / "bucket" / "mine" / "measurements" / f"{self.job or 7}.jsonl"

    @property
    def kept(self) -> list[dict[str, Any]]:
        """The lines that were kept, less their times."""
        lines = [json.loads(line) for line in self.kept_file.read_text("utf-8").splitlines()]
        return [{k: v for k, v in line.items() if k != "time"} for line in lines]

    @property
    def spoken(self) -> list[tuple[str, float, int]]:
        """What the service reads: metric, value and step."""
        own = ("checkpoint_path", "global_step", "timestamp", "trial")
        lines = [json.loads(line) for line in self.metric_file.read_text("utf-8").splitlines()]
        return [
            (name, float(line[name]), int(line["global_step"]))
            for line in lines
            for name in line
            if name not in own
        ]


@dataclass
class Job:
    """One script in a container, with a parameter or two."""

    folder: Path
    study: dict[str, Any]

    def __post_init__(self) -> None:
        self.source = self.folder / "src"
        self.source.mkdir(exist_ok=True)
        self.container = Container(self.folder / "container")
        self.paths: dict[str, str] = {}

    def write(self, code: str) -> None:
        (self.source / "train.py").write_text(textwrap.dedent(code), "utf-8")

    def unpack(self) -> FittedStudy:
        of = fitted(self.study)
        self.container.unpack(of, self.source, self.paths)
        return of

    def run(self, code: str, *words: str) -> tuple[int, str, str]:
        self.write(code)
        self.unpack()
        return self.container.run(["--x=1", *words])

    def start(self, code: str) -> subprocess.Popen[bytes]:
        self.write(code)
        self.unpack()
        return self.container.start(["--x=1"])


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(
        tmp_path,
        {
            "objective": {"metric": "acc", "goal": "maximize"},
            "parameters": {"x": {"type": "int", "min": 1, "max": 9}},
            "trial": {"script": "train.py"},
        },
    )


# The same on every service.


def test_a_script_gets_the_same_parameters_as_locally(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, data = tmp_path / "src", tmp_path / "data"
    for folder in (source, data):
        folder.mkdir()
    show = other.SHOW.replace('("SM_", ', '("CLOUD_ML_", "AIP_", ')
    (source / "train.py").write_text(textwrap.dedent(show) + "print('acc=1')\n", "utf-8")
    (data / "rows.csv").touch()
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    study, trials = other.awkward_study(), other.awkward_trials()
    study["trial"] |= {"source": str(source), "inputs": {"train": str(data)}}
    study["initial_trials"] = trials
    results = cloudtune.run(cloudtune.plan(Study.model_validate(study)), show=False).results()
    here = {done.number: other.shown(Path(str(done.log)).read_text()) for done in results.trials}
    assert len(here) == len(trials)

    container = Container(tmp_path / "container", env={"MORE": "ä b"})
    (container.gcs / "bucket" / "train").mkdir()
    (container.gcs / "bucket" / "train" / "rows.csv").touch()
    of = fitted(study)
    container.unpack(of, source, {"train": "/gcs/bucket/train"})
    for number, values in enumerate(trials, start=1):
        code, out, err = container.run(flags(of, values))
        assert (code, err) == (0, "")
        assert other.shown(out) == here[number]
        types = {name: (kind, value) for name, kind, value in other.shown(out)["params"]}
        wanted = {**study["constants"], **values}
        assert types == {name: (type(value).__name__, value) for name, value in wanted.items()}
        assert container.spoken == [("acc", 1.0, 1)]


def test_values_in_the_services_format_are_restored(job: Job) -> None:
    job.study["parameters"] |= {
        "n": {"type": "int", "min": 1, "max": 64},
        "batch": {"type": "discrete", "values": [16, 32]},
        "on": {"type": "bool"},
        "C": {"type": "float", "min": -1, "max": 1},
    }
    _, out, err = job.run(
        "from cloudtune.trial import params\nprint(params())",
        *("--n=16.0", "--batch", "16.0", "--on=True", "--C=-1e-05"),
    )
    assert out == "{'x': 1, 'n': 16, 'batch': 16, 'on': True, 'C': -1e-05}\n", err


def test_an_unmodified_script_gets_flags_and_its_output_is_read(job: Job) -> None:
    job.study["trial"]["metrics"] = {"acc": r"acc=(\S+)", "loss": r"loss=(\S+)"}
    job.study["constants"] = {"epochs": 3}
    code, out, err = job.run("""
        import argparse
        parser = argparse.ArgumentParser()
        parser.add_argument("--x", type=int, required=True)
        parser.add_argument("--epochs", type=int, required=True)
        args = parser.parse_args()
        for n in range(args.epochs):
            print(f"acc={n / 4} loss={args.x - n}")
    """)
    assert (code, err) == (0, "")
    assert out == "acc=0.0 loss=1\nacc=0.25 loss=0\nacc=0.5 loss=-1\n"
    assert job.container.spoken == [("acc", 0.0, 1), ("acc", 0.25, 2), ("acc", 0.5, 3)]
    assert job.container.kept[:2] == [{"metrics": {"acc": 0.0}}, {"metrics": {"loss": 1.0}}]
    assert len(job.container.kept) == 6


@pytest.mark.parametrize("driven", [False, True])
def test_paths_of_inputs_outputs_and_checkpoints(job: Job, driven: bool) -> None:
    job.container.job = "study-1-2" if driven else None
    job.paths = {"a": "/gcs/bucket/data", "b": "gs://bucket/x.csv", "c": "/elsewhere"}
    job.study["trial"]["inputs"] = {"a": "gs://b/t", "b": "gs://b/x", "c": "gs://b/y"}
    _, out, err = job.run("""
        import os
        from cloudtune.trial import checkpoint_dir, inputs, output_dir, trial_id
        for path in [*inputs().values(), output_dir(), checkpoint_dir()]:
            print(path)
        print(trial_id(), "CLOUDTUNE_JOB" in os.environ, os.environ["AIP_MODEL_DIR"])
    """)
    base = job.container.gcs / "bucket"
    assert out.splitlines() == [
        str(base / "data"),
        str(base / "x.csv"),
        "/elsewhere",
        str(base / "mine/output/7/model"),
        str(base / "mine/output/7/checkpoints"),
        ("study-1-2" if driven else "7") + " False gs://bucket/mine/output/7/model/",
    ], err


def test_hyperbands_resource_reaches_the_script(job: Job) -> None:
    job.study["strategy"] = {"name": "hyperband", "resource": "epochs", "max": 27}
    job.container.job = "study-1"
    code = "import sys\nfrom cloudtune.trial import params\nprint(params(), sys.argv[1:])"
    _, out, _ = job.run(code, "--epochs=9")
    assert out == "{'epochs': 9, 'x': 1} ['--epochs', '9', '--x', '1']\n"


# Metrics.


def test_the_metric_file_is_that_of_cloudml_hypertune(job: Job) -> None:
    job.run("""
        from cloudtune.trial import report
        report(acc=0.875, loss=1)
        report({"acc": 1e-05}, step=12)
        report(acc=3)
    """)
    times = [json.loads(line)["time"] for line in job.container.kept_file.read_text().splitlines()]
    written = [  # as cloudml-hypertune 0.1.0.dev6 does: the keys sorted, numbers as text
        {
            "timestamp": moment,
            "trial": "7",
            "acc": str(float(value)),
            "global_step": str(step),
            "checkpoint_path": "",
        }
        for moment, value, step in zip(times, (0.875, 1e-05, 3), (1, 12, 13), strict=True)
    ]
    whole = "".join(json.dumps(line, sort_keys=True) + "\n" for line in written)
    assert job.container.metric_file.read_bytes() == whole.encode()


def test_the_last_hundred_values_are_published_and_all_are_saved(job: Job) -> None:
    job.run("""
        from cloudtune.trial import report
        for n in range(250):
            report(acc=n)
    """)
    assert job.container.spoken == [("acc", float(n), n + 1) for n in range(150, 250)]
    assert [line["metrics"]["acc"] for line in job.container.kept] == list(range(250))


LOSS = {"metric": "loss", "goal": "minimize"}
SIZE = {"metric": "size", "goal": "minimize"}


def steps_of(spoken: list[tuple[str, float, int]]) -> list[tuple[int, dict[str, float]]]:
    """Return the measurements that the service makes of lines: what follows at the same step."""
    found: list[tuple[int, dict[str, float]]] = []
    for name, value, step in spoken:
        if not found or found[-1][0] != step or name in found[-1][1]:
            found.append((step, {}))
        found[-1][1][name] = value
    return found


@pytest.mark.parametrize(
    ("code", "last"),
    [
        ("for n in range(1, 4): report(loss=n)\nreport(size=8)", (3, {"loss": 3, "size": 8})),
        ("report(size=8)\nfor n in range(1, 4): report(loss=n)", (3, {"loss": 3, "size": 8})),
        (
            "for n in range(1, 8):\n  report(loss=n)\n  if n % 2 == 0: report(size=10 * n)",
            (7, {"loss": 7, "size": 60}),
        ),
        (
            "for n in range(1, 8):\n  report(loss=n, step=n)\n"
            "  if n % 2 == 0: report(size=10 * n, step=n)",
            (7, {"loss": 7, "size": 60}),
        ),
        ("report(loss=1, step=9)\nreport(size=2, step=0)", (9, {"loss": 1, "size": 2})),
        ("for n in range(300): report(loss=n)\nreport(size=2)", (300, {"loss": 299, "size": 2})),
        ("report(size=2)\nfor n in range(300): report(loss=n)", (300, {"loss": 299, "size": 2})),
    ],
)
def test_the_last_step_has_every_objective_however_seldom_it_is_reported(
    job: Job, code: str, last: tuple[int, dict[str, float]]
) -> None:
    job.study["objective"] = [LOSS, SIZE]
    job.run(f"from cloudtune.trial import report\n{code}")
    assert len(job.container.spoken) <= 100
    assert steps_of(job.container.spoken)[-1] == last


def test_objectives_of_the_same_steps_are_published_unchanged(job: Job) -> None:
    job.study["objective"] = [LOSS, SIZE]
    job.run("from cloudtune.trial import report\nfor n in (1, 2): report(loss=n); report(size=-n)")
    assert job.container.spoken == [
        ("loss", 1.0, 1),
        ("size", -1.0, 1),
        ("loss", 2.0, 2),
        ("size", -2.0, 2),
    ]


def test_with_select_best_the_best_value_is_published(job: Job) -> None:
    job.study["objective"] = [{**LOSS, "select": "best"}, SIZE | {"goal": "maximize"}]
    job.run("""
        from cloudtune.trial import report
        for n in range(1, 301):
            report(loss=abs(n - 20), size=n)
    """)
    assert steps_of(job.container.spoken)[-1] == (300, {"loss": 0, "size": 300})
    assert job.container.kept[-1] == {"metrics": {"loss": 280.0, "size": 300.0}}


def test_the_best_value_is_published_at_its_step(job: Job) -> None:
    job.study["objective"]["select"] = "best"
    job.run("from cloudtune.trial import report\nfor n in (1, 3, 2): report(acc=n)")
    assert job.container.spoken == [("acc", 1.0, 1), ("acc", 3.0, 2), ("acc", 3.0, 3)]


def test_values_that_are_not_finite_are_saved_but_not_published(job: Job) -> None:
    code, out, _ = job.run("""
        from cloudtune.trial import report
        report(acc=float("nan"), loss=float("inf"))
        report(acc=0.5, step=3)
    """)
    assert code == 0
    assert out == "[cloudtune] skipped metric 'acc': nan\n"
    assert job.container.spoken == [("acc", 0.5, 3)]
    first, second = job.container.kept
    assert str(first["metrics"]) == "{'acc': nan, 'loss': inf}"
    assert second == {"metrics": {"acc": 0.5}, "step": 3}


HYPERTUNE = """
    import json, os, time

    path = os.environ["CLOUD_ML_HP_METRIC_FILE"]
    os.makedirs(os.path.dirname(path), exist_ok=True)
    queue = []

    def tell(tag, value, step=None):
        queue.append({"timestamp": time.time(), "trial": os.environ.get("CLOUD_ML_TRIAL_ID", "0"),
                      tag: str(float(value)), "global_step": str(int(step) if step else 0),
                      "checkpoint_path": ""})
        del queue[:-100]
        with open(path, "w") as file:
            for line in queue:
                file.write(json.dumps(line, sort_keys=True) + "\\n")
"""
"""What cloudml-hypertune does in a script."""


@pytest.mark.parametrize("driven", [False, True])
def test_a_script_may_report_through_cloudml_hypertune(job: Job, driven: bool) -> None:
    job.container.job = "study-1" if driven else None
    job.run(
        HYPERTUNE
        + """
    from cloudtune.trial import report
    for epoch in range(3):
        tell("acc", epoch / 4, epoch)
    for loss in (3, 2):
        tell("loss", loss)
    report(acc=0.75, step=9)
    """
    )
    kept = sorted(job.container.kept, key=lambda line: line["metrics"].get("acc", 9))
    assert kept == [
        {"metrics": {"acc": 0.0}, "step": 0},
        {"metrics": {"acc": 0.25}, "step": 1},
        {"metrics": {"acc": 0.5}, "step": 2},
        {"metrics": {"acc": 0.75}, "step": 9},
        {"metrics": {"loss": 3.0}, "step": 0},
        {"metrics": {"loss": 2.0}},
    ]
    assert job.container.metric_file.exists() != driven
    if not driven:
        steps = [("acc", 0.0, 0), ("acc", 0.25, 1), ("acc", 0.5, 2), ("acc", 0.75, 9)]
        assert sorted(job.container.spoken) == steps


def test_measurements_are_saved_while_the_script_runs(job: Job) -> None:
    job.container.job = "study-1"
    with job.start(
        HYPERTUNE
        + """
    from cloudtune.trial import report
    report(acc=0.5)
    while not os.path.exists("go"): time.sleep(0.01)
    tell("loss", 0.25, 2)
    print("told", flush=True)
    while not os.path.exists("end"): time.sleep(0.01)
    """
    ) as process:
        work = job.container.code / SOURCE
        until(lambda: job.container.kept_file.exists() and len(job.container.kept) == 1)
        (work / "go").touch()
        until(lambda: len(job.container.kept) == 2)  # some seconds later
        (work / "end").touch()
        process.communicate(timeout=60)
    assert job.container.kept == [
        {"metrics": {"acc": 0.5}},
        {"metrics": {"loss": 0.25}, "step": 2},
    ]


def until(good: Callable[[], bool]) -> None:
    due = time.monotonic() + 30
    while not good():
        assert time.monotonic() < due
        time.sleep(0.01)


def in_a_job(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    env: Mapping[str, str] = {"CLOUDTUNE_JOB": "j"},
    **more: Any,
) -> tuple[Contract, Path]:
    """Return the contract of a job in this process, and the file that it keeps."""
    (folder / "bucket").mkdir()
    for name, value in {"CLOUDTUNE_GCS": str(folder), **env}.items():
        monkeypatch.setenv(name, value)
    study = launch_data(fitted({"parameters": {}, **more}), "run", {}, measurements=MEASUREMENTS)
    contract = launcher_contract.find_contract(study, [])
    assert contract is not None
    return contract, folder / "bucket" / "mine" / "measurements" / "j.jsonl"


def test_measurements_are_saved_at_intervals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    contract, file = in_a_job(tmp_path, monkeypatch)
    lengths: list[int] = []
    for moment in (100.0, 101.0, 104.9, 105.0, 109.9, 111.0, 120.0):
        now[0] = moment
        if moment < 120:
            contract.publish({"metrics": {"acc": 1.0}, "time": moment})
        assert contract.tick() == 1.0
        lengths.append(file.read_text().count("\n"))
    assert lengths == [1, 1, 1, 4, 4, 6, 6]
    now[0] = 120.5
    contract.report_failure("exit code 1")
    contract.close()
    assert json.loads(file.read_text().splitlines()[-1]) == {"failure": "exit code 1"}


def test_above_the_size_limit_best_last_and_failure_are_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(launcher_contract, "MAX_SAVED_BYTES", 90)
    objective = {"metric": "acc", "goal": "maximize", "select": "best"}
    contract, file = in_a_job(tmp_path, monkeypatch, objective=objective)
    for acc in (1, 2, 9, 4, 5):
        contract.publish({"metrics": {"acc": acc, "loss": -acc}, "time": 1.5})
    contract.report_failure("exit code 1")
    contract.close()
    assert [json.loads(line) for line in file.read_text().splitlines()] == [
        {"metrics": {"acc": 1, "loss": -1}, "time": 1.5},
        {"metrics": {"acc": 2, "loss": -2}, "time": 1.5},
        {"failure": "exit code 1"},
        {"metrics": {"acc": 9}, "step": 3, "time": 1.5},
        {"metrics": {"acc": 5}, "step": 5, "time": 1.5},
        {"metrics": {"loss": -5}, "step": 5, "time": 1.5},
    ]
    assert capsys.readouterr().err.count("more than 90 bytes of measurements") == 1


def test_the_metric_file_is_written_at_intervals_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    metric_file = tmp_path / "hypertune" / "output.metrics"
    env = {"CLOUD_ML_JOB_ID": "1", "CLOUD_ML_HP_METRIC_FILE": str(metric_file)}
    contract, _ = in_a_job(tmp_path, monkeypatch, env, objective=LOSS)
    seen: list[tuple[int, float | None]] = []
    for moment in (100.0, 100.01, 100.09, 100.11, 100.12):
        now[0] = moment
        contract.publish({"metrics": {"loss": 1.0}, "time": moment})
        pause = contract.tick()
        seen.append((metric_file.read_text().count("\n"), pause))
    assert seen == [(1, 1.0), (1, 0.1), (1, 0.1), (4, 1.0), (4, 0.1)]
    contract.close()
    assert metric_file.read_text().count("\n") == 5


def test_a_restarted_machine_continues_the_saved_measurements(job: Job) -> None:
    job.container.kept_file.parent.mkdir(parents=True)
    job.container.kept_file.write_bytes(b'{"metrics": {"acc": 0.25}}\n{"metrics": {"a')
    job.run("from cloudtune.trial import report\nreport(acc=0.5)")
    assert job.container.kept == [
        {"metrics": {"acc": 0.25}},
        {"metrics": {}, "begins_anew": True},
        {"metrics": {"acc": 0.5}},
    ]


def test_a_restarted_machine_counts_on_from_a_checkpoint(job: Job) -> None:
    job.container.kept_file.parent.mkdir(parents=True)
    job.container.kept_file.write_bytes(b'{"metrics": {"acc": 0.25}}\n')
    checkpoints = job.container.gcs / "bucket" / "mine" / "output" / "7" / "checkpoints"
    checkpoints.mkdir(parents=True)
    (checkpoints / "epoch").write_text("1")
    job.run("from cloudtune.trial import report\nreport(acc=0.5)")
    assert job.container.kept == [{"metrics": {"acc": 0.25}}, {"metrics": {"acc": 0.5}}]


def test_the_best_of_a_machine_that_was_restarted_still_counts(job: Job) -> None:
    job.study["objective"]["select"] = "best"
    job.container.kept_file.parent.mkdir(parents=True)
    job.container.kept_file.write_bytes(b'{"metrics": {"acc": 0.75}}\n{"metrics": {"acc": NaN}}\n')
    job.run("from cloudtune.trial import report\nreport(acc=0.5)")
    assert job.container.spoken == [("acc", 0.75, 1)]


def test_an_unwritable_folder_fails_no_trial(job: Job) -> None:
    (job.container.gcs / "bucket" / "mine").write_text("in the way")
    code, _, err = job.run("""
        from cloudtune.trial import report
        report(acc=0.5)
    """)
    assert code == 0
    assert "cannot save the measurements: " in err
    assert job.container.spoken == [("acc", 0.5, 1)]


# The end.


def test_a_failure_is_saved_with_the_last_lines(job: Job) -> None:
    code, _, _ = job.run("""
        from cloudtune.trial import report
        report(acc=0.5)
        raise ValueError("the ä data is wrong")
    """)
    assert code == 1
    first, last = job.container.kept
    assert first == {"metrics": {"acc": 0.5}}
    assert last["failure"].startswith("exit code 1\nTraceback")
    assert last["failure"].endswith("ValueError: the ä data is wrong")
    assert not list(job.container.folder.glob("cloudtune-*"))


def test_a_killed_script_is_reported(job: Job) -> None:
    code, _, _ = job.run("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    assert (code, job.container.kept) == (-9, [{"failure": "killed by SIGKILL"}])


def test_a_stop_reaches_the_script_and_is_not_a_failure(job: Job) -> None:
    with job.start("""
        import time
        from cloudtune.trial import report, should_stop
        should_stop()
        report(acc=1)
        print("ready", flush=True)
        while not should_stop(): time.sleep(0.01)
        report(acc=2)
        raise SystemExit(9)
    """) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 9
    assert job.container.kept == [{"metrics": {"acc": 1.0}}, {"metrics": {"acc": 2.0}}]
    assert [value for _, value, _ in job.container.spoken] == [1.0, 2.0]


@pytest.mark.parametrize(
    ("trial", "words", "reason"),
    [
        ({"requirements": "absent.txt"}, [], "cannot install absent.txt: exit code 1"),
        ({"command": ["./no-such-program"]}, [], "cannot start ./no-such-program"),
        ({"metrics": {"acc": r"acc=((a+)+)$"}}, [], "the regex of metric acc took"),
    ],
)
def test_the_reason_why_a_trial_cannot_start_is_saved(
    job: Job, trial: dict[str, Any], words: list[str], reason: str
) -> None:
    job.study["trial"] |= trial
    if "command" in trial:
        del job.study["trial"]["script"]
    code, _, err = job.run(f"print('acc={'a' * 60}b', flush=True)\nimport time; time.sleep(99)")
    assert code in (2, 127)
    (last,) = job.container.kept
    assert last["failure"].startswith(reason)
    assert reason in err


def test_an_unreadable_value_is_reported(job: Job) -> None:
    code, out, err = job.run("print('started')", "--x=many")
    assert (code, out) == (2, "")
    assert "invalid value 'many' for parameter x" in err
    assert "invalid value 'many' for parameter x" in job.container.kept[0]["failure"]


def test_a_container_without_cloud_storage_is_reported(job: Job) -> None:
    (job.container.gcs / "bucket").rmdir()
    code, out, err = job.run("print('started')")
    assert (code, out) == (2, "")
    assert "check that the job's service account may use the bucket" in err
