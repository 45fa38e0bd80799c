"""Runs whose source has very many files. Run by hand.

    python benchmarks/large_source.py [FILES]     100,000 files of 2 kB by default

It prints the time and the CPU time of planning, of a run of four trials that read one file and
change another, of the same run if the kernel cannot share the source, and of removing each run. It
runs in a temporary folder, so TMPDIR chooses the file system.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

STUDY = r"""
objective: {metric: loss, goal: minimize}
parameters: {lr: {type: float, min: 0, max: 1}}
limits: {max_trials: 4}
strategy: random
trial: {script: train.py, metrics: {loss: 'loss=(\S+)'}}
"""
SCRIPT = """\
print("loss=0.5", open("data/0/0.bin").read(1))
open("data/0/1.bin", "w").write("changed")
"""
COPIED = """\
import sys
from cloudtune_local import contract
contract.can_share = lambda folder: False
from cloudtune.cli import main
main(sys.argv[1:])
"""
"""cloudtune whose trials copy the source."""
SHARED = "import sys; from cloudtune.cli import main; main(sys.argv[1:])"
_FOLDER_FILES = 500


def main() -> None:
    """Print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_source(folder, count)
        print("| what | s | CPU s |\n|---|---|---|")
        _measure("plan", folder, SHARED, "plan", "study.yaml", "--json")
        for kind, program in (("shared", SHARED), ("copied", COPIED)):
            _measure(f"run, {kind}", folder, program, "run", "study.yaml")
            files = sum(len(names) for _, _, names in os.walk(folder / ".cloudtune"))
            _measure(f"clean of {files:,} files", folder, program, "clean", "--yes")


def _write_source(folder: Path, count: int) -> None:
    (folder / "study.yaml").write_text(STUDY)
    (folder / "train.py").write_text(SCRIPT)
    for number in range(count):
        path = folder / "data" / str(number // _FOLDER_FILES) / f"{number}.bin"
        if number % _FOLDER_FILES == 0:
            path.parent.mkdir(parents=True)
        path.write_bytes(b"x" * 2000)


def _measure(what: str, folder: Path, program: str, *words: str) -> None:
    before, start = _cpu_seconds(), time.perf_counter()
    command: Sequence[str] = [sys.executable, "-c", program, *words]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    wall, cpu = time.perf_counter() - start, _cpu_seconds() - before
    print(f"| {what} | {wall:.1f} | {cpu:.1f} |", flush=True)


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
