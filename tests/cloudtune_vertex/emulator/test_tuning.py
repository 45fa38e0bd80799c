"""Tuning jobs, through Google's own client."""

from __future__ import annotations

import json
import textwrap
import time
from typing import Any

import pytest

REPORT = """
    import json, os, sys, time
    trial = int(os.environ["CLOUD_ML_TRIAL_ID"])
    reports = []

    def report(step, **metrics):
        for name, value in metrics.items():
            reports.append({"global_step": str(step), name: str(value), "trial": str(trial),
                            "timestamp": time.time(), "checkpoint_path": ""})
        file = os.environ["CLOUD_ML_HP_METRIC_FILE"]
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with open(file, "w") as opened:
            opened.writelines(json.dumps(each, sort_keys=True) + "\\n" for each in reports[-100:])
"""


def script(body: str) -> str:
    """Return a script that can report as cloudml-hypertune does."""
    return textwrap.dedent(REPORT) + textwrap.dedent(body)


def state_of(job: Any) -> str:
    name: str = job.state.name
    return name


def by_number(job: Any) -> dict[str, Any]:
    return {trial.id: trial for trial in job.trials}


def final(trial: Any) -> dict[str, float]:
    return {metric.metric_id: metric.value for metric in trial.final_measurement.metrics}


def test_a_python_package_is_tuned(emulator: Any) -> None:
    code = script("import trainer; report(1, loss=1); print(sys.prefix, sys.argv[1:])")
    request = emulator.tuning(spec={"workerPoolSpecs": [emulator.package(code, "--steps=3")]})
    job = emulator.run(request)
    assert state_of(job) == "JOB_STATE_SUCCEEDED", job
    trials = by_number(job)
    assert trials.keys() == {"1", "2"}
    for trial in trials.values():
        assert trial.state.name == "SUCCEEDED"
        custom = emulator.get(trial.custom_job)
        assert state_of(custom) == "JOB_STATE_SUCCEEDED"
        printed = emulator.log(custom.name)
        folder = emulator.folder / "jobs" / custom.name.rpartition("/")[2]
        assert str(folder / "root" / "image") in printed
        values = {each.parameter_id: each.value for each in trial.parameters}
        flags = [f"--width={values['width']!r}", f"--depth={int(values['depth'])}"]
        assert str(["--steps=3", *flags]) in printed


def test_the_result_is_spelled_as_the_service_spells_it(emulator: Any) -> None:
    request = emulator.tuning(labels={"team": "blue"}, maxTrialCount=3)
    created = emulator.create(request)
    assert created.name.startswith("projects/1")  # the project's number, not its id
    assert state_of(created) == "JOB_STATE_PENDING"
    job = emulator.ended(created.name)
    assert job.name == created.name
    assert (job.display_name, dict(job.labels)) == (request["displayName"], {"team": "blue"})
    assert sorted(trial.id for trial in job.trials) == ["1", "2", "3"]
    assert [trial.id for trial in job.trials] != ["1", "2", "3"]
    raw = json.loads(emulator.types.HyperparameterTuningJob.to_json(job))
    for trial in raw["trials"]:
        values = {each["parameterId"]: each["value"] for each in trial["parameters"]}
        assert isinstance(values["depth"], float)
        assert not trial["name"]
        assert trial["measurements"] == []
        final_measurement = trial["finalMeasurement"]
        assert final_measurement["stepCount"] == "3"
        loss = (values["width"] - 1) ** 2 + values["depth"] - 0.3
        assert final_measurement["metrics"] == [{"metricId": "loss", "value": pytest.approx(loss)}]
    assert job.create_time <= job.start_time <= job.end_time


