"""The model that is tuned: softmax regression on 50 images of digits, with L2 penalties.

L2 is given as a natural logarithm, because penalties differ by factors: one number for all
weights, or one for each of the 65 inputs of the model (64 pixels and a constant).
"""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

LOW, HIGH = -12.0, 2.0  # the range of the logarithm of L2
INPUTS, CLASSES = 65, 10
STEPS = 500  # of a training with fixed L2

images, labels = load_digits(return_X_y=True)
order = np.random.default_rng(0).permutation(len(images))
x = np.c_[images / 16, np.ones(len(images))][order]
y = np.eye(CLASSES)[labels[order]]
TRAIN, VALID, TEST = slice(50), slice(50, 750), slice(750, None)


class Adam:
    """Steps of the optimizer Adam for one array."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.count, self.mean, self.square = 0, 0.0, 0.0

    def step(self, gradient: np.ndarray) -> np.ndarray:
        """Return what to add to the array."""
        self.count += 1
        self.mean = 0.9 * self.mean + 0.1 * gradient
        self.square = 0.999 * self.square + 0.001 * gradient**2
        mean, square = self.mean / (1 - 0.9**self.count), self.square / (1 - 0.999**self.count)
        return -self.rate * mean / (np.sqrt(square) + 1e-8)


def loss(weights: np.ndarray, part: slice) -> tuple[np.ndarray, np.ndarray]:
    """Return the cross-entropy on a part of the images, and its gradient.

    The weights are those of one model or of several, along the first axis.
    """
    scores = x[part] @ weights
    scores -= scores.max(-1, keepdims=True)
    chances = np.exp(scores)
    chances /= chances.sum(-1, keepdims=True)
    losses = -np.log(np.maximum((chances * y[part]).sum(-1), 1e-30)).mean(-1)
    return losses, x[part].T @ (chances - y[part]) / len(x[part])


def training_gradient(weights: np.ndarray, l2: np.ndarray) -> np.ndarray:
    """Return the gradient of the training loss with its penalty."""
    return loss(weights, TRAIN)[1] + 2 * np.exp(l2)[..., None] * weights


def train(l2: np.ndarray) -> np.ndarray:
    """Return the weights of a training with fixed L2: one value, or one for each input."""
    weights, adam = np.zeros((INPUTS, CLASSES)), Adam(0.05)
    for _ in range(STEPS):
        weights += adam.step(training_gradient(weights, l2))
    return weights


def measure(weights: np.ndarray) -> dict[str, float]:
    """Return the loss on the validation images, and the share of wrong test images."""
    wrong = (x[TEST] @ weights).argmax(1) != y[TEST].argmax(1)
    return {"loss": float(loss(weights, VALID)[0]), "test_error": float(wrong.mean())}
