# finds: option-unknown
# at: parameters.lr
# study: {trial: {metrics: {loss: 'loss: (\S+)'}}}

import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--learning-rate", type=float)
print("loss:", parser.parse_args().learning_rate)
