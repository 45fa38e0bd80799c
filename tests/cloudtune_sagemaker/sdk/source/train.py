# ruff: noqa: T201 - a metric is what it prints
"""A training script that knows nothing of cloudtune: it reads its arguments and prints a metric."""

import argparse
import json
import os
import sys
import time
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=float, required=True)
parser.add_argument("--layers", type=int, required=True)
parser.add_argument("--optimizer", choices=["sgd", "adam", "true"], required=True)
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--note", default="")
parser.add_argument("--flag", default="")
parser.add_argument("--pause", type=float, default=0.0)
parser.add_argument("-b", type=int, default=0)
parser.add_argument("--break", dest="broken", default="")
parser.add_argument("--train", default=os.environ.get("SM_CHANNEL_TRAIN"))
parser.add_argument("--model-dir", default=os.environ["SM_MODEL_DIR"])
given = parser.parse_args()

if given.broken:
    sys.exit(f"broken: {given.broken}")

base = 0.0
if given.train:
    base = sum(float(file.read_text()) for file in Path(given.train).rglob("*.csv"))
print(f"argv={json.dumps(sys.argv[1:])} own={os.environ.get('OWN')}")
for epoch in range(1, given.epochs + 1):
    score = base - (given.rate - 0.01) ** 2 - given.layers / 100 - 1 / (10 * epoch)
    score -= {"sgd": 0.3, "adam": 0.0, "true": 0.1}[given.optimizer]
    print(f"epoch={epoch}; score={score:.6f}; loss={-score:.4e};", flush=True)
    if given.pause:
        time.sleep(given.pause)
Path(given.model_dir, "model.json").write_text(json.dumps(vars(given)))
