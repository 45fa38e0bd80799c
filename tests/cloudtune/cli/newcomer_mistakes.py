"""Mistakes that newcomers make, each with the command that shows it."""

from __future__ import annotations

from typing import NamedTuple

GOOD = """\
objective: {metric: loss, goal: minimize}
parameters:
  lr: {type: float, min: 0.001, max: 0.1, scale: log}
limits: {max_trials: 1}
trial: {script: train.py, metrics: {loss: 'loss (\\S+)'}}
"""
SCRIPT = """\
import sys
print("loss", float(sys.argv[sys.argv.index("--lr") + 1]))
"""


class Mistake(NamedTuple):
    """What a newcomer wrote, and the command that shows what cloudtune makes of it."""

    title: str
    study: str = GOOD
    command: str = "check study.yaml"
    script: str = SCRIPT
    code: int = 1


def replaced(old: str, new: str) -> str:
    """Return the good study with another text."""
    assert old in GOOD
    return GOOD.replace(old, new)


def trial(more: str) -> str:
    """Return the good study with another key under `trial`."""
    return replaced("script: train.py", f"script: train.py, {more}")


OTHER_ARGUMENTS = """\
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--rate")
parser.parse_args()
"""
LR = "{type: float, min: 0.001, max: 0.1, scale: log}"
RUN = "run study.yaml"

