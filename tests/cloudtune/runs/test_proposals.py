"""Trials that are proposed to a run from outside, while it goes on and while nothing runs it."""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cloudtune import api
from cloudtune.cli import main
from cloudtune.comparison.explanation import TrialExplanation
from cloudtune.errors import LedgerError, RunFailedError, StudyError, UsageError
from cloudtune.ledger.lock import lock_holder
from cloudtune.planning.planner import plan
from cloudtune.results.events import Ended, Measured, SearchEvent, Started
from cloudtune.results.model import StudyResult, Trial
from cloudtune.runs import lifecycle
from cloudtune.runs.proposals import propose
from cloudtune.runs.status import read_status
from cloudtune.search.factory import make_strategy
from cloudtune.search.protocol import Suggestion
from cloudtune.study.limits import LIMITS
from cloudtune.study.strategies import STRATEGIES
from cloudtune.study.study import Study
from cloudtune.testing.provider_contract import stop_emulators
from tests.cloudtune.engine.test_driver import ENDS_TRIALS
from tests.waiting import wait_until

SCRIPT = """
import os, time
from cloudtune.trial import params, report
while not os.path.exists({go!r}):
    time.sleep(0.01)
values = params()
report(loss=values["x"], step=1)
"""


@pytest.fixture(autouse=True)
def _isolate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    yield
    stop_emulators(tmp_path / "state")


def study(**blocks: Any) -> dict[str, Any]:
    """Return a study whose trials end when there is a file ``go``."""
    Path("train.py").write_text(SCRIPT.format(go=str(Path.cwd() / "go")), "utf-8")
    return {
        "objective": {"metric": "loss", "goal": "minimize"},
        "parameters": {"x": {"type": "float", "min": 0, "max": 100}},
        "strategy": {"name": "bayesian", "seed": 1},
        "limits": {"max_trials": 4},
        "trial": {"script": "train.py"},
        **blocks,
    }


@contextmanager
def started(on: str = "local", **blocks: Any) -> Generator[api.Run]:
    """Run a study in another thread during the block, and to its end after it."""
    run = api.start(study(**blocks), on=on, emulate=on != "local")
    try:
        yield run
    except BaseException:
        run.stop()
        raise
    finally:
        Path("go").touch()
        run.wait()


def result(run: str) -> StudyResult:
    return lifecycle.results(run)[0]


