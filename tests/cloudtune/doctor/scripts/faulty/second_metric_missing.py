# finds: metric-missing
# at: trial.metrics.accuracy
# study: {trial: {metrics: {loss: 'loss: (\S+)', accuracy: 'acc: (\S+)'}}}

import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
lr = parser.parse_args().lr
print("loss:", lr)
