"""The tools of `cloudtune mcp`, called by the protocol's own client over a pipe."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from cloudtune.ledger.home import state_folder

pytest.importorskip("mcp")

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
Call = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def _isolate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text(SCRIPT, "utf-8")
    Path("study.yaml").write_text(STUDY, "utf-8")


def call_all(calls: list[tuple[str, Mapping[str, Any]]]) -> list[Any]:
    """Return the answers of tools, called one after the other; a text if one was refused."""
    import os

    from mcp import Client
    from mcp.client.stdio import StdioServerParameters

    async def run() -> list[Any]:
        server = StdioServerParameters(
            command=sys.executable, args=["-m", "cloudtune", "mcp"], env=dict(os.environ)
        )
        answers: list[Any] = []
        async with Client(server) as client:
            for name, arguments in calls:
                if name == "tools":
                    answers.append((await client.list_tools()).tools)
                    continue
                result = await client.call_tool(name, dict(arguments))
                content: Any = result.content[0]
                text = str(content.text)
                answers.append(text if result.is_error else json.loads(text))
        return answers

    return asyncio.run(run())


def test_a_study_from_check_to_results() -> None:
    tools, checked, planned, started = call_all(
        [
            ("tools", {}),
            ("check", {"study": "study.yaml"}),
            ("plan", {"study": "study.yaml", "save_to": "plan"}),
            ("run", {"plan": "plan.json"}),
        ]
    )
    assert sorted(tool.name for tool in tools) == [
        *("check", "confirm", "explain", "plan", "propose", "report"),
        *("results", "resume", "run", "status", "stop"),
    ]
    assert all(tool.description for tool in tools)
    keys = {"exit_code", "output", "messages"}
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
            ("confirm", {"save_to": "confirm.json", "seeds": 2, "baseline": False}),
        ]
    )
    assert explained["output"]["format"] == "cloudtune.explanation/v1"
    assert len(best["output"][0]["trials"]) == 1
    assert report["output"].startswith("## ")
    assert confirmed["exit_code"] == 0
    assert Path("confirm.json").exists()
    (ended,) = call_all([("run", {"plan": "confirm.json"})])
    assert ended["output"] == {"run": f"{run}-confirm"}


HOSTILE: dict[str, tuple[str, dict[str, Any], str]] = {
    "a study is no plan": ("run", {"plan": "study.yaml"}, "is no saved plan"),
    "no plan": ("run", {"plan": "train.py.json"}, "is no saved plan"),
    "an option as a file": ("check", {"study": "--version"}, "file not found"),
    "an option as a run": ("status", {"run": "--help"}, "no runs in"),
    "a folder as a run": ("results", {"run": "../../etc"}, "no runs in"),
    "a shell word": ("check", {"study": "$(touch owned); x.yaml"}, "file not found"),
    "a null": ("explain", {"run": "a\0b"}, "null character"),
    "a wrong type": ("propose", {"params": "x"}, "validation error"),
    "no argument": ("plan", {}, "validation error"),
    "a provider": ("check", {"study": "study.yaml", "on": ["--help"]}, "--help"),
    "an unknown tool": ("clean", {}, "clean"),
}


def test_hostile_arguments_do_no_harm() -> None:
    Path("other.json").write_text("[]", "utf-8")
    answers = call_all([(name, arguments) for name, arguments, _ in HOSTILE.values()])
    for answer, (case, (_, _, expected)) in zip(answers, HOSTILE.items(), strict=True):
        assert expected in json.dumps(answer), case
    assert not state_folder().exists(), "nothing was started"
    assert not Path("owned").exists()