def call(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main([*words])
    code = ended.value.code
    assert isinstance(code, int)
    return code


@pytest.mark.slow
@pytest.mark.parametrize("on", ["local", "ray"])
def test_a_run_that_goes_on_starts_a_proposal_next(on: str) -> None:
    with started(on) as run:
        wait_until(lambda: len(result(run.id).trials) == 1)
        first = run.propose({"x": 12.5}, why="half of 25")
        assert first.trial is None
        assert first.is_running
        assert run.propose({"x": 12.5}).proposal == first.proposal, "it waits already"
        Path("go").touch()
        assert run.propose({"x": 12.5}, wait=True).trial is not None
    trials = result(run.id).trials
    assert len(trials) == 4, "it counts"
    assert [(t.number, t.parameters, t.why) for t in trials if t.proposal] == [
        (2, {"x": 12.5}, "half of 25")
    ]
    assert trials[1].objective == (12.5,)


MISTAKES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "an unknown name": ({"x": 1, "k": "a", "y": 3}, ["y: unknown parameter"]),
    "a wrong value": ({"x": 101, "k": "c"}, ["x: must be", "k: must be"]),
    "a missing value": ({"k": "a"}, ["x: missing"]),
    "an inactive one": ({"x": 1, "k": "b", "depth": 2}, ["depth: depth is not active"]),
    "one that is now active": ({"x": 1, "k": "a"}, ["depth: missing"]),
    "no value": ({"x": [1], "k": None}, ["x: must be one value, not a list", "k: .* not null"]),
    "values of Python": (
        {"x": np.array([1, 2]), "k": b"a"},
        ["x: must be one value, not ndarray", "k: must be one value, not bytes"],
    ),
    "maps": (
        {"x": {1: 2}, "k": {"a": [1]}},
        ["x: must be one value, not a map .* key is no text", "k: must be one value, not a map"],
    ),
    "in doubt and wrong": ({"x": 1, "k": "c", "depth": 9}, ["k: must be", "depth: must be"]),
    "inactive and wrong": ({"x": 1, "k": "b", "depth": 9}, ["depth: .*active", "depth: must be"]),
    "a constraint": ({"x": 99, "k": "a", "depth": 3}, ["params: breaks .*<= 200"]),
    "several": ({"x": 99, "k": "a", "depth": 3, "y": 1}, ["<= 200", "<= 98", "y: unknown"]),
    "a constant": ({"x": 1, "k": "b", "c": 5}, ["c: unknown .* constant"]),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_all_mistakes_of_a_proposal_are_told(case: str) -> None:
    values, expected = MISTAKES[case]
    Path("go").touch()
    run = api.run(
        study(
            parameters={
                "x": {"type": "float", "min": 0, "max": 100},
                "k": {"type": "categorical", "values": ["a", "b"]},
                "depth": {"type": "int", "min": 1, "max": 3, "when": {"k": "a"}},
            },
            constants={"c": 5},
            constraints=["x * depth <= 200", "x <= 98"],
            limits={"max_trials": 1},
        ),
        show=False,
    )
    with pytest.raises(StudyError) as error:
        run.propose(values)
    text = str(error.value)
    for each in expected:
        assert re.search(each, text), text


def test_what_was_measured_is_answered_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    Path("go").touch()
    run = api.run(study(strategy="list", initial_trials=[{"x": 3}], limits={}), show=False)
    assert call("propose", run.id, "--params", '{"x": 3}', "--wait") == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["run"], answer["trial"]["number"]) == (run.id, 1)
    assert len(result(run.id).trials) == 1


def ended(**blocks: Any) -> api.Run:
    """Run a study to its end, also if it has no trials."""
    Path("go").touch()
    run = lifecycle.create([plan(Study.model_validate(study(**blocks)), "local")]).id
    lifecycle.execute(run)
    return api.find_run(run)


def test_a_run_that_ended_starts_a_proposal_when_it_is_resumed() -> None:
    run = ended(strategy="list", initial_trials=[{"x": 1}], limits={})
    proposed = run.propose({"x": 2}, why="first")
    assert (proposed.is_running, proposed.trial) == (False, None)
    assert read_status(run.id)[0]["jobs"][0]["proposals"] == 1
    with pytest.raises(UsageError, match="no process runs"):
        run.propose({"x": 3}, wait=True)
    api.resume(run.id, show=False)
    trials = run.results().trials[1:]
    assert [(trial.state, trial.why) for trial in trials] == [("completed", "first")]
    assert read_status(run.id)[0]["jobs"][0]["proposals"] == 0


LIMITED: dict[str, tuple[dict[str, Any], str]] = {
    "timeout": (
        {"strategy": "external", "initial_trials": [], "limits": {"timeout": "0.5s"}},
        "limits.timeout=1s",
    ),
    "patience": ({"limits": {"patience": 2}}, "limits.patience=4"),
    "cost": (
        {
            "limits": {"max_cost": "0.01 USD"},
            "initial_trials": [{"x": 5}] * 2,
            "providers": {"local": {"prices": {"hour": "90000 USD"}}},
        },
        "'limits.max_cost=0.02 USD'",
    ),
    "failures": ({"limits": {"max_failed_trials": 0}}, "limits.max_failed_trials=2"),
    "failures alike": ({"limits": {}}, "limits.max_failed_trials=6"),
    "trials": ({"limits": {"max_trials": 3}}, "limits.max_trials=4"),
    "trials here": (
        {"limits": {}, "providers": {"local": {"limits": {"max_trials": 3}}}},
        "providers.local.limits.max_trials cannot",
    ),
    "target": ({"objective": {"metric": "loss", "goal": "minimize", "target": 5}}, "no more"),
}


