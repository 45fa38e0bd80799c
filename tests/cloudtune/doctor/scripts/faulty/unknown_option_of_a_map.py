# finds: option-unknown
# at: parameters.optimizer
# study: {parameters: {optimizer: {type: categorical, values: [{name: sgd, momentum: 0.9}, {name: sgd}]}}, trial: {metrics: {loss: 'loss: (\S+)'}}}

import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
parser.add_argument("--optimizer.name", dest="optimizer", required=True)
parser.add_argument("--optimizer.beta", dest="momentum", type=float, default=0.0)
args = parser.parse_args()
print("loss:", args.lr - args.momentum)
