"""Train a small network on images of digits; it can be interrupted at any time and continued.

`python train.py` trains with the defaults below. Under cloudtune, `params()` returns the parameters
of the trial. Hyperband starts a trial several times, each time with more `epochs` and the same
checkpoint folder.
"""

from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

from cloudtune.trial import checkpoint_dir, output_dir, params, report, should_stop

DEFAULTS = {"width": 16, "dropout": 0.0, "batch_size": 32, "learning_rate": 1e-3, "decay": 1.0}
DEFAULTS |= {"weight_decay": 1e-2, "shift": 0, "epochs": 27}
INTERRUPTED = 143  # 128 + SIGTERM, so an interrupted training does not count as complete


class Training:
    """A network with its optimizer, its progress, and a checkpoint of all of them."""

    def __init__(self, p: dict, device: torch.device) -> None:
        """Continue from the checkpoint if there is one."""
        torch.manual_seed(0)
        self.p, self.device = p, device
        self.model = network(p["width"], p["dropout"]).to(device)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=p["learning_rate"], weight_decay=p["weight_decay"]
        )
        # The schedule does not depend on `epochs`: with more of them, the training just goes on.
        self.schedule = torch.optim.lr_scheduler.ExponentialLR(self.optimizer, gamma=p["decay"])
        self.epoch = self.batch = 0  # that are finished; the batches are those of the next epoch
        self.path = Path(checkpoint_dir()) / "training.pt"
        if self.path.exists():
            self.load()

    def load(self) -> None:
        """Read the checkpoint."""
        state = torch.load(self.path, map_location="cpu", weights_only=True)
        self.epoch, self.batch = state["epoch"], state["batch"]
        for part in ("model", "optimizer", "schedule"):
            getattr(self, part).load_state_dict(state[part])
        torch.set_rng_state(state["random"])

    def save(self) -> None:
        """Write the checkpoint; an interruption leaves the old one or the new one."""
        state = {
            part: getattr(self, part).state_dict() for part in ("model", "optimizer", "schedule")
        }
        state |= {"epoch": self.epoch, "batch": self.batch, "random": torch.get_rng_state()}
        temporary = self.path.with_suffix(".tmp")
        torch.save(state, temporary)
        temporary.replace(self.path)

    def run_epoch(self, images: Tensor, labels: Tensor) -> None:
        """Train for the rest of an epoch; save and exit if the trial is asked to stop."""
        self.model.train()
        shuffle = torch.Generator().manual_seed(self.epoch)  # as before an interruption
        batches = torch.randperm(len(images), generator=shuffle).split(self.p["batch_size"])
        for batch in batches[self.batch :]:
            if should_stop():
                self.save()
                raise SystemExit(INTERRUPTED)
            x, y = images[batch].to(self.device), labels[batch].to(self.device)
            loss = functional.cross_entropy(self.model(shifted(x, self.p["shift"])), y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.batch += 1
        self.schedule.step()
        self.epoch, self.batch = self.epoch + 1, 0

    @torch.no_grad()
    def evaluate(self, images: Tensor, labels: Tensor) -> tuple[float, float]:
        """Return the accuracy and the loss."""
        self.model.eval()
        outputs = self.model(images.to(self.device)).cpu()
        accuracy = (outputs.argmax(1) == labels).float().mean()
        return float(accuracy), float(functional.cross_entropy(outputs, labels))


def main() -> None:
    """Train, report each epoch, and save the model."""
    p = {**DEFAULTS, **params()}
    accelerator = (
        torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    )
    train, valid, test = load_data()
    training = Training(p, accelerator or torch.device("cpu"))
    while training.epoch < p["epochs"]:
        training.run_epoch(*train)
        accuracy, loss = training.evaluate(*valid)
        training.save()
        report(accuracy=accuracy, loss=loss, step=training.epoch)
    report(test_accuracy=training.evaluate(*test)[0], step=training.epoch)
    torch.save(training.model.state_dict(), Path(output_dir()) / "model.pt")


def network(width: int, dropout: float) -> nn.Module:
    """Return a convolutional network for images of 8 x 8 pixels."""
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(width, 2 * width, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(2 * width * 16, 10),
    )


def shifted(images: Tensor, pixels: int) -> Tensor:
    """Return the batch shifted by up to some pixels, at random."""
    if not pixels:
        return images
    down, right = torch.randint(-pixels, pixels + 1, (2,)).tolist()
    padded = functional.pad(images, [pixels] * 4)
    return padded[:, :, pixels + down :, pixels + right :][:, :, :8, :8]


def load_data() -> list[tuple[Tensor, Tensor]]:
    """Return images with labels to train, to tune and to test on.

    The images are in the order of collection, so mostly other people wrote those of each part. That
    is harder than random parts, and more honest.
    """
    images, labels = load_digits(return_X_y=True)
    x = torch.tensor(images, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16
    y = torch.tensor(labels, dtype=torch.long)
    return [(x[part], y[part]) for part in (slice(900), slice(900, 1350), slice(1350, None))]


if __name__ == "__main__":
    main()
