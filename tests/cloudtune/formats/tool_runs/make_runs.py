"""Makes the runs in the archives of this folder, with the tools themselves.

    python -m venv v && v/bin/pip install "ray[tune]" syne-tune mlflow-skinny
    v/bin/python make_runs.py ray|syne-tune|mlflow FOLDER

Made on 2026-11-27 with ray 2.60.0, syne-tune 0.16.0 and mlflow-skinny 3.17.2. Of each trial, files
that no reader opens were removed (pickles, event files, artifacts), of the state of Ray's
experiment fields with pickles, and paths were shortened.
"""

from __future__ import annotations

import importlib
import os
import random
import sys
from pathlib import Path
from typing import Any

WORKER = """\
import argparse
from syne_tune import Reporter

parser = argparse.ArgumentParser()
for name, kind in {"lr": float, "width": int, "epochs": int, "act": str}.items():
    parser.add_argument(f"--{name}", type=kind)
args, _ = parser.parse_known_args()
report = Reporter()
if args.width > 50:
    raise SystemExit("too wide")
for epoch in range(1, args.epochs + 1):
    report(epoch=epoch, loss=args.lr / epoch, acc=1 - args.lr / epoch)
"""


def make_ray(folder: str) -> None:
    tune: Any = importlib.import_module("ray.tune")

    def train(config: dict[str, Any]) -> None:
        if config["depth"] == 3 and config["kind"] == "b":
            raise RuntimeError("out of depth")
        for step in range(1, 4):
            tune.report({"loss": config["lr"] * step, "nested": {"acc": 1 - config["lr"]}})

    space = {
        "lr": tune.loguniform(1e-4, 1e-1),
        "depth": tune.randint(2, 5),
        "kind": tune.choice(["a", "b"]),
        "fixed": 7,
        "opt": {"wd": tune.uniform(0, 1)},
        "flag": tune.choice([True, False]),
    }
    tune.Tuner(
        train,
        param_space=space,
        tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=8),
        run_config=tune.RunConfig(name="demo", storage_path=folder),
    ).fit()


def make_syne_tune(folder: str) -> None:
    os.environ["SYNETUNE_FOLDER"] = folder
    syne: Any = importlib.import_module("syne_tune")
    space: Any = importlib.import_module("syne_tune.config_space")
    worker = Path(folder) / "train.py"
    worker.write_text(WORKER)
    scheduler = importlib.import_module("syne_tune.optimizer.baselines").ASHA(
        {
            "lr": space.loguniform(1e-4, 1),
            "width": space.randint(8, 64),
            "act": space.choice(["relu", "tanh"]),
            "epochs": 9,
        },
        metric="loss",
        time_attr="epoch",
        max_t=9,
        do_minimize=True,
        random_seed=1,
    )
    syne.Tuner(
        trial_backend=importlib.import_module("syne_tune.backend").LocalBackend(str(worker)),
        scheduler=scheduler,
        stop_criterion=syne.StoppingCriterion(max_num_trials_started=8),
        n_workers=2,
        sleep_time=0.2,
        max_failures=10,
        tuner_name="demo",
    ).run()


def make_mlflow(folder: str) -> None:
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    mlflow: Any = importlib.import_module("mlflow")
    mlflow.set_tracking_uri(f"{folder}/mlruns")
    mlflow.set_experiment("tuning")
    random.seed(0)
    with mlflow.start_run(run_name="grid"):
        for number in range(10):
            lr = 10 ** random.uniform(-4, -1)
            values = {"depth": random.randint(2, 5), "kind": random.choice(["a", "b"])}
            try:
                with mlflow.start_run(nested=True, run_name=f"t{number}"):
                    mlflow.log_params({"lr": lr, **values, "fixed": "x", "flag": True})
                    for step in range(3):
                        mlflow.log_metric("loss", lr / (step + 1), step=step)
                    mlflow.log_metric("acc", 1 - lr)
                    if number == 4:
                        raise ValueError
            except ValueError:
                pass
    for number in range(3):
        with mlflow.start_run(run_name=f"flat{number}"):
            mlflow.log_param("lr", number / 10)
            mlflow.log_metric("loss", number)


if __name__ == "__main__":
    {"ray": make_ray, "syne-tune": make_syne_tune, "mlflow": make_mlflow}[sys.argv[1]](sys.argv[2])
