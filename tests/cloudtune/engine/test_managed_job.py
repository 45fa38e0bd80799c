"""A managed job is followed to its end through whatever its service does."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

import cloudtune
from cloudtune.engine import managed_job
from cloudtune.engine.inbox import Inbox, StopRequest
from cloudtune.engine.managed_job import ManagedJob
from cloudtune.errors import EmulatorEndedError, MissingExtraError, ProviderError
from cloudtune.ledger.reader import read_results
from cloudtune.planning.planner import plan
from cloudtune.provider import registry
from cloudtune.provider.facts import Price
from cloudtune.provider.models import JobRef, JobStatus, RawTrial
from cloudtune.provider.plan import Plan
from cloudtune.results.events import Ended, Event, Outcome
from cloudtune.results.model import Measurement
from cloudtune.runs import lifecycle
from cloudtune.study.study import Study
from cloudtune.testing.features import PLAIN
from tests.cloudtune.testing import odd_provider as odd

STOP = StopRequest("interrupted")
STOP_NOW = StopRequest("interrupted", now=True)
SCRIPT = "from cloudtune.trial import report\nreport(score=1)\n"


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(SCRIPT, "utf-8")
    made = odd.OddService(tmp_path / "kitchen")
    launcher = Path(cloudtune.__file__).parents[1]
    with registry.temporary_provider("odd", lambda: odd.OddProvider(made, launcher)):
        yield made


def planned(
    limits: Mapping[str, Any] | None = None, env: Mapping[str, Any] | None = None, **blocks: Any
) -> Plan:
    limits = limits or {"max_trials": 2}
    trial = {"script": "train.py", "env": env or {}}
    over = {"limits": limits, "strategy": "random", "trial": trial}
    return plan(Study.model_validate({**PLAIN, **over, **blocks}), "odd")


def follow(
    service: Any,
    *wishes: StopRequest,
    inbox: Any = None,
    messages: list[str] | None = None,
    env: Mapping[str, Any] | None = None,
    client: Any = None,
    may_exist: bool = False,
) -> tuple[Outcome, list[Event], list[str]]:
    """Follow one job of two trials; return how it ended, its events and the names it was given."""
    made = planned(env=env)
    events: list[Event] = []
    shown: list[Event] = []
    names: list[str] = []

    def record(new: Sequence[Event]) -> None:
        events.extend(new)

    def observe(new: Sequence[Event]) -> None:
        shown.extend(new)
        assert shown == events  # none before it is written, and every one of them

    inbox = inbox or Inbox()
    for wish in wishes:
        inbox.put(wish)
    notify = ([] if messages is None else messages).append
    job = ManagedJob(
        made, inbox=inbox, record=record, observe=observe, notify=notify, may_exist=may_exist
    )
    outcome = job.run(client or odd.OddClient(service), None, names.append)
    assert shown == events
    return outcome, events, names


def busy(count: int) -> list[ProviderError]:
    return [ProviderError("odd", "the line is busy", retryable=True) for _ in range(count)]


def test_a_busy_service_does_not_end_the_job(service: Any) -> None:
    service.faults = {"find": busy(2), "status": [None, *busy(3), None, *busy(1)]}
    messages: list[str] = []
    outcome, events, names = follow(service, messages=messages)
    assert outcome.state == "completed"
    assert [e.state for e in events if isinstance(e, Ended)] == ["completed"] * 2
    assert names == list(service.dishes)
    assert messages == ["odd: the line is busy; retrying with increasing delays"]


def test_a_remark_of_the_service_is_reported_once(
    service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = odd.OddClient(service)
    status = client.status

    def silent(job: JobRef) -> JobStatus:
        found: JobStatus = status(job)
        return replace(found, remark="no curves")

    monkeypatch.setattr(client, "status", silent)
    messages: list[str] = []
    outcome, _, _ = follow(service, messages=messages, client=client)
    assert outcome.state == "completed"
    assert service.calls.count("status") > 1
    assert messages == ["no curves"]


def test_a_job_that_cannot_be_polled_is_unknown(service: Any) -> None:
    service.faults = {"status": [ProviderError("odd", "you are banned")]}
    outcome, _, names = follow(service)
    assert outcome.state == "unknown"
    assert outcome.reason.startswith(f"odd: you are banned; the job {names[0]} may still run there")
    assert service.calls.count("status") == 1


def test_a_job_ends_with_its_emulator(service: Any) -> None:
    service.faults = {"status": [EmulatorEndedError("odd", "poll")]}
    outcome, _, _ = follow(service)
    assert outcome == Outcome("failed", "odd: poll: the emulator has ended, and its jobs with it")


def test_a_rejected_job_fails_at_once(service: Any) -> None:
    service.faults = {"submit": [ProviderError("odd", "you are banned")]}
    with pytest.raises(ProviderError, match="banned"):
        follow(service)
    assert service.calls == ["find", "submit"]


def test_secrets_are_masked_in_failure_reasons(
    service: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_verysecret")
    (tmp_path / "train.py").write_text("raise SystemExit('hf_' + 'verysecret')\n", "utf-8")
    _, events, _ = follow(service, env={"TOKEN": {"from_env": "HF_TOKEN"}})
    reasons = [event.reason for event in events if isinstance(event, Ended)]
    assert ["${HF_TOKEN}" in reason for reason in reasons] == [True, True]
    assert "verysecret" not in "".join(reasons)


def test_a_job_is_stopped_when_its_budget_is_spent(
    service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_cook = odd.OddService.cook

    def dear(kitchen: Any, order: Any, number: int, chosen: dict[str, str]) -> Any:
        return replace(own_cook(kitchen, order, number, chosen), billed_seconds=60.0)

    monkeypatch.setattr(odd.OddService, "cook", dear)
    able = odd.CAPABILITIES.for_mode("managed")
    assert able is not None
    able = replace(able, limits=frozenset({"max_trials", "max_cost"}))
    monkeypatch.setattr(odd.OddProvider, "capabilities", replace(odd.CAPABILITIES, managed=able))
    own = odd.OddProvider.lookup

    def priced(*args: Any) -> Any:
        return replace(own(*args), price=Price(0.01, "USD", "a list"))

    monkeypatch.setattr(odd.OddProvider, "lookup", priced)
    run = lifecycle.create([planned({"max_trials": 9, "max_cost": "1 USD"})]).id
    outcomes = lifecycle.execute(run)
    assert outcomes["odd"] == Outcome("completed", "the cost reached 1 USD")
    trials = lifecycle.results(run)[0].trials
    assert [trial.billed_seconds for trial in trials] == [60.0, 60.0]
    assert [trial.cost.amount for trial in trials if trial.cost] == [0.6, 0.6]


@pytest.mark.parametrize(
    ("blocks", "script", "outcome"),
    [
        (
            {"limits": {"max_trials": 10, "max_failed_trials": 1}},
            "raise SystemExit(1)\n",
            Outcome("failed", "2 trials failed; max_failed_trials is 1"),
        ),
        (
            {"limits": {"max_trials": 10, "patience": 2}},
            SCRIPT,
            Outcome("completed", "no better objective in 2 trials"),
        ),
        (
            {"objective": {"metric": "score", "goal": "maximize", "target": 1}},
            SCRIPT,
            Outcome("completed", "trial 1 reached the target"),
        ),
        (
            {"limits": {"max_trials": 10, "timeout": "2s"}},
            SCRIPT,
            Outcome("completed", "the study's timeout was reached"),
        ),
    ],
)
@pytest.mark.usefixtures("slow_polls")
def test_limits_that_the_service_does_not_know_are_enforced(
    service: Any, tmp_path: Path, blocks: Mapping[str, Any], script: str, outcome: Outcome
) -> None:
    (tmp_path / "train.py").write_text(script, "utf-8")
    made = planned(**{"limits": {"max_trials": 10}, **blocks})
    notes = [note for note in made.notes if "while cloudtune is running" in note.text]
    assert len(notes) == 1
    run = lifecycle.create([made]).id
    assert lifecycle.execute(run)["odd"] == outcome
    assert [dish.word for dish in service.dishes.values()] == ["BINNED"]
    assert 0 < len(lifecycle.results(run)[0].trials) < 10


@pytest.mark.usefixtures("slow_polls")
def test_failures_that_are_seen_after_the_end_of_a_job_count(
    service: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = str(tmp_path / "started")
    count = f"with open({log!r}, 'a+') as file: assert file.write('.') and file.tell() <= 2\n"
    (tmp_path / "train.py").write_text(count + SCRIPT, "utf-8")
    monkeypatch.setattr(service, "bin", print)  # a stop comes too late
    run = lifecycle.create([planned(limits={"max_trials": 4, "max_failed_trials": 1})]).id
    outcome = Outcome("failed", "2 trials failed; max_failed_trials is 1")
    assert lifecycle.execute(run)["odd"] == outcome
    states = [trial.state for trial in lifecycle.results(run)[0].trials]
    assert (states.count("completed"), states.count("failed")) == (2, 2)


@pytest.mark.usefixtures("slow_polls")
def test_a_job_that_its_service_ended_without_a_reason_has_that_of_its_limit(
    service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "bin", print)  # a stop comes too late
    run = lifecycle.create([planned(limits={"max_trials": 4, "patience": 2})]).id
    outcome = Outcome("completed", "no better objective in 2 trials")
    assert lifecycle.execute(run)["odd"] == outcome


@pytest.fixture
def slow_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Poll the odd service slowly, and let cloudtune enforce what it does not."""
    monkeypatch.setattr(odd.OddClient, "poll_seconds", 0.25)
    able = odd.CAPABILITIES.for_mode("managed")
    assert able is not None
    enforced: frozenset[str]
    enforced = frozenset({"max_failed_trials", "patience", "target", "timeout"})
    able = replace(able, enforced_here=enforced)
    monkeypatch.setattr(odd.OddProvider, "capabilities", replace(odd.CAPABILITIES, managed=able))


