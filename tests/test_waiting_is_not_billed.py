"""A trial that waits for its machine does not run: its time, cost and budget do not contain that.

Each case has the answers of a service to the polls of one job, in the forms that were recorded. The
job waits for ten minutes, and runs for one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from cloudtune.engine.budget import Spending
from cloudtune.engine.managed_events import new_events
from cloudtune.engine.polled_job import PolledJob
from cloudtune.ledger import reader
from cloudtune.planning.planner import plan as plan_of
from cloudtune.provider.facts import Price
from cloudtune.provider.models import JobContext, JobRef, TrainingJob
from cloudtune.provider.plan import Plan
from cloudtune.results.events import Event, Started
from cloudtune.results.model import Trial
from cloudtune.results.trials import Trials
from cloudtune_azure.client import AzureClient
from cloudtune_azure.training_client import AzureJobs
from cloudtune_ray.client import RayClient
from cloudtune_ray.training_client import RayJobs
from cloudtune_sagemaker.training_client import SageMakerJobs
from cloudtune_sagemaker.tuning_client import TuningClient as SageMakerTuning
from cloudtune_slurm import response as slurm_response
from cloudtune_slurm.queue import QueuedJob
from cloudtune_slurm.response import Ending
from cloudtune_vertex.training_client import VertexJobs
from cloudtune_vertex.tuning_client import TuningClient as VertexTuning
from cloudtune_watson.jobs.client import RuntimeClient
from cloudtune_watson.jobs.results import Results
from cloudtune_watson.jobs.training_client import DeploymentJobs
from cloudtune_watson.wml.client import WmlClient
from cloudtune_watson.wml.training_client import WatsonJobs
from cloudtune_watson.wmla.client import WmlaClient
from cloudtune_watson.wmla.tuning_client import TuningClient as Search
from tests.cloudtune_azure.support import study_of as azure_study
from tests.cloudtune_ray.support import study_of as ray_study
from tests.cloudtune_ray.test_training_client import RUN as RAY_RUN
from tests.cloudtune_ray.test_training_client import Cluster
from tests.in_process import URL
from tests.stubbed_service import Refusal, StubbedService, T

TUNING = {"vertex-tuning": "projects/p/locations/us-central1/hyperparameterTuningJobs/1"}
WAIT, RUN, POLL = 600.0, 60.0, 15.0
ARN = "arn:aws:sagemaker:us-east-1:111122223333"
Answer = Mapping[str, Any]


def at(seconds: float) -> str:
    """Return a time after the start of the trial, as Google and IBM write it."""
    return datetime.fromtimestamp(T + seconds, UTC).isoformat().replace("+00:00", "Z")


def training(status: str, secondary: str, message: str = "", **times: Any) -> Answer:
    name = {"TrainingJobName": "job-1", "TrainingJobArn": f"{ARN}:training-job/job-1"}
    step = {"Status": secondary, "StartTime": T, "StatusMessage": message}
    about = {"TrainingJobStatus": status, "SecondaryStatus": secondary, "CreationTime": T}
    given = {key: T + value if key.endswith("Time") else value for key, value in times.items()}
    values = {"HyperParameters": {"lr": "0.5", "kind": "1e3"}}
    return {**name, **about, "SecondaryStatusTransitions": [step], **values, **given}


def custom(state: str, **more: Any) -> Answer:
    labels = {"cloudtune-job": "job-1"}
    name = "projects/p/locations/us-central1/customJobs/1"
    # The service sets startTime when it accepts a job (recorded 2026-07-08).
    times = {"createTime": at(0), "startTime": at(0.15), "updateTime": at(0.35)}
    return {"name": name, "labels": labels, "state": f"JOB_STATE_{state}", **times, **more}


def deployment_job(state: str, **status: Any) -> Answer:
    times = {"running_at": "", "completed_at": "", **status}
    scoring = {"status": {"state": state, **times}}
    metadata = {"id": "j", "name": "job-1", "created_at": at(0)}
    return {"metadata": metadata, "entity": {"scoring": scoring}}


def wml_training(state: str, **status: Any) -> Answer:
    metadata = {"id": "j", "created_at": at(0), "tags": ["cloudtune-job:job-1"]}
    return {"metadata": metadata, "entity": {"status": {"state": state, **status}}}


def experiment(state: str, **times: Any) -> Answer:
    values = [{"name": "lr", "fixedVal": "0.5"}, {"name": "kind", "fixedVal": "1e3"}]
    own = {"id": 1, "state": state, "hyperParams": values, **times}
    return {"state": "RUNNING", "hpoName": "s", "experiments": [own]}


ENDED: dict[str, Any] = {"TrainingStartTime": WAIT, "TrainingEndTime": WAIT + RUN}
RAN_AT = {"running_at": at(WAIT), "completed_at": at(WAIT + RUN)}
CANCELLED = {"endTime": at(WAIT), "updateTime": at(WAIT)}


@dataclass(frozen=True)
class Case:
    """The answers while a job waits, while it runs, and after its end."""

    client: str
    waits: Answer
    runs: Answer
    ended: Answer
    ran: float = RUN
    """The seconds for which it runs in fact."""
    slack: float = POLL
    """By how much the seconds may differ, where the service does not tell when it ran."""
    is_seen: bool = True
    """Whether a poll sees it running."""
    billed: tuple[float, float] | None = None
    """What may be billed at least and at most, where that is not the time for which it ran."""


CASES: dict[str, Case] = {
    "sagemaker": Case(
        "sagemaker-training",
        training("InProgress", "Pending", "Training job waiting for capacity"),
        training("InProgress", "Training", TrainingStartTime=WAIT),
        training("Completed", "Completed", BillableTimeInSeconds=RUN, **ENDED),
        slack=0,
    ),
    "sagemaker stopped while it waits": Case(
        "sagemaker-training",
        training("InProgress", "Starting", "Preparing the instances for training"),
        training("InProgress", "Starting", "Preparing the instances for training"),
        training("Stopped", "Stopped", LastModifiedTime=WAIT),
        ran=0,
        slack=0,
    ),
    "sagemaker of a search": Case(
        "sagemaker-tuning",
        training("InProgress", "Starting", "Preparing the instances for training"),
        training("InProgress", "Training", TrainingStartTime=WAIT),
        training("Completed", "Completed", BillableTimeInSeconds=RUN, **ENDED),
        slack=0,
    ),
    "vertex": Case(
        "vertex-custom",
        custom("QUEUED"),
        custom("RUNNING", updateTime=at(WAIT)),
        custom("SUCCEEDED", updateTime=at(WAIT + RUN), endTime=at(WAIT + RUN)),
        slack=0,
    ),
    "vertex never seen running": Case(
        "vertex-custom",
        custom("QUEUED"),
        custom("RUNNING", updateTime=at(WAIT)),
        custom("SUCCEEDED", updateTime=at(WAIT + RUN), endTime=at(WAIT + RUN)),
        is_seen=False,
    ),
    "vertex cancelled while it waits": Case(
        "vertex-custom",
        custom("QUEUED"),
        custom("PENDING"),
        custom("CANCELLED", **CANCELLED),
        ran=0,
    ),
    "vertex trial": Case(
        "vertex-tuning",
        custom("QUEUED"),
        custom("RUNNING", updateTime=at(WAIT)),
        custom("SUCCEEDED", updateTime=at(WAIT + RUN), endTime=at(WAIT + RUN)),
        slack=0,
    ),
    "vertex trial cancelled while it waits": Case(
        "vertex-tuning",
        custom("QUEUED"),
        custom("PENDING"),
        custom("CANCELLED", **CANCELLED),
        ran=0,
    ),
    "ibm training": Case(
        "watson-wml",
        wml_training("pending"),
        wml_training("running", running_at=at(WAIT)),
        wml_training("completed", **RAN_AT),
        slack=0,
    ),
    "ibm training cancelled while it waits": Case(
        "watson-wml",
        wml_training("pending"),
        wml_training("pending"),
        wml_training("canceled", completed_at=at(WAIT)),
        ran=0,
    ),
    # IBM writes running_at late, so it bounds what is billed from below only.
    "ibm deployment job": Case(
        "watson-jobs",
        deployment_job("queued"),
        deployment_job("running", running_at=at(WAIT)),
        deployment_job("completed", **RAN_AT),
        slack=0,
        billed=(RUN, WAIT + RUN),
    ),
    "ibm deployment job never seen running": Case(
        "watson-jobs",
        deployment_job("queued"),
        deployment_job("queued"),
        deployment_job("completed", **RAN_AT),
        slack=0,
        is_seen=False,
        billed=(RUN, WAIT + RUN),
    ),
    "ibm deployment job cancelled while it waits": Case(
        "watson-jobs",
        deployment_job("queued"),
        deployment_job("queued"),
        deployment_job("canceled", completed_at=at(WAIT)),
        ran=0,
        billed=(0, WAIT),
    ),
    "ibm search": Case(
        "watson-wmla",
        experiment("WAITING"),
        experiment("RUNNING", startTime=at(WAIT)),
        experiment("FINISHED", startTime=at(WAIT), endTime=at(WAIT + RUN), metricVal=0.5),
        slack=0,
    ),
}


class Waiting(StubbedService):
    """The polls of one job."""

    def client(self) -> Any:
        """Return the client that follows the job."""
        kinds: dict[str, Callable[[], Any]] = {
            "sagemaker-training": lambda: SageMakerJobs(self.aws, self.plan, self.context, nothing),
            "sagemaker-tuning": lambda: SageMakerTuning(self.aws, self.plan, self.context),
            "vertex-custom": lambda: VertexJobs(self.google, self.plan, self.context, nothing),
            "vertex-tuning": lambda: VertexTuning(self.google, self.plan, self.context),
            "watson-wml": lambda: WatsonJobs(
                Trainings(self.http, self.facts), self.plan, self.context, str
            ),
            "watson-jobs": self._billed_jobs,
            "watson-wmla": lambda: Search(
                WmlaClient(self.http, self.facts), self.plan, self.context
            ),
        }
        return kinds[self.name]()

    def _billed_jobs(self) -> DeploymentJobs:
        """Return a client that counts what IBM bills, which it does not of an emulator."""
        runtime = RuntimeClient(self.http, {**self.facts, "iam_url": URL, "is_cloud": True})
        jobs = DeploymentJobs(runtime, self.plan, JobContext(self.folder / "job"), str)
        vars(jobs)["_emulated"] = False
        return jobs

    def answer(self, job: Answer, *, has_ended: bool) -> None:
        """Let the service answer with a job."""
        deployment = {"metadata": {"id": "d", "name": self.plan.facts.job_name}}
        state = "SUCCEEDED" if has_ended else "RUNNING"
        trial: dict[str, Any] = {"state": "ACTIVE", "startTime": at(0)}
        if job.get("state") == "JOB_STATE_SUCCEEDED":
            final = {"metrics": [{"metricId": "accuracy", "value": 0.5}]}
            trial = {"state": "SUCCEEDED", "startTime": at(0), "finalMeasurement": final}
        elif has_ended:
            trial = {"state": "INFEASIBLE", "startTime": at(0)}
        values = [{"parameterId": "lr", "value": 0.5}, {"parameterId": "kind", "value": "1e3"}]
        trial |= {"id": "1", "customJob": job.get("name"), "parameters": values}
        if has_ended:
            trial["endTime"] = job.get("endTime")
        self.stub.answers = {
            "DescribeTrainingJob": job,
            "SageMaker.Search": {"Results": [{"TrainingJob": job}]},
            "DescribeHyperParameterTuningJob": {
                "HyperParameterTuningJobName": "s",
                "HyperParameterTuningJobArn": f"{ARN}:hyper-parameter-tuning-job/s",
                "HyperParameterTuningJobStatus": "InProgress",
                "TrainingJobStatusCounters": {"InProgress": 1},
            },
            "/hyperparameterTuningJobs/": {
                "name": TUNING["vertex-tuning"],
                "state": f"JOB_STATE_{state}",
                "trials": [trial],
            },
            "/customJobs/": job,
            "/customJobs": {"customJobs": [job]},
            "/ml/v4/trainings": {"resources": [job]},
            "/deployment_jobs": {"resources": [job]},
            "/deployments": {"resources": [deployment]},
            "/identity/token": {"access_token": "t"},
            "/hypersearch/": job,
            "/authorize": {"token": "t"},
            "/signin": {"token": "t"},
            "/logon": {"token": "t", "accessToken": "t"},
        }


class Trainings(WmlClient):
    """Gets trainings without IBM's package."""

    def call(self, call: Any) -> Any:
        del call
        return self.http.get(f"{URL}/ml/v4/trainings").json()

    def get(self, training: str) -> Any:
        del training
        return self.list_by_tag("")[0]

    def read(self, path: str) -> bytes | None:
        del path
        return None


