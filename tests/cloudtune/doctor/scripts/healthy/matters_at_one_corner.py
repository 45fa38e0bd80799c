# study: {parameters: {momentum: {type: float, min: 0, max: 0.9}}, trial: {metrics: {loss: 'loss: (\S+)'}}}

import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
parser.add_argument("--momentum", type=float, required=True)
args = parser.parse_args()
velocity = args.momentum if args.lr > 0.5 else 0
print("loss:", (args.lr - velocity) ** 2)
