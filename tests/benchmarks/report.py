"""Time and size of reports of 1,000 and 10,000 trials. Run by hand.

    python -m tests.benchmarks.report

For each format, a separate process runs the command on a ledger with trials of 10 parameters.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.many import MEASURE, fill

SIZES = (1_000, 10_000)
FORMATS = {"text": "txt", "Markdown": "md", "JSON": "json", "HTML": "html"}


def main() -> None:
    """Print a table."""
    print("| trials | form | s | CPU s | peak MB | file MB |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            state = Path(folder) / f"{size}"
            run = fill(state, size)
            env = {**os.environ, "CLOUDTUNE_HOME": str(state)}
            for name, suffix in FORMATS.items():
                output = state / f"report.{suffix}"
                command = [sys.executable, "-m", "cloudtune", "report", run, "-o", str(output)]
                process = subprocess.run(
                    [sys.executable, "-c", MEASURE, *command],
                    env=env,
                    capture_output=True,
                    text=True,
                    check=True,
                )
                code, wall, cpu, peak = process.stdout.split()
                assert code == "0", process.stderr
                row = f"{float(wall):.1f} | {float(cpu):.1f} | {float(peak) / 1024:.0f}"
                print(
                    f"| {size:,} | {name} | {row} | {output.stat().st_size / 1e6:.2f} |", flush=True
                )


if __name__ == "__main__":
    main()
