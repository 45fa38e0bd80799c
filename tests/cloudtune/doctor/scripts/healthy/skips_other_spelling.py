# study: {parameters: {n_layers: {type: int, min: 1, max: 8}}, trial: {metrics: {loss: 'loss: (\S+)'}}}

import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--n-layers", type=int, default=2)
options, _ = parser.parse_known_args()
print("loss:", options.lr * options.n_layers)
