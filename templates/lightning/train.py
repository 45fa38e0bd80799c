"""Train a small network with Lightning; a callback reports what it logs.

`python train.py` trains with the defaults below. Under cloudtune, `params()` returns the parameters
of the trial.
"""

from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, OnExceptionCheckpoint
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from cloudtune.trial import LightningCallback, checkpoint_dir, output_dir, params

DEFAULTS = {"width": 64, "layers": 1, "dropout": 0.0, "learning_rate": 1e-3, "weight_decay": 1e-2}
DEFAULTS |= {"batch_size": 32, "epochs": 20}


class Digits(L.LightningModule):
    """A fully connected network for images of 8 x 8 pixels."""

    def __init__(
        self, width: int, layers: int, dropout: float, learning_rate: float, weight_decay: float
    ) -> None:
        """Build the network."""
        super().__init__()
        self.save_hyperparameters()
        blocks = [nn.Flatten()]
        for _ in range(layers):
            blocks += [nn.LazyLinear(width), nn.ReLU(), nn.Dropout(dropout)]
        self.network = nn.Sequential(*blocks, nn.LazyLinear(10))
        self.network(torch.zeros(1, 64))

    def forward(self, images: Tensor) -> Tensor:
        """Return the scores of the digits."""
        return self.network(images)

    def training_step(self, batch: list[Tensor], _index: int) -> Tensor:
        """Return the loss of a batch."""
        loss = functional.cross_entropy(self(batch[0]), batch[1])
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: list[Tensor], _index: int) -> None:
        """Log the loss and the accuracy."""
        scores = self(batch[0])
        self.log("val_loss", functional.cross_entropy(scores, batch[1]))
        self.log("val_accuracy", (scores.argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return AdamW."""
        p = self.hparams
        return torch.optim.AdamW(self.parameters(), lr=p.learning_rate, weight_decay=p.weight_decay)


def main() -> None:
    """Train, from the last checkpoint if the trial was interrupted, and save the model."""
    p = {**DEFAULTS, **params()}
    L.seed_everything(0)
    train, valid = load_data(p.pop("batch_size"))
    folder = Path(checkpoint_dir())
    trainer = L.Trainer(
        max_epochs=p.pop("epochs"),
        default_root_dir=folder,
        logger=False,
        enable_progress_bar=False,
        callbacks=[
            LightningCallback(),
            ModelCheckpoint(folder, filename="best", monitor="val_loss", save_last=True),
            OnExceptionCheckpoint(folder, "interrupted"),  # also at a stop signal
        ],
    )
    saved = [folder / name for name in ("interrupted.ckpt", "last.ckpt")]
    newest = max((path for path in saved if path.exists()), key=modified, default=None)
    trainer.fit(Digits(**p), train, valid, ckpt_path=newest)
    trainer.save_checkpoint(Path(output_dir()) / "model.ckpt")


def modified(path: Path) -> float:
    """Return when a file was written."""
    return path.stat().st_mtime


def load_data(batch_size: int) -> tuple[DataLoader, DataLoader]:
    """Return images to train and to validate on; mostly other people wrote the latter."""
    images, labels = load_digits(return_X_y=True)
    x, y = torch.tensor(images, dtype=torch.float32) / 16, torch.tensor(labels, dtype=torch.long)
    train, valid = TensorDataset(x[:1200], y[:1200]), TensorDataset(x[1200:], y[1200:])
    shuffled = DataLoader(train, batch_size=batch_size, shuffle=True)
    return shuffled, DataLoader(valid, batch_size=len(valid))


if __name__ == "__main__":
    main()
