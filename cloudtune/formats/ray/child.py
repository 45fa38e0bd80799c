"""Runs a module that uses Ray Tune, and writes the tuner in it as JSON. A process of its own."""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import runpy
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeGuard

from cloudtune.formats.ray.names import OBJECT
from cloudtune.study.yaml_reader import is_map

_ARGUMENTS = "_cloudtune_arguments"
_SEARCHERS = (
    *("ax.ax_search", "bayesopt.bayesopt_search", "bohb.bohb_search", "hebo.hebo_search"),
    *("hyperopt.hyperopt_search", "nevergrad.nevergrad_search", "optuna.optuna_search"),
    "zoopt.zoopt_search",
)
"""The modules of search algorithms in ``ray.tune.search``, which Ray imports late."""
_NORMAL = "randn"


def is_sequence(value: Any) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    """Return whether a value is a list or a tuple."""
    return isinstance(value, list | tuple)


class _Started(BaseException):
    """The module starts a tuning run."""

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        super().__init__()
        self.arguments = arguments


def main(file: str, name: str, output: str) -> None:
    """Write the tuner in a module as JSON, or ``error`` with the reason."""
    try:
        found = _read(Path(file), name)
    except _NotFoundError as error:
        found = {"error": str(error)}
    Path(output).write_text(json.dumps(found), "utf-8")


class _NotFoundError(Exception):
    """What the user named is not in the module."""


def _read(file: Path, name: str) -> dict[str, Any]:
    try:
        tune = importlib.import_module("ray.tune")
    except ImportError as error:
        raise _NotFoundError(
            f"needs Ray ({error}); install ray[tune] next to cloudtune, in {sys.prefix}"
        ) from error
    _record(tune)
    sys.path.insert(0, str(file.parent.absolute()))
    sys.argv = [str(file)]
    try:
        module = runpy.run_path(str(file), run_name=file.stem)
    except _Started as started:
        if name:
            raise _NotFoundError(f"starts a tuning run before it defines {name}") from None
        return _tuner(started.arguments)
    return _find(module, file, name, tune)


def _find(module: Mapping[str, Any], file: Path, name: str, tune: Any) -> dict[str, Any]:
    """Return the object of this name, or the only one that is a tuner or a search space."""
    tuners = [key for key, each in module.items() if isinstance(each, tune.Tuner)]
    spaces = [key for key, each in module.items() if is_map(each) and _has_domain(each)]
    candidates = tuners or spaces
    if not name and len(candidates) == 1:
        (name,) = candidates
    if not name:
        names = ", ".join(candidates)
        raise _NotFoundError(
            f"has {names}; name one of them, such as {file}:{candidates[0]}"
            if names
            else "has no search space at its top level"
        )
    if name not in module:
        known = ", ".join([*tuners, *spaces]) or "none"
        raise _NotFoundError(f"has no {name}; it has these tuners and search spaces: {known}")
    found = module[name]
    if isinstance(found, tune.Tuner):
        return _tuner(getattr(found, _ARGUMENTS))
    if not is_map(found):
        raise _NotFoundError(f"{name} is neither a map of parameters nor a tuner")
    configs = {key: module.get(key) for key in ("tune_config", "run_config")}
    return _tuner({"param_space": found, **configs})


def _record(tune: Any) -> None:
    """Keep the arguments of each object, and stop where a tuning run would start."""
    search = importlib.import_module("ray.tune.search")
    schedulers = importlib.import_module("ray.tune.schedulers")
    for module in _SEARCHERS:
        with suppress(ImportError):
            importlib.import_module(f"ray.tune.search.{module}")
    bases = [search.Searcher, search.SearchAlgorithm, schedulers.TrialScheduler, tune.Tuner]
    for kind in {each for base in bases for each in (base, *_subclasses(base))}:
        if "__init__" in vars(kind):
            kind.__init__ = _recording(kind.__init__)

    def fit(tuner: Any, *_: Any, **__: Any) -> None:
        raise _Started(getattr(tuner, _ARGUMENTS))

    def run(*args: Any, **kwargs: Any) -> None:
        bound = inspect.signature(original).bind(*args, **kwargs).arguments
        raise _Started(
            {"param_space": bound.get("config"), "tune_config": bound, "run_config": bound}
        )

    original = tune.run
    tune.Tuner.fit = fit
    tune.run = run
    with suppress(ImportError, AttributeError):
        ray: Any = importlib.import_module("ray")
        ray.init = _nothing


