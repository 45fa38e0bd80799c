"""The managed mode: one search, its state and its trials."""

from __future__ import annotations

import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudtune.provider.models import JobRef, RawTrial
from cloudtune.study.schema import Json
from cloudtune_watson.emulator import views
from cloudtune_watson.errors import WatsonError
from cloudtune_watson.wmla import response
from cloudtune_watson.wmla.tuning_client import TuningClient
from tests.cloudtune_watson import support
from tests.cloudtune_watson.played import Played
from tests.played_service import starting

Play = Callable[..., "Harness"]


class Harness:
    """One search of the emulator, whose description the test changes."""

    def __init__(self, service: Played, patch: pytest.MonkeyPatch) -> None:
        self.service = service
        self.faults = service.faults
        self.plan = service.plan
        self.name = self.plan.facts.job_name
        self.rows: dict[int, Json] = {}
        self.state: str | None = None
        self.client = self.another()
        describe = views.search

        def described(search: Any, *, standalone: bool) -> Json:
            search = describe(search, standalone=standalone)
            state = self.state or search["state"]
            return {**search, "state": state, "experiments": list(self.rows.values())}

        patch.setattr(views, "search", described)

    def another(self) -> TuningClient:
        return TuningClient(self.service.wmla, self.plan, self.service.context)

    def submit(self) -> JobRef:
        self.job = self.client.submit(self.plan.request)
        (tuner,) = self.service.operations.tuners.values()
        self.search = tuner.job
        self.search.enter("RUNNING")
        return self.job

    def trials(self) -> list[RawTrial]:
        return list(self.client.status(self.job).trials)

    def experiment(self, number: int, state: str, log: str = "", **fields: Any) -> None:
        """Let a trial be in a state, or enter it."""
        if number not in self.rows:
            self.service.add_trials(number, values={"p0": 0.25, "p1": "1e3"})
            job = self.search.experiments[-1].job
            job.log.parent.mkdir(parents=True)
            self.rows[number] = {
                "id": number,
                "appId": job.id,
                "hyperParams": [
                    {"name": "lr", "dataType": "double", "fixedVal": "0.25", "userDefined": False},
                    {"name": "kind", "dataType": "str", "fixedVal": "1e3", "userDefined": False},
                ],
                "startTime": "2023-11-14T22:46:41.500Z",
            }
        if log:
            self.search.experiments[list(self.rows).index(number)].job.log.write_text(log)
        end = {"endTime": "2023-11-15T00:43:20.500Z"} if state in {"FINISHED", "FAILED"} else {}
        self.rows[number] |= {"state": state, **end, **fields}


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Play]:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "train.py").write_text("print(1)\n", "utf-8")
    with starting(Played, tmp_path, monkeypatch) as start:

        def play(**over: Any) -> Harness:
            service = start({"trial": {"script": "train.py"}, **over}, mode="managed")
            harness = Harness(service, monkeypatch)
            harness.submit()
            return harness

        yield play


@pytest.fixture
def harness(play: Play) -> Harness:
    return play()


METRICS = [
    {"name": "accuracy", "min": "0.1", "max": "0.75", "latest": "0.5"},
    {"name": "loss", "min": "1.0", "max": "9.0", "latest": "2.0"},
]


def test_the_code_is_submitted_in_one_folder(harness: Harness) -> None:
    search = harness.search
    assert search.file_name == f"{harness.name}.modelDir.tar"
    assert search.data["hpoName"] == harness.name
    with tarfile.open(search.archive) as tar:
        names = tar.getnames()
    assert "trial/cloudtune_launch.py" in names
    assert "trial/source/train.py" in names
    assert {name.partition("/")[0] for name in names} == {"trial"}
    assert not list(harness.service.folder.glob("*.tar"))
    assert harness.job == JobRef("watson", harness.name)


def test_a_search_is_found_by_its_name(harness: Harness) -> None:
    assert harness.another().find(harness.name) == harness.job
    assert harness.another().find("another") is None


@pytest.mark.parametrize("effect", ["error", "deny"])
def test_an_error_of_find_is_raised(harness: Harness, effect: str) -> None:
    harness.faults.always["GetSearch"] = effect
    with pytest.raises(WatsonError):
        harness.client.find(harness.name)


def test_a_trial(harness: Harness) -> None:
    harness.experiment(1, "RUNNING")
    (trial,) = harness.trials()
    assert (trial.number, trial.state, trial.over) == (1, "running", False)
    assert trial.id == harness.search.experiments[0].job.id
    assert trial.parameters == {"lr": "0.25", "kind": "1e3"}
    assert trial.started == 1_700_002_001.5
    harness.experiment(1, "FINISHED", metrics=METRICS, metricVal=0.5, maxiteration=7)
    (trial,) = harness.trials()
    (measured,) = trial.measurements
    assert (measured.step, dict(measured.metrics)) == (7, {"accuracy": 0.5, "loss": 2.0})
    assert (trial.state, trial.word, trial.ended) == ("completed", "FINISHED", 1_700_009_000.5)