def test_each_limit_is_enforced_by_a_case() -> None:
    raised = " ".join(more for _, more in LIMITED.values())
    others = {name for name in LIMITS if f".{name}=" not in raised}
    assert others - {"parallel_trials"} == ENDS_TRIALS.keys(), "parallel_trials ends nothing"


@pytest.mark.parametrize("case", LIMITED)
def test_a_run_that_a_limit_has_ended_says_which_until_it_is_raised(case: str) -> None:
    blocks, more = LIMITED[case]
    listed: dict[str, Any] = {
        "strategy": "list",
        "initial_trials": [{"x": 5}, *[{"x": 5.5}] * 5],
        "limits": {},
    }
    Path("go").touch()
    asked = study(**{**listed, **blocks})
    if "failures" in case:
        Path("train.py").write_text("raise SystemExit(2)", "utf-8")
    run = lifecycle.create([plan(Study.model_validate(asked), "local")]).id
    lifecycle.execute(run)
    with pytest.raises(UsageError, match=re.escape(more)) as refused:
        propose(run, {"x": 7})
    command = re.search("cloudtune (set .*)", str(refused.value))
    if not command:
        assert case in {"target", "trials here"}
        return
    assert call(*shlex.split(command[1])) == 0
    assert propose(run, {"x": 7}, why="after all").trial is None
    enough = ["limits.max_cost=1000 USD"] if case == "cost" else []
    enough += ["limits.timeout=1h", "limits.max_trials=1"] if case == "timeout" else []
    with suppress(RunFailedError):
        api.resume(run, overrides=enough, show=False)
    assert [trial.why for trial in result(run).trials if trial.proposal] == ["after all"]


def test_a_trial_that_a_limit_has_cut_off_says_so() -> None:
    asked = study(strategy="external", limits={"timeout": "1s"})
    run = lifecycle.create([plan(Study.model_validate(asked), "local")]).id
    assert "cloudtune resume" in propose(run, {"x": 7}).to_continue
    lifecycle.execute(run)
    with pytest.raises(UsageError, match=f"cloudtune set {run} limits.timeout=2s"):
        propose(run, {"x": 7})


IN_ORDER: dict[str, tuple[dict[str, Any], list[int]]] = {
    "grid": ({"strategy": "grid", "initial_trials": []}, [1, 4, 2, 3, 5, 6]),
    "grid with initial trials": ({"strategy": "grid"}, [3, 4, 5, 1, 2, 6]),
    "list": ({"strategy": "list"}, [3, 4, 5]),
    "a list with repeats": (
        {"strategy": "list", "initial_trials": [{"x": x} for x in (3, 4, 5, 4, 5)]},
        [3, 4, 5, 4, 5],
    ),
    "external": ({"strategy": "external"}, [3, 4, 5]),
    **{
        name: ({"strategy": {**traits.example, "name": name, "seed": 1}}, [3, 4, 5])
        for name, traits in STRATEGIES.items()
        if name not in {"grid", "list", "external"}
    },
}


@pytest.mark.parametrize("case", IN_ORDER)
def test_what_is_proposed_before_its_turn_runs_once(case: str) -> None:
    """It also does if the run is stopped and resumed after that."""
    blocks, expected = IN_ORDER[case]
    values = {"x": {"type": "discrete", "values": [1, 2, 3, 4, 5, 6]}}
    initial = [{"x": 3}, {"x": 4}, {"x": 5}]
    limits = {"max_trials": len(expected)}
    common: dict[str, Any] = {"parameters": values, "initial_trials": initial, "limits": limits}
    with started(**{**common, **blocks}) as run:
        wait_until(lambda: len(result(run.id).trials) == 1)
        run.propose({"x": 4})
        run.stop()
    api.resume(run.id, show=False)
    trials = [trial for trial in run.results().trials if trial.state != "cancelled"]
    assert [trial.parameters["x"] for trial in trials] == expected
    assert [trial.parameters["x"] for trial in trials if trial.proposal] == [4]


