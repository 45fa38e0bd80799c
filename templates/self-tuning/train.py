"""Train a network whose dropout rates tune themselves, or one with fixed rates.

In two of three steps, the network learns from training images with dropout rates around the
present ones, so it learns how its weights should respond to the rates. In the third one, the
rates move down the loss on validation images, through that response. Fixed rates train the same
network without the third step.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from network import HIDDEN, INPUTS, TRAIN, VALID, Adam, Arrays, create_network, gradients, measure

from cloudtune.trial import output_dir, params, report

STEPS = 2000  # of training
BATCH = 50
REPORT_EVERY = 100
FIRST_TUNING = 100  # the network first learns how it responds
ENTROPY = 1e-3  # the weight of wide samples of the rates, as in the paper
LOW, HIGH = 0.01, 0.9  # of the rates
Schedule = list[np.ndarray]


def main() -> None:
    """Train with the rates that the parameters select."""
    p = {"start": 0.5, "seed": 0, "replay": False, **params()}
    started = time.process_time()
    if "input_dropout" in p:
        rates = p["input_dropout"], p["hidden_dropout"]
        seeds = [p["seed"], *(int(1e6 * rate) for rate in rates)]  # other draws in each trial
        train(rates, seeds, tune=False)
        report(cpu_seconds=time.process_time() - started, step=STEPS)
        return
    schedule, _ = train([p["start"]] * 2, [p["seed"]])
    report(cpu_seconds=time.process_time() - started, step=STEPS)
    if p["replay"]:  # does the schedule do something that its final rates do not?
        seeds = [p["seed"], 1]
        _, schedule_loss = train(schedule[0], seeds, tune=False, schedule=schedule)
        _, final_loss = train(schedule[-1], seeds, tune=False, schedule=schedule[-1:])
        report(schedule_loss=schedule_loss, final_loss=final_loss, step=STEPS)
    plot(schedule)


def train(
    rates: Sequence[float], seeds: list[int], *, tune: bool = True, schedule: Schedule | None = None
) -> tuple[Schedule, float]:
    """Return the rates of each training step and the best validation loss.

    With a schedule, the rates are those; after its end, its last ones. Nothing is reported then.
    """
    rng = np.random.default_rng(seeds)
    network, adam = create_network(rng), Adam(0.003)
    tuned = {"logits": to_logits(np.array(rates)), "log_widths": np.log([0.5, 0.5])}
    tuning_adam = Adam(0.02)
    used: Schedule = []
    best = np.inf
    for step in range(1, STEPS + 1):
        if schedule:
            tuned["logits"] = to_logits(schedule[min(step, len(schedule)) - 1])
        used.append(to_rates(tuned["logits"]))
        widths = np.exp(tuned["log_widths"]) if tune else np.zeros(2)
        offsets = widths * rng.normal(size=(BATCH, 2))
        masks = draw_masks(to_rates(tuned["logits"] + offsets), rng)
        rows = rng.choice(TRAIN, BATCH)
        adam.step(network, gradients(network, rows, offsets, masks)[0])
        if tune and step > FIRST_TUNING and step % 2 == 0:
            tuning_adam.step(tuned, tuning_gradients(network, tuned, rng))
            tuned["logits"] = np.clip(tuned["logits"], *to_logits(np.array([LOW, HIGH])))
            tuned["log_widths"] = np.clip(tuned["log_widths"], *np.log([0.1, 1.5]))
        if step % REPORT_EVERY == 0:
            measured = measure(network)
            best = min(best, measured["loss"])
            if not schedule:
                names = ("input_dropout", "hidden_dropout")
                report({**measured, **dict(zip(names, used[-1], strict=True))}, step=step)
    return used, best


def draw_masks(rates: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Return what inputs and hidden units are multiplied by, for rates of each image."""
    keep = np.float32(1 - rates)
    units = (INPUTS, keep[:, :1]), (HIDDEN, keep[:, 1:])
    return [(rng.random((len(rates), size)) < each) / each for size, each in units]


def tuning_gradients(network: Arrays, tuned: Arrays, rng: np.random.Generator) -> Arrays:
    """Return how the validation loss, without dropout, changes with the rates and their widths."""
    offsets = np.exp(tuned["log_widths"]) * rng.normal(size=(2 * BATCH, 2))
    rows = rng.choice(VALID, len(offsets))
    ones = [np.ones(1, np.float32)] * 2
    gradient = gradients(network, rows, offsets, ones)[1]
    return {"logits": gradient.sum(0), "log_widths": (gradient * offsets).sum(0) - ENTROPY}


def to_logits(rates: np.ndarray) -> np.ndarray:
    """Return the logits of rates."""
    return np.log(rates / (1 - rates))


def to_rates(logits: np.ndarray) -> np.ndarray:
    """Return the rates of logits."""
    return 1 / (1 + np.exp(-logits))


def plot(schedule: Schedule) -> None:
    """Write the rates of all steps as a picture."""
    axes = Figure(figsize=(6, 3), layout="constrained").add_subplot()
    axes.plot(np.array(schedule), label=["input", "hidden"])
    axes.set(xlabel="training step", ylabel="dropout rate", ylim=(0, 1))
    axes.legend()
    axes.figure.savefig(Path(output_dir(), "schedule.svg"))


if __name__ == "__main__":
    main()
