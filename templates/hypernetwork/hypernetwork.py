"""Learn the weights as a function of L2, and use it to choose L2, in one training.

After "Stochastic Hyperparameter Optimization through Hypernetworks" (Lorraine and Duvenaud, 2018,
<https://arxiv.org/abs/1802.09419>). The reported loss is that of an ordinary training with the
chosen L2; what the hypernetwork itself predicts is in `predicted_loss`.
"""

from __future__ import annotations

import csv
import time
from pathlib import Path

import numpy as np
from model import CLASSES, HIGH, INPUTS, LOW, VALID, Adam, loss, measure, train, training_gradient

from cloudtune.trial import output_dir, params, report

STEPS = 1500
PAIRS = 16  # of sampled L2 values in each step
HIDDEN = 50  # units of the global hypernetwork
WIDTH = 0.5  # standard deviation of the values that the local hypernetwork samples
SIZE = INPUTS * CLASSES


def main() -> None:
    """Train the hypernetwork that the parameters select."""
    p = {"method": "global", "seed": 0, **params()}
    started = time.process_time()
    if p["method"] == "global":
        grid, predicted = train_global(p["seed"])
        chosen = grid[predicted.argmin()]
        report(predicted_loss=predicted.min(), step=STEPS)
        write_curve(grid, predicted)
    else:
        chosen = train_local(p["seed"], INPUTS if p["method"] == "local-each" else 1)
    weights = train(np.broadcast_to(chosen, INPUTS))
    report(**measure(weights), cpu_seconds=time.process_time() - started, step=STEPS)


def train_global(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return values of L2 over its whole range and the validation loss predicted for each.

    The hypernetwork has one hidden layer. It is trained at L2 values from the whole range.
    """
    rng = np.random.default_rng(seed)
    weights_in, bias_in = rng.normal(size=HIDDEN), rng.normal(size=HIDDEN)
    weights_out, bias_out = np.zeros((HIDDEN, SIZE)), np.zeros(SIZE)
    arrays = weights_in, bias_in, weights_out, bias_out
    adams = [Adam(0.01) for _ in arrays]

    def hidden(l2: np.ndarray) -> np.ndarray:
        scaled = (2 * l2 - LOW - HIGH) / (HIGH - LOW)
        return np.maximum(scaled[:, None] * weights_in + bias_in, 0)

    def weights_at(h: np.ndarray) -> np.ndarray:
        return (h @ weights_out + bias_out).reshape(-1, INPUTS, CLASSES)

    for step in range(STEPS):
        l2 = rng.uniform(LOW, HIGH, size=2 * PAIRS)
        h = hidden(l2)
        gradient = training_gradient(weights_at(h), l2[:, None]).reshape(-1, SIZE) / len(l2)
        back = gradient @ weights_out.T * (h > 0)
        scaled = (2 * l2 - LOW - HIGH) / (HIGH - LOW)
        gradients = scaled @ back, back.sum(0), h.T @ gradient, gradient.sum(0)
        for array, adam, each in zip(arrays, adams, gradients, strict=True):
            np.add(array, adam.step(each) * (1 - step / STEPS), out=array)
    grid = np.linspace(LOW, HIGH, 141)
    return grid, loss(weights_at(hidden(grid)), VALID)[0]


def train_local(seed: int, size: int) -> np.ndarray:
    """Return L2 after it has moved down the validation loss that the hypernetwork predicts.

    The hypernetwork is linear around the present L2, which moves at the same time. Its samples
    come in pairs on both sides, whose noise cancels out: with independent ones, L2 diverges.
    """
    rng = np.random.default_rng(seed)
    l2 = np.full(size, (LOW + HIGH) / 2)
    center, slopes = np.zeros(SIZE), np.zeros((size, SIZE))
    adam_center, adam_slopes, adam_l2 = Adam(0.01), Adam(0.01), Adam(0.02)
    for step in range(STEPS):
        decay = 1 - step / STEPS
        offsets = WIDTH * rng.normal(size=(PAIRS, size))
        offsets = np.concatenate([offsets, -offsets])
        weights = (center + offsets @ slopes).reshape(-1, INPUTS, CLASSES)
        near = np.clip(l2 + offsets, LOW, HIGH)
        gradient = training_gradient(weights, near).reshape(-1, SIZE) / len(offsets)
        center += adam_center.step(gradient.sum(0)) * decay
        slopes += adam_slopes.step(offsets.T @ gradient / WIDTH) * decay

        predicted, gradient = loss(center.reshape(INPUTS, CLASSES), VALID)
        if step >= STEPS // 10:
            moves = adam_l2.step(slopes @ gradient.reshape(-1)) * decay
            l2 = np.clip(l2 + moves, LOW, HIGH)
        if (step + 1) % 100 == 0:
            report(predicted_loss=float(predicted), mean_l2=l2.mean(), step=step + 1)
    return l2


def write_curve(l2: np.ndarray, predicted: np.ndarray) -> None:
    """Write the response curve: the predicted validation loss at each L2."""
    with Path(output_dir(), "response.csv").open("w", newline="") as file:
        rows = zip(l2.round(2), predicted.round(4), strict=True)
        csv.writer(file).writerows([("log_l2", "predicted_loss"), *rows])


if __name__ == "__main__":
    main()
