# finds: metric-buffered
# at: trial.metrics
# study: {trial: {metrics: {loss: 'loss: (\S+)'}}}

import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
lr = parser.parse_args().lr
import sys, time
lines = []
for epoch in range(4):
    time.sleep(0.6)
    lines.append(f"loss: {lr / (epoch + 1):.4f}")
print("\n".join(lines))
