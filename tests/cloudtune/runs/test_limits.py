"""Limits of a run change while it goes on, and are those of the study from then on."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cloudtune.errors import StudyError, UnsupportedError, UsageError
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.run_ids import new_run_id
from cloudtune.planning.planner import plan
from cloudtune.provider.plan import Plan
from cloudtune.results.events import Ended, Event, Started
from cloudtune.results.model import StudyResult
from cloudtune.runs import follow, lifecycle
from cloudtune.runs.limits import change_limits, new_change_id, set_limits
from cloudtune.runs.resume import prepare
from cloudtune.study.study import Study
from cloudtune.testing.provider_contract import stop_emulators
from tests.waiting import wait_until

SCRIPT = """
import os, time
from cloudtune.trial import params, report
while not os.path.exists({go!r}):
    time.sleep(0.01)
report(loss=params()["x"], step=1)
"""


@pytest.fixture(autouse=True)
def _isolate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    yield
    stop_emulators(tmp_path / "state")


def create(folder: Path, *on: str, **blocks: Any) -> str:
    """Create a run whose trials end when there is a file ``go``."""
    code = folder / "code"
    code.mkdir()
    (code / "train.py").write_text(SCRIPT.format(go=str(folder / "go")))
    study = Study.model_validate(
        {
            "name": "limits",
            "objective": {"metric": "loss", "goal": "minimize"},
            "parameters": {"x": {"type": "int", "min": 0, "max": 100}},
            "strategy": {"name": "random", "seed": 1},
            "limits": {"max_trials": 2},
            "trial": {"script": "train.py", "source": "code"},
            **blocks,
        }
    )
    providers = on or ("local",)
    run = new_run_id()
    plans = [
        plan(study, name, base=folder, run_id=run, emulated=name != "local") for name in providers
    ]
    return lifecycle.create(plans).id


@contextmanager
def executed(run: str, on: str | None = None) -> Generator[None]:
    """Execute a run in another thread during the block, and to its end after it."""
    errors: list[BaseException] = []

    def execute() -> None:
        try:
            lifecycle.execute(run)
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)

    thread = threading.Thread(target=execute)
    thread.start()
    try:
        wait_for_starts(run, 1, on)
        yield
    finally:
        Path("go").touch()
        thread.join()
    assert not errors


def wait_for_starts(run: str, count: int, on: str | None = None) -> None:
    while starts(run, on) < count:
        time.sleep(0.02)


def starts(run: str, on: str | None = None) -> int:
    with Ledger() as ledger:
        events = ledger.events(run, on or ledger.run(run).jobs[0].provider)
        return sum(isinstance(event, Started) for _, event in events)


def result(run: str) -> StudyResult:
    return lifecycle.results(run)[0]


@pytest.mark.parametrize("on", ["local", "ray"])
def test_a_run_that_goes_on_has_new_limits_at_once(tmp_path: Path, on: str) -> None:
    run = create(tmp_path, on)
    with executed(run):
        change = set_limits(run, ["limits.max_trials=5", "limits.parallel_trials=3"])
        assert change.is_running
        assert change.fields == {
            "limits.max_trials": [2, 5],
            "limits.parallel_trials": [None, 3],
        }
        wait_for_starts(run, 3)  # none has ended
        set_limits(run, ["limits.max_trials=4"])
    ended = result(run)
    assert (ended.state, len(ended.trials)) == ("completed", 4)
    assert {trial.state for trial in ended.trials} == {"completed"}
    assert ended.study.limits.max_trials == 4
    assert [change["fields"] for change in ended.changes or ()] == [
        {"limits.max_trials": [2, 5], "limits.parallel_trials": [None, 3]},
        {"limits.max_trials": [5, 4]},
    ]


def test_watch_counts_to_the_new_limit(tmp_path: Path) -> None:
    run = create(tmp_path)
    command = [sys.executable, "-m", "cloudtune", "watch", run]
    with executed(run):
        watch = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert watch.stderr is not None
        begun = watch.stderr.readline()
        set_limits(run, ["limits.max_trials=4"])
    shown = watch.communicate()[1]
    assert f"run {run}" in begun
    assert [line[:5] for line in shown.splitlines() if line.startswith("[")] == [
        f"[{n}/4]" for n in range(1, 5)
    ]


def test_watch_shows_no_event_with_older_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They change, and a trial ends, right before the events are read."""
    run = create(tmp_path)
    limits: list[int | None] = []
    seen: list[int | None] = []

    class Late(Ledger):
        def events(self, run: str, provider: str, after: int = 0) -> Any:
            if after and not Path("go").exists():
                set_limits(run, ["limits.max_trials=4"])
                Path("go").touch()
                wait_until(lambda: result(run).trials[0].state == "completed")
            return super().events(run, provider, after)

    class Watching:
        def begin(self, plan: Plan, events: object, elapsed: float) -> None:
            limits.append(plan.study.limits.max_trials)

        def events(self, provider: str, events: object) -> None:
            seen.append(limits[-1])

        def end(self, provider: str, outcome: object) -> None: ...

        def message(self, text: str) -> None: ...

    monkeypatch.setattr(follow, "Ledger", Late)
    with executed(run):
        follow.follow(run, Watching())
    assert limits == [2, 4]
    assert {*seen} == {4}


