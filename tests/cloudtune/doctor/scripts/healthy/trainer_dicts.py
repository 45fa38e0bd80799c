# study: {trial: {metrics: {loss: "'eval_loss': ([^,]+)"}}, early_stopping: median}

import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
lr = parser.parse_args().lr

for epoch in range(1, 4):
    loss = lr / epoch
    print({"loss": round(loss, 4), "grad_norm": 1.2, "learning_rate": 5e-05 / epoch, "epoch": epoch / 2})
    print({"eval_loss": loss * 1e-4, "eval_accuracy": 0.9, "eval_runtime": 0.01, "epoch": float(epoch)})
print({"train_runtime": 1.5, "train_loss": 0.3, "epoch": 3.0})
