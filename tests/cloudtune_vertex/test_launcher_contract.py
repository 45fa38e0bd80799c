"""What the launcher does in jobs of Vertex AI only."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cloudtune.bundle.launcher import launch_data
from cloudtune.launcher.contract import Contract
from cloudtune_vertex import launcher_contract
from tests.cloudtune_vertex.launched import MEASUREMENTS, fitted
from tests.cloudtune_vertex.launched import LaunchedJob as Job
from tests.waiting import wait_until


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


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


@pytest.mark.parametrize("driven", [False, True])
def test_paths_of_inputs_outputs_and_checkpoints(job: Job, driven: bool) -> None:
    job.job = "study-1-2" if driven else None
    job.paths = {"a": "/gcs/bucket/data", "b": "gs://bucket/x.csv", "c": "/elsewhere"}
    job.study["trial"]["inputs"] = {"a": "gs://b/t", "b": "gs://b/x", "c": "gs://b/y"}
    _, out, err = job.run("""
        import os
        from cloudtune.trial import checkpoint_dir, inputs, output_dir, trial_id
        for path in [*inputs().values(), output_dir(), checkpoint_dir()]:
            print(path)
        print(trial_id(), "CLOUDTUNE_JOB" in os.environ, os.environ["AIP_MODEL_DIR"])
    """)
    base = job.gcs / "bucket"
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
    job.job = "study-1"
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
    times = [json.loads(line)["time"] for line in job.kept_file.read_text().splitlines()]
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
    assert job.metric_file.read_bytes() == whole.encode()


def test_the_last_hundred_values_are_published_and_all_are_saved(job: Job) -> None:
    job.run("""
        from cloudtune.trial import report
        for n in range(250):
            report(acc=n)
    """)
    assert job.spoken == [("acc", float(n), n + 1) for n in range(150, 250)]
    assert [line["metrics"]["acc"] for line in job.kept] == list(range(250))


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
    assert len(job.spoken) <= 100
    assert steps_of(job.spoken)[-1] == last


def test_objectives_of_the_same_steps_are_published_unchanged(job: Job) -> None:
    job.study["objective"] = [LOSS, SIZE]
    job.run("from cloudtune.trial import report\nfor n in (1, 2): report(loss=n); report(size=-n)")
    assert job.spoken == [
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
    assert steps_of(job.spoken)[-1] == (300, {"loss": 0, "size": 300})
    assert job.kept[-1] == {"metrics": {"loss": 280.0, "size": 300.0}}


def test_the_best_value_is_published_at_its_step(job: Job) -> None:
    job.study["objective"]["select"] = "best"
    job.run("from cloudtune.trial import report\nfor n in (1, 3, 2): report(acc=n)")
    assert job.spoken == [("acc", 1.0, 1), ("acc", 3.0, 2), ("acc", 3.0, 3)]


def test_all_values_are_saved_also_those_that_are_not_finite(job: Job) -> None:
    job.study["trial"]["metrics"] = {"acc": r"acc=(\S+)", "loss": r"loss=(\S+)"}
    job.run("""
        from cloudtune.trial import report
        print("acc=0.5 loss=1", flush=True)
        report(acc=float("nan"), loss=float("inf"))
        report(acc=0.25, step=3)
    """)
    assert sorted(str(line) for line in job.kept) == [
        "{'metrics': {'acc': 0.25}, 'step': 3}",
        "{'metrics': {'acc': 0.5}}",
        "{'metrics': {'acc': nan, 'loss': inf}}",
        "{'metrics': {'loss': 1.0}}",
    ]


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
    job.job = "study-1" if driven else None
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
    kept = sorted(job.kept, key=lambda line: line["metrics"].get("acc", 9))
    assert kept == [
        {"metrics": {"acc": 0.0}, "step": 0},
        {"metrics": {"acc": 0.25}, "step": 1},
        {"metrics": {"acc": 0.5}, "step": 2},
        {"metrics": {"acc": 0.75}, "step": 9},
        {"metrics": {"loss": 3.0}, "step": 0},
        {"metrics": {"loss": 2.0}},
    ]
    assert job.metric_file.exists() != driven
    if not driven:
        steps = [("acc", 0.0, 0), ("acc", 0.25, 1), ("acc", 0.5, 2), ("acc", 0.75, 9)]
        assert sorted(job.spoken) == steps


def test_measurements_are_saved_while_the_script_runs(job: Job) -> None:
    job.job = "study-1"
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
        work = job.work
        wait_until(lambda: job.kept_file.exists() and len(job.kept) == 1)
        (work / "go").touch()
        wait_until(lambda: len(job.kept) == 2)  # some seconds later
        (work / "end").touch()
        process.communicate(timeout=200)
    assert job.kept == [
        {"metrics": {"acc": 0.5}},
        {"metrics": {"loss": 0.25}, "step": 2},
    ]


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
    job.kept_file.parent.mkdir(parents=True)
    job.kept_file.write_bytes(b'{"metrics": {"acc": 0.25}}\n{"metrics": {"a')
    job.run("from cloudtune.trial import report\nreport(acc=0.5)")
    assert job.kept == [
        {"metrics": {"acc": 0.25}},
        {"metrics": {}, "begins_anew": True},
        {"metrics": {"acc": 0.5}},
    ]


def test_a_restarted_machine_counts_on_from_a_checkpoint(job: Job) -> None:
    job.kept_file.parent.mkdir(parents=True)
    job.kept_file.write_bytes(b'{"metrics": {"acc": 0.25}}\n')
    checkpoints = job.gcs / "bucket" / "mine" / "output" / "7" / "checkpoints"
    checkpoints.mkdir(parents=True)
    (checkpoints / "epoch").write_text("1")
    job.run("from cloudtune.trial import report\nreport(acc=0.5)")
    assert job.kept == [{"metrics": {"acc": 0.25}}, {"metrics": {"acc": 0.5}}]


def test_the_best_of_a_machine_that_was_restarted_still_counts(job: Job) -> None:
    job.study["objective"]["select"] = "best"
    job.kept_file.parent.mkdir(parents=True)
    job.kept_file.write_bytes(b'{"metrics": {"acc": 0.75}}\n{"metrics": {"acc": NaN}}\n')
    job.run("from cloudtune.trial import report\nreport(acc=0.5)")
    assert job.spoken == [("acc", 0.75, 1)]


def test_an_unwritable_folder_fails_no_trial(job: Job) -> None:
    (job.gcs / "bucket" / "mine").write_text("in the way")
    code, _, err = job.run("""
        from cloudtune.trial import report
        report(acc=0.5)
    """)
    assert code == 0
    assert "cannot save the measurements: " in err
    assert job.spoken == [("acc", 0.5, 1)]


# The end.


def test_a_container_without_cloud_storage_is_reported(job: Job) -> None:
    (job.gcs / "bucket").rmdir()
    code, out, err = job.run("print('started')")
    assert (code, out) == (2, "")
    assert "check that the job's service account may use the bucket" in err
