# study: {trial: {metrics: {loss: 'epoch (?P<step>\d+) loss: (\S+)'}}}

import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
lr = parser.parse_args().lr
import time
time.sleep(3)  # as imports can take
for epoch in range(1, 13):
    time.sleep(0.04)
    print(f"epoch {epoch} loss: {lr / epoch:.4f}", flush=True)
