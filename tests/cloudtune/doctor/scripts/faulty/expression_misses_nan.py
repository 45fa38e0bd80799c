# finds: metric-not-finite
# at: trial.metrics.loss
# study: {trial: {metrics: {loss: 'loss: ([0-9.]+)'}}}

import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
lr = parser.parse_args().lr
print(f"loss: {lr:.4f}")
print("loss: nan")
