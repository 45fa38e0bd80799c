"""The launcher in the jobs of each cloud, compared with local trials."""

from __future__ import annotations

import re
import signal
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import cloudtune
from cloudtune.study.study import Study
from tests.launched import SHOW, Launched, awkward_study, awkward_trials, ended
from tests.providers import TUNERS
from tests.waiting import wait_until

JOBS = (*TUNERS, "watson search")


@pytest.fixture(params=JOBS)
def job(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    name, _, search = request.param.partition(" ")
    job: Any = import_module(f"tests.cloudtune_{name}.launched").LaunchedJob(tmp_path)
    if search:
        job.searched = True
    return job


def see(job: Launched, data: Path) -> dict[str, Any]:
    """Write the script of a study with awkward values, its files and its input."""
    for name in ("setup.py", "sub/helper.py", "requirements.txt", "cloudtune/x.txt"):
        (job.source / name).parent.mkdir(parents=True, exist_ok=True)
        (job.source / name).touch()
    job.write(SHOW)
    data.mkdir()
    (data / "rows.csv").touch()
    study = awkward_study()
    study["trial"] |= {"source": str(job.source), "inputs": {"train": str(data)}}
    return study | {"initial_trials": awkward_trials()}


@pytest.fixture(scope="module")
def logs_here(tmp_path_factory: pytest.TempPathFactory) -> dict[int, str]:
    """The log of each awkward trial on this machine, by its number."""
    folder = tmp_path_factory.mktemp("here")
    job: Any = import_module("tests.cloudtune_sagemaker.launched").LaunchedJob(folder)
    study = Study.model_validate(see(job, folder / "data"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLOUDTUNE_HOME", str(folder / "state"))
        patch.chdir(folder)
        results = cloudtune.run(cloudtune.plan(study), show=False).results()
    return {done.number: Path(str(done.log)).read_text("utf-8") for done in results.trials}


@pytest.mark.slow
def test_a_script_sees_what_it_sees_here(
    job: Launched, logs_here: dict[int, str], tmp_path: Path
) -> None:
    study, trials = see(job, tmp_path / "data"), awkward_trials()
    here = {number: job.shown(log) for number, log in logs_here.items()}
    assert len(here) == len(trials)

    job.study, job.env = study, {"MORE": "ä b"}
    job.paths = {"train": job.add_input()}
    of = job.unpack()
    for number, values in enumerate(trials, start=1):
        code, out, err = ended(job.launch(job.sent(of, values)))
        assert (code, err) == (0, "")
        there = job.shown(out)
        assert there == here[number]
        types = {name: (kind, value) for name, kind, value in there["params"]}
        expected = {**study["constants"], **values}
        assert types == {name: (type(value).__name__, value) for name, value in expected.items()}
        assert job.published("acc", out) == [1.0]


def test_types_of_values_are_restored(job: Launched) -> None:
    job.study["parameters"] |= {
        "batch": {"type": "discrete", "values": [16, 32]},
        "on": {"type": "bool"},
        "C": {"type": "float", "min": -1, "max": 1},
        "words": {"type": "categorical", "values": ["true", "1e3", "it's $HOME"]},
    }
    job.study["strategy"] = {"name": "hyperband", "resource": "epochs", "max": 27}
    values = {"batch": "16.0", "on": "True", "C": "-1e-05", "words": "it's $HOME", "epochs": "9"}
    code = "from cloudtune.trial import params\nprint(params())"
    _, out, err = job.run(code, **values)
    typed = {"epochs": 9, "x": 1, "batch": 16, "on": True, "C": -1e-05, "words": "it's $HOME"}
    assert out == f"{typed}\n", err


def test_an_unmodified_script_gets_flags_and_its_output_is_read(job: Launched) -> None:
    job.study["trial"]["metrics"] = {"acc": r"acc=(\S+)"}
    job.study["constants"] = {"epochs": 3}
    code, out, err = job.run("""
        import argparse
        parser = argparse.ArgumentParser()
        parser.add_argument("--x", "-x", type=int, required=True)
        parser.add_argument("--epochs", type=int, required=True)
        args = parser.parse_args()
        for n in range(args.epochs):
            print(f"acc={n / 4}")
    """)
    assert (code, err) == (0, "")
    assert "".join(re.findall("acc=.*\n", out)) == "acc=0.0\nacc=0.25\nacc=0.5\n"
    assert job.published("acc", out)[-1] == 0.5


def test_values_that_are_not_finite_are_reported_and_not_published(job: Launched) -> None:
    code, out, _ = job.run("""
        from cloudtune.trial import report
        report(acc=float("nan"), loss=float("inf"))
        report(acc=0.5, step=3)
    """)
    assert code == 0
    assert "skipped metric 'acc': nan\n" in out
    assert (job.published("acc", out), job.published("loss", out)) == ([0.5], [])


def test_metrics_are_published_while_the_script_runs(job: Any) -> None:
    process = job.start("""
        import os, time
        from cloudtune.trial import report
        report(acc=0.5)
        while not os.path.exists("go"): time.sleep(0.01)
        report(acc=0.75)
        while not os.path.exists("end"): time.sleep(0.01)
    """)
    first = b"" if job.PROVIDER in {"azure", "vertex"} else process.stdout.readline()
    wait_until(lambda: job.published("acc", first.decode()) == [0.5])
    (job.work / "go").touch()
    second = b"" if job.PROVIDER in {"azure", "vertex"} else process.stdout.readline()
    wait_until(lambda: job.published("acc", (first + second).decode())[-1:] == [0.75])
    (job.work / "end").touch()
    assert ended(process)[0] == 0


def test_a_failure_is_left_with_the_last_lines(job: Launched) -> None:
    code, out, _ = job.run("""
        from cloudtune.trial import report
        report(acc=0.5)
        raise ValueError("the ä data is wrong")
    """)
    assert code == 1
    assert job.published("acc", out) == [0.5]
    failure = job.failure or ""
    assert failure.startswith("exit code 1\nTraceback")
    assert failure.endswith("ValueError: the ä data is wrong")
    assert not list(job.folder.glob("cloudtune-*"))


def test_a_killed_script_is_a_failure(job: Launched) -> None:
    code, _, _ = job.run("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    assert (code, job.failure) == (-9, "killed by SIGKILL")


def test_a_stop_reaches_the_script_and_is_not_a_failure(job: Launched) -> None:
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
        before = [b""]
        while before[-1] != b"ready\n":
            before.append(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=200)
    assert process.returncode == 9
    assert job.published("acc", (b"".join(before) + out).decode())[-1] == 2.0
    assert job.failure is None


ABSENT = {"requirements": "absent.txt"}
SLOW = {"metrics": {"acc": r"acc=((a+)+)$"}}


@pytest.mark.parametrize(
    ("job", "trial", "values", "reason"),
    [
        ("azure", ABSENT, {}, "cannot install absent.txt: exit code 1"),
        ("vertex", SLOW, {}, "the regex of metric acc took"),
        *((name, {"command": ["./absent"]}, {}, "cannot start ./absent") for name in JOBS),
        *((name, {}, {"x": "many"}, "invalid value 'many' for parameter x") for name in JOBS),
    ],
    indirect=["job"],
)
def test_why_a_trial_cannot_start_is_left(
    job: Launched, trial: dict[str, Any], values: dict[str, str], reason: str
) -> None:
    job.study["trial"] |= trial
    if "command" in trial:
        del job.study["trial"]["script"]
    code = f"print('acc={'a' * 60}b', flush=True)\nimport time; time.sleep(99)"
    status, out, err = job.run(code, **values)
    assert status in (2, 127)
    assert bool(out) == ("metrics" in trial or "requirements" in trial)
    assert reason in (job.failure or "")
    assert reason in err
