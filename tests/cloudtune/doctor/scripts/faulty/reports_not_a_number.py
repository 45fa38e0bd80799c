# finds: metric-not-finite
# at: objective

import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
lr = parser.parse_args().lr
from cloudtune.trial import report
report(loss=float("nan"))
