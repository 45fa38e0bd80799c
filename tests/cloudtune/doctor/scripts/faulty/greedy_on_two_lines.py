# finds: metric-ambiguous
# at: trial.metrics.loss
# study: {trial: {metrics: {loss: 'loss=(\S+)'}}}

import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
lr = parser.parse_args().lr
print(f"train/loss={lr:.4f}")
print(f"valid/loss={2 * lr:.4f}")
