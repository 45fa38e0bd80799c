"""The jobs of a run go side by side: none disturbs another, and they share one budget."""

from __future__ import annotations

import json
import math
import re
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cloudtune.cli import exit_codes
from cloudtune.cli.main_group import cloudtune
from cloudtune.diagnostics import Finding, Note
from cloudtune.engine import observer
from cloudtune.errors import MissingExtraError, ProviderError, UnsupportedError, UsageError
from cloudtune.fitting.fit import FittedStudy
from cloudtune.ledger.home import state_folder
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.record_table import write_record_checksum
from cloudtune.planning.planner import plan_run
from cloudtune.provider import registry
from cloudtune.provider.facts import Facts
from cloudtune.provider.models import JobContext
from cloudtune.provider.plan import Plan
from cloudtune.results.events import Event, Outcome, Started
from cloudtune.results.model import StudyResult
from cloudtune.runs import lifecycle, resume
from cloudtune.study.schema import Mode
from cloudtune.study.study import Study
from cloudtune_local import LocalProvider
from cloudtune_local.capabilities import CAPABILITIES

REPORTS = "from cloudtune.trial import params, report\nreport(score=params()['x'])\n"
HANGS = "import time\ntime.sleep(1000)\n"


class Second(LocalProvider):
    """This machine under another name."""

    capabilities = replace(CAPABILITIES, provider="second")


class Lacking(LocalProvider):
    """A provider whose packages are not installed."""

    packages: Mapping[str, Sequence[str]] = {"faraway": ["no_such_module_anywhere"]}


class Unknown(LocalProvider):
    """A service without credentials."""

    def runner(self, plan: Plan, context: JobContext, emit: Any, notify: Any) -> Any:
        raise ProviderError("unknown", "no credentials were found", affects_all_calls=True)


PROVIDERS = {"second": Second, "lacking": Lacking, "unknown": Unknown}


@pytest.fixture(autouse=True)
def _context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    with ExitStack() as known:
        for name, provider in PROVIDERS.items():
            known.enter_context(registry.temporary_provider(name, provider))
        yield


