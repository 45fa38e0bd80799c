"""The resources of trials: of one start, and of all of them."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING

from cloudtune.study.quantities import parse_bytes
from cloudtune.study.resources import Resources
from cloudtune.study.search_space import conditions_hold

if TYPE_CHECKING:
    from cloudtune.results.events import Started
    from cloudtune.study.study import Study


def trial_resources(study: Study, started: Started) -> Resources:
    """Return the resources of one start of a trial: those whose condition holds.

    The memory of a trial that ran out of it grows with each start, as ``trial.retry`` says.
    """
    values = {**study.constants, **started.parameters}
    resources = next(
        (each for each in study.trial.resources if conditions_hold(each.when or {}, values)),
        Resources(),
    )
    return _with_memory(resources, study, started.memory_retries)


def largest_resources(study: Study) -> Resources:
    """Return the most of each resource that a trial of the study may have, for plans and rules."""
    times = study.trial.retry.times if study.trial.retry else 0
    definitions = [_with_memory(each, study, times) for each in study.trial.resources]
    return Resources(
        cpus=_largest(each.cpus for each in definitions),
        gpus=_largest(each.gpus for each in definitions),
        memory=max(
            (each.memory for each in definitions if each.memory), key=parse_bytes, default=None
        ),
    )


def _with_memory(resources: Resources, study: Study, retries: int) -> Resources:
    memory, retry = resources.memory, study.trial.retry
    if memory and retry and retries:
        number = memory.rstrip("KMGTiB ")
        unit = memory[len(number) :].strip()
        memory = f"{Decimal(f'{float(number) * retry.factor**retries:.10g}'):f} {unit}"
    return resources.model_copy(update={"memory": memory, "when": None})


def _largest(amounts: Iterable[int | None]) -> int | None:
    return max((amount for amount in amounts if amount is not None), default=None)
