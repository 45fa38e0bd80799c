"""The command that lets an assistant use cloudtune by the Model Context Protocol: mcp.

Each tool runs one command in a process of its own, without a shell, and returns what it prints. So
a tool does exactly what the command does, and what a training script prints cannot disturb the
protocol on standard output.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired, cast

import click
from pydantic import Field
from typing_extensions import TypedDict

from cloudtune._version import __version__
from cloudtune.cli.options import examples
from cloudtune.errors import CloudtuneError, UsageError

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

_MAX_ARGUMENTS = 100_000
"""Bytes of the arguments of a command; Linux takes 131,072 for one (execve(2), 2026-11-30)."""
_MAX_OUTPUT = 100_000
"""Characters of a command's output that a tool returns."""
_ALL = "the command line has all"
_INSTRUCTIONS = """\
cloudtune runs hyperparameter studies. check and plan a study file, show the user the price in the
saved plan, and run it once they agree; nothing else runs. While it runs, explain says
what the search believes, and propose adds trials of your own. Keep a gain only if confirm, whose
plan is saved and run in the same way, says that it exceeds the noise floor. Name the run that you
mean: by default a tool takes the latest, and a confirmation is a run of its own."""


class Answer(TypedDict):
    """What a command printed."""

    exit_code: int
    """0 if it succeeded; the skill file lists the others."""
    output: Any
    """JSON if the command prints it, else text."""
    messages: str
    """What it says to a person, such as an error and what to do."""
    plan: NotRequired[str]
    """The name of the plan that it saved."""


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

    from cloudtune.cli.strict_tool import StrictTool

    reads = ToolAnnotations(read_only_hint=True, open_world_hint=False)
    acts = ToolAnnotations(read_only_hint=False, destructive_hint=False)
    return MCPServer(
        "cloudtune",
        instructions=_INSTRUCTIONS,
        version=__version__,
        log_level="ERROR",
        tools=[
            StrictTool.create(_with_mistakes(tool), _answer_mistakes, hints)
            for tools, hints in ((_READING, reads), (_ACTING, acts))
            for tool in tools
        ],
    )


def _with_mistakes(tool: Tool) -> Tool:
    """Return a tool whose mistakes are answers, in the form of those of the commands."""

    @wraps(tool)
    async def call(**arguments: Any) -> Answer:
        try:
            return await tool(**arguments)
        except (CloudtuneError, OSError, UnicodeEncodeError) as error:
            return _answer_mistakes(str(error))

    return call


def _answer_mistakes(text: str) -> Answer:
    return {"exit_code": 1, "output": "", "messages": _cut_text(text)}


async def check(study: str, on: list[str] | None = None) -> Answer:
    """Find every mistake in a study file, and what providers (such as local or vertex) lack."""
    return await _call("check", [*_each("--on", on), "--json"], study)


async def plan(study: str, name: str, on: list[str] | None = None, emulate: bool = False) -> Answer:
    """Save what a run of a study file would send, with its price. Sends and starts nothing.

    Show the price to the user. `name` is a new name for the plan, such as "lr-search". `emulate`
    rehearses services on this machine for nothing.
    """
    flags = [*_each("--on", on), *(["--emulate"] if emulate else [])]
    return await _save(name, "plan", flags, study)


async def run(plan: str) -> Answer:
    """Run the plan of a name in the background, exactly as it was shown. Returns the run's id."""
    from anyio import to_thread

    from cloudtune.runs.shown_plans import find_shown_plan

    path = await to_thread.run_sync(find_shown_plan, plan)
    return await _call("run", ["--detach", "--json"], str(path))


async def resume(run: str = "") -> Answer:
    """Continue a run that was stopped or killed, in the background, within its own limits.

    A run that may cost money must have been started from a plan that was saved here.
    """
    found = await _require_shown(run, "resume")
    return await _call("resume", ["--detach", "--json"], found)


async def status(run: str = "") -> Answer:
    """List the runs, or tell the state of one."""
    return await _call("status", ["--json"], run)


async def propose(
    params: dict[str, Any],
    why: str = "",
    run: str = "",
    on: str = "",
    wait: bool = False,
) -> Answer:
    """Add a trial of yours to a run; with `wait`, return its result when it ends.

    `params` has a value for each active parameter. `on` is the provider, for a run with several.
    An assignment that was measured before is answered at once. All mistakes are told together.
    A run that may cost money must have been started from a plan that was saved here.
    """
    from cloudtune.runs.proposals import MAX_WHY

    if len(why) > MAX_WHY:
        raise UsageError(f"the reason has {len(why)} characters; at most {MAX_WHY} are allowed")
    values = json.dumps(params)
    place = _each("--on", [on] if on else [])
    shown = shlex.join(["--params", values, *place])
    found = await _require_shown(run, "propose", f" {shown}")
    flags = ["--params=-", f"--why={why}", *place, *(["--wait"] if wait else [])]
    return await _call("propose", [*flags, "--json"], found, standard_input=values)


async def explain(
    run: str = "", trial: Annotated[int, Field(ge=1)] | None = None, on: str = ""
) -> Answer:
    """Tell what the search of a run believes, or why it chose a trial.

    `on` is the provider, for a run with several.
    """
    from anyio import to_thread

    from cloudtune import api

    if run:  # the command takes a word of digits for a trial
        run = (await to_thread.run_sync(api.find_run, run)).id
    flags = [*_each("--on", [on] if on else []), "--json"]
    return await _call("explain", flags, run, *([] if trial is None else [str(trial)]))