def test_the_search_takes_the_turn_of_an_initial_trial_that_was_proposed() -> None:
    initial, strategy = [{"x": 3}, {"x": 4}], {"name": "random", "seed": 1}
    with started(initial_trials=initial, strategy=strategy, limits={"max_trials": 3}) as run:
        wait_until(lambda: len(result(run.id).trials) == 1)
        run.propose({"x": 4})
    found = [run.explain(number) for number in (1, 2, 3)]
    origins = [each.origin for each in found if isinstance(each, TrialExplanation)]
    assert origins == [
        "it is an initial trial of the study",
        "it was proposed from outside",
        "it is a random one",
    ]


def test_a_share_of_the_trials_waits_and_then_the_search_goes_on() -> None:
    Path("go").touch()
    strategy = {"name": "random", "seed": 1, "proposals": 0.5, "proposal_wait": "4s"}
    run = api.run(study(strategy=strategy, limits={"max_trials": 4}), show=False)
    alone = api.run(study(strategy={"name": "random", "seed": 1}), show=False)
    assert [t.parameters for t in run.results().trials] == [
        t.parameters for t in alone.results().trials
    ], "nobody came"
    trials = run.results().trials
    gaps = [(b.started or 0) - (a.ended or 0) for a, b in itertools.pairwise(trials)]
    assert [gap > 3.9 for gap in gaps] == [True, False, True]


def test_a_share_is_for_proposals_if_they_come() -> None:
    Path("go").touch()
    strategy = {"name": "random", "seed": 1, "proposals": 0.5, "proposal_wait": "5m"}
    with started(strategy=strategy, limits={"max_trials": 4}) as run:
        for x in (7, 8):
            assert run.propose({"x": x}, wait=True).has_ended
    assert sum(bool(t.proposal) for t in run.results().trials) == 2


def test_who_takes_no_proposals() -> None:
    Path("go").touch()
    run = api.run(study(limits={"max_trials": 2}), show=False)
    with pytest.raises(UsageError, match=rf"cloudtune set {run.id} limits.max_trials=3"):
        run.propose({"x": 3})
    with pytest.raises(UsageError, match="no job on vertex"):
        run.propose({"x": 3}, on="vertex")
    with pytest.raises(UsageError, match="10001 characters"):
        run.propose({"x": 3}, why="x" * 10_001)
    assert call("confirm", run.id, "--seeds", "2") == 0
    with pytest.raises(UsageError, match="takes no proposals"):
        propose(f"{run.id}-confirm", {"x": 3})


