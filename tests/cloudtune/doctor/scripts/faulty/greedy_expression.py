# finds: metric-ambiguous
# at: trial.metrics.loss
# study: {trial: {metrics: {loss: 'loss: (\S+)'}}}

import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
lr = parser.parse_args().lr
for epoch in range(3):
    print(f"epoch {epoch} loss: {lr / (epoch + 1):.4f} val_loss: {2 * lr:.4f}")
