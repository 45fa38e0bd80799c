"""The command with which others take part in a search: propose."""

from __future__ import annotations

import json
import sys
from typing import Any, cast

import click

from cloudtune.cli.options import examples, json_option, run_argument


@examples(
    """cloudtune propose --params '{"lr": 0.01, "layers": 3}' --why "smaller steps" --wait""",
    "cloudtune propose k7f2 --params - --json < next.json",
)
@click.command()
@run_argument
@click.option(
    "--params",
    required=True,
    metavar="JSON",
    help="A value for each active parameter, as a JSON object; - reads it from standard input.",
)
@click.option("--why", default="", metavar="TEXT", help="The reason, for results and reports.")
@click.option("--on", metavar="PROVIDER", help="The provider, if the run has several jobs.")
@click.option("--wait", is_flag=True, help="Wait for the result and print it as JSON.")
@json_option
def propose(
    run: str | None, params: str, why: str, on: str | None, *, wait: bool, as_json: bool
) -> None:
    """Propose a trial to RUN (the latest by default), which starts it next.

    It counts, costs and is recorded like any other, and the strategy learns from it. An assignment
    that was measured before is answered at once, and is not tried again. A run that no process runs
    starts it when it is resumed.

    With --wait, exits with 0 if there is a result, 4 if the trial failed, and 3 if the run ended
    before.
    """
    from cloudtune import api
    from cloudtune.results.model import encode_json

    values = _parse(params)
    found = api.find_run(run).propose(values, why=why, on=on, wait=wait)
    trial = found.trial
    if as_json or wait:
        fields = ("run", "provider", "proposal", "trial")
        click.echo(encode_json({name: getattr(found, name) for name in fields}))
    elif trial is None:
        click.echo(f"run {found.run} on {found.provider}: proposal {found.proposal} waits")
    else:
        measured = ", ".join(f"{name} {value:g}" for name, value in trial.metrics.items())
        click.echo(
            f"run {found.run} on {found.provider}: trial {trial.number} is {trial.state}"
            + (f": {measured}" if measured else "")
        )
    if found.to_continue:
        click.echo(found.to_continue, err=True)
    if wait and not found.has_ended:
        sys.exit(3)
    if wait and trial is not None and trial.state == "failed":
        sys.exit(4)


def _parse(text: str) -> dict[str, Any]:
    content = sys.stdin.read() if text == "-" else text
    try:
        values: object = json.loads(content, object_pairs_hook=require_unique)
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"is no JSON: {error}", param_hint="--params") from error
    if not isinstance(values, dict):
        raise click.BadParameter('must be an object, such as {"lr": 0.01}', param_hint="--params")
    return cast("dict[str, Any]", values)


class RepeatedNameError(ValueError):
    """A name that occurs twice in an object of JSON."""


def require_unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the values of an object of JSON.

    Raises:
        RepeatedNameError: If a name occurs twice.
    """
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = ", ".join(sorted({name for name in names if names.count(name) > 1}))
        raise RepeatedNameError(f"{twice} occurs twice")
    return values
