"""What cloudtune needs for 1,000 trials of one second on a Slurm cluster. Run by hand, on Debian.

    python -m benchmarks.slurm_scale                   1,000 trials, 100 at a time
    python -m benchmarks.slurm_scale 200 --parallel 50

It starts a real Slurm of ten nodes on this machine, whose processors exist only in its
configuration, so the wall time depends on the machine. The CPU time and the memory of cloudtune's
own process, and the calls of Slurm's commands, do not. The settings are the defaults.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.cloudtune_slurm.cluster import Cluster

NODES, CPUS = 10, 10
TICKS = os.sysconf("SC_CLK_TCK")
SCRIPT = """\
import time
from cloudtune.trial import params, report
time.sleep(1)
report(score=params()["x"], step=1)
"""
STUDY = """\
objective: {{metric: score, goal: maximize}}
parameters: {{x: {{type: float, min: 0, max: 1}}}}
strategy: {{name: random, seed: 1}}
limits: {{max_trials: {trials}, parallel_trials: {parallel}, timeout: {timeout}}}
trial: {{script: train.py, resources: {{cpus: 1, memory: 30 MB}}}}
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("trials", type=int, nargs="?", default=1_000)
    parser.add_argument("--parallel", type=int, default=100)
    parser.add_argument("--nice", type=int, default=0, help="niceness of the trials")
    parser.add_argument("--timeout", default="2h", help="of the run")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    cluster = Cluster(
        folder / "c",
        nodes=NODES,
        cpus=CPUS,
        memory=4_000,
        min_job_age=7_200,
        slurmd_timeout=600,
        niceness=options.nice,
    )
    try:
        cluster.start()
        study = STUDY.format(
            trials=options.trials, parallel=options.parallel, timeout=options.timeout
        )
        _measure(cluster, folder, study)
    finally:
        cluster.close()
        shutil.rmtree(folder)


def _measure(cluster: Cluster, folder: Path, study: str) -> None:
    (folder / "train.py").write_text(SCRIPT)
    (folder / "study.yaml").write_text(study)
    calls = folder / "calls"
    for name in ("sbatch", "squeue", "scancel"):
        real = shutil.which(name, path=cluster.environment["PATH"])
        program = folder / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\necho {name} >> {calls}\nexec {real} "$@"\n')
        program.chmod(0o755)
    env = {**cluster.environment, "CLOUDTUNE_HOME": str(folder / "state")}
    env["PATH"] = f"{folder / 'bin'}:{env['PATH']}"
    words = [sys.executable, "-m", "cloudtune", "run", "study.yaml", "--on", "slurm"]
    begin = time.monotonic()
    with (folder / "output").open("w") as output:
        process = subprocess.Popen(words, cwd=folder, env=env, stdout=output, stderr=output)
        own, children, peak = 0.0, 0.0, 0
        while process.poll() is None:
            own, children, peak = _usage(process.pid) or (own, children, peak)
            time.sleep(0.2)
    minutes = (time.monotonic() - begin) / 60
    print((folder / "output").read_text()[-400:])
    counts = Counter(calls.read_text().split())
    print(f"{minutes:.1f} minutes, exit code {process.returncode}")
    per_trial = own / counts["sbatch"] * 1000
    print(f"cloudtune's process: {own:.1f} s of CPU, {per_trial:.1f} ms a trial")
    print(f"Slurm's commands: {children:.1f} s of CPU; peak memory of cloudtune {peak // 1024} MB")
    print({name: f"{count} ({count / minutes:.1f} a minute)" for name, count in counts.items()})
    done = cluster.run("squeue", "-h", "-t", "all", "-o", "%j %T")
    jobs = Counter(line.split()[0] for line in done.stdout.splitlines())
    print(f"{len(jobs)} jobs, at most {max(jobs.values())} of a name")
    words = [sys.executable, "-m", "cloudtune", "results", "--json"]
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, check=True)
    results = json.loads(done.stdout)
    print(Counter(trial["state"] for trial in results[0]["trials"]))


def _usage(pid: int) -> tuple[float, float, int] | None:
    """Return the CPU seconds of a process and of its children, and its peak memory in kB."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    peak = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    if not peak:
        return None
    times = [int(field) / TICKS for field in fields[11:15]]
    return times[0] + times[1], times[2] + times[3], int(peak[0])


if __name__ == "__main__":
    main()
