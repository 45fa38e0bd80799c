"""The command verify: what a service really does, by small jobs in the user's account."""

from __future__ import annotations

import itertools
import json
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloudtune.cli.options import examples, place_option

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudtune.study.schema import Json
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
        if output:  # before it is printed, for which the reader may not wait
            output.write_text(json.dumps(planning.to_json(planned), indent=1) + "\n", "utf-8")
        _print_plan(planned)
        if output:
            click.echo(f"Saved to {output}; run it with: cloudtune verify {output}", err=True)
        elif is_saved or planned.emulated:
            top = _create_folder(planned)
            if is_saved:
                _mark_used(Path(target))
            save = partial(_save, top / planned.service)
            verified = verification.verify(planned, _notify, save)
            problem = _write(verified, save)
            _print_result(planned, verified, top, problem)
        else:
            click.echo("Nothing was sent: save the plan with -o FILE to run it.", err=True)


def _notify(text: str) -> None:
    from cloudtune.reporting.sanitize import sanitize_line

    with suppress(OSError):  # jobs are removed also if nobody reads this any more
        click.echo(sanitize_line(text.partition("\n")[0]), err=True)


def _create_folder(planned: Verification) -> Path:
    """Create a new folder for the recordings: those of an earlier verification may be paid."""
    from cloudtune.errors import UsageError
    from cloudtune.verification.cleanup import note_recordings

    name = f"verify-{planned.provider}{'-emulated' if planned.emulated else ''}"
    for number in itertools.count(1):
        top = Path(name if number == 1 else f"{name}-{number}")
        try:
            if top.exists():
                continue
            note_recordings(planned.workspace.home, top / planned.service)
            top.mkdir()
            (top / planned.service).mkdir()
        except FileExistsError:
            continue
        except OSError as error:
            raise UsageError(
                f"nothing was sent, since the folder {top.absolute()} of the recordings cannot be "
                f"created: {error}"
            ) from error
        return top
    raise AssertionError


def _mark_used(plan: Path) -> None:
    from cloudtune.errors import UsageError
    from cloudtune.verification.planning import mark_used

    try:
        mark_used(plan)
    except OSError as error:
        raise UsageError(
            f"nothing was sent, since {plan} cannot be changed, which is run once: {error}"
        ) from error


def _save(folder: Path, step: str, recording: Json) -> None:
    """Write a recording as a whole, in place of an earlier one of its step."""
    text = json.dumps(recording, indent=1, ensure_ascii=False)
    part = folder / f"verify_{step}.part"
    try:
        part.write_text(f"{text}\n", "utf-8")
        part.replace(folder / f"verify_{step}.json")
    finally:
        part.unlink(missing_ok=True)


def _write(verified: Verified, save: Callable[[str, Json], None]) -> str:
    """Write the recordings; return what prevented that, if anything did."""
    problems: dict[str, None] = {}
    for step, recording in verified.recordings.items():
        try:
            save(step, recording)
        except OSError as error:
            problems[str(error)] = None
    return "; ".join(problems)


def _print_plan(planned: Verification) -> None:
    from cloudtune.reporting.sanitize import sanitize_line
    from cloudtune.study.quantities import format_cost

    cost = f"{format_cost(planned.most or 0, 'USD')}, an estimate with {planned.price} for each "
    cost += "hour of a trial"
    if planned.uncounted:
        cost += f", which does not count {'; '.join(planned.uncounted)}"
    cost = "no cost" if planned.emulated else cost
    title = f"the emulator of {planned.provider}" if planned.emulated else planned.provider
    click.echo(f"{title}: at most 30 minutes and {cost}; everything is removed at the end")
    for each in planned.steps:
        why = "; ".join(each.reasons_to_skip)
        text = f"not run: {why}" if why else each.step.purpose
        click.echo(sanitize_line(f"  {each.step.name}: {text}"))


def _print_result(planned: Verification, verified: Verified, top: Path, problem: str) -> None:
    from cloudtune.provider.call_record import Answer
    from cloudtune.reporting.sanitize import sanitize_line

    for each in verified.answers:
        click.echo(each.question)
        source = "the emulator, not the service: " if planned.emulated and each.answer else ""
        why = each.missing
        if verified.failures and why == Answer.missing:
            why = f"calls are missing of what failed: {', '.join(verified.failures)}"
        elif planned.emulated and why == Answer.missing:
            why = "the emulator has nothing that shows it"
        click.echo(f"  {source}{sanitize_line(each.answer or f'not answered: {why}')}")
    cut = "it ended early, so calls are missing: " if verified.error else ""
    where = f"the recordings are in {top}: read them before you send them"
    if any("other_address" in each for each in verified.recordings.values()):
        click.echo(
            f"the calls were sent to another address than those of {planned.provider}: that may be "
            "another implementation, so the recordings say other_address, and are no evidence",
            err=True,
        )
    if not verified.recordings:
        where = "the service answered nothing that could be recorded"
    if problem:
        where = f"the recordings are not all in {top}: {problem}"
    click.echo(f"{cut}{where}", err=True)
    for step, reason in verified.failures.items():
        text = f"{step} failed, so calls may be missing in its recording: {reason}"
        click.echo(sanitize_line(text.partition("\n")[0]), err=True)
    for remainder in verified.left:
        click.echo(sanitize_line(remainder), err=True)
    if verified.left:
        click.echo(
            "a process in the background tries again for 15 minutes; after that, "
            f"cloudtune verify {planned.provider} removes it before all else",
            err=True,
        )
    if verified.error:
        raise verified.error
    if verified.left or problem or verified.failures:
        raise SystemExit(1)
