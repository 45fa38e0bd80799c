# finds: metric-constant
# at: trial.metrics.loss
# study: {trial: {metrics: {loss: 'loss: (\S+)'}}}

import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
lr = parser.parse_args().lr
for epoch in range(5):
    print(f"loss: {lr:.4f}")