@pytest.mark.parametrize("params", ["[1]", "{", '"x"', "1", '{"x": 1, "x": 2}', "[" * 100_000])
def test_params_are_a_json_object(params: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("propose", "--params", params) == 1
    assert "--params" in capsys.readouterr().err


def test_outsiders_and_the_search_share_a_run() -> None:
    with started(limits={"max_trials": 12, "parallel_trials": 3}) as run:

        def take_part(first: int) -> None:
            for x in range(first, first + 4):
                run.propose({"x": float(x)}, why=f"{first}")

        outsiders = [threading.Thread(target=take_part, args=(first,)) for first in (10, 20)]
        for each in outsiders:
            each.start()
        for each in outsiders:
            each.join()
    trials = run.results().trials
    assert [t.number for t in trials] == list(range(1, 13))
    proposed = [t.parameters["x"] for t in trials if t.proposal]
    assert sorted(proposed, key=str) == [10, 11, 12, 13, 20, 21, 22, 23]
    for first in (10, 20):
        assert [x for x in proposed if first <= float(x) < first + 4] == [
            first + i for i in range(4)
        ], "those of one outsider keep their order"


@pytest.mark.parametrize(
    "change", ["body=replace(body, '10.0', '11.0')", "checksum=0", "seq=seq+1"]
)
def test_a_damaged_proposal_is_told(change: str, tmp_path: Path) -> None:
    Path("go").touch()
    run = ended(strategy="list", initial_trials=[{"x": 1}], limits={})
    run.propose({"x": 10.0})
    with closing(sqlite3.connect(tmp_path / "state" / "ledger.db")) as db, db:
        db.execute(f"UPDATE proposals SET {change}")
    with pytest.raises(LedgerError, match="proposal 1 is missing or damaged"):
        api.resume(run.id, show=False)


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_strategy_that_is_replayed_continues_alike(name: str) -> None:
    traits = STRATEGIES[name]
    for method in traits.methods or (None,):
        strategy = {
            "name": name,
            "seed": 3,
            **traits.example,
            **({"method": method} if method else {}),
        }
        asked = Study.model_validate(
            {
                "objective": {"metric": "m", "goal": "minimize"},
                "parameters": {
                    "x": {"type": "discrete", "values": [*range(40)]},
                    "y": {"type": "categorical", "values": ["a", "b"]},
                },
                "strategy": strategy,
                "initial_trials": [{"x": 1, "y": "a"}, {"x": 2, "y": "b"}],
                "trial": {"script": "train.py"},
            }
        )
        live, events = make_strategy(asked, 3), list[SearchEvent]()

        def tell(*new: SearchEvent) -> None:
            for event in new:
                live.tell(event)  # noqa: B023
                events.append(event)  # noqa: B023

        index = number = 0
        for turn in range(16):
            number += 1
            if turn % 3 == 1:
                start = Started(
                    number,
                    0.0,
                    {"x": 39 - turn, "y": "a"} if turn > 1 else {"x": 2, "y": "b"},
                    resource=9 if name == "hyperband" else None,
                    proposal=f"{turn}",
                )
            else:
                again = make_strategy(asked, 3)
                for event in events:
                    again.tell(event)
                suggestion = live.ask(index)
                assert suggestion == again.ask(index)
                if not isinstance(suggestion, Suggestion):
                    break
                start = Started(
                    suggestion.resumes or number,
                    0.0,
                    suggestion.parameters,
                    resource=suggestion.resource,
                    memory=suggestion.memory,
                )
                number -= suggestion.resumes is not None
            index += start.number == number
            loss = float(start.parameters["x"]) + turn / 7
            tell(start, Measured(start.number, 1.0, 1, {"m": loss}))
            is_whole = start.resource in {None, 9}
            tell(Ended(start.number, 2.0, "completed" if is_whole else "pending"))


KILLED = """
import sys
from cloudtune import api
run = sys.argv[1]
api.resume(run, show=False)
"""


@pytest.mark.slow
def test_a_loop_that_is_killed_forty_times_loses_nothing(tmp_path: Path) -> None:
    """The process of the run is killed forty times while somebody proposes."""
    Path("go").touch()
    blocks = {"strategy": "external", "limits": {"max_trials": 60, "parallel_trials": 2}}
    run = lifecycle.create([api.plan(study(**blocks), on="local")]).id
    folder = tmp_path / "state" / "runs" / run

    def resume() -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, "-c", KILLED, run])
        wait_until(lambda: lock_holder(folder) is not None or process.poll() is not None)
        return process

    proposed: list[float] = []
    for kill in range(40):
        process = resume()
        proposed.append(kill / 2)
        propose(run, {"x": proposed[-1]}, why=f"{kill}")
        time.sleep(0.01 * (kill % 7))
        process.kill()
        process.wait()
    process = resume()
    wait_until(lambda: len(measured(run)) == len(proposed))
    os.kill(process.pid, signal.SIGINT)
    process.wait()
    trials = measured(run)
    assert sorted(float(t.parameters["x"]) for t in trials) == proposed
    assert all(t.objective == (t.parameters["x"],) for t in trials)
    assert len({t.proposal for t in trials}) == len(proposed)


