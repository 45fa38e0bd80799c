"""The managed mode: one search, its state and its trials."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from cloudtune.provider.models import JobContext, JobRef, RawTrial
from cloudtune_watson.errors import WatsonError
from cloudtune_watson.wmla import response
from cloudtune_watson.wmla.tuning_client import TuningClient
from tests.cloudtune_watson import fake_watson as fake
from tests.cloudtune_watson import support


class Scene:
    """One search at the service as the test wants it."""

    def __init__(self, folder: Path, **over: Any) -> None:
        self.ibm = fake.FakeWmlaClient()
        self.plan = fake.planned("managed", over)
        self.folder = folder
        self.client = self.another()

    def another(self) -> TuningClient:
        return TuningClient(self.ibm, self.plan, JobContext(self.folder))

    def submit(self) -> JobRef:
        self.job = self.client.submit(self.plan.request)
        return self.job

    def trials(self) -> list[RawTrial]:
        return list(self.client.status(self.job).trials)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "train.py").write_text("print(1)\n", "utf-8")
    scene = Scene(tmp_path)
    scene.submit()
    return scene


METRICS = [
    {"name": "accuracy", "min": "0.1", "max": "0.75", "latest": "0.5"},
    {"name": "loss", "min": "1.0", "max": "9.0", "latest": "2.0"},
]


def test_the_code_is_submitted_in_one_folder(scene: Scene) -> None:
    ((request, code),) = scene.ibm.submitted
    assert request["file"] == f"{fake.JOB}.modelDir.tar"
    assert request["data"]["hpoName"] == fake.JOB
    with tarfile.open(fileobj=io.BytesIO(code)) as tar:
        names = tar.getnames()
    assert "trial/cloudtune_launch.py" in names
    assert "trial/source/train.py" in names
    assert {name.partition("/")[0] for name in names} == {"trial"}
    assert not list(scene.folder.glob("*.tar"))
    assert scene.job == JobRef("watson", fake.JOB)


def test_a_search_is_found_by_its_name(scene: Scene) -> None:
    assert scene.another().find(fake.JOB) == scene.job
    assert scene.another().find("another") is None


@pytest.mark.parametrize("fault", [fake.error(503), fake.error(401)])
def test_an_error_of_find_is_raised(scene: Scene, fault: WatsonError) -> None:
    scene.ibm.of.faults["get"] = [fault]
    with pytest.raises(WatsonError):
        scene.client.find(fake.JOB)


def test_a_trial(scene: Scene) -> None:
    scene.ibm.experiment(1, "RUNNING")
    (trial,) = scene.trials()
    assert (trial.number, trial.id, trial.state, trial.over) == (1, "app-1", "running", False)
    assert trial.parameters == {"lr": "0.25", "kind": "1e3"}
    assert trial.started == 1_700_002_001.5
    scene.ibm.experiment(1, "FINISHED", metrics=METRICS, metricVal=0.5, maxiteration=7)
    (trial,) = scene.trials()
    (measured,) = trial.measurements
    assert (measured.step, dict(measured.metrics)) == (7, {"accuracy": 0.5, "loss": 2.0})
    assert (trial.state, trial.word, trial.ended) == ("completed", "FINISHED", 1_700_009_000.5)


@pytest.mark.parametrize(("goal", "value"), [("maximize", 0.75), ("minimize", 0.1)])
def test_select_best_uses_the_best_value(tmp_path: Path, goal: str, value: float) -> None:
    objective = {"metric": "accuracy", "goal": goal, "select": "best"}
    scene = Scene(tmp_path, objective=objective)
    scene.submit()
    scene.ibm.experiment(1, "FINISHED", metrics=METRICS)
    (trial,) = scene.trials()
    assert trial.measurements[0].metrics == {"accuracy": value, "loss": 2.0}


def test_metricval_is_the_objective_if_no_metric_has_it(scene: Scene) -> None:
    scene.ibm.experiment(1, "FINISHED", metricVal="0.25")
    assert scene.trials()[0].measurements[0].metrics == {"accuracy": 0.25}
    scene.ibm.experiment(2, "FINISHED")
    assert not scene.trials()[1].measurements


def test_rungs_of_hyperband_have_their_resource() -> None:
    """A rung below the last one is no result that could be the best."""
    strategy = {"name": "hyperband", "resource": "epochs", "max": 9}
    study = support.study_of("wmla", {"strategy": strategy})
    experiments = [
        {
            "id": number,
            "state": "FINISHED",
            "hyperParams": [{"name": "epochs", "dataType": "str", "fixedVal": str(epochs)}],
            "metricVal": "0.5",
        }
        for number, epochs in ((1, 3), (2, 9))
    ]
    first, last = response.to_trials({"experiments": experiments}, study)
    assert [(t.state, t.resource) for t in (first, last)] == [
        ("stopped_early", 3),
        ("completed", 9),
    ]
    assert first.reason == "a rung of hyperband with epochs 3 of 9"
    assert [t.measurements[0].step for t in (first, last)] == [3, 9]


def test_trials_counted_from_0(scene: Scene) -> None:
    for number in (2, 0, 1):
        scene.ibm.experiment(number, "RUNNING")
    assert [(trial.number, trial.id) for trial in scene.trials()] == [
        (1, "app-0"),
        (2, "app-1"),
        (3, "app-2"),
    ]


def test_a_trial_without_parameters_is_omitted(scene: Scene) -> None:
    scene.ibm.experiment(1, "SUBMITTED", hyperParams=None)
    assert scene.trials() == []


def test_the_log_of_a_failed_trial_is_read_once(scene: Scene) -> None:
    scene.ibm.logs["app-1"] = "x" * 2_000 + "\nValueError: bad\n"
    scene.ibm.experiment(1, "FAILED")
    for _ in range(2):
        (trial,) = scene.trials()
        assert trial.state == "failed"
        assert trial.reason.endswith("ValueError: bad")
        assert len(trial.reason) <= 1_000
    assert scene.ibm.of.calls.count("log") == 1


def test_a_missing_log(scene: Scene) -> None:
    scene.ibm.of.always["log"] = fake.error(404)
    scene.ibm.experiment(1, "FAILED")
    assert scene.trials()[0].reason == "WML Accelerator gives no reason"


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("SUBMITTED", "pending"),
        ("RUNNING", "running"),
        ("RECOVERPEND", "running"),
        ("FINISHED", "completed"),
        ("FAILED", "failed"),
        ("STOPPED", "cancelled"),
        ("HIBERNATING", "unknown"),
    ],
)
def test_states_of_a_search(scene: Scene, word: str, state: str) -> None:
    scene.ibm.searches[fake.JOB]["state"] = word
    status = scene.client.status(scene.job)
    assert (status.state, status.word) == (state, word)
    assert bool(status.reason) == (state == "failed")


def test_the_reason_of_a_failed_search(scene: Scene) -> None:
    scene.ibm.searches[fake.JOB]["state"] = "FAILED"
    scene.ibm.experiment(1, "FINISHED", metrics=METRICS)
    assert scene.client.status(scene.job).reason.endswith("gives no reason")
    scene.ibm.logs["app-2"] = "Traceback\nValueError: bad\n"
    scene.ibm.experiment(2, "FAILED")
    scene.ibm.experiment(3, "FINISHED")
    assert scene.client.status(scene.job).reason == (
        "the search failed; 2 of its 3 trials failed, trial 2 with: ValueError: bad"
    )


def test_the_reason_of_a_search_without_measurements(scene: Scene) -> None:
    scene.ibm.searches[fake.JOB]["state"] = "FAILED"
    scene.ibm.experiment(1, "FINISHED")
    status = scene.client.status(scene.job)
    (trial,) = status.trials
    assert trial.reason
    assert status.reason.endswith(f"trial 1 with: {trial.reason}")


def test_stop_is_idempotent(scene: Scene) -> None:
    scene.client.stop(scene.job)
    scene.client.stop(scene.job)
    assert scene.client.status(scene.job).state == "cancelled"


def test_a_refused_stop_is_raised(scene: Scene) -> None:
    scene.ibm.of.faults["stop"] = [fake.error(400)]
    with pytest.raises(WatsonError):
        scene.client.stop(scene.job)


def test_a_missing_search_has_failed(scene: Scene) -> None:
    search = scene.ibm.searches.pop(fake.JOB)
    for _ in range(3):
        with pytest.raises(WatsonError) as raised:
            scene.client.status(scene.job)
        assert raised.value.retryable
    status = scene.client.status(scene.job)
    assert (status.state, "no longer exists" in status.reason) == ("failed", True)
    scene.ibm.searches[fake.JOB] = search
    assert scene.client.status(scene.job).state == "running"
