"""The command that lets an assistant use cloudtune by the Model Context Protocol: mcp.

Each tool runs one command in a process of its own, without a shell, and returns what it prints. So
a tool does exactly what the command does, and what a training script prints cannot disturb the
protocol on standard output.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click
from typing_extensions import TypedDict

from cloudtune._version import __version__
from cloudtune.cli.options import examples

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

_MAX_OUTPUT = 100_000
"""Characters of a command's output that a tool returns; the command line has all."""
_INSTRUCTIONS = """\
cloudtune runs hyperparameter studies. check and plan a study file, show the user the price in the
plan, and run the saved plan once they agree; nothing runs without one. While it runs, explain says
what the search believes, and propose adds trials of your own. Keep a gain only if confirm, whose
plan is saved and run in the same way, says that it exceeds the noise floor."""


class Answer(TypedDict):
    """What a command printed."""

    exit_code: int
    """0 if it succeeded; the skill file lists the others."""
    output: Any
    """JSON if the command prints it, else text."""
    messages: str
    """What it says to a person, such as an error and what to do."""


@examples("cloudtune mcp", "claude mcp add cloudtune -- cloudtune mcp")
@click.command()
def mcp() -> None:
    """Serve cloudtune to an assistant by the Model Context Protocol, on standard input and output.

    It has the tools check, plan, run, resume, status, propose, explain, results, report, confirm
    and stop. Only saved plans run. Paths are relative to the working folder.
    """
    from importlib.util import find_spec

    from cloudtune.errors import MissingExtraError

    if find_spec("mcp") is None:
        raise MissingExtraError("cloudtune mcp", "mcp")
    build_server().run("stdio")


def build_server() -> MCPServer:
    """Return the server with its tools."""
    from mcp.server.mcpserver import MCPServer
    from mcp_types import ToolAnnotations

    server = MCPServer(
        "cloudtune", instructions=_INSTRUCTIONS, version=__version__, log_level="ERROR"
    )
    reads = ToolAnnotations(read_only_hint=True, open_world_hint=False)
    acts = ToolAnnotations(read_only_hint=False, destructive_hint=False)
    for tool in _READING:
        server.tool(annotations=reads)(tool)
    for tool in _ACTING:
        server.tool(annotations=acts)(tool)
    return server


def check(study: str, on: Sequence[str] = ()) -> Answer:
    """Find every mistake in a study file, and what providers (such as local or vertex) lack."""
    return _call("check", [*_each("--on", on), "--json"], study)


def plan(study: str, save_to: str, on: Sequence[str] = (), emulate: bool = False) -> Answer:
    """Save what a run of a study file would send, with its price. Sends and starts nothing.

    Show the price to the user. `emulate` rehearses services on this machine for nothing.
    """
    flags = [*_each("--on", on), *(["--emulate"] if emulate else [])]
    return _call("plan", [*flags, f"-o{_file(save_to)}"], study)


def run(plan: str) -> Answer:
    """Run a saved plan in the background, exactly as it was shown. Returns the run's id."""
    from pathlib import Path

    from cloudtune.planning.serialization import read_plan_file

    if not plan.endswith(".json") or read_plan_file(Path(plan)) is None:
        return _refusal(f"{plan} is no saved plan; save one with plan or confirm")
    return _call("run", ["--detach", "--json"], plan)


def resume(run: str = "") -> Answer:
    """Continue a run that was stopped or killed, in the background, within its own limits."""
    return _call("resume", ["--detach", "--json"], run)


def status(run: str = "") -> Answer:
    """List the runs, or tell the state of one."""
    return _call("status", ["--json"], run)


def propose(
    params: Mapping[str, str | float | int | bool | dict[str, Any]],
    why: str = "",
    run: str = "",
    wait: bool = False,
) -> Answer:
    """Add a trial of yours to a run; with `wait`, return its result when it ends.

    An assignment that was measured before is answered at once. All mistakes are told together.
    """
    flags = [f"--params={json.dumps(params)}", f"--why={why}", *(["--wait"] if wait else [])]
    return _call("propose", [*flags, "--json"], run)


def explain(run: str = "", trial: int | None = None) -> Answer:
    """Tell what the search of a run believes, or why it chose a trial."""
    return _call("explain", ["--json"], run, *([] if trial is None else [str(trial)]))


def results(run: str = "", best: bool = True) -> Answer:
    """Return the best trial of a run, or with `best` false all its trials."""
    return _call("results", ["--json", *(["--best"] if best else [])], run)


def report(run: str = "") -> Answer:
    """Return a report of a run as Markdown: its best trials, what mattered, what to do next."""
    return _call("report", ["--as", "markdown"], run)


def confirm(
    save_to: str, run: str = "", top: int = 5, seeds: int = 10, baseline: bool = True
) -> Answer:
    """Save a plan that repeats the best trials with new seeds, with its price; starts nothing.

    Run it with the tool run; afterward, report and results say whether the gain is real.
    """
    flags = [f"--top={top}", f"--seeds={seeds}", *(["--baseline"] if baseline else ["--fixed"])]
    return _call("confirm", [*flags, f"-o{_file(save_to)}"], run)


def stop(run: str = "") -> Answer:
    """Stop a run gracefully; resume continues it."""
    return _call("stop", [], run)


def _call(command: str, options: Sequence[str], *words: str) -> Answer:
    """Run a command and return its exit code, its output and its messages."""
    arguments = [word for word in words if word]
    if any("\0" in word for word in (*options, *arguments)):
        return _refusal("an argument contains a null character")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "cloudtune", command, *options, "--", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    return {
        "exit_code": done.returncode,
        "output": _parse(done.stdout),
        "messages": done.stderr[:_MAX_OUTPUT],
    }


def _parse(text: str) -> Any:
    if len(text) > _MAX_OUTPUT:
        return f"{text[:_MAX_OUTPUT]}\n… {len(text)} characters; the command line has all"
    try:
        return json.loads(text)
    except ValueError:
        return text


def _refusal(message: str) -> Answer:
    return {"exit_code": 1, "output": "", "messages": message}


def _each(option: str, values: Sequence[str]) -> list[str]:
    return [f"{option}={value}" for value in values]


def _file(path: str) -> str:
    """Return the path of a plan, which must be one."""
    return path if path.endswith(".json") else f"{path}.json"


_READING: Sequence[Callable[..., Answer]] = (check, status, explain, results, report)
_ACTING: Sequence[Callable[..., Answer]] = (plan, run, resume, propose, confirm, stop)