def _nothing(*_: Any, **__: Any) -> None:
    pass


def _subclasses(kind: Any) -> Iterator[Any]:
    for each in kind.__subclasses__():
        yield each
        yield from _subclasses(each)


def _recording(original: Callable[..., None]) -> Callable[..., None]:
    signature = inspect.signature(original)

    @functools.wraps(original)
    def initialize(self: Any, *args: Any, **kwargs: Any) -> None:
        if not hasattr(self, _ARGUMENTS):
            bound = signature.bind(self, *args, **kwargs).arguments
            named = dict(list(bound.items())[1:])
            named |= named.pop("kwargs", {})
            setattr(self, _ARGUMENTS, named)
        original(self, *args, **kwargs)

    return initialize


def _tuner(arguments: Mapping[str, Any]) -> dict[str, Any]:
    tuner: dict[str, Any] = {"param_space": _value(arguments.get("param_space") or {})}
    for key, fields in _FIELDS.items():
        config = arguments.get(key)
        each = {field: _field(config, field) for field in fields}
        found = {field: value for field, value in each.items() if value is not None}
        limiter: Any = getattr(_attribute(config, "search_alg"), _ARGUMENTS, {})
        if "max_concurrent" in limiter:
            found.setdefault("max_concurrent_trials", limiter["max_concurrent"])
        tuner |= {key: found} if found else {}
    return tuner


_FIELDS = {
    "tune_config": (
        *("metric", "mode", "num_samples", "max_concurrent_trials", "time_budget_s"),
        *("search_alg", "scheduler"),
    ),
    "run_config": ("name", "stop"),
}


def _attribute(config: Any, name: str) -> Any:
    return config.get(name) if is_map(config) else getattr(config, name, None)


def _field(config: Any, name: str) -> Any:
    value = _attribute(config, name)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if name in {"search_alg", "scheduler"} and value is not None and not isinstance(value, str):
        return _algorithm(value)
    return _value(value)


def _algorithm(value: Any) -> dict[str, Any]:
    """Return a scheduler or a search algorithm: its class, with the arguments that are plain."""
    arguments = getattr(value, _ARGUMENTS, {})
    if type(value).__name__ == "ConcurrencyLimiter":
        return _algorithm(arguments["searcher"])
    plain = {key: each for key, each in arguments.items() if _is_plain(each)}
    return {type(value).__name__: {key: _value(each) for key, each in plain.items()}}


def _is_plain(value: Any) -> bool:
    if is_map(value):
        return all(map(_is_plain, value.values()))
    if is_sequence(value):
        return all(map(_is_plain, value))
    return isinstance(value, str | int | float | bool)


def _has_domain(value: Any) -> bool:
    if is_map(value):
        return "grid_search" in value or any(map(_has_domain, value.values()))
    return hasattr(value, "get_sampler")


def _value(value: Any) -> Any:
    """Return a value as JSON: domains as functions with arguments, other objects as their text."""
    if is_map(value):
        return {str(key): _value(each) for key, each in value.items()}
    if is_sequence(value):
        return [_value(each) for each in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if hasattr(value, "get_sampler"):
        return _domain(value)
    if hasattr(value, "tolist") and hasattr(value, "shape"):
        return value.tolist()  # a number or an array of NumPy
    return {OBJECT: f"{type(value).__module__}.{type(value).__name__}"}


def _domain(domain: Any) -> dict[str, Any]:
    """Return a domain as the function of ``ray.tune`` that makes it, with its arguments."""
    kind = type(domain).__name__
    if kind == "Categorical":
        return {"choice": _value(domain.categories)}
    if kind == "Function":
        return {"sample_from": getattr(domain.func, "__name__", "code")}
    sampler, step = domain.get_sampler(), None
    if type(sampler).__name__ == "Quantized":
        sampler, step = sampler.get_sampler(), sampler.q
    kinds = [each.__name__ for each in type(sampler).__mro__]
    start = "q" if step is not None else ""
    if "Normal" in kinds:
        return {f"{start}{_NORMAL}": [sampler.mean, sampler.sd, *([step] if start else [])]}
    log = "log" if "LogUniform" in kinds else ""
    name = "randint" if kind == "Integer" else "uniform"
    bounds = [_value(domain.lower), _value(domain.upper)]
    return {f"{start}{log}{name}": [*bounds, *([_value(step)] if start else [])]}


if __name__ == "__main__":
    main(*sys.argv[1:])
