"""Train a classifier of handwritten digits and report how many new ones it reads correctly.

`python train.py` alone trains scikit-learn's default support vector machine; under cloudtune,
`params()` holds the parameters of the trial.
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.svm import SVC

from cloudtune.trial import params, report

ROUNDS = 60  # of boosting, reported every fifth


def main() -> None:
    """Train the model that the parameters describe."""
    p = {"model": "svm", "shift": False, **params()}
    images, labels = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8) / 16

    # The images stand in the order in which they were collected, so the last third was mostly
    # written by other people than the rest: a harder and more honest test than a random third.
    train, valid = slice(0, 1200), slice(1200, None)
    x, y = images[train], labels[train]
    if p.pop("shift"):
        x, y = shifted(x), np.tile(y, 5)
    x, x_valid, y_valid = flat(x), flat(images[valid]), labels[valid]

    if p.pop("model") == "svm":
        model = SVC(**p).fit(x, y)
        report(accuracy=model.score(x_valid, y_valid))
    else:
        model = HistGradientBoostingClassifier(
            **p, warm_start=True, early_stopping=False, random_state=0
        )
        for rounds in range(5, ROUNDS + 1, 5):
            model.set_params(max_iter=rounds).fit(x, y)
            report(accuracy=model.score(x_valid, y_valid), step=rounds)


def shifted(images: np.ndarray) -> np.ndarray:
    """Return the images, then copies moved by one pixel up, down, left and right."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    corners = [(1, 1), (2, 1), (0, 1), (1, 2), (1, 0)]
    return np.concatenate([padded[:, y : y + 8, x : x + 8] for y, x in corners])


def flat(images: np.ndarray) -> np.ndarray:
    """Return each image as one row of numbers."""
    return images.reshape(len(images), -1)


if __name__ == "__main__":
    main()
