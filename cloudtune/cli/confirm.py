"""The command that repeats the best trials of a run with new seeds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloudtune.cli.messages import echo_message
from cloudtune.cli.options import (
    confirm_option,
    emulate_option,
    examples,
    json_option,
    metric_option,
    run_argument,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudtune.provider.plan import Plan


@examples(
    "cloudtune confirm",
    "cloudtune confirm k7f2 --top 3 --seeds 20 --baseline",
    "cloudtune confirm k7f2 --ablate",
    "cloudtune confirm k7f2 --set confirm.metric=test_accuracy --set confirm.goal=maximize",
    "cloudtune confirm k7f2 --on slurm --fixed --seeds 5",
)
@click.command()
@run_argument
@confirm_option
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=5,
    metavar="N",
    help="Repeat the N best trials.  [default: 5]",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=2, max=500),
    metavar="N",
    help="The most seeds of a trial; fewer where that is decided earlier.  [default: 10]",
)
@click.option("--fixed", is_flag=True, help="Give every trial every seed.")
@click.option(
    "--baseline",
    is_flag=True,
    help="Also repeat the script's defaults, or the first trial, for the noise floor.",
)
@click.option(
    "--ablate",
    is_flag=True,
    help="Repeat the best trial with one parameter at a time back at its default.",
)
@metric_option
@click.option("--max-cost", metavar="AMOUNT", help="End before this cost, such as '25 USD'.")
@emulate_option
@click.option("--detach", is_flag=True, help="Run in the background, and return at once.")
@click.option(
    "-o",
    "output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Save the plan instead of running it.",
)
@json_option
def confirm(
    run: str | None,
    on: tuple[str, ...],
    *,
    top: int,
    seeds: int | None,
    fixed: bool,
    baseline: bool,
    ablate: bool,
    overrides: tuple[str, ...],
    max_cost: str | None,
    emulate: bool,
    detach: bool,
    output: Path | None,
    as_json: bool,
) -> None:
    """Repeat the best trials of RUN (the latest by default) with new seeds.

    The best of many noisy trials is too good to be true. This says with an interval which trial to
    take, and how much of its lead was luck. All trials get the same seeds, two at first, and more
    where they decide. It is a run of its own, named after RUN, and continues with `cloudtune
    resume`.
    """
    from cloudtune.cli.exit_codes import run_exit_code
    from cloudtune.cli.runs import finish, print_findings, start_run
    from cloudtune.cli.study import save_plans
    from cloudtune.confirmation.analysis import analyze
    from cloudtune.errors import UsageError
    from cloudtune.results.model import encode_json
    from cloudtune.runs.confirm import ConfirmOptions, plan_confirmation, why_needless
    from cloudtune.runs.lifecycle import create

    if ablate and baseline:
        raise UsageError("--ablate and --baseline contradict each other")
    options = ConfirmOptions(top, seeds or 10, fixed, baseline, ablate, max_cost, overrides)
    plans = plan_confirmation(run, options, on=on, emulate=emulate)
    if not (fixed or baseline) and (reason := why_needless(plans[0])):
        text = "--fixed confirms it anyway"
        click.echo(json.dumps([]) if as_json else f"{reason}; {text}")
        return
    print_findings(plans, strict=False)
    echo_message(_describe_plan(plans), err=True)
    if output:
        save_plans(plans, output)
        return
    handle = start_run(plans[0].facts.run_id, lambda: create(plans), detach=detach, as_json=as_json)
    if handle is None:
        return
    if not as_json:
        finish(handle, (), as_json=False)
    results = handle.results().jobs
    click.echo(encode_json([each for result in results if (each := analyze(result))]))
    raise SystemExit(run_exit_code(results))


def _describe_plan(plans: Sequence[Plan]) -> str:
    """Return what a confirming run will do at most, at what cost, and what else ends it."""
    from cloudtune.reporting.console.plan_page import describe_cost
    from cloudtune.study.limits import LIMITS
    from cloudtune.study.quantities import format_count

    plan = plans[0].facts.confirmation
    assert plan is not None
    count, most = len(plan.candidates), len(plan.seeds)
    least = most if plan.fixed else min(2, most)
    seeds = f"{most}" if least == most else f"{least} to {most}"
    trials = f"{count * most}" if least == most else f"{count * least} to {count * most}"
    where = " and ".join(each.provider for each in plans)
    text = f"run {plans[0].facts.run_id}: {format_count(count, 'setting')} with {seeds} seeds on "
    text += f"{where}, {trials} trials"
    if plans[0].study.objectives[0].metric != plan.search_metric:
        text += f", decided by {plans[0].study.objectives[0].metric} ({plan.goal})"
    costs = [f"cost on {each.provider}: {describe_cost(each)}" for each in plans]
    ends = plans[0].study.to_json()["limits"]
    del ends["max_trials"]  # all trials
    limits = [f"{name} {ends[name]}" for name in ends if LIMITS[name].ends_run]
    if "max_failed_trials" in ends and ends["max_failed_trials"] < count * most:
        limits.append(f"max_failed_trials {ends['max_failed_trials']}")
    texts = [text, *costs, *([f"limits: {', '.join(limits)}"] if limits else [])]
    return "\n".join(["; ".join(texts), *plan.notes])