@pytest.mark.parametrize(("most", "state"), [(2, "FAILED"), (3, "SUCCEEDED")])
def test_another_tag_makes_a_trial_infeasible_which_counts_as_failed(
    emulator: Any, most: int, state: str
) -> None:
    code = script("report(1, **({'loss': 1} if trial == 3 else {'Loss': 0.5}))")
    request = emulator.tuning(code, maxTrialCount=3, parallelTrialCount=1, maxFailedTrialCount=most)
    job = emulator.run(request)
    assert state_of(job) == f"JOB_STATE_{state}"
    trials = by_number(job)
    assert len(trials) == most
    silent = [trials["1"], trials["2"]]
    assert [trial.state.name for trial in silent] == ["INFEASIBLE"] * 2
    assert not any("final_measurement" in trial for trial in silent)
    customs = [emulator.get(trial.custom_job) for trial in silent]
    assert [state_of(custom) for custom in customs] == ["JOB_STATE_SUCCEEDED"] * 2


@pytest.mark.parametrize(
    ("selection", "expected"),
    [(None, 4.0), ("LAST_MEASUREMENT", 4.0), ("BEST_MEASUREMENT", 1.0)],
)
def test_which_measurement_counts(emulator: Any, selection: str | None, expected: float) -> None:
    code = script("for step, loss in enumerate((3, 1, 4), 1): report(step, loss=loss)")
    request = emulator.tuning(
        code, study={"measurementSelectionType": selection}, maxTrialCount=1, maxFailedTrialCount=1
    )
    (trial,) = emulator.run(request).trials
    assert final(trial) == {"loss": expected}


def test_every_metric_must_be_measured(emulator: Any) -> None:
    metrics = [{"metricId": name, "goal": "MAXIMIZE"} for name in ("accuracy", "recall")]
    code = script("""
        report(1, accuracy=0.5, recall=0.25)
        report(2, **({"accuracy": 1} if trial == 1 else {"accuracy": 1, "recall": 0.75}))
    """)
    trials = by_number(emulator.run(emulator.tuning(code, study={"metrics": metrics})))
    assert final(trials["1"]) == {"accuracy": 0.5, "recall": 0.25}
    assert final(trials["2"]) == {"accuracy": 1.0, "recall": 0.75}


def test_conditional_parameters_are_flags_only_where_they_are_active(emulator: Any) -> None:
    parameters = [
        {
            "parameterId": "kernel",
            "categoricalValueSpec": {"values": ["linear", "rbf"]},
            "conditionalParameterSpecs": [
                {
                    "parentCategoricalValues": {"values": ["rbf"]},
                    "parameterSpec": {
                        "parameterId": "layers",
                        "discreteValueSpec": {"values": [1, 2, 4]},
                        "conditionalParameterSpecs": [
                            {
                                "parentDiscreteValues": {"values": [2, 4]},
                                "parameterSpec": {
                                    "parameterId": "drop",
                                    "integerValueSpec": {"minValue": "0", "maxValue": "1"},
                                },
                            }
                        ],
                    },
                }
            ],
        }
    ]
    request = emulator.tuning(
        script("report(1, loss=1); print(sys.argv[1:])"),
        study={"parameters": parameters, "algorithm": "GRID_SEARCH"},
        maxTrialCount=50,
        parallelTrialCount=3,
    )
    job = emulator.run(request)
    seen: set[str] = set()
    for trial in job.trials:
        words = [
            f"--{each.parameter_id}={word if isinstance(word := each.value, str) else int(word)}"
            for each in trial.parameters
        ]
        assert str(words) in emulator.log(trial.custom_job)
        seen.add(" ".join(words))
    assert seen == {
        "--kernel=linear",
        "--kernel=rbf --layers=1",
        *(f"--kernel=rbf --layers={n} --drop={d}" for n in (2, 4) for d in (0, 1)),
    }
    assert len(job.trials) == len(seen)  # a grid ends where it is complete


def test_lists_have_no_trials(emulator: Any) -> None:
    job = emulator.run(emulator.tuning(labels={"only": "this"}))
    parent = job.name.rpartition("/hyper")[0]
    assert parent != "projects/team/locations/us-central1"
    for place in (parent, "projects/team/locations/us-central1"):
        (listed,) = emulator.jobs.list_hyperparameter_tuning_jobs(
            request={"parent": place, "filter": "labels.only=this"}
        )
        assert listed.name == job.name
        assert not listed.trials
        assert listed.study_spec == job.study_spec
    assert len(job.trials) == 2