@pytest.mark.parametrize("name", ["grid", "bayesian", "genetic", "hyperband"])
def test_each_strategy_goes_on_with_other_limits(tmp_path: Path, name: str) -> None:
    more: dict[str, Any] = {"max": 3} if name == "hyperband" else {}
    seed = {} if name == "grid" else {"seed": 1}
    run = create(tmp_path, strategy={"name": name, **more, **seed}, limits={"max_trials": 3})
    with executed(run):
        set_limits(run, ["limits.max_trials=8", "limits.parallel_trials=2"])
    ended = result(run)
    assert (ended.state, len(ended.trials)) == ("completed", 8), ended.reason


def test_fewer_trials_than_there_are_end_the_run_without_stopping_any(tmp_path: Path) -> None:
    run = create(tmp_path, limits={"max_trials": 9, "parallel_trials": 3})
    with executed(run):
        wait_for_starts(run, 3)
        set_limits(run, ["limits.max_trials=1"])
    ended = result(run)
    assert (ended.state, [trial.state for trial in ended.trials]) == (
        "completed",
        ["completed"] * 3,
    )


def test_a_new_time_limit_also_counts_for_running_trials(tmp_path: Path) -> None:
    run = create(tmp_path)
    with executed(run):
        set_limits(run, ["limits.trial_timeout=0.1s", "limits.max_failed_trials=0"])
        while result(run).state == "running":
            time.sleep(0.02)
    (trial,) = result(run).trials
    assert (trial.state, trial.reason) == ("failed", "its trial_timeout was reached")


def test_a_run_that_does_not_go_on_has_them_when_it_is_resumed(tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    run = create(tmp_path)
    lifecycle.execute(run)
    change = set_limits(None, ["limits.max_trials=4"])
    assert (change.run, change.is_running, change.ended) == (run, False, ("local",))
    assert (result(run).state, len(result(run).trials)) == ("completed", 2)
    with Ledger() as ledger:
        record = ledger.run(run)
    prepare(record)
    lifecycle.execute(run)
    assert len(result(run).trials) == 4
    assert set_limits(run, ["limits.max_trials=4"]).fields == {}
    prepare(record, ["limits.max_trials=5"])
    assert len(result(run).changes or ()) == 2


def test_an_ended_run_stays_so_if_other_limits_start_nothing(tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    run = create(tmp_path)
    lifecycle.execute(run)
    for name in ("set", "resume"):
        set_limits(run, [f"limits.trial_timeout={len(name)}h"])
        assert result(run).state == "completed"
        with Ledger() as ledger:
            prepare(ledger.run(run), ["limits.max_trials=1"] if name == "resume" else [])
        assert result(run).state == "completed"
        lifecycle.execute(run)
        assert (result(run).state, len(result(run).trials)) == ("completed", 2)
        with Ledger() as ledger:
            assert not ledger.run(run).jobs[0].has_new_limits


@pytest.mark.slow
def test_a_job_that_has_ended_stays_so_while_another_goes_on(tmp_path: Path) -> None:
    limits = {"trial_timeout": "0.1s", "max_failed_trials": 0}
    run = create(tmp_path, "local", "ray", providers={"local": {"limits": limits}})
    with executed(run, "ray"):
        wait_until(lambda: lifecycle.results(run)[0].state == "failed")
        assert set_limits(run, ["limits.max_trials=3"]).ended == ("local",)
        wait_until(lambda: lifecycle.results(run)[1].study.limits.max_trials == 3)
        assert lifecycle.results(run)[0].state == "failed"
    local, ray = lifecycle.results(run)
    assert (local.state, len(local.trials)) == ("failed", 1)
    assert (ray.state, len(ray.trials)) == ("completed", 3)


def test_a_change_that_comes_too_late_is_left_to_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "go").touch()
    run = create(tmp_path)
    append = Ledger.append

    def change_before_the_last_end(ledger: Ledger, run: str, provider: str, *events: Event) -> None:
        if any(isinstance(event, Ended) and event.number == 2 for event in events):
            with Ledger() as other:
                overrides = ["limits.max_trials=3"]
                change_limits(other, run, overrides, new_change_id(), is_running=True)
        append(ledger, run, provider, *events)

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "append", change_before_the_last_end)
        lifecycle.execute(run)
    ended = result(run)
    assert (ended.state, len(ended.trials)) == ("pending", 2)
    assert "its limits changed when it was ending" in ended.reason
    lifecycle.execute(run)
    assert (result(run).state, len(result(run).trials)) == ("completed", 3)


