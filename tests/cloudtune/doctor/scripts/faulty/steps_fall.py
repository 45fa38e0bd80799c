# finds: steps
# at: objective

import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
lr = parser.parse_args().lr
from cloudtune.trial import report
for step in (3, 2, 1):
    report(loss=lr / step, step=step)
