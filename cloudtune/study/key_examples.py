"""An example of each key of the study file, for editors and for the documentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudtune.study.limits import LIMITS

_RANGE = {
    "type": "int",
    "min": 1,
    "max": 8,
    "scale": "log",
    "step": 1,
    "when": {"model": "boosting", "depth": [3, 4]},
}
_CHOICE = {"when": {"model": "boosting"}}

KEY_EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "Study": {
        "version": 1,
        "name": "digits",
        "description": "Which model reads digits best?",
        "objective": {"metric": "accuracy", "goal": "maximize"},
        "parameters": {"lr": {"type": "float", "min": 1e-5, "max": 0.1, "scale": "log"}},
        "constants": {"epochs": 30, "augment": True},
        "constraints": ["depth * lr <= 2", "memory_gb <= 16"],
        "strategy": "random",
        "limits": {"max_trials": 40, "parallel_trials": 4},
        "early_stopping": "median",
        "initial_trials": [{"lr": 0.01}],
        "warm_start": {"from": "k7f2"},
        "confirm": "test_accuracy",
        "notify": {"command": ["./tell.sh"], "on": ["failed", "ended"]},
        "trial": {"script": "train.py"},
        "providers": {"local": {"grace": "20s"}},
    },
    "Objective": {"metric": "accuracy", "goal": "maximize", "target": 0.98, "select": "best"},
    "FloatParameter": {**_RANGE, "type": "float", "min": 1e-5, "max": 0.1, "step": 0.001},
    "IntParameter": _RANGE,
    "DiscreteParameter": {
        "type": "discrete",
        "values": [16, 32, 64],
        "scale": "log",
        **_CHOICE,
    },
    "CategoricalParameter": {"type": "categorical", "values": ["adam", "sgd"], **_CHOICE},
    "BoolParameter": {"type": "bool", **_CHOICE},
    "Strategy": {
        "name": "hyperband",
        "seed": 7,
        "method": "tpe",
        "resource": "epochs",
        "min": 1,
        "max": 27,
        "eta": 3,
        "proposals": 0.3,
        "proposal_wait": "10m",
    },
    "Limits": {name: traits.example for name, traits in LIMITS.items()},
    "EarlyStopping": {
        "rule": "median",
        "min_step": 5,
        "interval": 2,
        "min_trials": 3,
        "slack": 0.2,
        "slack_amount": 0.05,
        "eta": 4,
    },
    "TrialSpec": {
        "source": "../src",
        "script": "train.py",
        "module": "package.train",
        "command": ["./simulate", "--speed={{speed}}"],
        "requirements": "requirements.txt",
        "python": "/opt/conda/bin/python",
        "warm": False,
        "preload": ["torch", "pandas"],
        "args": ["--epochs", "30", "--data={{inputs.images}}"],
        "arguments": "equals",
        "seed_argument": "seed",
        "switches": {"speed": "--fast/--slow"},
        "metrics": {"loss": r"val_loss=(\S+)"},
        "select": {"val_accuracy": "max"},
        "inputs": {"images": "../images"},
        "env": {"MODE": "fast", "HF_TOKEN": {"from_env": "HF_TOKEN"}},
        "resources": {"cpus": 2, "gpus": 1},
        "retry": "memory",
    },
    "Resources": {"cpus": 2, "gpus": 1, "memory": "8 GB", **_CHOICE},
    "Retry": {"on": "memory", "memory": "1.5x", "times": 2},
    "Input": {"uri": "s3://bucket/images", "content_type": "text/csv"},
    "FromEnvironment": {"from_env": "HF_TOKEN"},
    "Confirm": {"metric": "test_accuracy", "goal": "maximize", "train_metric": "train_accuracy"},
    "Notify": {"command": ["./tell.sh"], "on": ["best", "failed", "ended"]},
    "WarmStart": {"from": ["k7f2", "sagemaker:digits-b4c2"], "kind": "transfer"},
}
"""An example of each key, by the name of the model and the key."""
