"""``python -m cloudtune_sagemaker.emulator --folder F``: serve the emulator on loopback."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cloudtune.emulation.faults import FaultPlan, read_plan
from cloudtune.emulation.serving import serve
from cloudtune.errors import CloudtuneError, MissingExtraError
from cloudtune_sagemaker.emulator.app import SageMaker, request_handler
from cloudtune_sagemaker.emulator.delays import DEFAULT_SPEED, Delays
from cloudtune_sagemaker.emulator.operations import OPERATIONS

MISSING = 3
"""The exit code where a package is not installed; whoever starts emulators knows it."""
NOTE = (
    "SageMaker emulator: trials are chosen by cloudtune's own search, not by the service's; "
    "scripts run here, images do not"
)


def main(words: list[str] | None = None) -> int:
    """Serve until told to end; return the exit code."""
    parser = argparse.ArgumentParser(prog="cloudtune_sagemaker.emulator", description=NOTE)
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
        faults = read_plan(said.faults, OPERATIONS) if said.faults else FaultPlan()
        folder: Path = said.folder.absolute()
        print(NOTE, file=sys.stderr, flush=True)  # noqa: T201 - a program of its own
        serve(
            lambda _url, _key: SageMaker(folder, Delays(said.speed), faults),
            folder,
            port=said.port,
            idle=said.idle,
            handler=request_handler(),
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


if __name__ == "__main__":
    sys.exit(main())
