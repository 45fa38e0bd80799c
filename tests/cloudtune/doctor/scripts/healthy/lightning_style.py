# study: {parameters: {dropout: {type: float, min: 0, max: 0.5}}, trial: {metrics: {loss: 'val_loss=([-+\d.e]+)'}}, early_stopping: median}

import argparse
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--dropout", type=float)
options = parser.parse_args()
print("GPU available: False, used: False")
print("  | Name  | Type   | Params\n---------------------------\n0 | layer | Linear | 1.2 K")
for epoch in range(4):
    for batch in range(1, 4):
        loss = (options.lr + options.dropout) / (3 * epoch + batch)
        sys.stderr.write(f"\rEpoch {epoch}: {batch * 33}%|{'#' * batch * 3:10}| {batch}/3 [00:0{batch}<00:00, 12.50it/s, v_num=0, train_loss_step={loss:.3f}, val_loss={loss:.3f}]")
        time.sleep(0.04)
sys.stderr.write("\n`Trainer.fit` stopped: `max_epochs=4` reached.\n")
print(f"val_loss={loss:.6f}")
