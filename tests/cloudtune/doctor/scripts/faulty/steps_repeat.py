# finds: steps
# at: trial.metrics.loss
# study: {trial: {metrics: {loss: 'epoch (?P<step>\d+) loss: (?P<value>\S+)'}}}

import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
lr = parser.parse_args().lr
for epoch in (1, 1, 2):
    print(f"epoch {epoch} loss: {lr / epoch + epoch}")
