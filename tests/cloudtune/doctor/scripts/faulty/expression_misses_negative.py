# finds: metric-missed
# at: trial.metrics.loss
# study: {trial: {metrics: {loss: 'loss: ([0-9.]+)'}}}

import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
lr = parser.parse_args().lr
for epoch in range(3):
    print(f"loss: {lr - 0.2 * epoch:.4f}")
