"""Reports: how long they take and how large the page is, at 1,000 and 10,000 trials. Run by hand.

    python -m tests.benchmarks.report

Each form is made by a process of its own from a ledger with that many trials of 10 parameters, as
the command makes it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.many import MEASURED, fill

SIZES = (1_000, 10_000)
FORMS = {"text": "txt", "Markdown": "md", "JSON": "json", "HTML": "html"}


def main() -> None:
    """Print a table."""
    print("| trials | form | s | CPU s | peak MB | file MB |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            state = Path(folder) / f"{size}"
            run = fill(state, size)
            env = {**os.environ, "CLOUDTUNE_HOME": str(state)}
            for form, suffix in FORMS.items():
                output = state / f"report.{suffix}"
                words = [sys.executable, "-m", "cloudtune", "report", run, "-o", str(output)]
                told = subprocess.run(
                    [sys.executable, "-c", MEASURED, *words],
                    env=env,
                    capture_output=True,
                    text=True,
                    check=True,
                )
                code, took, used, peak = told.stdout.split()
                assert code == "0", told.stderr
                row = f"{float(took):.1f} | {float(used):.1f} | {float(peak) / 1024:.0f}"
                print(
                    f"| {size:,} | {form} | {row} | {output.stat().st_size / 1e6:.2f} |", flush=True
                )


if __name__ == "__main__":
    main()
