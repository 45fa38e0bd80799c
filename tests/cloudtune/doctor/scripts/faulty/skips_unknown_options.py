# finds: parameter-ignored
# at: parameters.momentum
# study: {parameters: {momentum: {type: float, min: 0, max: 1}}, trial: {metrics: {loss: 'loss: (\S+)'}}}

import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--momentun", type=float, default=0.9)
options, _ = parser.parse_known_args()
print("loss:", options.lr * options.momentun)