def test_the_timeout_of_a_resumed_job_counts_from_its_creation(
    service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = odd.OddClient(service)
    status = client.status

    def created_before(job: JobRef) -> JobStatus:
        return replace(status(job), created=time.time() - 3600)

    monkeypatch.setattr(client, "status", created_before)
    made = planned({"max_trials": 10})
    limits = made.fitted.study.limits.model_copy(update={"timeout": 3600.0})
    fitted = replace(made.fitted, study=made.fitted.study.model_copy(update={"limits": limits}))
    job = ManagedJob(
        replace(made, fitted=fitted),
        inbox=Inbox(),
        record=lambda _: None,
        enforced=frozenset({"timeout"}),
    )
    assert job.run(client, None, lambda _: None).reason == "the study's timeout was reached"
    assert service.calls == ["find", "submit", "status", "stop", "status"]


def test_an_unanswered_submit_is_found_and_not_repeated(service: Any) -> None:
    service.lost_answers = 1
    outcome, _, names = follow(service)
    assert outcome.state == "completed"
    assert service.calls[:4] == ["find", "submit", "find", "status"]
    assert names == list(service.dishes)


def test_a_failed_submit_looks_for_the_job_before_it_retries(service: Any) -> None:
    service.faults = {"submit": busy(2)}
    outcome, _, _ = follow(service)
    assert outcome.state == "completed"
    first = [call for call in service.calls if call != "status"]
    assert first == ["find", "submit", "find", "submit", "find", "find", "submit"]
    assert len(service.dishes) == 1


def test_a_job_that_becomes_visible_late_is_found_when_its_name_is_taken(
    service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.lost_answers = 1
    find = odd.OddClient.find
    blind = [True, True]

    def late(client: Any, name: str) -> Any:
        return None if blind and blind.pop() else find(client, name)

    monkeypatch.setattr(odd.OddClient, "find", late)
    outcome, _, names = follow(service)
    assert outcome.state == "completed"
    assert service.calls.count("submit") == 2
    assert names == list(service.dishes)


@pytest.mark.parametrize("wishes", [(), (STOP,)])
def test_a_job_that_becomes_visible_late_is_not_created_again(
    service: Any, monkeypatch: pytest.MonkeyPatch, wishes: tuple[StopRequest, ...]
) -> None:
    service.lost_answers = 1
    find = odd.OddClient.find
    asked: list[str] = []

    def late(client: Any, name: str) -> Any:
        asked.append(name)
        if service.dishes and len(asked) == 2:
            for wish in wishes:
                inbox.put(wish)
        return find(client, name) if len(asked) > 5 else None

    inbox = Inbox()
    monkeypatch.setattr(odd.OddClient, "find", late)
    monkeypatch.setattr(odd.OddClient, "poll_seconds", 0.01)
    monkeypatch.setattr(odd.OddClient, "hidden_seconds", 20.0)
    messages: list[str] = []
    outcome, _, names = follow(service, inbox=inbox, messages=messages)
    assert outcome.state == ("cancelled" if wishes else "completed")
    assert service.calls.count("submit") == 1
    assert names == list(service.dishes)
    assert any("may exist but is not visible yet" in words for words in messages)


@pytest.mark.parametrize("may_exist", [False, True])
def test_a_job_that_may_exist_is_looked_for_before_it_is_submitted(
    service: Any, monkeypatch: pytest.MonkeyPatch, *, may_exist: bool
) -> None:
    monkeypatch.setattr(odd.OddClient, "poll_seconds", 0.01)
    monkeypatch.setattr(odd.OddClient, "hidden_seconds", 0.1)
    outcome, _, _ = follow(service, may_exist=may_exist)
    assert outcome.state == "completed"
    assert (service.calls.index("submit") > 2) == may_exist


@pytest.mark.parametrize(("may_exist", "state"), [(False, "failed"), (True, "unknown")])
def test_a_service_that_never_responds_ends_the_run(
    service: Any, monkeypatch: pytest.MonkeyPatch, *, may_exist: bool, state: str
) -> None:
    monkeypatch.setattr(managed_job, "FIRST_CONTACT_SECONDS", 0.1)
    monkeypatch.setattr(odd.OddClient, "poll_seconds", 0.02)
    service.faults = {"find": busy(1000)}
    outcome, events, names = follow(service, may_exist=may_exist)
    assert outcome.state == state
    assert outcome.reason.startswith("odd: the line is busy; gave up")
    assert ("`cloudtune resume` looks for it" in outcome.reason) == may_exist
    assert (events, names, service.dishes) == ([], [], {})


def test_a_service_that_responded_once_is_waited_for(
    service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(managed_job, "FIRST_CONTACT_SECONDS", 0.0)
    monkeypatch.setattr(odd.OddClient, "poll_seconds", 0.01)
    service.faults = {"find": [None, *busy(3)], "submit": busy(1), "status": busy(3)}
    outcome, _, _ = follow(service)
    assert outcome.state == "completed"


def test_a_stop_is_sent_while_status_fails(
    service: Any,
) -> None:
    service.faults = {"status": busy(3), "stop": busy(1)}
    outcome, _, _ = follow(service, STOP)
    assert outcome.state == "cancelled"
    assert [dish.word for dish in service.dishes.values()] == ["BINNED"]
    assert service.calls.count("stop") == 2


def test_a_stop_before_submit_submits_nothing(service: Any) -> None:
    service.faults = {"find": busy(1)}
    outcome, _, names = follow(service, STOP)
    assert outcome == Outcome("cancelled", "interrupted")
    assert (service.dishes, names) == ({}, [])


def test_a_stop_while_the_service_is_unreachable_ends_an_unsent_job(service: Any) -> None:
    service.faults = {"find": busy(1_000)}
    outcome, _, names = follow(service, STOP)
    assert (outcome, names) == (Outcome("cancelled", "interrupted"), [])
    assert "submit" not in service.calls


def test_trials_without_a_final_state_end_with_the_job(service: Any) -> None:
    class Forgetful:
        def __init__(self) -> None:
            self.looks = 0

        def __getattr__(self, name: str) -> Any:
            return getattr(odd.OddClient(service), name)

        def status(self, job: JobRef) -> JobStatus:
            self.looks += 1
            if self.looks == 1:
                given = service.look(job.id).trials[0].parameters
                trial = RawTrial(
                    state="running", word="COOKING", number=1, id="1", parameters=given
                )
                return JobStatus("running", "COOKING", trials=[trial])
            return JobStatus("failed", "BURNT DOWN", "there was a fire")

    outcome, events, _ = follow(service, client=Forgetful())
    assert outcome == Outcome("failed", "there was a fire")
    (end,) = [event for event in events if isinstance(event, Ended)]
    assert (end.number, end.state) == (1, "unknown")


def test_a_second_stop_leaves_an_unreachable_service(service: Any) -> None:
    service.faults = {"status": busy(1000), "stop": busy(1000)}
    outcome, _, _ = follow(service, STOP, STOP_NOW)
    assert outcome.state == "unknown"
    assert "the line is busy" in outcome.reason
    assert "cloudtune resume" in outcome.reason
    assert len(service.faults["status"]) > 990


def test_backoff_grows_and_resets(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    class Deaf(Inbox):
        def wait(self, seconds: float | None = None) -> None:
            waited.append(seconds or 0.0)

    monkeypatch.setattr(odd.OddClient, "poll_seconds", 20.0)
    service.faults = {"status": busy(6)}
    outcome, _, _ = follow(service, inbox=Deaf())
    assert outcome.state == "completed"
    for found, expected in zip(waited, (20, 40, 80, 160, 300, 300, 20, 20), strict=False):
        assert found == pytest.approx(expected, rel=0.11)


def test_an_invalid_value_is_reported_with_its_trial(
    service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_cook = odd.OddService.cook

    def spoilt(kitchen: Any, order: Any, number: int, chosen: dict[str, str]) -> Any:
        made = own_cook(kitchen, order, number, chosen)
        return replace(made, parameters={**made.parameters, min(chosen): "mouldy"})

    monkeypatch.setattr(odd.OddService, "cook", spoilt)
    run = lifecycle.create([planned()]).id
    outcomes = lifecycle.execute(run)
    assert outcomes["odd"].state == "unknown"
    assert "odd: trial 1 (" in outcomes["odd"].reason
    assert "invalid value 'mouldy'" in outcomes["odd"].reason


@pytest.mark.parametrize(("extra", "refused"), [("odd", True), ("emulators", False)])
def test_a_missing_package_is_reported_before_a_run_is_created(
    service: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, extra: str, *, refused: bool
) -> None:
    monkeypatch.setattr(odd.OddProvider, "packages", {"json": ["json"], extra: ["no_such_module"]})
    if refused:
        with pytest.raises(MissingExtraError, match=r"cloudtune\[odd\]"):
            lifecycle.create([planned()])
        assert not (tmp_path / "state").exists()
    else:
        lifecycle.create([planned()])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            {"measurements": [Measurement(1, cast("dict[str, float]", {"score": "high"}))]},
            "a wrong dict",
        ),
        ({"measurements": [Measurement(cast("int", None), {"score": 1.0})]}, "step is None"),
        ({"reason": cast("str", {"a": 1})}, "reason is a wrong dict"),
        ({"billed_seconds": math.inf}, "billed_seconds is inf"),
    ],
)
def test_an_invalid_answer_about_a_trial_fails_this_trial(
    service: Any, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], reason: str
) -> None:
    own_cook = odd.OddService.cook

    def spoilt(kitchen: Any, order: Any, number: int, chosen: dict[str, str]) -> Any:
        made = own_cook(kitchen, order, number, chosen)
        return replace(made, **change) if number == 1 else made

    monkeypatch.setattr(odd.OddService, "cook", spoilt)
    run = lifecycle.create([planned()]).id
    assert lifecycle.execute(run)["odd"] == Outcome("completed", "")
    (trials,) = [[*found] for _, found in read_results(run)]
    assert [trial.state for trial in trials] == ["failed", "completed"]
    assert reason in trials[0].reason
