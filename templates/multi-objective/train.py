"""Train a small network that reads digits, quantize it, and report its accuracy and its size.

`python train.py` trains a network of ordinary size with weights of 32 bits. Under cloudtune,
`params()` returns the parameters of the trial.
"""

import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from cloudtune.trial import params, report

DEFAULTS = {"pixels": 8, "width": 64, "bits": 32, "learning_rate": 1e-3, "alpha": 1e-4}
EPOCHS = 60


def main() -> None:
    """Train, quantize and measure one network."""
    p = {**DEFAULTS, **params()}
    images, labels = load_digits(return_X_y=True)
    x = shrunk(images.reshape(-1, 8, 8) / 16, p["pixels"])
    train, valid = slice(0, 1200), slice(1200, None)  # other people wrote most of the last third

    network = MLPClassifier(
        hidden_layer_sizes=(p["width"],),
        learning_rate_init=p["learning_rate"],
        alpha=p["alpha"],
        max_iter=EPOCHS,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # EPOCHS is all that a trial gets
        network.fit(x[train], labels[train])

    arrays = [*network.coefs_, *network.intercepts_]
    for array in arrays:
        array[:] = quantized(array, p["bits"])
    report(
        accuracy=network.score(x[valid], labels[valid]),
        bytes=sum(array.size for array in arrays) * p["bits"] / 8,
    )


def shrunk(images: np.ndarray, pixels: int) -> np.ndarray:
    """Return images of 8 x 8 pixels as rows of `pixels` x `pixels` averages."""
    side = 8 // pixels
    blocks = images.reshape(-1, pixels, side, pixels, side)
    return blocks.mean(axis=(2, 4)).reshape(len(images), -1)


def quantized(array: np.ndarray, bits: int) -> np.ndarray:
    """Return the nearest values on an even grid with as many steps as the bits can number."""
    if bits == 32:
        return array
    step = np.abs(array).max() / (2 ** (bits - 1) - 1)
    return np.round(array / step) * step


if __name__ == "__main__":
    main()
