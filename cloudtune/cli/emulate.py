"""The command that serves an emulator, for tests and other tools: emulate."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import click

from cloudtune.cli.options import (
    examples,
    faults_option,
    json_option,
    speed_option,
    with_images_option,
)


@examples(
    "cloudtune emulate sagemaker",
    "cloudtune emulate sagemaker --faults faults.yaml --speed 20",
)
@click.command()
@click.argument("provider")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="The port; a free one by default."
)
@speed_option
@faults_option
@with_images_option
@click.option("--python", metavar="PATH", help="The Python that stands in for images.")
@click.option("--https", is_flag=True, help="Speak HTTPS, for clients that refuse HTTP.")
@json_option
def emulate(
    provider: str,
    port: int,
    *,
    speed: float | None,
    faults: Path | None,
    with_images: bool,
    python: str | None,
    https: bool,
    as_json: bool,
) -> None:
    """Serve the API of PROVIDER on this machine until Ctrl-C. Trials really run here.

    Prints the environment variables that make the service's own tools and cloudtune use the
    emulator. It chooses trials with cloudtune's search algorithms, not the service's. Nothing
    leaves this machine.
    """
    from cloudtune.emulation import process
    from cloudtune.emulation.environment import folder_variable
    from cloudtune.errors import ProviderError, UsageError
    from cloudtune.ledger.home import create_state_folder, open_folder_note, state_folder
    from cloudtune.provider import registry
    from cloudtune.provider.rehearsal import Rehearsal

    module = registry.get(provider).emulator
    if module is None:
        raise UsageError(f"{provider} has no emulator")
    state = state_folder()
    folder = state / "emulators" / provider
    if other := process.find_running(folder):
        raise UsageError(
            f"an emulator of {provider} is already running in {folder}; to end it: kill {other.pid}"
        )
    create_state_folder(state)
    if note := open_folder_note(state):
        click.echo(note, err=True)
    plans = process.read_fault_plans(faults, {provider: None}) if faults else {}
    words = process.command_line_options(provider, process.EmulationOptions(speed, plans), folder)
    words += ["--port", str(port)] if port else []
    words += ["--https"] if https else []
    if with_images and python:
        raise UsageError("use either --with-images or --python")
    words += Rehearsal(images=with_images, python=python).options(Path.cwd())
    address = process.start(provider, module, folder, words, tied=True)
    variables = {**address.environment, folder_variable(provider): str(folder)}
    try:
        if as_json:
            click.echo(json.dumps({"url": address.url, **variables}))
        else:
            for name, value in variables.items():
                click.echo(f"export {name}={shlex.quote(value)}")
        click.echo(f"serving {provider} at {address.url}; press Ctrl-C to stop", err=True)
        process.wait(address)
    except KeyboardInterrupt:
        return
    finally:
        process.stop(address)
    raise ProviderError(provider, f"its emulator ended unexpectedly; the log is in {folder}")
