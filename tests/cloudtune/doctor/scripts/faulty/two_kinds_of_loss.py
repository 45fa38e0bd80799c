# finds: metric-ambiguous
# at: trial.metrics.loss
# study: {trial: {metrics: {loss: 'loss: (\S+)'}}}

import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
lr = parser.parse_args().lr
for epoch in range(3):
    print(f"Epoch {epoch}")
    print(f"Train loss: {lr / (epoch + 1):.4f}")
    print(f"Valid loss: {2 * lr / (epoch + 1):.4f}")