def nothing() -> None: ...


def polls(case: Case) -> Iterator[tuple[float, Answer]]:
    """Yield the times of the polls, and the answers."""
    for number in range(int((WAIT + RUN) / POLL) + 1):
        seconds = number * POLL
        if seconds < WAIT:
            yield seconds, case.waits
        elif seconds < WAIT + RUN and case.ran and case.is_seen:
            yield seconds, case.runs
    yield (WAIT + RUN if case.ran else WAIT), case.ended


def followed(
    service: Waiting, case: Case, clock: Callable[[float], None]
) -> tuple[Trial, Sequence[Event]]:
    """Return the trial after all polls, and its events."""
    client, job = service.client(), PolledJob(service.started)
    is_managed = service.plan.mode == "managed"
    trials = Trials(service.plan.study, "run")
    events: list[Event] = [] if is_managed else [service.started]
    last: float | None = None
    for seconds, answer in polls(case):
        clock(T + seconds)
        service.answer(answer, has_ended=answer is case.ended)
        if is_managed:
            raw = client.status(JobRef(service.plan.provider, TUNING.get(case.client, "s")))
            new = new_events("x", trials, service.plan.fitted, raw.trials, last_poll=last)
        else:
            polled = client.poll([service.started])["job-1"]
            new = [*job.observe(polled, now=T + seconds, last_poll=last)]
            if polled.over:
                new.append(polled.end_event(1))
        events += new
        for event in new if is_managed else [*([service.started] if last is None else []), *new]:
            trials.tell(event)
        last = T + seconds
    return trials.get(1), events


