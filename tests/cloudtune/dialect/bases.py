"""Studies in which the leaves of the schema can have other values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from cloudtune.study.schema import StoppingRule
from cloudtune.study.strategies import STRATEGIES

FLOAT = {"type": "float", "min": 0.1, "max": 1.0}
TYPES: dict[str, Any] = {
    "float": FLOAT,
    "step": {"type": "float", "min": 0.0, "max": 1.0, "step": 0.25},
    "int": {"type": "int", "min": 1, "max": 8},
    "discrete": {"type": "discrete", "values": [1, 2, 4]},
    "categorical": {"type": "categorical", "values": ["a", "b"]},
    "bool": {"type": "bool"},
}
CODE: dict[str, Any] = {
    "script": {"script": "train.py"},
    "none": {},
    "module": {"module": "train"},
    "command": {"command": ["./run", "{{x}}"]},
    "s3": {"script": "train.py", "source": {"*": "s3://bucket/code.tar.gz"}},
    "measured": {
        "script": "train.py",
        "metrics": {"loss": [r"loss=(\S+)"], "acc": [r"acc=(\S+)"]},
        "inputs": {"data": {"*": {"uri": "s3://bucket/data"}}},
        "resources": [{"cpus": 1, "memory": "8 GB"}],
        "env": {"KEY": {"from_env": "OTHER"}},
        "retry": {"on": "memory"},
    },
}


def bases() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the data of each study."""
    for kind, parameter in TYPES.items():
        name = "b" if kind == "bool" else "x"
        yield kind, study({name: parameter})
    when = {"type": "int", "min": 1, "max": 8, "when": {"x": ["a"]}}
    yield "conditional", study({"x": TYPES["categorical"], "y": when})
    for kind, trial in CODE.items():
        yield kind, study({"x": FLOAT}) | {"trial": trial}
    for strategy, traits in STRATEGIES.items():
        extra: dict[str, Any] = {}
        block = {"name": strategy, **traits.example}
        if strategy == "list":
            extra = {"initial_trials": [{"x": 2}]}
        yield strategy, study({"x": TYPES["int"]}) | {"strategy": block} | extra
    shared = {"name": "random", "proposals": 0.3, "proposal_wait": "2m"}
    yield "proposals", study({"x": FLOAT}) | {"strategy": shared}
    for rule in get_args(StoppingRule):
        yield rule, study({"x": FLOAT}) | {"early_stopping": {"rule": rule}}
    yield "warm", study({"x": FLOAT}) | {"warm_start": {"from": ["sagemaker:a"]}}
    confirm = {"metric": "test", "goal": "maximize", "train_metric": "train"}
    yield "confirm", study({"x": FLOAT}) | {"confirm": confirm}
    yield "notify", study({"x": FLOAT}) | {"notify": {"command": ["./tell.sh"], "on": ["ended"]}}
    objectives = [{"metric": "loss", "goal": "minimize"}, {"metric": "acc", "goal": "maximize"}]
    yield "objectives", study({"x": FLOAT}) | {"objective": objectives}
    maps = {"type": "categorical", "values": [{"name": "a"}, {"name": "b"}]}
    yield "maps", study({"x": maps}) | {"initial_trials": [{"x": "a"}]}
    yield "by map", study({"x": maps, "y": when | {"when": {"x": [{"name": "a"}]}}})


def study(parameters: Any) -> dict[str, Any]:
    return {
        "name": "s",
        "objective": {"metric": "loss", "goal": "minimize"},
        "parameters": parameters,
        "strategy": {"name": "random"},
        "limits": {"max_trials": 5},
        "trial": {"script": "train.py"},
    }
