"""The command that tells what a search believes: explain."""

from __future__ import annotations

import click

from cloudtune.cli.completion import complete_runs
from cloudtune.cli.options import examples, json_option, split_run_and_trial


@examples("cloudtune explain", "cloudtune explain 12", "cloudtune explain k7f2 --json")
@click.command()
@click.argument("words", nargs=-1, metavar="[RUN] [TRIAL]", shell_complete=complete_runs)
@click.option("--on", metavar="PROVIDER", help="The provider, if the run has several jobs.")
@json_option
def explain(words: tuple[str, ...], on: str | None, *, as_json: bool) -> None:
    """Tell what the search of RUN (the latest by default) believes, or why it chose TRIAL.

    A model of the trials so far predicts each of them from the others, the best assignment, and
    the one of which it knows least. It is that of the strategy bayesian, whatever chose the trials.
    """
    from cloudtune import api
    from cloudtune.cli.messages import echo_message
    from cloudtune.reporting.explanation import describe_explanation

    run, number = split_run_and_trial(words)
    found = api.find_run(run).explain(number, on=on)
    if as_json:
        click.echo(found.to_json())
        return
    items = describe_explanation(found)
    name = "" if number is None else f"trial {number} of "
    echo_message(f"{name}run {found.run} on {found.provider}")
    width = max(len(title) for title, _ in items)
    for title, text in items:
        echo_message(f"  {title:{width}}   {text}")
