# finds: option-missing
# at: trial.args

import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
parser.add_argument("--output_dir", required=True)
print("loss", parser.parse_args().lr)
