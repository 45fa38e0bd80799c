"""What a run uses and creates on a Slurm cluster, in words."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from cloudtune.provider import Plan, describe_source
from cloudtune_slurm.layout import Layout
from cloudtune_slurm.request import sbatch_words


def outline(plan: Plan) -> Mapping[str, str]:
    """Return where a plan's trials run, the command of each job, and its files, by label."""
    data, request = plan.facts.data, plan.request
    options = request["sbatch"]
    sizes = [
        f"{name} {options[name]}"
        for name in ("partition", "qos", "constraint", "cpus-per-task", "mem", "gres")
        if name in options
    ]
    layout = Layout.of_plan(plan)
    first = layout.job_name(1, 1)
    script = [line for line in request["script"] if not line.startswith("#")]
    where = f"Slurm, by ssh to {data['host']}" if data["host"] else "Slurm's default cluster"
    return {
        "where": "an emulated cluster on this machine" if plan.facts.emulated else where,
        "machine": ", ".join(sizes),
        "python": data["python"],
        "uploads": f"{describe_source(plan.facts.lookup.source)}, in {data['folder']}",
        "creates": f"a job for each trial, {plan.facts.job_name}-1 and so on",
        "command": shlex.join(sbatch_words(request, first, layout.start(first))),
        "script": "; ".join(line.partition("  # ")[0] for line in script),
    }
