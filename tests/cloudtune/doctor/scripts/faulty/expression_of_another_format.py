# finds: metric-missing
# at: trial.metrics.loss
# study: {trial: {metrics: {loss: 'loss: (\S+)'}}}

import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
lr = parser.parse_args().lr
print(f"Loss = {lr:.4f}")
