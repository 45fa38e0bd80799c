"""What a run uses and creates on this machine, in words."""

from __future__ import annotations

from collections.abc import Mapping

from cloudtune.provider import Plan, format_count, largest_resources


def outline(plan: Plan) -> Mapping[str, str]:
    """Return where the trials of a plan run and what they use, by label."""
    resources = largest_resources(plan.fitted.study)
    sizes = [
        format_count(amount, unit)
        for amount, unit in ((resources.cpus, "CPU"), (resources.gpus, "GPU"))
        if amount
    ]
    rows = {"machine": f"this one; {' and '.join(sizes)} for each trial"} if sizes else {}
    return {**rows, "python": str(plan.request["python"])}
