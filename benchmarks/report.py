"""Time and size of reports of 1,000, 10,000 and 100,000 trials. Run by hand.

    python -m benchmarks.report

For each format, a separate process runs the command on a ledger with trials of 10 parameters.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks.many import fill, measure_command

SIZES = (1_000, 10_000, 100_000)
FORMATS = {"text": "txt", "Markdown": "md", "JSON": "json", "HTML": "html"}


def main() -> None:
    """Print a table."""
    print("| trials | form | s | CPU s | peak MB | file MB |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            state = Path(folder) / f"{size}"
            run = fill(state, size)
            for name, suffix in FORMATS.items():
                output = state / f"report.{suffix}"
                command = [sys.executable, "-m", "cloudtune", "report", run, "-o", str(output)]
                row = measure_command(command, state)
                size_mb = output.stat().st_size / 1e6
                print(f"| {size:,} | {name} | {row} | {size_mb:.2f} |", flush=True)


if __name__ == "__main__":
    main()