async def results(run: str = "", best: bool = True) -> Answer:
    """Return the best trial of a run, or with `best` false all its trials."""
    return await _call("results", ["--json", *(["--best"] if best else [])], run)


async def report(run: str = "") -> Answer:
    """Return a report of a run as Markdown: its best trials, what mattered, what to do next."""
    return await _call("report", ["--as", "markdown"], run)


async def confirm(
    name: str,
    run: str = "",
    top: int = 5,
    seeds: int = 10,
    baseline: bool = True,
    *,
    metric: str = "",
    goal: Literal["", "maximize", "minimize"] = "",
    on: list[str] | None = None,
    emulate: bool = False,
) -> Answer:
    """Save a plan that repeats the best trials with new seeds, with its price; starts nothing.

    `name` is a new name for the plan. It is for the provider of the best trial, or for those of
    `on`. `metric` and `goal` replace those that the study names in `confirm`. Run it with the tool
    run; afterward, report and results say whether the gain is real.
    """
    flags = [f"--top={top}", f"--seeds={seeds}", "--baseline" if baseline else "--fixed"]
    flags += [f"--set=confirm.metric={json.dumps(metric)}"] if metric else []
    flags += [f"--set=confirm.goal={goal}"] if goal else []
    flags += [*_each("--on", on), *(["--emulate"] if emulate else [])]
    return await _save(name, "confirm", flags, run)


async def stop(run: str = "") -> Answer:
    """Stop a run gracefully; resume continues it."""
    return await _call("stop", [], run)


async def _save(name: str, command: str, flags: Sequence[str], *words: str) -> Answer:
    """Run a command that saves a plan, and record the plan as the one that is shown."""
    from anyio import to_thread

    from cloudtune.runs.shown_plans import reserve_plan, seal_plan

    path = await to_thread.run_sync(reserve_plan, name)
    is_saved = False
    try:
        answer = await _call(command, [*flags, f"-o{path}"], *words)
        is_saved = answer["exit_code"] == 0 and path.stat().st_size > 0
    finally:
        if not is_saved:
            path.unlink(missing_ok=True)
    if not is_saved:
        return answer
    await to_thread.run_sync(seal_plan, path)
    return {**answer, "plan": name}


async def _require_shown(run: str, command: str, options: str = "") -> str:
    """Return the ID of a run that tools may continue.

    Raises:
        UsageError: If there is no such run; or only the user can, with the command.
    """
    from anyio import to_thread

    from cloudtune.runs.shown_plans import UnshownRunError, require_shown_run

    try:
        return await to_thread.run_sync(require_shown_run, run or None)
    except UnshownRunError as error:
        hint = f"cloudtune {command} {error.run}{options}"
        raise UsageError(f"{error}; the user can type: {hint}") from error


async def _call(
    command: str, options: Sequence[str], *words: str, standard_input: str = ""
) -> Answer:
    """Run a command and return its exit code, its output and its messages.

    A call that is canceled kills the command.

    Raises:
        UsageError: If an argument cannot be passed to a command.
        OSError: If the command cannot be started.
    """
    from subprocess import DEVNULL

    from anyio import run_process

    arguments = [*options, "--", *(word for word in words if word)]
    if any("\0" in word for word in arguments):
        raise UsageError("an argument contains a null character")
    if sum(len(os.fsencode(word)) for word in arguments) > _MAX_ARGUMENTS:
        raise UsageError(f"the arguments are longer than {_MAX_ARGUMENTS:,} bytes")
    done = await run_process(
        [sys.executable, "-P", "-m", "cloudtune", command, *arguments],
        input=standard_input.encode() or None,
        stdin=None if standard_input else DEVNULL,
        check=False,
    )
    output, note = _parse(done.stdout.decode("utf-8", "replace"))
    messages = _cut_text(done.stderr.decode("utf-8", "replace"))
    return {"exit_code": done.returncode, "output": output, "messages": f"{messages}{note}"}


def _parse(text: str) -> tuple[Any, str]:
    """Return the output of a command as data or text, and a note if it was cut."""
    try:
        data: Any = json.loads(text)
    except ValueError:
        return _cut_text(text), ""
    cut, most = data, _MAX_OUTPUT
    while len(json.dumps(cut, ensure_ascii=False)) > _MAX_OUTPUT and most:
        most //= 2
        cut = _cut_lists(data, most)
    if cut is data:
        return data, ""
    return cut, f"\nThe output was cut: lists have at most {most} elements, and {_ALL}.\n"


def _cut_lists(data: Any, most: int) -> Any:
    """Return data with the first elements of each list, and the starts of its texts."""
    if isinstance(data, dict):
        items = cast("dict[str, Any]", data).items()
        return {name: _cut_lists(item, most) for name, item in items}
    if isinstance(data, list):
        return [_cut_lists(item, most) for item in cast("list[object]", data)[:most]]
    return _cut_text(data, max(most, 200)) if isinstance(data, str) else data


def _cut_text(text: str, most: int = _MAX_OUTPUT) -> str:
    return text if len(text) <= most else f"{text[:most]} … ({len(text):,} characters; {_ALL})"


def _each(option: str, values: Sequence[str] | None) -> list[str]:
    return [f"{option}={value}" for value in values or ()]


Tool = Callable[..., Awaitable[Answer]]
_READING: Sequence[Tool] = (check, status, explain, results, report)
_ACTING: Sequence[Tool] = (plan, run, resume, propose, confirm, stop)
