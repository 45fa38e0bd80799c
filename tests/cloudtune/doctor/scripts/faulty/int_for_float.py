# finds: option-type
# at: parameters.lr
# study: {trial: {metrics: {loss: 'loss: (\S+)'}}}

import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=int)
print("loss:", parser.parse_args().lr)
