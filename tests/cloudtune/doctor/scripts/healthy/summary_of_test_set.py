# study: {objective: {metric: accuracy, goal: maximize}, trial: {metrics: {accuracy: 'Accuracy: \d+/\d+ \((?P<value>\d+)%\)'}}}

import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
lr = parser.parse_args().lr

for epoch in range(1, 4):
    for batch in range(0, 640, 64):
        print(f"Train Epoch: {epoch} [{batch}/640 ({100 * batch / 640:.0f}%)]\tLoss: {lr / epoch:.6f}")
    right = int(9000 + 300 * epoch * lr)
    print(f"\nTest set: Average loss: {lr / epoch:.4f}, Accuracy: {right}/10000 ({right / 100:.0f}%)\n")
