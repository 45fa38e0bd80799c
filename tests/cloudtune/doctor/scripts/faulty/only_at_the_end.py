# finds: metric-late
# at: early_stopping
# study: {early_stopping: median, trial: {metrics: {loss: 'loss: (\S+)'}}}

import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
lr = parser.parse_args().lr
print("loss:", lr)
