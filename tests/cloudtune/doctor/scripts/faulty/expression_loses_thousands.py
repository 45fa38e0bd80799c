# finds: metric-cut
# at: trial.metrics.loss
# study: {trial: {metrics: {loss: 'loss: ([0-9.]+)'}}}

import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
lr = parser.parse_args().lr
print(f"loss: {1e7 * lr:,.1f}")
