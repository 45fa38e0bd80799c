# study: {trial: {module: package.module, metrics: {loss: 'loss: (\S+)'}}}

import argparse

from package.model import loss

parser = argparse.ArgumentParser(prog="python -m package.module")
parser.add_argument("--lr", type=float)
for epoch in range(2):
    print("loss:", loss(parser.parse_args().lr, epoch))
