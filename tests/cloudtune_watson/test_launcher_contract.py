"""The launcher as IBM's services start it, compared with local trials."""

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
from cloudtune.bundle import archive, files
from cloudtune.bundle.launcher import PROGRAM, SOURCE, launcher_files
from cloudtune.fitting.capabilities import DRIVEN, Capabilities
from cloudtune.fitting.fit import FittedStudy, fit
from cloudtune.study.search_space import format_value
from cloudtune.study.study import Study
from cloudtune_watson import launcher_contract
from tests.cloudtune_sagemaker import test_launcher_contract as other

WORDS = replace(DRIVEN, text_only=True)
"""What the words of a command can hold: text for every value."""
FLAT = replace(WORDS, conditions="none")
"""What IBM's tuner can hold: no conditions either."""


def fitted(study: Mapping[str, Any], *, searched: bool) -> FittedStudy:
    able = Capabilities("watson", "IBM Watson", "offline only", FLAT, WORDS)
    return fit(Study.model_validate(study), able, "managed" if searched else "driven")


@dataclass
class Container:
    """The folders and variables of one trial, with the bundle unpacked where it is started."""

    folder: Path
    searched: bool = False
    """Whether IBM's tuner chose the parameters, which are in a file then."""
    env: dict[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        self.code = self.folder / "code"
        self.results = self.folder / "results"
        self.logs = self.folder / "logs"
        self.data = self.folder / "data"
        for folder in (self.code, self.results, self.logs, self.data):
            folder.mkdir(parents=True)

    def unpack(self, of: FittedStudy, source: Path, paths: Mapping[str, str]) -> None:
        snapshot = self.folder / "snapshot"
        files.copy_files(source, files.list_files(source), snapshot)
        contract = Path(launcher_contract.__file__)
        launcher = launcher_files(of, "run-id", paths, contract=contract)
        archive.write_archive(self.folder / "bundle", snapshot, SOURCE, launcher)
        with tarfile.open(self.folder / "bundle", "r:gz") as tar:
            tar.extractall(self.code, filter="data")

    def start(self, values: Mapping[str, Any]) -> subprocess.Popen[bytes]:
        env = {name: value for name, value in os.environ.items() if name != "CLOUDTUNE_TRIAL"}
        env |= {
            "DATA_DIR": str(self.data),
            "RESULT_DIR": str(self.results),
            "LOG_DIR": str(self.logs),
            "TRAINING_ID": "4711",
            "PYTHONPATH": os.pathsep.join(sys.path),
            "TMPDIR": str(self.folder),
        }
        words: list[str] = []
        if self.searched:
            env["SUBID"] = "7"
            texts = {name: format_value(value) for name, value in values.items()}
            (self.code / "config.json").write_text(json.dumps(texts), "utf-8")
        else:
            words = [
                word
                for name, value in values.items()
                for word in (f"--{name}", format_value(value))
            ]
        return subprocess.Popen(
            [sys.executable, PROGRAM, *words],
            cwd=self.code,
            env={**env, **self.env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, values: Mapping[str, Any]) -> tuple[int, str, str]:
        """Return the exit code, the output and the errors."""
        with self.start(values) as process:
            out, err = process.communicate(timeout=60)
        return process.returncode, out.decode(), err.decode()

    @property
    def list_file(self) -> Path:
        return self.results / "val_dict_list.json"

    @property
    def listed(self) -> Any:
        """What IBM's tuner reads."""
        try:
            return json.loads(self.list_file.read_bytes())
        except FileNotFoundError:  # the launcher is replacing it
            return []

    @property
    def logged(self) -> list[dict[str, Any]]:
        """The lines of the log of what was measured."""
        file = self.logs / ("7" if self.searched else "") / "evaluation-metrics.txt"
        return [json.loads(line) for line in file.read_text("utf-8").splitlines()]

    @property
    def failure(self) -> str:
        return (self.results / "cloudtune_failure.txt").read_text("utf-8")


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

    def start(self, code: str, **values: Any) -> subprocess.Popen[bytes]:
        (self.source / "train.py").write_text(textwrap.dedent(code), "utf-8")
        of = fitted(self.study, searched=self.container.searched)
        self.container.unpack(of, self.source, self.paths)
        return self.container.start({"x": 1, **values})

    def run(self, code: str, **values: Any) -> tuple[int, str, str]:
        with self.start(code, **values) as process:
            out, err = process.communicate(timeout=60)
        return process.returncode, out.decode(), err.decode()


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


@pytest.mark.parametrize("searched", [False, True])
def test_a_script_runs_as_on_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, searched: bool
) -> None:
    source = tmp_path / "src"
    source.mkdir()
    own = '("DATA_DIR", "RESULT_DIR", "LOG_DIR", "SUBID", "TRAINING_ID", '
    (source / "train.py").write_text(
        textwrap.dedent(other.SHOW.replace('("SM_", ', own)) + "print('acc=1')\n", "utf-8"
    )
    container = Container(tmp_path / "container", searched, env={"MORE": "ä b"})
    (container.data / "rows.csv").touch()
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    study, trials = other.awkward_study(), other.awkward_trials()
    study["trial"] |= {"source": str(source), "inputs": {"train": str(container.data)}}
    study["initial_trials"] = trials
    results = cloudtune.run(cloudtune.plan(Study.model_validate(study)), show=False).results()
    here = {done.number: other.shown(Path(str(done.log)).read_text()) for done in results.trials}
    assert len(here) == len(trials)

    of = fitted(study, searched=searched)
    container.unpack(of, source, {"train": "$DATA_DIR"})
    for number, values in enumerate(trials, start=1):
        code, out, err = container.run(other.sent(of, values) if searched else values)
        assert (code, err) == (0, "")
        assert other.shown(out) == here[number]
        types = {name: (kind, value) for name, kind, value in other.shown(out)["params"]}
        wanted = {**study["constants"], **values}
        assert types == {name: (type(value).__name__, value) for name, value in wanted.items()}
        assert container.listed == [{"steps": 1, "acc": 1.0}]


@pytest.mark.parametrize("searched", [False, True])
def test_types_of_values_are_restored(job: Job, searched: bool) -> None:
    job.container.searched = searched
    job.study["parameters"] |= {
        "batch": {"type": "discrete", "values": [16, 32]},
        "on": {"type": "bool"},
        "C": {"type": "float", "min": -1, "max": 1},
        "words": {"type": "categorical", "values": ["true", "1e3", "it's $HOME"]},
    }
    job.study["strategy"] = {"name": "hyperband", "resource": "epochs", "max": 27}
    _, out, err = job.run(
        "from cloudtune.trial import params\nprint(params())",
        batch="16.0",
        on="True",
        C="-1e-05",
        words="it's $HOME",
        epochs="9",
    )
    typed = {"epochs": 9, "x": 1, "batch": 16, "on": True, "C": -1e-05, "words": "it's $HOME"}
    assert out == f"{typed}\n", err


def test_folders(job: Job) -> None:
    job.paths = {"a": "$DATA_DIR", "b": "$DATA_DIR/rows.csv"}
    job.study["trial"]["inputs"] = {"a": "vol/a", "b": "vol/b"}
    _, out, err = job.run("""
        import os
        from cloudtune.trial import checkpoint_dir, inputs, output_dir, trial_id
        for path in [*inputs().values(), output_dir(), checkpoint_dir()]:
            print(path)
        print(trial_id(), os.environ["SUBID"])
    """)
    here = job.container
    assert out.splitlines() == [
        str(here.data),
        str(here.data / "rows.csv"),
        str(here.results / "model"),
        str(here.results / "checkpoint"),
        "4711 4711",
    ], err


def test_older_names_of_the_folders(job: Job) -> None:
    job.paths = {"a": "$DATA_DIR"}
    job.study["trial"]["inputs"] = {"a": "vol/a"}
    state = job.container.folder / "state"
    job.container.env = {"DATA_DIR": "", "LOG_DIR": "", "DLI_DATA_FS": "/gpfs/data"}
    job.container.env["JOB_STATE_DIR"] = str(state)
    _, out, err = job.run("""
        from cloudtune.trial import inputs, report
        report(acc=1)
        print(inputs())
    """)
    assert "{'a': '/gpfs/data'}\n" in out, err
    assert (state / "logs" / "evaluation-metrics.txt").is_file()


# Metrics.


@pytest.mark.parametrize("searched", [False, True])
def test_both_files_have_the_format_of_emetrics(job: Job, searched: bool) -> None:
    job.container.searched = searched
    before = int(time.time() * 1000)
    _, out, _ = job.run("""
        from cloudtune.trial import report
        report(acc=0.875, loss=1)
        report({"acc": 1e-05}, step=12)
        report(acc=3)
    """)
    all_entries = [
        {"steps": 1, "acc": 0.875, "loss": 1.0},
        {"steps": 12, "acc": 1e-05},
        {"steps": 13, "acc": 3.0},
    ]
    one_entry = [{"steps": 13, "acc": 3.0, "loss": 1.0}]
    assert job.container.listed == (one_entry if searched else all_entries)
    assert "[cloudtune] metric acc = 0.875\n" in out
    lines = job.container.logged
    assert [line["values"] for line in lines] == [
        {"acc": {"type": 3, "value": "0.875"}, "loss": {"type": 3, "value": "1.0"}},
        {"acc": {"type": 3, "value": "1e-05"}},
        {"acc": {"type": 3, "value": "3.0"}},
    ]
    iterations = [line["etimes"]["iteration"] for line in lines]
    assert iterations == [{"type": 2, "value": step} for step in ("1", "12", "13")]
    meta = lines[0]["meta"]
    assert before <= meta.pop("time") <= time.time() * 1000
    assert meta == {"training_id": "4711", "rindex": 1, "subid": "7" if searched else "4711"}
    assert {line["grouplabel"] for line in lines} == {"test"}


def test_an_unmodified_script_gets_flags_and_is_read_by_regexes(job: Job) -> None:
    job.study["trial"]["metrics"] = {"acc": r"acc=(\S+)"}
    job.study["constants"] = {"epochs": 2}
    code, out, err = job.run("""
        import argparse
        parser = argparse.ArgumentParser()
        parser.add_argument("--x", type=int, required=True)
        parser.add_argument("--epochs", type=int, required=True)
        args = parser.parse_args()
        for n in range(args.epochs):
            print(f"acc={n / 4}")
    """)
    assert (code, err) == (0, "")
    assert out.startswith("acc=0.0\n")
    assert job.container.listed == [{"steps": 1, "acc": 0.0}, {"steps": 2, "acc": 0.25}]


def test_values_that_are_not_finite_are_reported_and_omitted(job: Job) -> None:
    code, out, _ = job.run("""
        from cloudtune.trial import report
        report(acc=float("nan"), loss=float("inf"))
        report(acc=0.5, step=3)
    """)
    assert code == 0
    assert "skipped metric 'acc': nan\n" in out
    assert job.container.listed == [{"steps": 3, "acc": 0.5}]


def test_measurements_are_written_while_the_script_runs(job: Job) -> None:
    with job.start("""
        import os, time
        from cloudtune.trial import report
        report(acc=0.5)
        while not os.path.exists("go"): time.sleep(0.01)
        report(acc=0.75)
        while not os.path.exists("end"): time.sleep(0.01)
    """) as process:
        work = job.container.code / SOURCE
        until(job.container.list_file.exists)
        assert job.container.listed == [{"steps": 1, "acc": 0.5}]
        (work / "go").touch()
        until(lambda: len(job.container.listed) == 2)  # some seconds later
        (work / "end").touch()
        process.communicate(timeout=60)


def until(good: Callable[[], bool]) -> None:
    due = time.monotonic() + 30
    while not good():
        assert time.monotonic() < due
        time.sleep(0.01)


PRINTED = "str(listed).replace('0.875', 'np.float64(0.875)')"
"""As the numbers of NumPy 2 are printed."""


@pytest.mark.parametrize("spelled", ["listed", "str(listed)", PRINTED])
def test_entries_of_a_script_that_writes_the_list_stay(job: Job, spelled: str) -> None:
    job.study["trial"]["metrics"] = {"loss": r"loss=(\S+)"}
    job.run(f"""
        import json, os
        from cloudtune.trial import report
        report(acc=0.1)
        print("loss=7")
        listed = [{{"steps": 5, "acc": 0.875}}]
        with open(os.path.join(os.environ["RESULT_DIR"], "val_dict_list.json"), "w") as file:
            json.dump({spelled}, file)
    """)
    assert job.container.listed == [{"steps": 5, "acc": 0.875}, {"steps": 1, "loss": 7.0}]


def test_the_list_of_a_script_without_reports_stays(job: Job) -> None:
    job.run("""
        import os
        with open(os.path.join(os.environ["RESULT_DIR"], "val_dict_list.json"), "w") as file:
            file.write('[{"step": 1, "acc": 2}]')
    """)
    assert job.container.list_file.read_text() == '[{"step": 1, "acc": 2}]'


INVALID = pytest.mark.parametrize("written", ["[1, 2]", "5", '"[1"', "[{", ""])


@INVALID
def test_an_invalid_list_of_the_script_stays(job: Job, written: str) -> None:
    code, _, err = job.run(f"""
        import os
        from cloudtune.trial import report
        report(acc=1)
        with open(os.path.join(os.environ["RESULT_DIR"], "val_dict_list.json"), "w") as file:
            file.write({written!r})
    """)
    assert code == 0
    assert "cannot save the measurements: " in err
    assert job.container.list_file.read_text() == written


# The selected value, which is all that IBM's tuner sees.

SELECTED = [
    ("last", "maximize", 0.33),
    ("last", "minimize", 0.33),
    ("best", "maximize", 1.0),
    ("best", "minimize", -0.5),
]


@pytest.mark.parametrize(("select", "goal", "value"), SELECTED)
@pytest.mark.parametrize("writes_list", [False, True])
def test_a_trial_of_a_search_has_the_selected_value(
    job: Job, select: str, goal: str, value: float, *, writes_list: bool
) -> None:
    job.container.searched = True
    job.study["objective"] = {"metric": "acc", "goal": goal, "select": select}
    code, _, err = job.run(f"""
        import json, os
        from cloudtune.trial import report
        values = [1, -0.5, 0.33]
        if {writes_list}:
            listed = [{{"step": n, "acc": v}} for n, v in enumerate(values, 1)]
            with open(os.path.join(os.environ["RESULT_DIR"], "val_dict_list.json"), "w") as file:
                json.dump(listed, file)
        else:
            for v in values:
                report(acc=v)
    """)
    assert (code, err) == (0, "")
    assert job.container.listed == [{"steps": 3, "acc": value}]
    script_list = job.container.results / "val_dict_list.script.json"
    assert script_list.exists() == writes_list
    if writes_list:
        assert len(json.loads(script_list.read_bytes())) == 3


def test_zero_is_a_best_value(job: Job) -> None:
    job.container.searched = True
    job.study["objective"] = {"metric": "acc", "goal": "minimize", "select": "best"}
    job.run("""
        from cloudtune.trial import report
        for v in (0, 1):
            report(acc=v)
    """)
    assert job.container.listed == [{"steps": 2, "acc": 0.0}]


def test_a_search_without_metrics_has_no_list(job: Job) -> None:
    job.container.searched = True
    job.run("pass")
    assert not list(job.container.results.glob("val_dict_list*"))


# Restarts of a trial, whose folders stay.


def test_a_restart_replaces_measurements_from_its_first_step_on(job: Job) -> None:
    job.container.list_file.write_text(
        json.dumps([{"steps": step, "acc": step} for step in range(1, 6)])
    )
    (job.container.results / "cloudtune_failure.txt").write_text("of the first start")
    job.run("""
        from cloudtune.trial import report
        report(acc=0.3, step=3)
        report(acc=0.4, step=4)
    """)
    steps = {1: 1, 2: 2, 3: 0.3, 4: 0.4}
    assert job.container.listed == [{"steps": step, "acc": acc} for step, acc in steps.items()]
    assert not (job.container.results / "cloudtune_failure.txt").exists()


@pytest.mark.parametrize("searched", [False, True])
def test_a_restart_from_the_beginning_replaces_all_measurements(
    job: Job, *, searched: bool
) -> None:
    job.container.searched = searched
    job.container.list_file.write_text('[{"steps": 4, "acc": 9}]')
    job.run("from cloudtune.trial import report\nreport(acc=0.5)")
    assert job.container.listed == [{"steps": 1, "acc": 0.5}]


def test_a_restart_from_a_checkpoint_counts_on(job: Job) -> None:
    job.container.list_file.write_text('[{"steps": 4, "acc": 9}]')
    (job.container.results / "checkpoint").mkdir()
    (job.container.results / "checkpoint" / "epoch").write_text("4")
    job.run("from cloudtune.trial import report\nreport(acc=0.5)")
    assert job.container.listed == [{"steps": 4, "acc": 9}, {"steps": 5, "acc": 0.5}]


@INVALID
def test_an_invalid_list_of_an_earlier_start_is_replaced(job: Job, written: str) -> None:
    job.container.list_file.write_text(written)
    code, _, err = job.run("from cloudtune.trial import report\nreport(acc=1)")
    assert (code, err) == (0, "")
    assert job.container.listed == [{"steps": 1, "acc": 1.0}]


def test_a_restart_while_the_list_was_replaced_continues(job: Job) -> None:
    moved = job.container.results / "val_dict_list.script.json"
    moved.write_text('[{"steps": 1, "acc": 0.25}]')
    job.run("from cloudtune.trial import report\nreport(acc=0.5, step=2)")
    assert [entry["acc"] for entry in job.container.listed] == [0.25, 0.5]
    assert not moved.exists()


# The script and the launcher write the list at the same time.

SCRIPT_LIST = b'[{"steps": 5, "acc": 0.875}]'
MERGED = [{"steps": 5, "acc": 0.875}, {"steps": 1, "loss": 7.0}]


@pytest.fixture
def contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> launcher_contract.WatsonContract:
    """A contract that has saved one report."""
    monkeypatch.setattr(launcher_contract, "SAVE_INTERVAL", 0)
    contract = launcher_contract.WatsonContract({}, {}, str(tmp_path), "", None)
    save(contract, acc=1, loss=7)
    return contract


def save(contract: launcher_contract.WatsonContract, **metrics: float) -> None:
    contract.publish({"metrics": metrics, "time": 0})
    while (pause := contract.tick()) is not None:
        time.sleep(pause)


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_list_that_is_written_before_the_launcher_puts_its_own(
    contract: launcher_contract.WatsonContract,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_replaced: bool,
) -> None:
    link, path = os.link, tmp_path / "val_dict_list.json"

    def write_first(source: str, target: str) -> None:
        monkeypatch.setattr(os, "link", link)
        if is_replaced:
            (tmp_path / "own").write_bytes(SCRIPT_LIST)
            (tmp_path / "own").replace(path)
        else:
            path.write_bytes(SCRIPT_LIST)
        os.link(source, target)

    monkeypatch.setattr(os, "link", write_first)
    contract.close()
    assert json.loads(path.read_bytes()) == MERGED


@pytest.mark.parametrize("is_half_written", [False, True])
def test_a_list_that_the_script_has_opened_before_it_is_moved(
    contract: launcher_contract.WatsonContract,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    *,
    is_half_written: bool,
) -> None:
    path = tmp_path / "val_dict_list.json"
    with path.open("r+b") as opened:  # as the file is now, which the launcher then moves
        save(contract, acc=2)
        opened.write(SCRIPT_LIST[:9])
        opened.truncate()
        opened.flush()
        save(contract, acc=3)
        assert "cannot save the measurements: " in capsys.readouterr().err
        if not is_half_written:
            opened.write(SCRIPT_LIST[9:])
    contract.close()
    own = [{"steps": n, "acc": n} for n in (1, 2, 3)]
    own[0]["loss"] = 7
    assert json.loads(path.read_bytes()) == (own if is_half_written else MERGED)
    assert {each.name for each in tmp_path.iterdir()} == {"val_dict_list.json"}


def test_a_file_system_without_hard_links(
    contract: launcher_contract.WatsonContract, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("not supported")

    monkeypatch.setattr(os, "link", refuse)
    contract.publish({"metrics": {"acc": 2}, "time": 0})
    contract.close()
    assert len(json.loads((tmp_path / "val_dict_list.json").read_bytes())) == 2


def test_an_unwritable_folder_does_not_fail_a_trial(job: Job) -> None:
    job.container.results.rmdir()
    job.container.results.write_text("in the way")
    code, _, err = job.run("from cloudtune.trial import report\nreport(acc=0.5)")
    assert code == 0
    assert "cannot save the measurements: " in err
    assert len(job.container.logged) == 1


# The end.


def test_a_failure_is_written_with_the_last_lines(job: Job) -> None:
    code, _, _ = job.run("""
        from cloudtune.trial import report
        report(acc=0.5)
        raise ValueError("the ä data is wrong")
    """)
    assert code == 1
    assert job.container.listed == [{"steps": 1, "acc": 0.5}]
    assert job.container.failure.startswith("exit code 1\nTraceback")
    assert job.container.failure.endswith("ValueError: the ä data is wrong")
    assert not list(job.container.folder.glob("cloudtune-*"))


def test_an_unreadable_value_is_reported(job: Job) -> None:
    code, out, err = job.run("print('started')", x="many")
    assert (code, out) == (2, "")
    assert "invalid value 'many' for parameter x" in err
    assert "invalid value 'many' for parameter x" in job.container.failure


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
        while process.stdout.readline() not in {b"ready\n", b""}:
            pass
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 9
    assert [entry["acc"] for entry in job.container.listed] == [1.0, 2.0]
    assert not (job.container.results / "cloudtune_failure.txt").exists()
