"""What is tuned: a script that knows nothing of cloudtune, nor of the emulator."""

import argparse
import json
import os
import time
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=float, required=True)
parser.add_argument("--layers", type=int, required=True)
parser.add_argument("--batch", type=int, required=True)
parser.add_argument("--optimizer", required=True)
parser.add_argument("--momentum", type=float)
parser.add_argument("--base", type=float, required=True)
parser.add_argument("--fail", action="store_true")
parser.add_argument("--wait", action="store_true")
given = parser.parse_args()
assert (given.momentum is not None) == (given.optimizer == "sgd")
if given.fail:
    raise SystemExit("this cannot go well")
if given.wait:
    time.sleep(600)

score = given.base - given.layers / 100 - given.rate - given.batch / 1000
metrics = Path(os.environ["CLOUD_ML_HP_METRIC_FILE"])
metrics.parent.mkdir(parents=True, exist_ok=True)
with metrics.open("w") as file:
    for step in (1, 2):
        entry = {
            "timestamp": time.time(),
            "trial": os.environ["CLOUD_ML_TRIAL_ID"],
            "score": str(score - 1 / step),
            "global_step": str(step),
            "checkpoint_path": "",
        }
        file.write(json.dumps(entry) + "\n")
