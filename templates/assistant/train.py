"""Train a small network on few handwritten digits, and report its accuracy on few others.

Few images make the result depend on chance: on the seed that draws them and the first weights.
"""

import os
import warnings

from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from cloudtune.trial import params, report

DEFAULTS = {"hidden": 32, "rate": 0.01, "l2": 0.001, "batch": 32, "momentum": 0.8}
IMAGES, LABELS = load_digits(return_X_y=True)
warnings.filterwarnings("ignore", category=ConvergenceWarning)  # the epochs are few on purpose


def accuracy(p: dict[str, float], seed: int) -> float:
    """Return the share of 200 validation images that a network is right about."""
    x, x_valid, y, y_valid = train_test_split(
        IMAGES / 16, LABELS, train_size=200, test_size=200, random_state=seed
    )
    network = MLPClassifier(
        (int(p["hidden"]),),
        solver="sgd",
        learning_rate_init=p["rate"],
        alpha=p["l2"],
        batch_size=int(p["batch"]),
        momentum=p["momentum"],
        max_iter=20,
        random_state=seed,
    )
    return float(network.fit(x, y).score(x_valid, y_valid))


if __name__ == "__main__":
    seed = int(os.environ.get("CLOUDTUNE_SEED", "0"))
    report(accuracy=accuracy({**DEFAULTS, **params()}, seed))
