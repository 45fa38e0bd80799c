"""A mistake in the code of one provider ends its job alone, whichever call it is in."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from click.testing import CliRunner, Result

from cloudtune.cli import main
from cloudtune.cli.main_group import cloudtune
from cloudtune.fitting.capabilities import DRIVEN, Capabilities
from cloudtune.provider import registry
from cloudtune.provider.models import JobContext, JobRef, JobStatus, RawTrial, TrainingJob
from cloudtune.provider.plan import Plan
from cloudtune.provider.protocols import TrialRunner
from cloudtune.results.events import Started
from cloudtune_local import LocalProvider
from cloudtune_local.capabilities import CAPABILITIES

SCRIPT = "from cloudtune.trial import params, report\nreport(score=params()['x'])\n"
STUDY = """\
objective: {metric: score, goal: maximize}
parameters: {x: {type: float, min: 0, max: 1}}
strategy: {name: random, seed: 1}
limits: {max_trials: 2}
trial: {script: train.py}
"""


class Broken:
    """Stands before something, and has a mistake in one of its calls."""

    def __init__(self, inner: Any, call: str) -> None:
        self._inner, self._call = inner, call

    def __getattr__(self, name: str) -> Any:
        if name == self._call:
            raise KeyError(f"a mistake in {name}")
        return getattr(self._inner, name)


class Service:
    """A job, or training jobs, that would complete."""

    enforces_trial_timeout = True
    poll_seconds = 0.01
    hidden_seconds = 0.0

    def find(self, name: str) -> JobRef | None:
        return None

    def submit(self, request: Any) -> JobRef:
        return JobRef("broken", "job-1")

    def status(self, job: JobRef) -> JobStatus:
        trial = RawTrial(number=1, id="t-1", parameters={"x": 0.5}, state="running", word="runs")
        return JobStatus("running", "RUNNING", trials=[trial])

    def job_name(self, number: int, start: int) -> str:
        return f"job-{number}"

    def create(self, started: Started) -> None:
        """Do nothing."""

    def poll(self, starts: Sequence[Started]) -> Mapping[str, TrainingJob]:
        return {s.id or "": TrainingJob(state="running", word="RUNNING") for s in starts}


class Managed(LocalProvider):
    """A service that has its own tuner."""

    capabilities: Capabilities = replace(
        CAPABILITIES, provider="broken", managed=DRIVEN, driven=None
    )
    call = ""

    def client(self, plan: Plan, context: JobContext) -> Any:
        return Broken(Service(), self.call)


class Driven(LocalProvider):
    """A service that runs training jobs."""

    capabilities: Capabilities = replace(CAPABILITIES, provider="broken")
    call = ""

    def training_jobs(self, plan: Plan, context: JobContext) -> Any:
        return Broken(Service(), self.call)


class Here(LocalProvider):
    """This machine under another name."""

    capabilities: Capabilities = replace(CAPABILITIES, provider="broken")
    call = ""
    runners: ClassVar[list[TrialRunner]] = []

    def runner(self, plan: Plan, context: JobContext, emit: Any, notify: Any) -> Any:
        runner = super().runner(plan, context, emit, notify)
        self.runners.append(runner)
        return Broken(runner, self.call)


def broken(call: str) -> Any:
    """Return what makes a provider with a mistake in one of its own calls."""
    return lambda: Broken(Here(), call)


def made(kind: type[Any], call: str) -> Any:
    return type("Made", (kind,), {"call": call})


@pytest.fixture(autouse=True)
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ExitStack]:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text(SCRIPT, "utf-8")
    Path("study.yaml").write_text(STUDY, "utf-8")
    with ExitStack() as stack:
        yield stack
    while Here.runners:  # whose processes else live as long as this one
        Here.runners.pop().close()


def run(*on: str, words: Sequence[str] = ("run", "study.yaml")) -> Result:
    chosen = [word for name in on for word in ("--on", name)]
    return CliRunner().invoke(cloudtune, [*words, *chosen], catch_exceptions=False)


def check(done: Result, mistake: str, state: str) -> str:
    """Check that the other job completed and this one tells its mistake; return its reason."""
    assert done.exit_code == 3, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    (told,) = json.loads(CliRunner().invoke(cloudtune, ["status", "--json"]).stdout)
    jobs = {job["provider"]: job for job in told["jobs"]}
    assert jobs["local"]["state"] == "completed"
    assert jobs["local"]["trials"] == {"completed": 2}
    assert jobs["broken"]["state"] == state
    reason: str = jobs["broken"]["reason"]
    assert f"cloudtune's own code failed (KeyError: {mistake!r})" in reason
    assert reason in done.stdout  # in the summary
    file = reason.partition("the traceback is in ")[2].partition(";")[0]
    assert f"KeyError: {mistake!r}" in Path(file).read_text("utf-8")
    return reason


@pytest.mark.parametrize("call", ["capabilities", "settings", "lookup", "rules", "request"])
def test_what_is_called_while_planning(
    known: ExitStack, call: str, capsys: pytest.CaptureFixture[str]
) -> None:
    known.enter_context(registry.temporary_provider("broken", broken(call)))
    done = run("broken", "local")
    check(done, f"a mistake in {call}", "failed")
    assert "broken cannot run this study; running it on local" in done.stderr
    with pytest.raises(SystemExit) as left:
        main(["run", "study.yaml", "--on", "broken"])
    assert left.value.code == 3
    assert f"(KeyError: 'a mistake in {call}'); the traceback is in" in capsys.readouterr().err
    shown = run("broken", words=["plan", "study.yaml"])
    assert shown.exit_code == 3
    assert "broken: cannot be planned: cloudtune's own code failed (KeyError" in shown.stdout


@pytest.mark.parametrize("call", ["runner", "job_name", "start", "close"])
def test_the_calls_of_a_runner(known: ExitStack, call: str) -> None:
    maker = broken(call) if call == "runner" else made(Here, call)
    known.enter_context(registry.temporary_provider("broken", maker))
    done = run("broken", "local")
    check(done, f"a mistake in {call}", "failed")
    (told,) = json.loads(CliRunner().invoke(cloudtune, ["status", "--json"]).stdout)
    assert "running" not in told["jobs"][0]["trials"]
    if call == "start":
        assert "trial 1 cancelled" in done.stderr


@pytest.mark.parametrize("call", ["create", "poll"])
def test_the_calls_for_training_jobs(known: ExitStack, call: str) -> None:
    known.enter_context(registry.temporary_provider("broken", made(Driven, call)))
    reason = check(run("broken", "local"), f"a mistake in {call}", "unknown")
    assert "its training jobs may still run at broken, and `cloudtune resume` finds them" in reason


@pytest.mark.parametrize(
    ("call", "state"),
    [("find", "failed"), ("submit", "failed"), ("poll_seconds", "unknown"), ("status", "unknown")],
)
def test_the_calls_of_a_client(known: ExitStack, call: str, state: str) -> None:
    known.enter_context(registry.temporary_provider("broken", made(Managed, call)))
    reason = check(run("broken", "local"), f"a mistake in {call}", state)
    goes_on = "the job job-1 may still run there, and `cloudtune resume` looks for it"
    assert (goes_on in reason) == (state == "unknown")
