# finds: metric-missing
# at: objective

import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
lr = parser.parse_args().lr
print(f"epoch 1 loss={lr:.4f}")
