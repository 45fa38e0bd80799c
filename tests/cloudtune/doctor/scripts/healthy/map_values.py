# study: {parameters: {optimizer: {type: categorical, values: [{name: sgd, momentum: 0.9, on: true}, {name: adam}]}}, trial: {metrics: {loss: 'loss: (\S+)'}}}

import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
parser.add_argument("--optimizer.name", dest="optimizer", required=True)
parser.add_argument("--optimizer.momentum", dest="momentum", type=float, default=0.0)
parser.add_argument("--optimizer.on", dest="on", action="store_true")
args = parser.parse_args()
print("loss:", args.lr - 0.1 * args.momentum + 0.01 * (args.optimizer == "adam") - 0.01 * args.on)
