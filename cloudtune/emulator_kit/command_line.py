"""``python -m MODULE --folder F``: the command line that all emulators share."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

from cloudtune.common.host_errors import describe_host_error
from cloudtune.emulation.faults import FaultPlan, SupportedFaults, read_plan
from cloudtune.emulation.process import IN_USE, MISSING_EXTRA, FolderInUseError
from cloudtune.emulator_kit.app import App
from cloudtune.emulator_kit.containers import Runtime, set_runtime
from cloudtune.emulator_kit.delays import DEFAULT_SPEED, Delays
from cloudtune.emulator_kit.server import serve
from cloudtune.errors import CloudtuneError, MissingExtraError, UsageError
from cloudtune.provider.rehearsal import find_engine

if TYPE_CHECKING:
    from werkzeug.serving import WSGIRequestHandler


def run_emulator(
    program: str,
    note: str,
    create: Callable[[Path, Delays, FaultPlan, str, str], App],
    operations: Collection[str],
    *,
    handler: Callable[[], type[WSGIRequestHandler]] | None = None,
    secure: bool = False,
    effects: Collection[str] = (),
    runs_images: bool = False,
) -> int:
    """Serve an emulator until it is asked to end; return the exit code.

    Args:
        program: The module's name.
        note: What every user of this emulator should know; printed to standard error.
        create: Creates the emulation from its folder, delays, fault plan, URL and key.
        operations: The names of its operations, for the fault plan.
        handler: Returns the service's own handler of HTTP requests.
        secure: Whether it always speaks HTTPS.
        effects: Effects on a trial that only this emulator has.
        runs_images: Whether it can run jobs in their images.
    """
    parser = argparse.ArgumentParser(prog=program, description=note)
    parser.add_argument("--folder", type=Path, required=True, help="folder for its state")
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument(
        "--speed",
        type=_speed,
        default=DEFAULT_SPEED,
        help="divides the service's own delays, never a script's time (default: %(default)g)",
    )
    parser.add_argument("--faults", type=Path, help="fault plan")
    parser.add_argument("--idle", type=float, help="seconds without use after which it ends")
    text = "speak HTTPS, for clients that refuse HTTP"
    parser.add_argument("--https", action="store_true", default=secure, help=text)
    parser.set_defaults(with_images=False)
    if runs_images:
        text = "run jobs in their images, by Docker or Podman"
        parser.add_argument("--with-images", action="store_true", help=text)
    parser.add_argument("--python", help="the Python that stands in for images")
    options = parser.parse_args()
    try:
        set_runtime(_runtime(options.with_images, options.python))
        supported = SupportedFaults(operations, extra=effects)
        faults = read_plan(options.faults, supported) if options.faults else FaultPlan()
        folder: Path = options.folder.absolute()
        print(note, file=sys.stderr, flush=True)  # noqa: T201 - this is a program
        serve(
            lambda url, key: create(folder, Delays(options.speed), faults, url, key),
            folder,
            port=options.port,
            idle=options.idle,
            handler=handler() if handler else None,
            secure=options.https,
        )
    except CloudtuneError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        if isinstance(error, MissingExtraError):
            return MISSING_EXTRA
        return IN_USE if isinstance(error, FolderInUseError) else 1
    except (OSError, MemoryError, RuntimeError) as error:
        host_error = describe_host_error(error)
        if host_error is None:
            raise
        print(f"error: {host_error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _runtime(with_images: bool, python: str | None) -> Runtime:
    engine = find_engine() if with_images else None
    if with_images and engine is None:
        raise UsageError("--with-images needs Docker or Podman on the PATH")
    if python and os.sep in python:  # its packages may have programs, such as torchrun
        os.environ["PATH"] = os.pathsep.join([str(Path(python).parent), os.environ["PATH"]])
    return Runtime(engine, python)


def _speed(text: str) -> float:
    speed = float(text)
    if not speed > 0:
        raise argparse.ArgumentTypeError("must be above 0")
    return speed
