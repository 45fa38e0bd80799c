# finds: metric-ambiguous
# at: trial.metrics.loss
# study: {trial: {metrics: {loss: '(\d+\.\d+)'}}}

import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
lr = parser.parse_args().lr
print(f"time 0.31 loss {lr:.4f}")
