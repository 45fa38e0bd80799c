"""The tools of `cloudtune mcp`, called by the protocol's own client over a pipe."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from cloudtune.cli.mcp import build_server
from cloudtune.ledger.home import state_folder
from cloudtune.ledger.lock import lock_holder
from tests.waiting import wait_until

pytest.importorskip("mcp")
import anyio
import psutil
from mcp import Client
from mcp.client.stdio import StdioServerParameters

SCRIPT = """
from cloudtune.trial import params, report
print("{}")  # what a script prints is no message of the protocol
report(m=(params()["x"] - 3) ** 2)
"""
STUDY = """
objective: {metric: m, goal: minimize}
parameters:
  x: {type: float, min: 0, max: 10}
strategy: external
initial_trials: [{x: 1}]
limits: {max_trials: 2}
trial: {script: train.py}
"""


@pytest.fixture(autouse=True)
def _isolate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text(SCRIPT, "utf-8")
    Path("study.yaml").write_text(STUDY, "utf-8")


def start_server() -> Client:
    """Return a client of a new process, which serves the working folder."""
    arguments = ["-m", "cloudtune", "mcp"]
    return Client(
        StdioServerParameters(command=sys.executable, args=arguments, env=dict(os.environ))
    )


def serve_here() -> Client:
    """Return a client of a new server in this process."""
    return Client(build_server())


def read_answer(result: Any) -> Any:
    """Return the answer of a tool; a text if the call was refused."""
    text = str(result.content[0].text)
    return text if result.is_error else json.loads(text)


def call_all(
    calls: list[tuple[str, Mapping[str, Any]]], connect: Callable[[], Client] = serve_here
) -> list[Any]:
    """Return the answers of tools, called one after the other."""

    async def run() -> list[Any]:
        async with connect() as client:
            return [
                (await client.list_tools()).tools
                if name == "tools"
                else read_answer(await client.call_tool(name, dict(arguments)))
                for name, arguments in calls
            ]

    return asyncio.run(run())


@pytest.mark.slow
def test_a_study_from_check_to_results() -> None:
    tools, checked, planned, started = call_all(
        [
            ("tools", {}),
            ("check", {"study": "study.yaml"}),
            ("plan", {"study": "study.yaml", "name": "lr"}),
            ("run", {"plan": "lr"}),
        ],
        start_server,
    )
    assert sorted(tool.name for tool in tools) == [
        *("check", "confirm", "explain", "plan", "propose", "report"),
        *("results", "resume", "run", "status", "stop"),
    ]
    assert all(tool.description for tool in tools)
    assert all(tool.input_schema["additionalProperties"] is False for tool in tools)
    keys = {"exit_code", "output", "messages", "plan"}
    assert all({*tool.output_schema["properties"]} == keys for tool in tools)
    assert (checked["exit_code"], checked["output"]) == (0, [])
    assert "cost      none" in planned["output"]
    run = started["output"]["run"]
    proposed, again, _ = call_all(
        [
            ("propose", {"params": {"x": 3.25}, "why": "--help", "wait": True, "run": run}),
            ("propose", {"params": {"x": 3.25}, "wait": True, "run": run}),
            ("resume", {"run": run}),
        ]
    )
    trial = proposed["output"]["trial"]
    assert (trial["why"], trial["objective"]) == ("--help", [0.0625])
    assert again["output"]["trial"] == trial, "it was measured before"
    explained, best, report, confirmed = call_all(
        [
            ("explain", {}),
            ("results", {}),
            ("report", {}),
            ("confirm", {"name": "again", "seeds": 2, "baseline": False}),
        ]
    )
    assert explained["output"]["format"] == "cloudtune.explanation/v1"
    assert len(best["output"][0]["trials"]) == 1
    assert report["output"].startswith("## ")
    assert confirmed["exit_code"] == 0
    (ended,) = call_all([("run", {"plan": "again"})])
    assert ended["output"] == {"run": f"{run}-confirm"}


HOSTILE: dict[str, tuple[str, dict[str, Any], str]] = {
    "a study is no plan": ("run", {"plan": "study.yaml"}, "is no name of a plan"),
    "a plan of the user": ("run", {"plan": "mine"}, "is no saved plan"),
    "a plan elsewhere": ("run", {"plan": "../mine"}, "is no name of a plan"),
    "a plan to save elsewhere": (
        "plan",
        {"study": "study.yaml", "name": "../mine"},
        "is no name of a plan",
    ),
    "a long reason": ("propose", {"params": {"x": 1}, "why": "x" * 10_001}, "at most 10000"),
    "a long name": ("check", {"study": "x" * 200_000}, "longer than 100,000 bytes"),
    "many long names": (
        "check",
        {"study": "study.yaml", "on": ["x" * 50_000] * 90},
        "longer than 100,000 bytes",
    ),
    "an option as a file": ("check", {"study": "--version"}, "file not found"),
    "an option as a run": ("status", {"run": "--help"}, "no runs in"),
    "a folder as a run": ("results", {"run": "../../etc"}, "no runs in"),
    "a shell word": ("check", {"study": "$(touch owned); x.yaml"}, "file not found"),
    "a null": ("results", {"run": "a\0b"}, "null character"),
    "a wrong type": ("propose", {"params": "x"}, "params: must be a map, not the string 'x'"),
    "a name twice": ("propose", {"params": '{"x": 1, "x": 2}'}, "params: x occurs twice"),
    "a flag as text": ("results", {"best": "no"}, "best: must be true or false"),
    "a number as a run": ("stop", {"run": 2}, "run: must be a string, not the number 2"),
    "a truth as a number": ("explain", {"trial": True}, "trial: must be an integer, not true"),
    "no argument": ("plan", {}, "study: is missing\nname: is missing\nthe arguments of plan: "),
    "several mistakes": (
        "plan",
        {"study": 1, "on": "local", "emulated": True},
        "study: must be a string, not the number 1\nname: is missing\n"
        "on: must be a list, not the string 'local'\nemulated: unknown argument\n"
        "the arguments of plan: study, name, on, emulate",
    ),
    "a provider": ("check", {"study": "study.yaml", "on": ["--help"]}, "--help"),
    "an unknown tool": ("clean", {}, "clean"),
    "an unknown argument": (
        "stop",
        {"run_id": "k7f2"},
        "run_id: unknown argument\nthe arguments of stop: run",
    ),
    "an argument of another tool": ("status", {"trial": 1}, "trial: unknown argument"),
    "a run of digits": ("explain", {"run": "2"}, "no runs in"),
    "a negative trial": ("explain", {"trial": -2}, "trial: must be at least 1, not -2"),
}


@pytest.mark.slow
def test_hostile_arguments_do_no_harm() -> None:
    Path("mine.json").write_text("{}", "utf-8")
    answers = call_all([(name, arguments) for name, arguments, _ in HOSTILE.values()], start_server)
    for answer, (case, (_, _, expected)) in zip(answers, HOSTILE.items(), strict=True):
        told = answer if isinstance(answer, str) else str(answer["output"]) + answer["messages"]
        assert expected in told, case
        assert isinstance(answer, str) is (case == "an unknown tool"), case
        assert "Traceback" not in json.dumps(answer), case
    assert not state_folder().exists(), "nothing was started"
    assert not Path("owned").exists()
    assert Path("mine.json").read_text("utf-8") == "{}"


@pytest.mark.slow
def test_a_plan_runs_only_as_it_was_shown() -> None:
    saved, again, broken, other = call_all(
        [
            ("plan", {"study": "study.yaml", "name": "first"}),
            ("plan", {"study": "study.yaml", "name": "first"}),
            ("plan", {"study": "train.py", "name": "second"}),
            ("plan", {"study": "study.yaml", "name": "second"}),
        ]
    )
    assert (saved["plan"], other["plan"]) == ("first", "second")
    assert "there is a plan 'first' already" in again["messages"]
    assert broken["exit_code"] == 1
    assert "plan" not in broken
    plans = state_folder() / "plans"
    edited = (plans / "second.json").read_text("utf-8").replace("max_trials", "max_failures")
    (plans / "second.json").write_text(edited, "utf-8")
    (plans / "mine.json").write_bytes((plans / "first.json").read_bytes())
    first, second, mine = call_all(
        [("run", {"plan": each}) for each in ("first", "second", "mine")]
    )
    assert first["exit_code"] == 0, "other plans that were saved do not change the source"
    assert "has changed since it was shown" in second["messages"]
    assert "'mine' is no saved plan; there are first, second" in mine["messages"]
    call_all([("stop", {"run": first["output"]["run"]})])


@pytest.mark.slow
def test_only_runs_that_cost_nothing_or_were_shown_go_on() -> None:
    free = STUDY.replace("external", "random")
    Path("free.yaml").write_text(free, "utf-8")
    Path("priced.yaml").write_text(f"{free}providers: {{local: {{prices: {{hour: 1 USD}}}}}}\n")
    runs = [_run_as_user(each) for each in ("priced.yaml", "free.yaml")]
    _, started = call_all(
        [("plan", {"study": "priced.yaml", "name": "it"}), ("run", {"plan": "it"})]
    )
    runs.append(started["output"]["run"])
    wait_until(lambda: lock_holder(state_folder() / "runs" / runs[-1]) is None)
    resumed = call_all([("resume", {"run": run}) for run in runs])
    proposed = call_all(
        [("propose", {"params": {"x": 3}, "run": run}) for run in (runs[0], runs[2])]
    )
    for answers, command in ((resumed, "resume"), (proposed, "propose")):
        refused, *others = [answer["messages"] for answer in answers]
        assert f"run {runs[0]} may cost money" in refused
        assert f"the user can type: cloudtune {command} {runs[0]}" in refused
        assert not any("may cost money" in each for each in others)


@pytest.mark.slow
def test_a_confirming_run_is_shown_only_if_its_own_plan_was() -> None:
    """Its ID is also that of another plan, which was shown but never ran."""
    free = STUDY.replace("external", "random")
    Path("free.yaml").write_text(free, "utf-8")
    Path("priced.yaml").write_text(f"{free}providers: {{local: {{prices: {{hour: 1 USD}}}}}}\n")
    run = _run_as_user("priced.yaml")
    (saved,) = call_all([("confirm", {"name": "few", "run": run, "top": 1, "seeds": 2})])
    assert "cost on local: " in saved["messages"] + saved["output"]
    command = [sys.executable, "-m", "cloudtune", "confirm", run, "--seeds", "3", "--json"]
    subprocess.run(command, capture_output=True, check=True)
    (resumed,) = call_all([("resume", {"run": f"{run}-confirm"})])
    assert f"run {run}-confirm may cost money" in resumed["messages"]


@pytest.mark.slow
def test_mistakes_of_a_proposal_are_told_together() -> None:
    parameters = "  x: {type: float, min: 0, max: 10}\n"
    wider = "".join(parameters.replace("  x", f"  {name}") for name in "xyz")
    Path("study.yaml").write_text(
        STUDY.replace(parameters, wider).replace("initial_trials: [{x: 1}]\n", ""), "utf-8"
    )
    params = {"x": None, "y": [1], "z": 11, "w": 1}
    _, _, refused, _ = call_all(
        [
            ("plan", {"study": "study.yaml", "name": "it"}),
            ("run", {"plan": "it"}),
            ("propose", {"params": params}),
            ("stop", {}),
        ]
    )
    assert all(f"{name}: " in refused["messages"] for name in params), refused


@pytest.mark.slow
def test_a_job_of_a_run_with_several_can_be_named() -> None:
    """The second is the emulator of a service."""
    arguments = {"study": "study.yaml", "name": "both", "on": ["sagemaker", "local"]}
    Path("study.yaml").write_text(
        f"{STUDY}providers: {{sagemaker: {{mode: driven, region: eu-west-1}}}}\n", "utf-8"
    )
    _, started = call_all([("plan", {**arguments, "emulate": True}), ("run", {"plan": "both"})])
    run = started["output"]["run"]
    unclear, *named = call_all(
        [
            ("propose", {"params": {"x": 3.25}, "wait": True}),
            *(
                ("propose", {"params": {"x": x}, "wait": True, "on": on})
                for x, on in ((3.25, "local"), (4, "sagemaker"))
            ),
            ("resume", {}),
            ("explain", {"on": "sagemaker"}),
            ("confirm", {"name": "it", "on": ["sagemaker"], "emulate": True, "seeds": 2}),
        ]
    )
    assert "has jobs on" in unclear["messages"]
    local, service, resumed, explained, confirmed = named
    assert (local["output"]["provider"], service["output"]["provider"]) == ("local", "sagemaker")
    assert service["output"]["trial"]["objective"] == [1]
    assert resumed["exit_code"] == 0, resumed
    assert explained["output"]["provider"] == "sagemaker"
    assert "on sagemaker, " in confirmed["messages"]
    call_all([("stop", {"run": run})])


def test_a_plan_without_a_price_does_not_run() -> None:
    saved, refused = call_all(
        [
            ("plan", {"study": "study.yaml", "name": "it", "on": ["slurm"]}),
            ("run", {"plan": "it"}),
        ]
    )
    assert saved["exit_code"] == 0
    assert "the price of the plan 'it' is unknown" in refused["messages"]


def test_a_seal_is_never_overwritten() -> None:
    plans = state_folder() / "plans"
    plans.mkdir(parents=True)
    (plans / "old.sha256").write_text("0", "utf-8")
    (saved,) = call_all([("plan", {"study": "study.yaml", "name": "old"})])
    assert "there is a plan 'old' already" in saved["messages"]
    assert (plans / "old.sha256").read_text("utf-8") == "0"


def _run_as_user(study: str) -> str:
    command = [sys.executable, "-m", "cloudtune", "run", study, "--json"]
    done = subprocess.run(command, capture_output=True, check=True)
    return str(json.loads(done.stdout)[0]["run"])


@pytest.mark.slow
def test_calls_go_on_side_by_side_and_a_canceled_one_ends() -> None:
    Path("train.py").write_text(
        "import time; from pathlib import Path\n"
        f"while not Path({str(Path('go').absolute())!r}).exists(): time.sleep(0.05)\n{SCRIPT}",
        "utf-8",
    )
    Path("study.yaml").write_text(STUDY.replace("max_trials: 2", "max_trials: 3"), "utf-8")
    _, started = call_all(
        [("plan", {"study": "study.yaml", "name": "it"}), ("run", {"plan": "it"})]
    )
    run = started["output"]["run"]

    async def cancel() -> None:
        async with start_server() as client:
            async with anyio.create_task_group() as group:
                for x in (2, 3):
                    arguments = {"params": {"x": x}, "wait": True, "run": run}
                    group.start_soon(client.call_tool, "propose", arguments)
                await anyio.to_thread.run_sync(wait_until, lambda: len(_proposing()) == 2)
                assert read_answer(await client.call_tool("status", {}))["exit_code"] == 0
                group.cancel_scope.cancel()
            await anyio.to_thread.run_sync(wait_until, lambda: not _proposing())
            assert read_answer(await client.call_tool("status", {}))["exit_code"] == 0

    asyncio.run(cancel())
    Path("go").touch()
    call_all([("stop", {"run": run})])
    wait_until(lambda: lock_holder(state_folder() / "runs" / run) is None)


def _proposing() -> list[int]:
    found: list[int] = []
    for each in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            found += [each.pid] if "propose" in each.cmdline() else []
    return found


@pytest.mark.slow
def test_long_output_is_cut_and_stays_whole() -> None:
    mistakes = "".join(f"{'unknown_' * 50}{n}: 1\n" for n in range(200))
    Path("wrong.yaml").write_text(STUDY + mistakes, "utf-8")
    checked, planned = call_all(
        [("check", {"study": "wrong.yaml"}), ("plan", {"study": "wrong.yaml", "name": "x"})]
    )
    command = [sys.executable, "-m", "cloudtune", "check", "wrong.yaml", "--json"]
    whole = json.loads(subprocess.run(command, capture_output=True, check=False).stdout)
    rows = checked["output"]
    assert 0 < len(rows) < len(whole)
    assert [each["line"] for each in rows] == [each["line"] for each in whole[: len(rows)]]
    assert f"lists have at most {len(rows)} elements" in checked["messages"]
    assert planned["messages"].endswith("the command line has all)")