@pytest.mark.parametrize("name", CASES)
def test_the_wait_is_in_no_amount(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES[name]
    service = Waiting(case.client, tmp_path, monkeypatch)
    now = [T]
    monkeypatch.setattr("time.time", lambda: now[0])
    trial, events = followed(service, case, lambda time: now.__setitem__(0, time))
    check(case, trial, events, service.plan)


@pytest.mark.parametrize("state", ["QUEUED", "PENDING"])
@pytest.mark.parametrize("is_unreadable", [False, True], ids=["form of 2021", "unreadable"])
def test_a_trial_of_vertex_waits_with_its_tuning_job_if_no_custom_job_is_read(
    state: str, *, is_unreadable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Waiting("vertex-tuning", tmp_path, monkeypatch)
    now, passed = [T], [0.0]
    monkeypatch.setattr("time.time", lambda: now[0])
    monkeypatch.setattr("time.monotonic", lambda: passed[0])
    service.answer(custom("QUEUED"), has_ended=False)
    tuning = service.stub.answers["/hyperparameterTuningJobs/"]
    tuning["state"] = f"JOB_STATE_{state}"
    if is_unreadable:
        body = {"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "no"}}
        service.stub.answers["/customJobs/"] = Refusal("403 Forbidden", body)
    else:
        del tuning["trials"][0]["customJob"]
    trials, spending = Trials(service.plan.study, "run"), Spending(with_price(service.plan))
    client, job = service.client(), JobRef("vertex", TUNING["vertex-tuning"])
    last: float | None = None
    for seconds in (POLL, WAIT, WAIT + RUN):
        now[0], passed[0] = T + seconds, seconds
        if seconds > WAIT:
            tuning["state"] = "JOB_STATE_RUNNING"
        raw = client.status(job)
        for event in new_events("x", trials, service.plan.fitted, raw.trials, last_poll=last):
            trials.tell(event)
            spending.add(event)
        last = now[0]
        assert raw.trials[0].state == ("waiting" if seconds <= WAIT else "running")
        assert spending.so_far == 0
    passed[0] += RUN
    assert spending.so_far == RUN
    now[0] += RUN
    service.answer(custom("SUCCEEDED", endTime=at(WAIT + 2 * RUN)), has_ended=True)
    ended = service.stub.answers["/hyperparameterTuningJobs/"]
    service.stub.answers["/customJobs/"] = Refusal(
        "403 Forbidden", {"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "no"}}
    )
    if not is_unreadable:
        del ended["trials"][0]["customJob"]
    raw = client.status(job)
    for event in new_events("x", trials, service.plan.fitted, raw.trials, last_poll=last):
        trials.tell(event)
        spending.add(event)
    cost = vars(reader)["_with_cost"](trials.get(1), (1.0, "USD")).cost
    # It may have waited after its tuning job began to run, which nothing shows.
    assert (cost.at_least, cost.amount) == pytest.approx((0, 2 * RUN))
    assert spending.so_far == pytest.approx(2 * RUN)


def test_the_launcher_of_ibm_bounds_no_more_than_is_billed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have another clock than IBM."""
    monkeypatch.setattr(Results, "seconds", (T, T + WAIT + 2 * RUN))
    service = Waiting("watson-jobs", tmp_path, monkeypatch)
    service.answer(deployment_job("completed", **RAN_AT), has_ended=True)
    job = service.client().poll([service.started])["job-1"]
    assert (job.billed_at_least, job.billed_seconds) == (WAIT + RUN, WAIT + RUN)


@pytest.mark.parametrize("last_poll", [None, T + WAIT], ids=["first poll", "later poll"])
@pytest.mark.parametrize(
    ("name", "bounds"),
    [
        ("vertex trial", (0.0, WAIT + RUN)),
        ("vertex trial cancelled while it waits", (0.0, WAIT)),
        ("sagemaker of a search", (RUN, RUN)),
        ("ibm search", (RUN, RUN)),
    ],
)
def test_a_trial_of_a_search_that_no_poll_saw_running_has_two_bounds(
    name: str,
    bounds: tuple[float, float],
    last_poll: float | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Unless the service states when it ran: the bill is between nothing and since its creation."""
    case = CASES[name]
    service = Waiting(case.client, tmp_path, monkeypatch)
    monkeypatch.setattr("time.time", lambda: T + WAIT + RUN)
    service.answer(case.ended, has_ended=True)
    job = JobRef(service.plan.provider, TUNING.get(case.client, "s"))
    raw = service.client().status(job)
    trials, spending = Trials(service.plan.study, "run"), Spending(with_price(service.plan))
    fitted = service.plan.fitted
    for event in new_events("x", trials, fitted, raw.trials, last_poll=last_poll):
        trials.tell(event)
        spending.add(event)
    priced = vars(reader)["_with_cost"](trials.get(1), (1.0, "USD")).cost
    at_least = priced.amount if priced.at_least is None else priced.at_least
    assert (at_least, priced.amount) == pytest.approx(bounds)
    assert spending.so_far == pytest.approx(bounds[1])  # the budget ends too early, not too late


def check(case: Case, trial: Trial, events: Sequence[Event], plan: Plan) -> None:
    """Check the times of a trial, its cost, and what the budget counts."""
    assert trial.ended == T + (WAIT + RUN if case.ran else WAIT)
    assert trial.seconds is not None
    assert case.ran <= trial.seconds <= case.ran + case.slack, trial
    assert trial.waited is not None
    assert WAIT - case.slack <= trial.waited <= WAIT, trial
    priced = vars(reader)["_with_cost"](trial, (1.0, "USD")).cost
    assert priced is not None
    least, most = case.billed or (case.ran, case.ran)
    at_least = priced.amount if priced.at_least is None else priced.at_least
    assert least <= at_least <= least + case.slack
    assert most <= priced.amount <= most + case.slack
    spending = Spending(with_price(plan))
    for event in events:
        spending.add(event)
    assert spending.so_far == pytest.approx(priced.amount)


def with_price(plan: Plan) -> Plan:
    """Return a plan whose trials cost 1 USD a second."""
    lookup = replace(plan.facts.lookup, price=Price(1.0, "USD", ""))
    return replace(plan, facts=replace(plan.facts, lookup=lookup))


def slurm(state: str, begin: float | None = None, ended: float | None = None) -> TrainingJob:
    word = {"waiting": "PENDING", "running": "RUNNING", "cancelled": "CANCELLED"}.get(state, "")
    return slurm_response.training_job(
        begin=None if begin is None else {"time": T + begin, "node": "n1"},
        ending=None if ended is None else Ending({"code": 0, "ended": T + ended}),
        queued=QueuedJob("1", word or "COMPLETED", "Resources"),
        is_over=state in {"completed", "cancelled"},
        stopping=state == "cancelled",
        measurements=[],
        log="",
        artifacts="",
        tail=[],
        has_timeout=False,
    )


def ray(folder: Path, status: str, *lines: Mapping[str, float]) -> TrainingJob:
    cluster = Cluster()
    cluster.status, cluster.node = status, "n1" if lines else None
    cluster.record = [json.dumps(line) for line in lines]
    planned = plan_of(ray_study(), "ray", base=folder, run_id=RAY_RUN)
    jobs = RayJobs(cast("RayClient", cluster), planned, JobContext(folder))
    return jobs.poll([Started(1, T, {"lr": 0.01}, id=jobs.job_name(1, 1))])[jobs.job_name(1, 1)]


class Workspace:
    """A workspace of Azure with one job."""

    emulated = False

    def __init__(self, status: str, **times: float) -> None:
        utc = {name: at(seconds).removesuffix("Z") for name, seconds in times.items()}
        self.job = {"name": "job-1", "properties": {"status": status, "properties": utc}}

    def get_job(self, name: str) -> Answer:
        del name
        return self.job


def azure(folder: Path, status: str, **times: float) -> TrainingJob:
    planned = plan_of(azure_study(), "azure", base=folder, run_id=RAY_RUN)
    workspace = cast("AzureClient", Workspace(status, **times))
    jobs = AzureJobs(workspace, planned, JobContext(folder), nothing)
    return jobs.poll([Started(1, T, {"lr": 0.01}, id="job-1")])["job-1"]


@pytest.mark.parametrize("cluster", ["slurm", "ray", "azure", "azure without times"])
@pytest.mark.parametrize("ran", [0.0, RUN])
def test_the_wait_in_a_queue_is_in_no_amount(
    cluster: str, ran: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train.py").write_text("print(1)\n", "utf-8")
    slack = POLL if cluster == "azure without times" else 0
    case = Case(cluster, {}, {"ran": True}, {"ended": True}, ran=ran, slack=slack)
    start, end = {"StartTimeUtc": WAIT}, {"EndTimeUtc": WAIT + (RUN if ran else 0)}
    began = {"start": T + WAIT}
    kinds: dict[str, dict[str, Callable[[], TrainingJob]]] = {
        "slurm": {
            "waits": lambda: slurm("waiting"),
            "runs": lambda: slurm("running", WAIT),
            "ended": lambda: slurm("completed", WAIT, WAIT + RUN) if ran else slurm("cancelled"),
        },
        "ray": {
            "waits": lambda: ray(tmp_path, "PENDING"),
            "runs": lambda: ray(tmp_path, "RUNNING", began),
            "ended": lambda: (
                ray(tmp_path, "SUCCEEDED", began, {"end": 0, "time": T + WAIT + RUN})
                if ran
                else ray(tmp_path, "STOPPED")
            ),
        },
        # Jobs have these times since 2025.
        "azure": {
            "waits": lambda: azure(tmp_path, "Queued"),
            "runs": lambda: azure(tmp_path, "Running", **start),
            "ended": lambda: (
                azure(tmp_path, "Completed", **start, **end)
                if ran
                else azure(tmp_path, "Canceled", **end)
            ),
        },
        "azure without times": {
            "waits": lambda: azure(tmp_path, "Starting"),
            "runs": lambda: azure(tmp_path, "Running"),
            "ended": lambda: azure(tmp_path, "Completed" if ran else "Canceled"),
        },
    }
    now = [T]
    monkeypatch.setattr("time.time", lambda: now[0])
    started = Started(1, T, {"lr": 0.01}, id="job-1")
    planned = plan_of(ray_study(), "ray", base=tmp_path, run_id=RAY_RUN)
    trials, job, events = Trials(planned.study, "run"), PolledJob(started), list[Event]([started])
    last: float | None = None
    for seconds, answer in polls(case):
        now[0] = T + seconds
        phase = "ended" if answer is case.ended else "runs" if answer is case.runs else "waits"
        polled = kinds[cluster][phase]()
        events += job.observe(polled, now=now[0], last_poll=last)
        last = now[0]
    events.append(kinds[cluster]["ended"]().end_event(1))
    for event in events:
        trials.tell(event)
    check(case, trials.get(1), events, planned)


def test_what_ended_while_nothing_followed_it_has_no_known_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES["vertex never seen running"]
    service = Waiting(case.client, tmp_path, monkeypatch)
    now = [T]
    monkeypatch.setattr("time.time", lambda: now[0])
    trials, before = Trials(service.plan.study, "run"), PolledJob(service.started)
    service.answer(case.waits, has_ended=False)
    polled = service.client().poll([service.started])["job-1"]
    events: list[Event] = [service.started, *before.observe(polled, now=T, last_poll=None)]
    now[0] = T + 36_000  # another process
    after = PolledJob(service.started)
    after.run_time = before.run_time
    service.answer(case.ended, has_ended=True)
    polled = service.client().poll([service.started])["job-1"]
    events += [*after.observe(polled, now=now[0], last_poll=None), polled.end_event(1)]
    spending = Spending(with_price(service.plan))
    for event in events:
        trials.tell(event)
        spending.add(event)
        assert spending.so_far < POLL
    trial = trials.get(1)
    assert (trial.seconds, trial.cost) == (None, None)
