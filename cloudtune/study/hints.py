"""Hints for values and words that newcomers and users of other tools write."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from cloudtune.common.entry_points import find_entry_points
from cloudtune.study.strategies import STRATEGIES
from cloudtune.study.yaml_builder import KeyPath
from cloudtune.study.yaml_reader import is_list, is_map

FOREIGN_KEYS = {
    **dict.fromkeys(("low", "lower", "lowerbound", "minimum", "minvalue"), "min"),
    **dict.fromkeys(("high", "upper", "upperbound", "maximum", "maxvalue"), "max"),
    **dict.fromkeys(("minresource", "minepochs"), "min"),
    **dict.fromkeys(("maxresource", "maxepochs", "maxt"), "max"),
    **dict.fromkeys(("reductionfactor",), "eta"),
    **dict.fromkeys(("choices", "options", "categories", "list"), "values"),
    **dict.fromkeys(("distribution", "scaling", "scalingtype", "scaletype", "log"), "scale"),
    **dict.fromkeys(("condition", "conditions", "dependson", "if"), "when"),
    **dict.fromkeys(("direction", "mode"), "goal"),
    **dict.fromkeys(("q", "quantization", "increment", "stepsize"), "step"),
    **dict.fromkeys(("randomseed", "randomstate"), "seed"),
    **dict.fromkeys(("algorithm", "sampler"), "strategy name"),
    **dict.fromkeys(("objectivemetric", "objectivemetricname"), "metric"),
    **dict.fromkeys(
        (
            *(
                "ntrials",
                "numtrials",
                "totaltrials",
                "maxtotaltrials",
                "maxtrialcount",
                "numsamples",
            ),
            *("maxnumberoftrainingjobs", "maxevals", "maxevaluations", "ncalls", "runcap"),
            *("maxtrialnumber", "maxjobs", "trials"),
        ),
        "max_trials",
    ),
    **dict.fromkeys(
        (
            *("maxparalleltrials", "maxconcurrenttrials", "paralleltrialcount", "njobs"),
            *("maxparalleltrainingjobs", "concurrency", "trialconcurrency", "maxparallel"),
            *("parallelism", "parallel", "maxparalleljobs", "workers", "numworkers", "maxworkers"),
        ),
        "parallel_trials",
    ),
    **dict.fromkeys(("maxfailedtrialcount", "maxfailures"), "max_failed_trials"),
    **dict.fromkeys(
        (
            *("maxruntime", "maxtime", "timelimit", "duration", "maxduration"),
            *("maxexperimentduration", "maxwait"),
        ),
        "timeout",
    ),
    **dict.fromkeys(
        ("maxruntimeinseconds", "trialtimelimit", "maxtrialtime", "maxtrialduration"),
        "trial_timeout",
    ),
    **dict.fromkeys(("budget", "maxbudget", "cost"), "max_cost"),
    **dict.fromkeys(("policy", "type"), "rule"),
    **dict.fromkeys(("evaluationinterval",), "interval"),
    **dict.fromkeys(("slackfactor",), "slack"),
    **dict.fromkeys(("slackamount",), "slack_amount"),
    **dict.fromkeys(("reductionfactor",), "eta"),
    **dict.fromkeys(("metricstrategies",), "select"),
    **dict.fromkeys(("startstep", "nwarmupsteps", "graceperiod", "delayevaluation"), "min_step"),
    **dict.fromkeys(("nstartuptrials",), "min_trials"),
    **dict.fromkeys(("entrypoint", "program", "main", "file"), "script"),
    **dict.fromkeys(("code", "sourcedir", "codedir"), "source"),
    **dict.fromkeys(("cmd",), "command"),
    **dict.fromkeys(("dependencies",), "requirements"),
    **dict.fromkeys(("metricdefinitions",), "metrics"),
    **dict.fromkeys(("environment", "environmentvariables", "envvars"), "env"),
    **dict.fromkeys(("data", "datasets", "channels"), "inputs"),
    **dict.fromkeys(("searchspace", "space", "hyperparameters", "params"), "parameters"),
    **dict.fromkeys(("samplingalgorithm", "searchalgorithm", "searchstrategy"), "strategy"),
    **dict.fromkeys(("earlystoppingpolicy", "earlytermination"), "early_stopping"),
    **dict.fromkeys(("initialpoints",), "initial_trials"),
    **dict.fromkeys(("fixed", "statichyperparameters"), "constants"),
    **dict.fromkeys(("role",), "role_arn"),
}
"""What other tools call a key of the study file, in lower-case letters and digits.

