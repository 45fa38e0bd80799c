# finds: parameter-ignored
# at: parameters.depth
# study: {parameters: {depth: {type: int, min: 1, max: 8}}, trial: {metrics: {loss: 'loss: (\S+)'}}}

import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
parser.add_argument("--depth", type=int, default=2)
args = parser.parse_args()
depth = 2
print("loss:", args.lr**depth)
