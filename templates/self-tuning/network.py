"""A small network whose weights respond to its dropout rates, trained on 200 images of digits.

This is the structured best response of Self-Tuning Networks (MacKay and others, ICLR 2019,
<https://arxiv.org/abs/1903.03088>): next to its usual weights, each layer has weights that are
scaled, unit by unit, by how far the rates are from their present values. Rates are used as
logits, so any number is a valid one.
"""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

INPUTS, HIDDEN, CLASSES = 64, 100, 10
Arrays = dict[str, np.ndarray]

images, labels = load_digits(return_X_y=True)
order = np.random.default_rng(0).permutation(len(images))
x = (images[order] / 16).astype(np.float32)
y = np.eye(CLASSES, dtype=np.float32)[labels[order]]
TRAIN, VALID, TEST = np.split(np.arange(len(x)), [200, 900])


class Adam:
    """Steps of the optimizer Adam for named arrays."""

    def __init__(self, rate: float) -> None:
        self.rate, self.count = rate, 0
        self.means: Arrays = {}
        self.squares: Arrays = {}

    def step(self, arrays: Arrays, gradients: Arrays) -> None:
        """Change the arrays."""
        self.count += 1
        for name, gradient in gradients.items():
            self.means[name] = 0.9 * self.means.get(name, 0) + 0.1 * gradient
            self.squares[name] = 0.999 * self.squares.get(name, 0) + 0.001 * gradient**2
            mean = self.means[name] / (1 - 0.9**self.count)
            square = self.squares[name] / (1 - 0.999**self.count)
            arrays[name] -= (self.rate * mean / (np.sqrt(square) + 1e-8)).astype(arrays[name].dtype)


def create_network(rng: np.random.Generator) -> Arrays:
    """Return weights and biases of two layers, and those of their responses to the two rates."""
    network: Arrays = {}
    for layer, (inputs, outputs) in enumerate([(INPUTS, HIDDEN), (HIDDEN, CLASSES)], 1):
        network[f"weights{layer}"] = rng.normal(size=(inputs, outputs)) / np.sqrt(inputs)
        network[f"bias{layer}"] = np.zeros(outputs)
        network[f"response{layer}"] = rng.normal(size=(inputs, outputs)) * 0.1
        network[f"response_bias{layer}"] = np.zeros(outputs)
        network[f"gate{layer}"] = rng.normal(size=(2, outputs)) * 0.1
        network[f"bias_gate{layer}"] = np.zeros((2, outputs))
    return {name: array.astype(np.float32) for name, array in network.items()}


def run_layer(network: Arrays, layer: int, values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Return a layer's outputs, where the rates are some offsets away from their present values."""
    response = values @ network[f"response{layer}"] * (offsets @ network[f"gate{layer}"])
    bias = network[f"response_bias{layer}"] * (offsets @ network[f"bias_gate{layer}"])
    return values @ network[f"weights{layer}"] + network[f"bias{layer}"] + response + bias


def layer_gradients(
    network: Arrays, layer: int, values: np.ndarray, offsets: np.ndarray, back: np.ndarray
) -> tuple[Arrays, np.ndarray, np.ndarray]:
    """Return the gradients of a layer's arrays, its inputs and the offsets."""
    gate, bias_gate = network[f"gate{layer}"], network[f"bias_gate{layer}"]
    response, bias = network[f"response{layer}"], network[f"response_bias{layer}"]
    scale = offsets @ gate
    to_gate, to_bias_gate = back * (values @ response), back * bias
    gradients = {
        f"weights{layer}": values.T @ back,
        f"bias{layer}": back.sum(0),
        f"response{layer}": values.T @ (back * scale),
        f"response_bias{layer}": (back * (offsets @ bias_gate)).sum(0),
        f"gate{layer}": offsets.T @ to_gate,
        f"bias_gate{layer}": offsets.T @ to_bias_gate,
    }
    to_values = back @ network[f"weights{layer}"].T + (back * scale) @ response.T
    return gradients, to_values, to_gate @ gate.T + to_bias_gate @ bias_gate.T


def gradients(
    network: Arrays, rows: np.ndarray, offsets: np.ndarray, masks: list[np.ndarray]
) -> tuple[Arrays, np.ndarray]:
    """Return the gradients of the cross-entropy on some images: of the network, and of offsets.

    Args:
        network: The network.
        rows: The images.
        offsets: For each image, how far its rates are from the present ones.
        masks: What the inputs and the hidden units are multiplied by, for dropout.
    """
    offsets = offsets.astype(np.float32)
    values = x[rows] * masks[0]
    before = run_layer(network, 1, values, offsets)
    hidden = np.maximum(before, 0) * masks[1]
    back = (softmax(run_layer(network, 2, hidden, offsets)) - y[rows]) / len(rows)
    upper, back, upper_offsets = layer_gradients(network, 2, hidden, offsets, back)
    back = back * masks[1] * (before > 0)
    lower, _, lower_offsets = layer_gradients(network, 1, values, offsets, back)
    return upper | lower, upper_offsets + lower_offsets


def measure(network: Arrays) -> dict[str, float]:
    """Return the loss on the validation images, and the share of wrong test images."""
    here = np.zeros((1, 2), np.float32)
    chances = [
        softmax(run_layer(network, 2, np.maximum(run_layer(network, 1, x[rows], here), 0), here))
        for rows in (VALID, TEST)
    ]
    loss = -np.log((chances[0] * y[VALID]).sum(1) + 1e-12).mean()
    wrong = chances[1].argmax(1) != y[TEST].argmax(1)
    return {"loss": float(loss), "test_error": float(wrong.mean())}


def softmax(scores: np.ndarray) -> np.ndarray:
    """Return the chance of each class."""
    chances = np.exp(scores - scores.max(1, keepdims=True))
    return chances / chances.sum(1, keepdims=True)