def test_a_cancelled_job_passes_through_cancelling(emulator: Any) -> None:
    code = script("""
        import signal
        go = os.environ["CLOUDTUNE_GCS"] + "/team-bucket/cancelling/trials"
        def end(*_):
            while not os.path.exists(go):
                time.sleep(0.05)
            sys.exit()
        signal.signal(signal.SIGTERM, end)
        report(1, loss=1)
        print("ready", flush=True)
        time.sleep(600)
    """)
    name = emulator.create(emulator.tuning(code, maxTrialCount=5)).name
    emulator.until(
        lambda: ["ready" in emulator.log(each.custom_job) for each in emulator.get(name).trials],
        [True, True].__eq__,
    )
    emulator.jobs.cancel_hyperparameter_tuning_job(name=name)
    assert state_of(emulator.get(name)) == "JOB_STATE_CANCELLING"
    emulator.jobs.cancel_hyperparameter_tuning_job(name=name)  # once more changes nothing
    assert state_of(emulator.get(name)) == "JOB_STATE_CANCELLING"
    emulator.bucket.blob("cancelling/trials").upload_from_string("")
    job = emulator.ended(name)
    assert state_of(job) == "JOB_STATE_CANCELLED"
    assert job.error.code == 1
    assert [trial.state.name for trial in job.trials] == ["INFEASIBLE"] * 2
    states = {state_of(emulator.get(trial.custom_job)) for trial in job.trials}
    assert states == {"JOB_STATE_CANCELLED"}
    exceptions: Any = pytest.importorskip("google.api_core.exceptions")
    with pytest.raises(exceptions.BadRequest, match="cannot be cancelled"):
        emulator.jobs.cancel_hyperparameter_tuning_job(name=name)


FAILING = script("""
    if trial in (2, 3):
        print("no luck", file=sys.stderr)
        sys.exit(7)
    report(1, loss=trial)
""")


def test_as_many_failed_trials_as_named_fail_the_job(emulator: Any) -> None:
    request = emulator.tuning(FAILING, maxTrialCount=9, parallelTrialCount=1, maxFailedTrialCount=2)
    job = emulator.run(request)
    assert state_of(job) == "JOB_STATE_FAILED"
    assert job.error.code == 3
    assert "Hyperparameter Tuning Trial #3 failed" in job.error.message
    assert "reaches the user-specified limit of 2" in job.error.message
    trials = by_number(job)
    assert {number: trial.state.name for number, trial in trials.items()} == {
        "1": "SUCCEEDED",
        "2": "INFEASIBLE",
        "3": "INFEASIBLE",
    }
    custom = emulator.get(trials["2"].custom_job)
    assert state_of(custom) == "JOB_STATE_FAILED"
    assert custom.error.code == 3
    assert "workerpool0-0 exited with a non-zero status of 7" in custom.error.message
    assert "no luck" in custom.error.message


def test_fewer_failed_trials_do_not_fail_the_job(emulator: Any) -> None:
    request = emulator.tuning(FAILING, maxTrialCount=4, parallelTrialCount=1, maxFailedTrialCount=3)
    job = emulator.run(request)
    assert state_of(job) == "JOB_STATE_SUCCEEDED"
    assert len(job.trials) == 4


def test_without_a_number_the_first_failed_trial_fails_the_job(emulator: Any) -> None:
    code = script("sys.exit(1)")
    job = emulator.run(emulator.tuning(code, maxTrialCount=5, maxFailedTrialCount=0))
    assert state_of(job) == "JOB_STATE_FAILED"
    assert len(job.trials) <= 2


def test_without_a_number_a_later_failed_trial_may_do_no_harm(emulator: Any) -> None:
    code = script("if trial == 2: sys.exit(1)\nreport(1, loss=1)")
    request = emulator.tuning(code, maxTrialCount=3, parallelTrialCount=1, maxFailedTrialCount=0)
    job = emulator.run(request)
    assert state_of(job) == "JOB_STATE_SUCCEEDED"
    assert len(job.trials) == 3