def measured(run: str) -> list[Trial]:
    return [trial for trial in result(run).trials if trial.state == "completed"]


def test_one_assignment_of_many_outsiders_starts_once() -> None:
    limits = {"max_trials": 40, "parallel_trials": 4}
    with started(strategy="external", limits=limits) as run:
        Path("go").touch()
        together = threading.Barrier(5)
        ids: list[set[str]] = []

        def take_part() -> None:
            together.wait()
            ids.append({run.propose({"x": float(x)}).proposal for x in range(8)})

        outsiders = [threading.Thread(target=take_part) for _ in range(5)]
        for each in outsiders:
            each.start()
        for each in outsiders:
            each.join()
        wait_until(lambda: len(measured(run.id)) == 8)
        assert call("set", run.id, "limits.max_trials=8") == 0
    assert sorted(float(t.parameters["x"]) for t in run.results().trials) == [*map(float, range(8))]
    assert all(each == ids[0] for each in ids)


def test_a_proposal_does_not_wait_for_the_ledger_of_a_large_run(tmp_path: Path) -> None:
    """It never holds the database while it reads, so the run goes on."""
    run = ended(strategy="list", initial_trials=[{"x": 1}], limits={})
    with closing(sqlite3.connect(tmp_path / "state" / "ledger.db", isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        assert run.propose({"x": 1}).trial is not None, "reading needs no lock"
        db.execute("ROLLBACK")


def test_a_proposal_has_the_whole_of_a_resource() -> None:
    Path("go").touch()
    strategy = {"name": "hyperband", "resource": "epochs", "max": 9, "seed": 1}
    values = {"x": {"type": "discrete", "values": [1, 2, 3, 4, 5, 6, 7, 8]}}
    blocks = {"strategy": strategy, "parameters": values, "limits": {"max_trials": 6}}
    run = api.run(study(**blocks), show=False)
    short = next(t for t in run.results().trials if t.resource != 9)
    assert call("set", run.id, "limits.max_trials=7") == 0
    assert run.propose(short.parameters).trial is None, "it was not measured with all epochs"
    api.resume(run.id, show=False)
    (trial,) = [t for t in run.results().trials if t.proposal]
    assert (trial.parameters, trial.resource) == (short.parameters, 9)
    assert run.propose(short.parameters).trial == trial


def test_the_repeat_of_a_promoted_trial_keeps_its_origin() -> None:
    initial = [{"x": x} for x in (1, 2, 3)]
    strategy = {"name": "hyperband", "resource": "epochs", "max": 3, "seed": 1}
    asked = study(strategy=strategy, initial_trials=initial, limits={"max_trials": 6})
    text = Path("train.py").read_text("utf-8").replace("while", "while params()['epochs'] > 1 and")
    Path("train.py").write_text(text, "utf-8")
    run = api.start(asked)
    try:
        wait_until(lambda: any(t.resource == 3 for t in result(run.id).trials))
    finally:
        run.stop()
        with suppress(RunFailedError):
            run.wait()
        Path("go").touch()
    api.resume(run.id, show=False)
    (repeat,) = [t for t in run.results().trials if t.replaces]
    found = run.explain(repeat.number)
    assert isinstance(found, TrialExplanation)
    assert found.origin.endswith("of that one, it is an initial trial of the study")


def test_a_proposal_is_not_stopped_by_hyperband() -> None:
    Path("go").touch()
    asked = study(
        strategy={"name": "hyperband", "max": 9, "seed": 1},
        limits={"max_trials": 6, "parallel_trials": 1},
        initial_trials=[{"x": x} for x in (1, 2, 3, 50, 60, 70)],
    )
    steps = f"""
for step in range(1, 10):
    while step == 9 and values["x"] == 50 and not os.path.exists({str(Path("rest").absolute())!r}):
        time.sleep(0.01)  # until it is stopped
    report(loss=values["x"], step=step)
"""
    text = Path("train.py").read_text("utf-8")
    Path("train.py").write_text(text.replace('report(loss=values["x"], step=1)', steps), "utf-8")
    run = api.run(asked, show=False)
    stopped = [t for t in run.results().trials if t.parameters == {"x": 50}]
    assert stopped[0].state == "stopped_early"
    Path("rest").touch()
    assert call("set", run.id, "limits.max_trials=7") == 0
    assert run.propose(stopped[0].parameters).trial is None, "it was not measured to its end"
    api.resume(run.id, show=False)
    (trial,) = [t for t in run.results().trials if t.proposal]
    assert (trial.state, len(trial.measurements)) == ("completed", 9)


def test_a_run_that_waits_for_outsiders_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    Path("go").touch()
    strategy = {"name": "random", "seed": 1, "proposals": 0.5, "proposal_wait": "0.5s"}
    run = api.run(study(strategy=strategy, limits={"max_trials": 2}))
    text = f"waits up to 0.5s for a proposal: cloudtune propose {run.id} --params"
    assert text in capsys.readouterr().err


@pytest.mark.parametrize("name", ["random", "external"])
def test_the_status_says_that_a_run_waits_for_outsiders(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("go").touch()
    share: dict[str, Any] = {"proposals": 0.5, "proposal_wait": "1h"} if name == "random" else {}
    with started(strategy={"name": name, **share}, limits={"max_trials": 2}) as run:
        own = 1 if name == "random" else 0
        wait_until(lambda: len(measured(run.id)) == own and result(run.id).state == "running")
        assert call("status", run.id) == 0
        assert f"waits for a proposal: cloudtune propose {run.id}" in capsys.readouterr().out
        for x in range(2 - own):
            assert run.propose({"x": x}, wait=True).has_ended
    assert call("status", run.id) == 0
    assert "waits for" not in capsys.readouterr().out


def test_a_turn_of_the_outsiders_holds_one_place_and_their_share_of_the_last_trials() -> None:
    Path("go").touch()
    strategy = {"name": "random", "seed": 1, "proposals": 0.3, "proposal_wait": "100m"}
    limits = {"max_trials": 10, "parallel_trials": 4}
    with started(strategy=strategy, limits=limits) as run:
        wait_until(lambda: len(measured(run.id)) == 7)
        for x in (7, 8, 9):
            assert run.propose({"x": x}, wait=True).has_ended
    trials = run.results().trials
    assert (len(trials), sum(bool(t.proposal) for t in trials)) == (10, 3)


def test_a_trial_that_is_stopped_is_repeated_and_counts() -> None:
    with started(strategy="external", limits={"max_trials": 1}) as run:
        run.propose({"x": 2})
        wait_until(lambda: len(result(run.id).trials) == 1)
        run.stop()
        wait_until(lambda: result(run.id).state == "cancelled")
    assert [t.state for t in run.results().trials] == ["cancelled"]
    assert run.propose({"x": 2}).trial is not None, "it is repeated"
    with pytest.raises(UsageError, match=r"no trial left: limits.max_trials is 1"):
        run.propose({"x": 3})
    api.resume(run.id, show=False)
    assert [t.state for t in run.results().trials] == ["cancelled", "completed"]


def test_reasons_of_any_kind_can_be_printed(capsys: pytest.CaptureFixture[str]) -> None:
    run = ended(strategy="list", initial_trials=[{"x": 1}], limits={})
    run.propose({"x": 2})
    api.resume(run.id, show=False)
    assert call("results", run.id) == 0
    run.propose({"x": 3}, why="\udcff\x1b[31m red")
    api.resume(run.id, show=False)
    capsys.readouterr()
    for line in ("results", "report", "results --format json", "results --trial 3"):
        assert call(*line.split()) == 0, line
        assert "\x1b" not in capsys.readouterr().out
    Path("all.csv").unlink(missing_ok=True)
    assert call("results", "-o", "all.csv") == 0
