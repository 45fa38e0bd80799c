# finds: metric-not-finite
# at: trial.metrics.loss
# study: {trial: {metrics: {loss: 'loss: (\S+)'}}}

import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
lr = parser.parse_args().lr
print("loss:", lr if lr < 0.5 else float("inf"))
