# finds: option-missing
# at: parameters.lr

import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--learning-rate", type=float, required=True)
print("loss", parser.parse_args().learning_rate)
