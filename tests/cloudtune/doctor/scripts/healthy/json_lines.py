# study: {trial: {arguments: env, metrics: {loss: '"val_loss": ([^,}]+)'}}}

import json
import os

lr = float(os.environ["lr"])
for epoch in range(1, 4):
    print(json.dumps({"epoch": epoch, "metrics": {"loss": lr / epoch, "val_loss": -lr / epoch}, "time": 1.5e9}))
