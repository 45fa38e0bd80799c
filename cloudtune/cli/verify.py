"""The command verify: what a service really does, by small jobs in the user's account."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloudtune.cli.options import examples, place_option

if TYPE_CHECKING:
    from cloudtune.verification.planning import Verification
    from cloudtune.verification.verification import Verified


EXAMPLES = (
    "cloudtune verify sagemaker --emulate",
    "cloudtune verify sagemaker -o verify.json --set providers.sagemaker.region=us-east-1 "
    "--set providers.sagemaker.role_arn=arn:aws:iam::111122223333:role/train "
    "--set providers.sagemaker.image=111122223333.dkr.ecr.us-east-1.amazonaws.com/train:1",
    "cloudtune verify verify.json      # sends what the saved plan shows",
)


@examples(*EXAMPLES)
@click.command()
@click.argument("target", metavar="PROVIDER|PLAN")
@place_option
@click.option("--emulate", is_flag=True, help="Verify the emulator: no account, no cost.")
@click.option(
    "-o", "output", type=click.Path(path_type=Path, dir_okay=False), help="Save the plan."
)
def verify(target: str, overrides: tuple[str, ...], *, emulate: bool, output: Path | None) -> None:
    """Answer what is not verified about PROVIDER, by small jobs that are removed again.

    It takes at most 30 minutes and 5 USD. Save the plan with -o, read it, and run it as PLAN. The
    recording of the service's answers has no names, accounts, addresses and secrets; send it if you
    like. Everything is removed, also after Ctrl-C or a kill.
    """
    from cloudtune.errors import UsageError
    from cloudtune.verification import planning, verification

    verification.clean_up_earlier(_notify)
    is_saved = Path(target).is_file()
    if is_saved and (overrides or output or emulate):
        raise UsageError("a saved plan is run as it is, without other options")
    context = (
        planning.restored(Path(target))
        if is_saved
        else planning.planned(target, overrides, emulate=emulate)
    )
    with context as planned:
        _print_plan(planned)
        if output:
            output.write_text(json.dumps(planning.to_json(planned), indent=1) + "\n", "utf-8")
            click.echo(f"Saved to {output}; run it with: cloudtune verify {output}", err=True)
        elif is_saved or planned.emulated:
            _print_result(planned, verification.verify(planned, _notify))
        else:
            click.echo("Nothing was sent: save the plan with -o FILE to run it.", err=True)


def _notify(text: str) -> None:
    from cloudtune.reporting.sanitize import sanitize_line

    click.echo(sanitize_line(text.partition("\n")[0]), err=True)


def _print_plan(planned: Verification) -> None:
    from cloudtune.reporting.sanitize import sanitize_line

    cost = f"{planned.most or 0:.2f} USD, an estimate with {planned.price} for each hour of a trial"
    cost = "no cost" if planned.emulated else cost
    title = f"the emulator of {planned.provider}" if planned.emulated else planned.provider
    click.echo(f"{title}: at most 30 minutes and {cost}; everything is removed at the end")
    for each in planned.steps:
        why = each.reason_to_skip
        text = f"not run: {why}" if why else each.step.purpose
        click.echo(sanitize_line(f"  {each.step.name}: {text}"))


def _print_result(planned: Verification, verified: Verified) -> None:
    from cloudtune.reporting.sanitize import sanitize_line

    for each in verified.answers:
        click.echo(each.question)
        source = "the emulator, not the service: " if planned.emulated and each.answer else ""
        click.echo(f"  {source}{sanitize_line(each.answer or f'not answered: {each.missing}')}")
    suffix = "-emulated" if planned.emulated else ""
    top = Path(f"verify-{planned.provider}{suffix}")
    folder = top / planned.service
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("verify_*.json"):  # of an earlier verification
        file.unlink()
    for step, recording in verified.recordings.items():
        text = json.dumps(recording, indent=1, ensure_ascii=False)
        (folder / f"verify_{step}.json").write_text(f"{text}\n", "utf-8")
    cut = "it ended early, so calls are missing: " if verified.error else ""
    click.echo(f"{cut}the recordings are in {top}: read them before you send them", err=True)
    for remainder in verified.left:
        click.echo(sanitize_line(f"not removed: {remainder}"), err=True)
    if verified.error:
        raise verified.error
    if verified.left:
        raise SystemExit(1)
