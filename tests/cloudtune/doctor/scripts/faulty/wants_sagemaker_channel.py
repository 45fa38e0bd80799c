# finds: variable-missing
# at: trial.inputs
# study: {trial: {metrics: {loss: 'loss: (\S+)'}}}

import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
lr = parser.parse_args().lr
import os
print("loss:", lr, os.environ["SM_CHANNEL_TRAIN"])
