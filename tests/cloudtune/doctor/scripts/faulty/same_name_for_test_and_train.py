# finds: metric-ambiguous
# at: trial.metrics.accuracy
# study: {objective: {metric: accuracy, goal: maximize}, trial: {metrics: {accuracy: 'Accuracy: \d+/\d+ \((\d+)%\)'}}}

import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
lr = parser.parse_args().lr
for epoch in range(3):
    for name, part in (("Train", 100 * lr), ("Test", 90 * lr)):
        right = int(part) + epoch
        print(f"{name} set: Average loss: {1 - part:.4f}, Accuracy: {right}/100 ({right}%)")
