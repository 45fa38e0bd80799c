# finds: module-missing
# at: trial.requirements

import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
lr = parser.parse_args().lr
import a_package_that_is_not_there
