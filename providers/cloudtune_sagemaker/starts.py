"""One start of a trial, which is a training job, while it is followed or found again."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cloudtune.events import Measured
from cloudtune.provider import Json
from cloudtune_sagemaker import metrics, response


@dataclass
class Start:
    """A trial between a start and its `Ended`."""

    number: int
    given: Mapping[str, str] = field(default_factory=dict[str, str])
    """What it is given beside the constants."""
    name: str = ""
    """Of its training job; empty until that is there, as is the ARN."""
    arn: str = ""
    told: int = 0
    """How many measurements of this start are known."""
    offset: int = 0
    """The last step of its earlier starts."""
    step: int = 0
    """Its last step so far."""
    looks: int = 0
    """How often it had ended without its last metrics being there."""
    tried: bool = False
    """Whether its training job may be there, though no answer said so."""
    not_before: float = 0.0
    """When to try again to make it."""
    stop: bool = False
    """Whether the driver wants it to end."""
    stop_sent: bool = False


@dataclass(frozen=True)
class FoundAgain:
    """What became of a trial that an earlier, killed process left running."""

    fresh: Sequence[Measured]
    """What nobody took note of."""
    start: Start
    """Its last one."""
    goes_on: bool
    """Whether that is to be followed."""


def measured(
    number: int,
    job: Json,
    series: metrics.Series,
    reader: metrics.MetricReader,
    *,
    offset: int,
    ended: bool,
) -> list[Measured]:
    """Return all that a start has told so far.

    Args:
        number: The trial's.
        job: Its training job.
        series: What was read of that.
        reader: Knows the metrics.
        offset: The last step of earlier starts.
        ended: Whether no more will come.
    """
    now = time.time()
    when = min(now, response.ended_at(job) or now) if ended else None
    found = reader.told(job, series, ended=ended, time=when)
    return [Measured(number, m.time or now, offset + m.step, m.metrics) for m in found]


def found_again(
    number: int,
    jobs: Sequence[Json],
    read: Mapping[str, metrics.Series],
    reader: metrics.MetricReader,
    *,
    known: int,
    several: bool,
) -> FoundAgain:
    """Return what became of a trial.

    A last start that was stopped, or is being stopped, does not go on: why is not known any more.
    Where trials are started several times, neither does one that has ended and tells nothing new:
    the trial's next start may never have been made.

    Args:
        number: The trial's.
        jobs: The training jobs of its starts, in order.
        read: What was read of them, by their ARNs.
        reader: Knows the metrics.
        known: How many of its measurements are.
        several: Whether trials are started several times.
    """
    told: list[Measured] = []
    offset = earlier = 0
    for job in jobs:
        offset, earlier = max([offset, *(event.step for event in told)]), len(told)
        series = read.get(job["TrainingJobArn"], {})
        ended = response.has_ended(job) and metrics.settled(series, metrics.final_of(job))
        told += measured(number, job, series, reader, offset=offset, ended=ended)
    last = jobs[-1]
    phase = response.phase_of(last)
    timed_out = last.get("SecondaryStatus") in response.TOO_LONG
    stopped = phase in {"stopping", "stopped"} and not timed_out
    repeated = several and response.has_ended(last) and not told[known:]
    return FoundAgain(
        told[known:],
        Start(
            number,
            name=last["TrainingJobName"],
            arn=last["TrainingJobArn"],
            told=max(len(told), known) - earlier,
            offset=offset,
            step=max([offset, *(event.step for event in told)]),
        ),
        goes_on=not (stopped or repeated or phase == "unknown"),
    )
