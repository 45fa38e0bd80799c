# study: {parameters: {max_depth: {type: int, min: 1, max: 8}}, trial: {metrics: {loss: 'validation-rmse:(\S+)'}}}

import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--max_depth", type=int)
options = parser.parse_args()
for number in range(12):
    error = options.lr * options.max_depth / (number + 1)
    print(f"[{number}]\ttrain-rmse:{error:.5f}\tvalidation-rmse:{error * 1.1:.5f}")
print("[LightGBM] [Warning] No further splits with positive gain, best gain: -inf")
