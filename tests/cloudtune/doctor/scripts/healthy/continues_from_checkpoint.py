# study: {strategy: {name: hyperband, resource: epochs, min: 4, max: 36}, limits: {max_trials: 9}}

import argparse
import json
import os
import time

from cloudtune.trial import checkpoint_dir, report, should_stop

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--epochs", type=int)
options = parser.parse_args()
file = os.path.join(checkpoint_dir(), "state.json")
first = json.load(open(file))["epoch"] + 1 if os.path.exists(file) else 1
for epoch in range(first, options.epochs + 1):
    time.sleep(0.1)
    report(loss=options.lr / epoch, step=epoch)
    with open(file + ".new", "w") as new:
        json.dump({"epoch": epoch}, new)
    os.replace(file + ".new", file)
    if should_stop():
        break