def test_the_median_rule_stops_a_trial_that_does_badly(emulator: Any) -> None:
    code = script("""
        for step in range(1, 4):
            report(step, loss=trial if trial < 7 else 1000)
        if trial == 7:
            time.sleep(600)
    """)
    request = emulator.tuning(
        code,
        study={"medianAutomatedStoppingSpec": {}},
        maxTrialCount=7,
        parallelTrialCount=1,
    )
    job = emulator.run(request)
    last = by_number(job)["7"]
    assert state_of(job) == "JOB_STATE_SUCCEEDED"
    assert last.state.name == "SUCCEEDED"
    assert final(last) == {"loss": 1000.0}
    assert state_of(emulator.get(last.custom_job)) == "JOB_STATE_CANCELLED"


@pytest.mark.parametrize(
    ("stopping", "trials"),
    [
        ({"maxNumTrialsNoProgress": 2}, 3),
        ({"maxNumTrialsNoProgress": 2, "minNumTrials": 5}, 5),
        ({"maxNumTrials": 3}, 4),
        ({"maximumRuntimeConstraint": {"endTime": "2020-01-01T00:00:00Z"}, "minNumTrials": 2}, 2),
        ({"maxDurationNoProgress": "0s"}, 1),
    ],
)
def test_a_study_stops_by_its_own_rules(
    emulator: Any, stopping: dict[str, Any], trials: int
) -> None:
    request = emulator.tuning(
        script("report(1, loss=trial)"),
        study={"studyStoppingConfig": stopping},
        maxTrialCount=9,
        parallelTrialCount=1,
    )
    job = emulator.run(request)
    assert state_of(job) == "JOB_STATE_SUCCEEDED"
    assert len(job.trials) == trials


RUNS_2S: dict[str, Any] = {"maximumRuntimeConstraint": {"maxDuration": "2s"}}


@pytest.mark.parametrize("now", [True, False])
def test_running_trials_end_with_their_study_only_where_that_is_wanted(
    emulator: Any, *, now: bool
) -> None:
    """The first to end lets the rules be looked at, since another trial is to be made."""
    code = script(f"""
        report(1, loss=1)
        ready = os.environ["CLOUDTUNE_GCS"] + "/team-bucket/second-is-ready-{now}"
        if trial == 2:
            open(ready, "w").close()
        while not os.path.exists(ready):
            time.sleep(0.05)
        time.sleep(3 if trial == 1 else {600 if now else 6})
        report(2, loss=2)
    """)
    stopping = {**RUNS_2S, "shouldStopAsap": now}
    request = emulator.tuning(
        code, study={"studyStoppingConfig": stopping}, maxTrialCount=9, parallelTrialCount=2
    )
    job = emulator.run(request)
    assert state_of(job) == "JOB_STATE_SUCCEEDED"
    found = {number: final(trial)["loss"] for number, trial in by_number(job).items()}
    assert found == {"1": 2.0, "2": 1.0 if now else 2.0}


def test_time_does_not_end_trials_where_no_further_one_is_to_be_made(emulator: Any) -> None:
    code = script("report(1, loss=1); time.sleep(3 + trial); report(2, loss=2)")
    stopping = {**RUNS_2S, "shouldStopAsap": True}
    request = emulator.tuning(
        code, study={"studyStoppingConfig": stopping}, maxTrialCount=2, parallelTrialCount=2
    )
    job = emulator.run(request)
    assert state_of(job) == "JOB_STATE_SUCCEEDED"
    assert [final(trial)["loss"] for trial in job.trials] == [2.0] * 2