@pytest.mark.parametrize(("goal", "value"), [("maximize", 0.75), ("minimize", 0.1)])
def test_select_best_uses_the_best_value(play: Play, goal: str, value: float) -> None:
    objective = {"metric": "accuracy", "goal": goal, "select": "best"}
    harness = play(objective=objective)
    harness.experiment(1, "FINISHED", metrics=METRICS)
    (trial,) = harness.trials()
    assert trial.measurements[0].metrics == {"accuracy": value, "loss": 2.0}


def test_metricval_is_the_objective_if_no_metric_has_it(harness: Harness) -> None:
    harness.experiment(1, "FINISHED", metricVal="0.25")
    assert harness.trials()[0].measurements[0].metrics == {"accuracy": 0.25}
    harness.experiment(2, "FINISHED")
    assert not harness.trials()[1].measurements


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


def test_trials_counted_from_0(harness: Harness) -> None:
    for number in (2, 0, 1):
        harness.experiment(number, "RUNNING")
    ids = [harness.rows[number]["appId"] for number in range(3)]
    assert [(trial.number, trial.id) for trial in harness.trials()] == [*enumerate(ids, start=1)]


def test_a_trial_without_parameters_is_omitted(harness: Harness) -> None:
    harness.experiment(1, "SUBMITTED", hyperParams=None)
    assert harness.trials() == []


def test_the_log_of_a_failed_trial_is_read_once(harness: Harness) -> None:
    harness.experiment(1, "FAILED", log="x" * 2_000 + "\nValueError: bad\n")
    for _ in range(2):
        (trial,) = harness.trials()
        assert trial.state == "failed"
        assert trial.reason.endswith("ValueError: bad")
        assert len(trial.reason) <= 1_000
    assert harness.faults.calls.count("GetExecLog") == 1


def test_a_missing_log(harness: Harness) -> None:
    harness.experiment(1, "FAILED", appId="gone")
    assert harness.trials()[0].reason == "WML Accelerator gives no reason"


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
def test_states_of_a_search(harness: Harness, word: str, state: str) -> None:
    harness.state = word
    status = harness.client.status(harness.job)
    assert (status.state, status.word) == (state, word)
    assert bool(status.reason) == (state == "failed")


def test_the_reason_of_a_failed_search(harness: Harness) -> None:
    harness.state = "FAILED"
    harness.experiment(1, "FINISHED", metrics=METRICS)
    assert harness.client.status(harness.job).reason.endswith("gives no reason")
    harness.experiment(2, "FAILED", log="Traceback\nValueError: bad\n")
    harness.experiment(3, "FINISHED")
    assert harness.client.status(harness.job).reason == (
        "the search failed; 2 of its 3 trials failed, trial 2 with: ValueError: bad"
    )


def test_the_reason_of_a_search_without_measurements(harness: Harness) -> None:
    harness.state = "FAILED"
    harness.experiment(1, "FINISHED")
    status = harness.client.status(harness.job)
    (trial,) = status.trials
    assert trial.reason
    assert status.reason.endswith(f"trial 1 with: {trial.reason}")


def test_stop_is_idempotent(harness: Harness) -> None:
    harness.client.stop(harness.job)
    harness.search.enter("STOPPED")
    harness.client.stop(harness.job)
    assert harness.client.status(harness.job).state == "cancelled"


def test_a_refused_stop_is_raised(harness: Harness) -> None:
    harness.faults.always["StopSearch"] = "deny"
    with pytest.raises(WatsonError):
        harness.client.stop(harness.job)


def test_a_missing_search_has_failed(harness: Harness) -> None:
    tuners = harness.service.operations.tuners
    tuner = tuners.pop(harness.name)
    for _ in range(3):
        with pytest.raises(WatsonError) as raised:
            harness.client.status(harness.job)
        assert raised.value.retryable
    status = harness.client.status(harness.job)
    assert (status.state, "no longer exists" in status.reason) == ("failed", True)
    tuners[harness.name] = tuner
    assert harness.client.status(harness.job).state == "running"


def test_calls_of_polls_of_a_hundred_trials(harness: Harness) -> None:
    for state, polls, logs in (("RUNNING", 1, 0), ("FAILED", 2, 100)):
        for number in range(100):
            harness.experiment(number, state)
        harness.faults.calls.clear()
        for _ in range(polls):
            assert len(harness.trials()) == 100
        calls = Counter(harness.faults.calls)
        assert (calls["GetSearch"], calls["GetExecLog"], calls.total()) == (
            *(polls, logs, polls + logs),
        )
