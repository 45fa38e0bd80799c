# study: {parameters: {batch_size: {type: int, min: 16, max: 64}}, trial: {metrics: {loss: 'loss: (\S+)'}}}

import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--batch-size", type=int)
options = parser.parse_args()
print("loss:", options.lr * options.batch_size)
