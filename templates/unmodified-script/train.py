"""A training script as you may have it: options on the command line, a log on the screen."""

import argparse
import logging

import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier


def main() -> None:
    """Train a network on handwritten digits and log each epoch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--hidden", type=int, default=32, help="units of the hidden layer")
    parser.add_argument("--lr", type=float, default=0.001)
    parser.add_argument("--weight-decay", type=float, default=1e-4)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--optimizer", choices=["adam", "sgd"], default="adam")
    parser.add_argument("--momentum", type=float, default=0.9, help="of sgd")
    parser.add_argument("--augment", action="store_true", help="add copies with noise")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")

    images, labels = load_digits(return_X_y=True)
    images = images / 16
    x, y, x_valid, y_valid = images[:1200], labels[:1200], images[1200:], labels[1200:]
    if args.augment:
        noise = np.random.default_rng(0).normal(0, 0.2, x.shape)
        x, y = np.concatenate([x, x + noise]), np.concatenate([y, y])

    model = MLPClassifier(
        hidden_layer_sizes=(args.hidden,),
        solver=args.optimizer,
        learning_rate_init=args.lr,
        momentum=args.momentum,
        alpha=args.weight_decay,
        batch_size=args.batch_size,
        random_state=0,
    )
    for epoch in range(1, args.epochs + 1):
        model.partial_fit(x, y, classes=range(10))
        accuracy = 100 * model.score(x_valid, y_valid)
        loss = log_loss(y_valid, model.predict_proba(x_valid))
        logging.info(
            "epoch %02d/%d - loss: %.4f - val_loss: %.4f - val_acc: %.2f%%",
            *(epoch, args.epochs, model.loss_, loss, accuracy),
        )
    logging.info("done")


if __name__ == "__main__":
    main()