def test_a_trial_has_its_own_output_folder_and_the_variables_of_the_service(emulator: Any) -> None:
    code = script("""
        folder = os.environ["AIP_CHECKPOINT_DIR"]
        local = folder.replace("gs://", os.environ["CLOUDTUNE_GCS"] + "/")
        os.makedirs(local)
        with open(local + "state.json", "w") as file:
            json.dump({name: value for name, value in os.environ.items()
                       if name.startswith(("AIP_", "CLOUD_ML_", "CLUSTER"))}, file)
        report(1, loss=1)
    """)
    request = emulator.tuning(code)
    base = request["trialJobSpec"]["baseOutputDirectory"]["outputUriPrefix"]
    job = emulator.run(request)
    for number, trial in by_number(job).items():
        path = f"{base}/{number}/checkpoints/state.json".removeprefix("gs://team-bucket/")
        told = json.loads(emulator.bucket.blob(path).download_as_text())
        assert told["AIP_MODEL_DIR"] == f"{base}/{number}/model/"
        assert told["AIP_CHECKPOINT_DIR"] == f"{base}/{number}/checkpoints/"
        assert told["AIP_TENSORBOARD_LOG_DIR"] == f"{base}/{number}/logs/"
        assert told["CLOUD_ML_JOB_ID"] == trial.custom_job.rpartition("/")[2]
        assert told["CLOUD_ML_TRIAL_ID"] == number
        assert told["CLOUD_ML_HP_METRIC_TAG"] == "loss"
        assert json.loads(told["CLUSTER_SPEC"])["task"] == {
            "type": "workerpool0",
            "index": 0,
            "trial": number,
        }


def test_only_the_last_hundred_reports_are_kept(emulator: Any) -> None:
    code = script("for step in range(1, 151): report(step, loss=step)")
    request = emulator.tuning(
        code,
        study={"measurementSelectionType": "BEST_MEASUREMENT"},
        maxTrialCount=1,
        maxFailedTrialCount=1,
    )
    (trial,) = emulator.run(request).trials
    assert 1.0 <= final(trial)["loss"] <= 51.0  # as soon as it was looked at, or never


def test_ended_jobs_stay_as_they_ended(emulator: Any) -> None:
    until = {"maximumRuntimeConstraint": {"maxDuration": "6s"}, "shouldStopAsap": True}
    good = emulator.run(emulator.tuning(study={"studyStoppingConfig": until}))
    bad = emulator.run(emulator.tuning(script("sys.exit(1)"), maxFailedTrialCount=1))
    assert state_of(good) == "JOB_STATE_SUCCEEDED"
    assert state_of(bad) == "JOB_STATE_FAILED"
    exceptions: Any = pytest.importorskip("google.api_core.exceptions")
    for job in (good, bad):
        with pytest.raises(exceptions.BadRequest):
            emulator.jobs.cancel_hyperparameter_tuning_job(name=job.name)
        for trial in job.trials:
            with pytest.raises(exceptions.BadRequest):
                emulator.jobs.cancel_custom_job(name=trial.custom_job)
    time.sleep(max(0.0, good.create_time.timestamp() + 6.5 - time.time()))
    assert emulator.get(good.name) == good
    assert emulator.get(bad.name) == bad
    assert all(trial.end_time for trial in (*good.trials, *bad.trials))


def test_a_running_job_that_is_deleted_ends(emulator: Any) -> None:
    code = script("print(os.getpid(), flush=True); time.sleep(600)")
    name = emulator.create(emulator.tuning(code)).name
    emulator.until(lambda: len(emulator.get(name).trials), (2).__eq__)
    trial = emulator.get(name).trials[0]
    pid = emulator.printed_pid(trial.custom_job)
    emulator.jobs.delete_hyperparameter_tuning_job(name=name).result(timeout=200)
    exceptions: Any = pytest.importorskip("google.api_core.exceptions")
    for gone in (name, trial.custom_job):
        with pytest.raises(exceptions.NotFound):
            emulator.get(gone)
    emulator.until(lambda: emulator.runs(pid), False.__eq__)


def test_a_deleted_job_is_gone_with_its_trials(emulator: Any) -> None:
    job = emulator.run(emulator.tuning())
    emulator.jobs.delete_hyperparameter_tuning_job(name=job.name).result(timeout=200)
    exceptions: Any = pytest.importorskip("google.api_core.exceptions")
    for name in (job.name, job.trials[0].custom_job):
        with pytest.raises(exceptions.NotFound):
            emulator.get(name)
