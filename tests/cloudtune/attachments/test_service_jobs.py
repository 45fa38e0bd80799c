"""A service's job that was started elsewhere becomes a run that follows it."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from cloudtune import attach
from cloudtune.api import Run, find_run
from cloudtune.attachments import service_jobs
from cloudtune.conversion import registry as formats
from cloudtune.diagnostics import Finding, Note
from cloudtune.engine.inbox import StopRequest
from cloudtune.errors import ConversionError, ProviderError, UsageError
from cloudtune.fitting.capabilities import Capabilities
from cloudtune.fitting.fit import FittedStudy, fit
from cloudtune.fitting.partial_restore import restore_valid
from cloudtune.formats.fields import Fields
from cloudtune.formats.model import Format, StudyDraft
from cloudtune.ledger.records import JobRecord
from cloudtune.provider import registry
from cloudtune.provider.base import BaseProvider
from cloudtune.provider.facts import Facts, Lookup, Price
from cloudtune.provider.models import JobContext, JobDescription, JobRef, JobStatus, RawTrial
from cloudtune.provider.plan import Plan
from cloudtune.provider.settings import CloudSettings
from cloudtune.results.events import TrialState
from cloudtune.results.model import Measurement, StudyResult
from cloudtune.runs.stop_requests import StopRequests
from cloudtune.study.loader import load
from cloudtune.study.schema import Json, Mode
from cloudtune.study.study import Study
from tests.cloudtune.testing import odd_provider as odd

assert odd.CAPABILITIES.managed is not None
CAPABILITIES = Capabilities(
    provider="far",
    title="the far service",
    verified="offline only",
    managed=replace(
        odd.CAPABILITIES.managed,
        parameters={"float": frozenset({"linear", "log"}), "categorical": frozenset()},
        strategies=frozenset({"random"}),
        enforced_here=frozenset({"target", "patience"}),
    ),
    driven=None,
)
SPACE: Json = {
    "lr": {"type": "float", "min": 0.0, "max": 1.0},
    "kind": {"type": "categorical", "values": ["007", "true"]},
}
CREATED = 1e9


def trial(number: int, state: TrialState = "completed", lr: Any = "0.5", **more: Any) -> RawTrial:
    over = state not in {"running", "pending"}
    return RawTrial(
        number=number,
        id=f"job-{number}",
        state=state,
        word=state.upper(),
        parameters={"lr": lr, "kind": "007", "unknown": "1"},
        measurements=[Measurement(1, {"acc": number / 10})] if over else [],
        started=CREATED + number,
        ended=CREATED + number + 10 if over else None,
        **more,
    )


class Service:
    """A service that answers each poll with the next status, and keeps the last."""

    def __init__(self) -> None:
        self.document: Json | None = {"name": "job", "space": [SPACE]}
        self.created: float | None = CREATED
        self.run: str | None = None
        self.statuses = [
            JobStatus("completed", "DONE", "", [trial(1), trial(2)], ended=CREATED + 9)
        ]
        self.stopped = False
        self.polls = 0

    def status(self, job: JobRef) -> JobStatus:
        assert job.id == "job"
        self.polls += 1
        if self.stopped:
            return replace(self.statuses[0], state="cancelled")
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]


class FarClient:
    poll_seconds = 0.01
    hidden_seconds = 0.0

    def __init__(self, service: Service) -> None:
        self.status = service.status
        self._service = service

    def submit(self, request: Json) -> JobRef:
        raise AssertionError("nothing may be sent")

    def find(self, job_name: str) -> JobRef | None:
        raise AssertionError("the job is known")

    def stop(self, job: JobRef) -> None:
        self._service.stopped = True


class FarFormat(Format):
    name, title, source = "far", "a far job", "none"

    def matches(self, document: Json) -> bool:
        return "space" in document

    def read(self, document: Fields) -> Sequence[StudyDraft]:
        if "priors" in document:
            document.report.refuse("priors", "a study has no priors")
        if "labels" in document:
            document.report.drop("labels", "a study has no labels")
        return [
            StudyDraft(
                {
                    "name": document.original["name"],
                    "objective": {"metric": "acc", "goal": "maximize"},
                    "parameters": space,
                    "strategy": "random",
                    "limits": {"max_trials": document.original.get("trials", 2)},
                    "providers": {"far": document.original.get("settings", {})},
                },
                f"part-{number}",
            )
            for number, space in enumerate(document.original["space"])
        ]


class FarSettings(CloudSettings):
    region: str | None = None
    machine: str = "unknown"


class FarProvider(BaseProvider[FarSettings]):
    capabilities = CAPABILITIES
    settings = FarSettings
    connection_settings = ("region",)

    def __init__(self, service: Service) -> None:
        self.service = service

    @property
    def formats(self) -> Sequence[Format]:
        return [FarFormat()]

    def lookup(self, study: Study, settings: FarSettings, facts: Facts) -> Lookup:
        assert study.trial.script is None, "the code is at the service"
        missing = {} if settings.region else {"region": "give a region"}
        hour = {"small": 36.0, "big": 360.0}.get(settings.machine)
        return Lookup(
            missing_settings=missing,
            data={"region": settings.region},
            links={"managed": f"https://far/{facts.job_name}"},
            price=Price.hourly(hour, "USD", "a list") if hour else "an unknown machine",
        )

    def request(self, fitted: FittedStudy, mode: Mode, settings: FarSettings, facts: Facts) -> Json:
        space = {
            name: {**variants[0].model_dump(mode="json", exclude_defaults=True)}
            | {"type": variants[0].type}
            for name, variants in fitted.study.parameters.items()
        }
        trials = fitted.study.limits.max_trials
        return {"name": facts.job_name, "space": [space], "trials": trials}

    def job_settings(self, job: str, given: Mapping[str, Any]) -> Json:
        region, slash, _ = job.partition("/")
        return {"region": region} if slash else {}

    def describe_job(self, job: str, plan: Plan, context: JobContext) -> JobDescription:
        region = plan.facts.data["region"]
        if job.rpartition("/")[2] != "job":
            raise ProviderError("far", f"no job {job} in {region}")
        return JobDescription(
            ref=JobRef("far", "job"),
            address=f"{region}/job",
            document=self.service.document,
            job_name="job",
            run=self.service.run,
            created=self.service.created,
        )

    def client(self, plan: Plan, context: JobContext) -> Any:
        return FarClient(self.service)


@pytest.fixture
def service(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / ".cloudtune"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    made = Service()
    with registry.temporary_provider("far", lambda: FarProvider(made)):
        formats._provider_formats.cache_clear()  # pyright: ignore[reportPrivateUsage]
        yield made
    formats._provider_formats.cache_clear()  # pyright: ignore[reportPrivateUsage]


def result_of(run: Run) -> StudyResult:
    return run.execute(show=False).results()["far"]


def given_study(**changes: Any) -> Study:
    return load(
        {
            "name": "mine",
            "objective": {"metric": "acc", "goal": "maximize", "target": 0.1},
            "parameters": {**SPACE, **changes},
            "strategy": "random",
            "limits": {"max_trials": 9, "patience": 1},
            "trial": {"script": "train.py"},
            "providers": {"far": {"region": "north"}},
        }
    )


def test_a_finished_job_stands_in_the_results(service: Service) -> None:
    result = result_of(attach("far:north/job"))
    assert (result.state, result.job, result.attached) == ("completed", "job", "north/job")
    assert (result.created is not None, result.started, result.ended) == (
        True,
        CREATED,
        CREATED + 9,
    )
    assert result.link == "https://far/job"
    assert result.study.providers == {"far": {"region": "north"}}
    assert result.study.description == "Rebuilt from north/job, which was started elsewhere."
    first = result.trials[0]
    assert first.parameters == {"lr": 0.5, "kind": "007"}
    assert (first.started, first.ended, first.word) == (CREATED + 1, CREATED + 11, "COMPLETED")
    assert first.measurements == (Measurement(1, {"acc": 0.1}),)  # no time is invented
    assert result.best is not None
    assert result.best.number == 2


def test_trials_of_before_and_after_are_there_once(service: Service) -> None:
    service.statuses = [
        JobStatus("running", "RUNS", "", [trial(1), trial(2, "running")]),
        JobStatus("running", "RUNS", "", [trial(1), trial(2), trial(3, "running")]),
        JobStatus("completed", "DONE", "", [trial(1), trial(2), trial(3)]),
    ]
    result = result_of(attach("far:north/job"))
    assert [(t.number, t.state) for t in result.trials] == [(n, "completed") for n in (1, 2, 3)]
    assert result.trials[0].measurements[0].time is None
    assert result.trials[2].measurements[0].time is not None
    assert result.ended == CREATED + 13  # the last trial's, since the service has no end


def test_the_settings_may_come_from_the_team(service: Service, tmp_path: Any) -> None:
    (tmp_path / "cloudtune.providers.yaml").write_text(
        "far: {region: south, mode: driven, limits: {max_trials: 1}}", "utf-8"
    )
    result = result_of(attach("far:job"))
    assert result.attached == "south/job"
    assert result.study.providers == {"far": {"region": "south"}}  # only what leads to the job
    override = ["providers.far.region=west"]
    assert result_of(attach("far:job", overrides=override)).attached == "west/job"


def test_an_unknown_place_a_missing_job_and_no_managed_mode_are_errors(service: Service) -> None:
    with pytest.raises(UsageError, match=r"--set providers\.far\.region=\.\.\.: give a region"):
        attach("far:job")
    with pytest.raises(ProviderError, match="no job north/other in north"):
        attach("far:north/other")
    with pytest.raises(UsageError, match="no tuning jobs of its own"):
        attach("local:x")
    with pytest.raises(UsageError, match="Name it as far:JOB"):
        attach("far:")
    with pytest.raises(UsageError, match="are for runs of other tools"):
        attach("far:job", metric="acc")
    with pytest.raises(UsageError, match="did you mean far"):
        attach("faar:job")


def test_a_provider_without_a_description_cannot_attach(tmp_path: Any) -> None:
    made = odd.OddProvider(odd.OddService(tmp_path), tmp_path)
    with (
        registry.temporary_provider("odd", lambda: made),
        pytest.raises(UsageError, match="the odd service has no tuning jobs that can be attached"),
    ):
        attach("odd:job")


def test_values_that_the_study_cannot_have_are_listed_and_kept(service: Service) -> None:
    service.statuses = [
        JobStatus("completed", "DONE", "", [trial(1, lr="7"), trial(2, "failed", reason="boom")])
    ]
    result = result_of(attach("far:north/job"))
    first, second = result.trials
    assert first.parameters == {"lr": "7", "kind": "007"}
    problem = "far returned a parameter that the study cannot have: invalid value '7' for parameter"
    assert first.reason == f"{problem} lr"
    assert (first.state, second.reason) == ("completed", "boom")


def test_a_job_is_attached_once(service: Service) -> None:
    notes: list[Finding | Note] = []
    first = attach("far:north/job", notify=notes.append)
    again = attach("far:north/job", notify=notes.append)
    assert first.id == again.id
    assert [str(note) for note in notes] == [
        f"far:north/job is run {first.id}",
        f"far:north/job is run {first.id} already",
    ]
    service.created = CREATED + 100  # an emulator started anew, with a job of the same name
    assert attach("far:north/job").id != first.id


def stored_plan(**facts: object) -> dict[str, Any]:
    facts = {"seed": 1, "source_hash": None, "lookup": {}, **facts}
    return {"mode": "managed", "findings": [], "facts": facts}


@pytest.mark.parametrize(
    ("run", "provider", "same"),
    [("r1", "far", True), (None, "far", True), ("r2", "far", False), ("r1", "other", False)],
)
def test_a_job_that_this_ledger_sent_keeps_its_run(
    service: Service, run: str | None, provider: str, *, same: bool
) -> None:
    sent = JobRecord("r1", "far", stored_plan(), job="job")
    service.run = run
    far, study = FarProvider(service), given_study()
    plan = service_jobs._probe(study, "far", far, "job")  # pyright: ignore[reportPrivateUsage]
    described = far.describe_job("job", plan, JobContext(plan.facts.base))
    is_same = service_jobs._is_same  # pyright: ignore[reportPrivateUsage]
    assert is_same(sent, provider, described) is same


def test_what_a_study_cannot_hold_is_refused_or_listed(service: Service) -> None:
    service.document = {"name": "job", "space": [SPACE], "labels": 1}
    notes: list[Finding | Note] = []
    run = attach("far:north/job", notify=notes.append)
    assert notes[0] == Finding("dropped", "labels", "a study has no labels")
    assert run.results()["far"].findings == (notes[0],)
    service.created = None
    service.document = {"name": "job", "space": [SPACE], "priors": 1}
    with pytest.raises(ConversionError, match="a study has no priors"):
        attach("far:south/job")
    service.document = {"name": "job", "space": [SPACE, {}]}
    with pytest.raises(ConversionError, match=r"a run has one study(.|\n)*part-0, part-1 differ"):
        attach("far:south/job")


def test_a_given_study_replaces_the_rebuilt_one_and_limits_nothing(service: Service) -> None:
    service.statuses = [
        JobStatus("running", "RUNS", "", [trial(1)]),
        JobStatus("running", "RUNS", "", [trial(1), trial(2)]),
        JobStatus("completed", "DONE", "", [trial(1), trial(2)]),
    ]
    notes: list[Finding | Note] = []
    run = attach("far:job", study=given_study(), notify=notes.append)
    result = result_of(run)
    assert str(notes[0]) == "limits.max_trials: differs: 9 in the study, 2 in the job"
    assert (result.study.name, result.state, service.stopped) == ("mine", "completed", False)
    assert len(result.trials) == 2


@pytest.mark.parametrize(("machine", "amount"), [("big", 1.0), ("huge", None)])
def test_costs_are_those_of_the_jobs_own_machine(
    service: Service, machine: str, amount: float | None
) -> None:
    service.document = {"name": "job", "space": [SPACE], "settings": {"machine": machine}}
    study = given_study()
    small = study.model_copy(update={"providers": {"far": {"region": "n", "machine": "small"}}})
    for run in (attach("far:job", study=small), attach("far:north/job")):
        costs = [trial.cost for trial in result_of(run).trials]  # of 10 seconds each
        assert [cost.amount if cost else None for cost in costs] == [amount] * 2


def test_a_given_study_with_other_parameters_is_refused_field_by_field(service: Service) -> None:
    other = given_study(
        lr={"type": "float", "min": 0.0, "max": 0.5, "scale": "linear"},
        more={"type": "categorical", "values": ["a", "b"]},
    )
    with pytest.raises(ConversionError) as caught:
        attach("far:job", study=other)
    assert str(caught.value).splitlines() == [
        "the study does not describe north/job:",
        "  refused parameters.lr.max: 0.5 in the study, 1.0 in the job",
        '  refused parameters.more: {"type": "categorical", "values": ["a", "b"]} in the study, '
        "absent in the job",
    ]
    with pytest.raises(UsageError, match="no runs in"):
        find_run()
    notes: list[Finding | Note] = []
    log = {"type": "float", "min": 0.0, "max": 1.0}
    service.document = {"name": "job", "space": [{**SPACE, "lr": {**log, "max": 1.0}}]}
    attach("far:job", study=given_study(), notify=notes.append)
    assert not any(note.path.startswith("parameters") for note in notes)


def test_a_search_space_that_is_not_returned_needs_a_study(service: Service) -> None:
    service.document = None
    with pytest.raises(UsageError, match="add --study FILE"):
        attach("far:north/job")
    notes: list[Finding | Note] = []
    result = result_of(attach("far:job", study=given_study(), notify=notes.append))
    assert str(notes[0]).startswith("parameters: not checked")
    assert len(result.trials) == 2


def test_leaving_lets_the_job_run_and_resuming_follows_it(
    service: Service, typed: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    service.statuses = [JobStatus("running", "RUNS", "", [trial(1), trial(2, "running")])]
    run = attach("far:north/job")

    def leave(requests: StopRequests) -> None:
        while service.polls < 2:
            time.sleep(0.01)
        requests.interrupt()

    create = StopRequests.__init__

    def observed(self: StopRequests, jobs: Any) -> None:
        create(self, jobs)
        threading.Thread(target=leave, args=(self,)).start()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StopRequests, "__init__", observed)
        run.execute(show=False)
    result = run.results()["far"]
    assert (result.state, service.stopped) == ("running", False)
    assert result.reason == "the job job continues, and is not followed any more"
    assert "interrupted" in typed("status").stdout
    service.statuses = [JobStatus("completed", "DONE", "", [trial(1), trial(2)])]
    done = typed("resume")
    assert "2 trials on far" in done.stdout
    assert "attached: north/job" in done.stdout


def test_a_stop_request_stops_the_job_at_the_service(service: Service) -> None:
    service.statuses = [JobStatus("running", "RUNS", "", [trial(1)])]
    run = attach("far:north/job")
    run.start()
    while service.polls < 2:
        time.sleep(0.01)
    run.stop()
    run.wait()
    assert service.stopped
    assert run.results()["far"].state == "cancelled"


def test_an_interrupt_leaves_only_jobs_that_were_started_elsewhere() -> None:
    own = JobRecord("r", "mine", stored_plan())
    other = JobRecord("r", "far", stored_plan(attached="x"))
    requests = StopRequests([own, other])
    requests.interrupt()
    assert requests.inboxes["mine"].pop() == StopRequest("interrupted")
    assert requests.inboxes["far"].pop() == StopRequest("interrupted", leave=True)


def test_only_the_values_that_are_invalid_stay_as_they_are() -> None:
    fitted = fit(given_study(), CAPABILITIES, "managed")
    values, problem = restore_valid(fitted, {"lr": "0.25", "kind": "x"})
    assert values == {"lr": 0.25, "kind": "x"}
    assert problem == "invalid value 'x' for parameter kind"
    assert restore_valid(fitted, {"lr": 1, "kind": "true"}) == ({"lr": 1.0, "kind": "true"}, None)


def test_the_command_prints_json_and_says_what_stops_the_job(
    service: Service, typed: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = typed("attach", "far:north/job", "--json")
    assert '"attached": "north/job"' in done.stdout
    assert "Ctrl-C leaves the job running" in done.stderr
    assert "cannot be resumed" in typed("attach", "far:north/job").stderr