MISTAKES = [
    Mistake("A misspelled top-level key", replaced("limits:", "limit:")),
    Mistake("The objective is only a name", replaced("{metric: loss, goal: minimize}", "loss")),
    Mistake("The goal is missing", replaced(", goal: minimize", "")),
    Mistake("The goal is abbreviated", replaced("minimize", "min")),
    Mistake("The goal of another tool", replaced("goal: minimize", "direction: minimize")),
    Mistake("A list of values without a type", replaced(LR, "[0.001, 0.01, 0.1]")),
    Mistake("A value instead of a range", replaced(LR, "0.01")),
    Mistake("The type is missing", replaced("type: float, ", "")),
    Mistake("A type of another language", replaced("float", "double")),
    Mistake("A range of another tool", replaced("min: 0.001, max: 0.1", "low: 0.001, high: 0.1")),
    Mistake("A type of another tool", replaced(LR, "{type: loguniform, min: 0.001, max: 0.1}")),
    Mistake("Bounds in the wrong order", replaced("min: 0.001, max: 0.1", "min: 0.1, max: 0.001")),
    Mistake("A log scale from zero", replaced("min: 0.001", "min: 0")),
    Mistake("A number in quotes", replaced("min: 0.001", "min: '1e-3'")),
    Mistake("A power of ten in words", replaced("min: 0.001", "min: 10^-3")),
    Mistake("A fraction for an int", replaced(LR, "{type: int, min: 0.5, max: 3}")),
    Mistake("Choices under another name", replaced(LR, "{type: categorical, choices: [a, b]}")),
    Mistake("A single choice without a list", replaced(LR, "{type: categorical, values: adam}")),
    Mistake("Discrete values that are text", replaced(LR, "{type: discrete, values: [a, b]}")),
    Mistake(
        "A condition on an unknown parameter", replaced("log}", "log, when: {optimiser: adam}}")
    ),
    Mistake("A strategy under another name", f"strategy: bayes\n{GOOD}"),
    Mistake("A strategy of another tool", f"strategy: {{algorithm: tpe}}\n{GOOD}"),
    Mistake("Hyperband without its largest amount", f"strategy: hyperband\n{GOOD}"),
    Mistake("A grid over a range", f"strategy: grid\n{GOOD}"),
    Mistake("A method of another strategy", f"strategy: {{name: random, method: tpe}}\n{GOOD}"),
    Mistake("A limit of another tool", replaced("max_trials", "n_trials")),
    Mistake("A limit at the top level", f"max_trials: 20\n{GOOD}"),
    Mistake("A duration without a unit", replaced("max_trials: 1", "timeout: 600")),
    Mistake("A duration in words", replaced("max_trials: 1", "timeout: 10 minutes")),
    Mistake("Money without a currency", replaced("max_trials: 1", "max_cost: 25")),
    Mistake("No trials", replaced("max_trials: 1", "max_trials: 0")),
    Mistake("The script at the top level", f"script: train.py\n{GOOD}"),
    Mistake("A command as one text", replaced("script: train.py", "command: python train.py")),
    Mistake("A script and a command", replaced("script:", "command: [./run], script:")),
    Mistake("A script outside the source", replaced("train.py", "../train.py")),
    Mistake("An absolute path", replaced("train.py", "/code/train.py")),
    Mistake("An expression without a group", replaced(r"loss (\S+)", "loss .*")),
    Mistake("An expression with an open group", replaced(r"loss (\S+)", r"loss (\S+")),
    Mistake(
        "A metric without an expression",
        replaced("metrics: {loss: 'loss (\\S+)'}", "metrics: [loss]"),
    ),
    Mistake("A placeholder without quotes", trial("args: [{{lr}}]")),
    Mistake("A misspelled placeholder", trial("args: ['--rate={{lrr}}']")),
    Mistake("A number as an argument", trial("args: [--epochs, 3]")),
    Mistake("A secret in the file", trial("env: {HF_TOKEN: abc}")),
    Mistake("Early stopping by a misspelled rule", f"early_stopping: medain\n{GOOD}"),
    Mistake(
        "An initial trial with an unknown parameter", f"initial_trials: [{{rate: 0.1}}]\n{GOOD}"
    ),
    Mistake("An initial trial outside the range", f"initial_trials: [{{lr: 1}}]\n{GOOD}"),
    Mistake(
        "Misspelled blocks with mistakes inside",
        replaced("parameters:", "paramaters:")
        .replace("min: 0.001, max: 0.1", "min: 0.1, max: 0.001")
        .replace("limits: {max_trials: 1}", "limts: {max_trials: 0}")
        .replace("script: train.py", "scirpt: trian.py"),
    ),
    Mistake("A misspelled strategy with mistakes inside", f"strategey: {{name: hyperbnd}}\n{GOOD}"),
    Mistake(
        "A mistake next to files that do not exist",
        trial("inputs: {data: ../data}, requirements: needed.txt")
        .replace("train.py", "trian.py")
        .replace("min: 0.001", "mim: 0.001"),
    ),
    Mistake(
        "Mistakes in the settings of a service",
        replaced("train.py", "trian.py") + "providers: {sagemaker: {regoin: us, spot: 1}}\n",
        "check study.yaml --on sagemaker",
    ),
    Mistake("A script that is not in the source", replaced("train.py", "trian.py"), code=2),
    Mistake(
        "A module that does not exist",
        replaced("script: train.py", "module: mymodule.train"),
        code=2,
    ),
    Mistake(
        "A program that does not exist",
        replaced("script: train.py", "command: [./run.sh, '{{lr}}']"),
        code=2,
    ),
    Mistake(
        "A program that is not installed",
        replaced("script: train.py", "command: [my-program, '{{lr}}']"),
        code=2,
    ),
    Mistake("A source folder that does not exist", trial("source: code, inputs: {data: ../data}")),
    Mistake("No limit", replaced("limits: {max_trials: 1}\n", ""), code=2),
    Mistake("A tab", "limits:\n\tmax_trials: 3\n"),
    Mistake("A colon in a text", f"description: Digits: a test\n{GOOD}"),
    Mistake("The same key twice", f"limits: {{timeout: 1h}}\n{GOOD}"),
    Mistake("An empty file", ""),
    Mistake("No such file", command="check my-study.yaml"),
    Mistake("The script instead of the study", command="run train.py"),
    Mistake("No such script", replaced("train.py", "trian.py"), RUN, code=2),
    Mistake(
        "No objective",
        replaced("objective: {metric: loss, goal: minimize}\n", ""),
        RUN,
        code=2,
    ),
    Mistake("Nothing that ends the run", replaced("limits: {max_trials: 1}\n", ""), RUN, code=2),
    Mistake("Inputs that do not exist", trial("inputs: {data: ../data}"), RUN, code=2),
    Mistake("More GPUs than there are", trial("resources: {gpus: 4096}"), RUN, code=2),
    Mistake("An unknown provider", command="run study.yaml --on aws"),
    Mistake("A misspelled command", command="rnu study.yaml"),
    Mistake("An override without a value", command="run study.yaml --set max_trials"),
    Mistake("An override of an unknown key", command="run study.yaml --set max_trials=3"),
    Mistake("The results of no run", command="results"),
    Mistake("A script that does not know its arguments", GOOD, RUN, OTHER_ARGUMENTS, 4),
    Mistake("A script that prints another text", GOOD, RUN, "print('Loss: 3')\n", 4),
    Mistake("A script that lacks a package", GOOD, RUN, "import a_package_of_mine\n", 4),
    Mistake("A script that lacks its data", GOOD, RUN, "open('../data/train.csv')\n", 4),
    Mistake("A script with a mistake", GOOD, RUN, "print('loss', 1 / 0)\n", 4),
]
