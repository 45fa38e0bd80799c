# finds: script-fails
# at: line 10
# study: {trial: {metrics: {loss: 'loss: (\S+)'}}}

import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
lr = parser.parse_args().lr
weights = [lr]
print("loss:", weights[3])
