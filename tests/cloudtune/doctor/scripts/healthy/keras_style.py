# study: {trial: {metrics: {loss: 'val_loss: (\S+)'}}}

import argparse
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
lr = parser.parse_args().lr
for epoch in range(1, 4):
    print(f"Epoch {epoch}/3")
    for batch in range(1, 6):
        loss = lr / (epoch + batch / 6)
        bar = "\u2501" * batch * 4
        sys.stdout.write(f"\r\x1b[1m{batch}/5\x1b[0m \x1b[32m{bar}\x1b[0m \x1b[1m0s\x1b[0m 3ms/step - accuracy: {1 - loss:.4f} - loss: {loss:.4f}")
        sys.stdout.flush()
        time.sleep(0.01)
    sys.stdout.write(f" - val_accuracy: {1 - loss:.4f} - val_loss: {loss * 1.2:.4e}\n")