If there are several keys, the first that is valid at the place is meant.
"""

FOREIGN_VALUES = {
    **dict.fromkeys(("double", "real", "number", "continuous", "uniform"), "float"),
    **dict.fromkeys(("loguniform", "log_uniform", "log-uniform"), "float with scale: log"),
    **dict.fromkeys(("integer", "long", "randint"), "int"),
    **dict.fromkeys(("quniform",), "float with a step"),
    **dict.fromkeys(("string", "str", "choice", "enum"), "categorical"),
    **dict.fromkeys(("boolean", "switch"), "bool"),
    **dict.fromkeys(("ordinal",), "discrete"),
    **{other: name for name, each in STRATEGIES.items() for other in each.other_names},
}
"""What other tools call a type of a parameter or a strategy."""

_POWER = re.compile(r"(?:([\d.]+) ?\* ?)?10 ?(?:\^|\*\*) ?([+-]?\d+)")
_FORMS: Mapping[KeyPath, str] = {
    ("objective",): "for example {metric: loss, goal: minimize}",
    ("constants",): "for example {epochs: 30}",
    ("trial",): "for example {script: train.py}",
    ("trial", "metrics"): r"for example {loss: 'loss: (\S+)'}",
    ("trial", "inputs"): "for example {images: ../images}",
    ("trial", "env"): "for example {MODE: fast}",
    ("limits",): "for example {max_trials: 20}",
}


def value_hint(keys: KeyPath, value: Any, types: Sequence[str]) -> str:
    """Return what to write instead of a value of the wrong type; empty if that is not known.

    Args:
        keys: The path of the value.
        value: The value.
        types: What the field accepts, such as ``a number``.
    """
    if keys[:1] == ("parameters",) and len(keys) == 2 and not is_map(value):
        return _parameter_hint(value)
    if keys in _FORMS:
        return _FORMS[keys]
    if isinstance(value, str) and ("a number" in types or "an integer" in types):
        is_choice = keys[:1] == ("parameters",) and "values" in keys
        return _number_hint(value) or ("use type: categorical for texts" if is_choice else "")
    if isinstance(value, float) and "an integer" in types:
        if value.is_integer():
            return f"write {int(value)}"
        return "use type: float" if keys[:1] == ("parameters",) else ""
    if isinstance(value, str) and "a list" in types and keys == ("trial", "command"):
        return f"write [{', '.join(_words(value))}]"
    is_scalar = isinstance(value, bool | int | float | str)
    return f"write [{value}]" if is_scalar and types == ["a list"] else ""


def _parameter_hint(value: Any) -> str:
    if is_list(value):
        return "for a choice, write {type: categorical, values: […]}"
    if isinstance(value, str) and value in {"float", "int", "bool"}:
        more = "" if value == "bool" else ", min: …, max: …"
        return f"write {{type: {value}{more}}}"
    return "a fixed value belongs in constants"


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()


def _number_hint(value: str) -> str:
    if power := _POWER.fullmatch(value):
        return f"write {power[1] or 1}e{int(power[2])}"
    bare = value.replace("_", "").replace(",", "")
    try:
        float(bare)
    except ValueError:
        return ""
    return "remove the quotes" if bare == value else f"write {bare}"


def provider_hint(key: str) -> str:
    """Return where a key belongs that is a setting of providers; empty if it is not.

    Providers whose packages cannot be imported do not count.
    """
    names: list[str] = []
    for entry in find_entry_points("cloudtune.providers"):
        with suppress(ImportError, AttributeError):
            if key in entry.load()().settings.model_fields:
                names.append(entry.name)
    if not names:
        return ""
    where = names[0] if len(names) == 1 else "NAME"
    which = "" if len(names) == 1 else f", where NAME is {' or '.join(sorted(names))}"
    return f"it is a setting of a provider: providers.{where}.{key}{which}"