@pytest.mark.parametrize(
    ("overrides", "error", "problem"),
    [
        (["strategy.seed=3"], UsageError, "only limits of a run can be changed"),
        (["limits.max_trials=0"], StudyError, "must be at least 1"),
        (["limits.max_trails=9"], StudyError, "max_trials"),
        (["limits.max_cost=3USD"], UnsupportedError, "price of this machine"),
        ([f"limits.max_trials={'9' * 5000}"], UsageError, "too long"),
    ],
)
@pytest.mark.parametrize("is_running", [False, True])
def test_a_limit_is_checked_like_that_of_a_study(
    tmp_path: Path,
    overrides: Sequence[str],
    error: type[Exception],
    problem: str,
    is_running: bool,
) -> None:
    run = create(tmp_path)

    def check() -> None:
        with pytest.raises(error, match=problem):
            set_limits(run, overrides)

    if is_running:
        with executed(run):
            check()
    else:
        check()
    assert result(run).changes is None


def test_limits_of_a_job_that_its_service_drives_are_refused(tmp_path: Path) -> None:
    providers = {"sagemaker": {"mode": "managed"}}
    run = create(tmp_path, "sagemaker", providers=providers)
    set_limits(run, ["limits.max_trials=3"])  # it has not been sent yet
    with Ledger() as ledger:
        ledger.set_job_name(run, "sagemaker", "job-1")
    with pytest.raises(UsageError, match=rf"job-1 on sagemaker cannot be changed.*{run}"):
        set_limits(run, ["limits.max_trials=4"])


def test_a_limit_is_refused_where_that_of_the_provider_counts(tmp_path: Path) -> None:
    run = create(tmp_path, providers={"local": {"limits": {"max_trials": 2}}})
    with pytest.raises(UsageError, match=r"counts is providers\.local\.limits\.max_trials, which"):
        set_limits(run, ["limits.max_trials=4"])
    set_limits(run, ["limits.timeout=1h"])


def test_a_budget_needs_a_stop_to_be_added(tmp_path: Path) -> None:
    providers = {"local": {"prices": {"hour": "1 USD"}}}
    run = create(tmp_path, providers=providers)
    with executed(run), pytest.raises(UsageError, match="but not be added or removed"):
        set_limits(run, ["limits.max_cost=3USD"])
    set_limits(run, ["limits.max_cost=3USD"])


def test_a_budget_that_is_spent_by_its_change_ends_the_run(tmp_path: Path) -> None:
    providers = {"local": {"prices": {"hour": "1000000 USD"}}}
    limits = {"max_trials": 2, "max_cost": "900000 USD"}
    run = create(tmp_path, providers=providers, limits=limits)
    with executed(run):
        set_limits(run, ["limits.max_cost=0.01 USD"])
        while result(run).state == "running":
            time.sleep(0.02)
    assert result(run).reason == "the cost reached 0.01 USD"


def test_a_process_that_does_not_answer_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cloudtune.runs import limits

    run = create(tmp_path)
    monkeypatch.setattr(limits, "_TIMEOUT", 0.1)
    monkeypatch.setattr(lifecycle, "change_running", ignore)
    with executed(run), pytest.raises(UsageError, match="has not answered"):
        set_limits(run, ["limits.max_trials=3"])
    assert result(run).changes is None


def ignore(*_words: object, **_options: object) -> None:
    """Answer nothing."""


def test_the_command_prints_what_has_changed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], cloudtune: Callable[..., None]
) -> None:
    run = create(tmp_path)
    cloudtune("set", run[:5], "limits.max_trials=7", "--json")
    fields = {"limits.max_trials": [2, 7]}
    assert json.loads(capfd.readouterr().out) == {"run": run, "fields": fields, "running": False}
    cloudtune("set", "limits.max_trials=9")
    assert f"run {run}: limits.max_trials is 9 (was 7)" in (printed := capfd.readouterr()).out
    assert f"cloudtune resume {run}" in printed.err
    cloudtune("set", run, code=1)
    assert "give a limit" in capfd.readouterr().err
    cloudtune("set", "limits.max_trials=0", code=1)
    assert capfd.readouterr().err == "limits.max_trials=0: must be at least 1, not 0\n"


@pytest.fixture
def cloudtune() -> Callable[..., None]:
    from cloudtune.cli import main

    def call(*words: str, code: int = 0) -> None:
        with pytest.raises(SystemExit) as raised:
            main(words)
        assert raised.value.code == code

    return call
