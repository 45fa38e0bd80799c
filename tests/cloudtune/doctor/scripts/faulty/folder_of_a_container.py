# finds: file-missing
# at: line 6

import argparse
argparse.ArgumentParser().add_argument("--lr", type=float)
print(open("/opt/ml/input/config/hyperparameters.json").read())
