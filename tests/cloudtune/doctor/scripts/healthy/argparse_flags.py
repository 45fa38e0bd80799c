# study: {parameters: {batch-size: {type: int, min: 16, max: 64}, nesterov: {type: bool}}, trial: {metrics: {loss: 'val_loss=(\S+)'}}}

import argparse
import time

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--batch-size", type=int, default=32)
parser.add_argument("--nesterov", action="store_true")
options = parser.parse_args()
for epoch in range(1, 4):
    time.sleep(0.05)
    loss = options.lr / epoch + options.batch_size / 1000 - 0.1 * options.nesterov
    print(f"epoch {epoch}: train_loss={loss:.5f} val_loss={loss * 1.1:.3e} lr={options.lr}")
