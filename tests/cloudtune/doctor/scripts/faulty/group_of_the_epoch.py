# finds: metric-counter
# at: trial.metrics.loss
# study: {trial: {metrics: {loss: 'epoch (\d+) loss (\S+)'}}}

import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
lr = parser.parse_args().lr
for epoch in range(4):
    print(f"epoch {epoch} loss {lr / (epoch + 1):.4f}")
