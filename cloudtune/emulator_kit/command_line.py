"""``python -m MODULE --folder F``: the command line that the emulators of all services share."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

from cloudtune.emulation.faults import Able, FaultPlan, read_plan
from cloudtune.emulation.process import MISSING
from cloudtune.emulator_kit.delays import DEFAULT_SPEED, Delays
from cloudtune.emulator_kit.server import Emulation, serve
from cloudtune.errors import CloudtuneError, MissingExtraError

if TYPE_CHECKING:
    from werkzeug.serving import WSGIRequestHandler


def run(
    program: str,
    note: str,
    make: Callable[[Path, Delays, FaultPlan, str, str], Emulation],
    operations: Collection[str],
    *,
    handler: Callable[[], type[WSGIRequestHandler]] | None = None,
    secure: bool = False,
    effects: Collection[str] = (),
    words: list[str] | None = None,
) -> int:
    """Serve an emulator until it is told to end; return the exit code.

    Args:
        program: The module's name.
        note: What everybody who uses this emulator is told.
        make: Makes the emulation from its folder, its delays, its faults, its URL and
            its key.
        operations: The names of the operations that it has, for the fault plan.
        handler: Gets the service's own handler of HTTP requests.
        secure: Whether it speaks HTTPS.
        effects: The faults of a trial that it alone has.
        words: The command line; that of this process when left out.
    """
    parser = argparse.ArgumentParser(prog=program, description=note)
    parser.add_argument("--folder", type=Path, required=True, help="where its state is kept")
    parser.add_argument("--port", type=int, default=0, help="a free one when left out")
    parser.add_argument(
        "--speed",
        type=_speed,
        default=DEFAULT_SPEED,
        help="divides the service's own delays, never a script's time (%(default)g)",
    )
    parser.add_argument("--faults", type=Path, help="a fault plan")
    parser.add_argument("--idle", type=float, help="seconds without use after which it ends")
    said = parser.parse_args(words)
    try:
        able = Able(operations, own=effects)
        faults = read_plan(said.faults, able) if said.faults else FaultPlan()
        folder: Path = said.folder.absolute()
        print(note, file=sys.stderr, flush=True)  # noqa: T201 - a program of its own
        serve(
            lambda url, key: make(folder, Delays(said.speed), faults, url, key),
            folder,
            port=said.port,
            idle=said.idle,
            handler=handler() if handler else None,
            secure=secure,
        )
    except MissingExtraError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return MISSING
    except CloudtuneError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _speed(text: str) -> float:
    speed = float(text)
    if not speed > 0:
        raise argparse.ArgumentTypeError("must be above 0")
    return speed
