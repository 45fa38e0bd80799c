"""Train a classifier of handwritten digits and report its accuracy on new ones.

`python train.py` trains scikit-learn's default support vector machine. Under cloudtune, `params()`
returns the parameters of the trial.
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.svm import SVC

from cloudtune.trial import params, report

ROUNDS = 60  # of boosting; every fifth is reported


def main() -> None:
    """Train the model that the parameters select."""
    p = {"model": "svm", "shift": False, **params()}
    images, labels = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8) / 16

    # The images are in the order of collection, so other people wrote most of the last third: a
    # harder and more honest test than a random third.
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
    """Return the images, and copies shifted by one pixel up, down, left and right."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    corners = [(1, 1), (2, 1), (0, 1), (1, 2), (1, 0)]
    return np.concatenate([padded[:, y : y + 8, x : x + 8] for y, x in corners])


def flat(images: np.ndarray) -> np.ndarray:
    """Return each image as one row of numbers."""
    return images.reshape(len(images), -1)


if __name__ == "__main__":
    main()