class Watcher(observer.Observer):
    """Keeps what it is shown."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.ended: dict[str, Outcome] = {}
        self.running: set[str] = set()
        self.changed = threading.Condition()

    def begin(self, plan: Plan, events: Any, elapsed: float) -> None:
        pass

    def events(self, provider: str, events: Sequence[Event]) -> None:
        if any(isinstance(event, Started) for event in events):
            with self.changed:
                self.running.add(provider)
                self.changed.notify()

    def end(self, provider: str, outcome: Outcome) -> None:
        with self.changed:
            self.ended[provider] = outcome
            self.changed.notify()

    def message(self, text: str) -> None:
        self.messages.append(text)


def created(*on: str, script: str = REPORTS, **over: Any) -> str:
    Path("train.py").write_text(script, "utf-8")
    study = Study.model_validate(
        {
            "objective": {"metric": "score", "goal": "maximize"},
            "parameters": {"x": {"type": "float", "min": 0, "max": 1}},
            "strategy": {"name": "random", "seed": 1},
            "limits": {"max_trials": 2},
            "trial": {"script": "train.py"},
            **over,
        }
    )
    return lifecycle.create(plan_run(study, on)).id


def executed(run: str, watcher: Watcher | None = None) -> dict[str, tuple[str, str]]:
    outcomes = lifecycle.execute(run, watcher)
    return {name: (outcome.state, outcome.reason) for name, outcome in outcomes.items()}


def results_of(run: str) -> dict[str, StudyResult]:
    return {result.provider: result for result in lifecycle.results(run)}


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ("lacking", "pip install 'cloudtune[faraway]'"),
        ("unknown", "unknown: no credentials were found"),
    ],
)
def test_an_unusable_provider_does_not_affect_others(other: str, words: str) -> None:
    run = created(other, "local")
    watcher = Watcher()
    outcomes = lifecycle.execute(run, watcher)
    assert outcomes["local"] == Outcome("completed", "")
    assert outcomes[other].state == "failed"
    assert words in outcomes[other].reason
    assert watcher.ended == outcomes
    assert len(results_of(run)["local"].trials) == 2
    assert exit_codes.run_exit_code(lifecycle.results(run)) == 3


def test_a_refused_provider_does_not_affect_others() -> None:
    run = created("second", "local", providers={"second": {"limits": {"max_cost": "1 USD"}}})
    outcomes = lifecycle.execute(run)
    assert outcomes["local"].state == "completed"
    assert outcomes["second"].state == "refused"
    assert "the price of this machine is unknown" in outcomes["second"].reason
    assert results_of(run)["second"].trials == ()
    output = CliRunner().invoke(cloudtune, ["results", "--format", "json"]).stdout
    assert {job["provider"]: job["state"] for job in json.loads(output)} == {
        "second": "refused",
        "local": "completed",
    }
    assert StudyResult.from_json(json.dumps(json.loads(output)[0])) == results_of(run)["second"]
    assert exit_codes.run_exit_code(lifecycle.results(run)) == 2


def test_no_run_is_created_if_no_provider_can_run_it() -> None:
    with pytest.raises(UnsupportedError, match="the price of this machine is unknown"):
        created("local", "lacking", limits={"max_trials": 2, "max_cost": "1 USD"})
    with pytest.raises(MissingExtraError):
        created("lacking")
    assert not (state_folder() / "ledger.db").exists()


def test_one_job_is_stopped_and_the_others_continue() -> None:
    run = created("local", "second", script=HANGS)
    watcher = Watcher()

    def ask() -> None:
        with watcher.changed:
            watcher.changed.wait_for(lambda: watcher.running == {"local", "second"}, 200)
        lifecycle.stop(run, on=["second"])
        with watcher.changed:
            watcher.changed.wait_for(lambda: "second" in watcher.ended, 200)
        ended.update(watcher.ended)
        lifecycle.stop(run)

    ended: dict[str, Outcome] = {}
    asking = threading.Thread(target=ask)
    asking.start()
    states = executed(run, watcher)
    asking.join()
    assert ended == {"second": Outcome("cancelled", "interrupted")}
    assert states["local"] == ("cancelled", "interrupted")


def test_unknown_jobs_are_rejected() -> None:
    run = created("local")
    with pytest.raises(UsageError, match=f"run {run} has no job on vertex; it has local"):
        lifecycle.stop(run, on=["vertex"])
    with pytest.raises(UsageError, match="has no job on vertex"):
        lifecycle.execute(run, on=["vertex"])


def test_one_job_is_resumed_and_the_others_are_unchanged() -> None:
    run = created("local", "second")
    outcomes = lifecycle.execute(run, on=["second"])
    assert outcomes["second"].state == "completed"
    assert outcomes["local"].state == "pending"
    assert results_of(run)["local"].trials == ()


class Talking(LocalProvider):
    """A provider with something to say about each study."""

    capabilities = replace(CAPABILITIES, provider="talking")

    def rules(
        self, fitted: FittedStudy, mode: Mode, settings: Any, facts: Facts
    ) -> Sequence[Finding | Note]:
        own = super().rules(fitted, mode, settings, facts)
        warning = Note("limits.trial_timeout", "a trial ends after a day", "warning")
        return [*own, warning, Note("limits", "in UTC")]


def test_notes_name_their_providers_and_come_from_runnable_ones() -> None:
    created("local")
    file: dict[str, Any] = {
        "objective": {"metric": "score", "goal": "maximize"},
        "parameters": {"x": {"type": "float", "min": 0, "max": 1}},
        "limits": {"max_trials": 1},
        "trial": {"script": "train.py"},
    }
    Path("study.json").write_text(json.dumps(file), "utf-8")
    with registry.temporary_provider("talking", Talking):
        on = ["--on", "talking", "--on", "local"]
        both = CliRunner().invoke(cloudtune, ["run", "study.json", *on])
        budget = {"talking": {"limits": {"max_cost": "1 USD"}}}
        Path("study.json").write_text(json.dumps({**file, "providers": budget}), "utf-8")
        one = CliRunner().invoke(cloudtune, ["run", "study.json", *on])
    assert both.exit_code == 0
    warning = "talking: limits.trial_timeout: a trial ends after a day"
    assert re.search(rf"^warning: .*{warning}$", both.stderr, re.MULTILINE)
    assert "in UTC" not in both.stderr
    assert "trial.python" not in both.stderr
    assert one.exit_code == 2
    assert "a trial ends after a day" not in one.stderr
    assert "cost unknown" not in one.stderr
    assert "no trial measured" not in one.stdout


def test_one_trial_is_singular() -> None:
    run = created("local", limits={"max_trials": 1})
    lifecycle.execute(run)
    shown = CliRunner().invoke(cloudtune, ["watch", run])
    assert "1 trial on local in " in shown.stdout
    assert "1 trials" not in shown.stdout + shown.stderr


def changed(run: str, **times: float) -> None:
    """Let a job that ended seem to have had other times, as seconds before its end."""
    with closing(sqlite3.connect(state_folder() / "ledger.db")) as db, db:
        for name, seconds in times.items():
            what = "?" if name == "spent" else "ended - ?"
            db.execute(f"UPDATE jobs SET {name}={what} WHERE run=?", (seconds, run))
        for (provider,) in db.execute("SELECT provider FROM jobs WHERE run=?", (run,)).fetchall():
            write_record_checksum(db, run, provider)


def test_elapsed_time_excludes_pauses() -> None:
    run = created("local", "second")
    lifecycle.execute(run)
    changed(run, started=5000, begun=600, spent=30)
    shown = CliRunner().invoke(cloudtune, ["watch", run])
    assert "local   completed after 10 min 3" in shown.stderr
    assert "2 trials on local in 10 min 3" in shown.stdout


def test_a_run_of_another_version_is_refused_before_its_ledger_changes() -> None:
    run = created("local", "second")
    file = state_folder() / "ledger.db"
    (state_folder() / "ledger-version-4.db").touch()
    with closing(sqlite3.connect(file)) as db, db:
        db.execute(
            "UPDATE jobs SET plan=replace(plan, 'plan/v2', 'plan/v1') WHERE provider='second'"
        )
        write_record_checksum(db, run, "second")
    with Ledger() as ledger:
        before = ledger.run(run)
    refused = CliRunner().invoke(cloudtune, ["resume", run])
    assert refused.exit_code == 1
    assert f"run {run} cannot be resumed on second: not a plan of the format" in str(
        refused.exception
    )
    assert "ledger-version-4.db is the ledger as that version wrote it" in str(refused.exception)
    with Ledger() as ledger:
        assert ledger.run(run) == before
    resumed = CliRunner().invoke(cloudtune, ["resume", run, "--on", "local"])
    assert resumed.exit_code == 0


def test_a_managed_job_continues_while_no_process_follows_it() -> None:
    run = created("local")
    with Ledger(state_folder()) as ledger:
        (job,) = ledger.run(run).jobs
    running = replace(job, started=1000.0, process_started=2000.0, earlier_seconds=5.0)
    assert (running.elapsed(2060.0), job.elapsed(2060.0)) == (65.0, 0.0)
    managed = replace(running, plan={**job.plan, "mode": "managed"})
    assert managed.elapsed(2060.0) == 1060.0


def priced(hour: str = "3600 USD") -> Mapping[str, Any]:
    return {name: {"prices": {"hour": hour}} for name in ("local", "second")}


def test_the_budget_is_one_for_all_jobs_and_running_trials_count() -> None:
    limits = {"max_cost": "2 USD", "max_trials": 9}
    run = created("local", "second", script=HANGS, limits=limits, providers=priced())
    assert executed(run) == {
        "local": ("completed", "the cost reached 2 USD"),
        "second": ("completed", "the cost reached 2 USD"),
    }
    assert executed(run)["local"] == ("completed", "the cost reached 2 USD")


def test_a_raised_budget_resumes_the_run() -> None:
    limits = {"max_cost": "1 USD", "max_trials": 1}
    run = created("local", script=HANGS, limits=limits, providers=priced())
    executed(run)
    spent = results_of(run)["local"].trials[0].seconds  # at a dollar a second
    assert spent is not None
    more = math.ceil(spent) + 2
    with Ledger() as ledger:
        resume.prepare(ledger.run(run), [f"limits.max_cost={more} USD"])
    assert executed(run)["local"] == ("completed", f"the cost reached {more} USD")
    assert len(results_of(run)["local"].trials) == 2


def test_the_budget_of_one_provider_is_its_own() -> None:
    limits = {"max_trials": 1, "trial_timeout": "1s"}
    own_limits = {"max_cost": "1 USD", "trial_timeout": "1h"}
    own = {"second": {"prices": {"hour": "3600 USD"}, "limits": own_limits}}
    run = created("local", "second", script=HANGS, limits=limits, providers=own)
    states = executed(run)
    assert states["second"] == ("completed", "the cost reached 1 USD")
    assert [trial.reason for trial in results_of(run)["local"].trials] == [
        "its trial_timeout was reached"
    ]


def test_prices_in_another_currency_are_refused_before_anything_is_sent() -> None:
    limits = {"max_cost": "2 USD", "max_trials": 1}
    prices = {**priced(), "second": {"prices": {"hour": "1 EUR"}}}
    run = created("local", "second", limits=limits, providers=prices)
    states = executed(run)
    assert states["local"][0] == "completed"
    assert states["second"][0] == "refused"
    assert "the budget is in USD and the price in EUR" in states["second"][1]


def test_the_exit_code_is_the_first_that_occurs() -> None:
    run = created("local", "second", providers={"second": {"limits": {"max_cost": "1 USD"}}})
    lifecycle.execute(run)
    local, refused = lifecycle.results(run)

    def code(state: Any) -> int:
        return exit_codes.run_exit_code([replace(local, state=state), refused])

    assert [code(state) for state in ("cancelled", "failed", "unknown", "completed")] == [
        *(130, 3, 3),
        2,
    ]
