# study: {parameters: {augment: {type: bool}}, trial: {metrics: {loss: 'loss (\S+)'}}}

import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
parser.add_argument("--augment", type=bool, default=False)
args = parser.parse_args()
print("loss", args.lr - 0.01 * args.augment)
