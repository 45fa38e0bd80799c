# finds: script-fails
# at: 
# study: {trial: {metrics: {loss: 'loss: (\S+)'}}}

import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
lr = parser.parse_args().lr
if lr > 0.5:
    raise ValueError("the step is too large")
print("loss:", 1 / lr)
