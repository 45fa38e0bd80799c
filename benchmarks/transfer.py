"""What trials of an earlier, related task give a search: pairs of tasks, with and without them.

    python -m benchmarks.transfer run --pairs made --seeds 10
    python -m benchmarks.transfer run --pairs trained --seeds 10 --sides none same
    python -m benchmarks.transfer run --pairs tables --every 2 --seeds 3 --sides none same
    python -m benchmarks.transfer table

For each pair and seed, a search of 50 trials runs on the first task. Then the second task is
searched without them (``none``), with ``warm_start`` of kind ``same`` and ``transfer``, and with
the best of them as its one initial trial (``initial``). ``run`` appends each result to the cache
and skips those that exist. ``table`` groups the pairs by the rank correlation of their true values
over 2,000 random assignments, and shows the mean regret minus that of ``none``.

The ``made`` pairs are functions. Constants of the search may be chosen on them, and not on the
``tables`` and ``trained`` pairs, which report.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import permutations
from random import Random
from statistics import fmean
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits  # pyright: ignore[reportMissingTypeStubs]

from benchmarks.comparison_tasks import TASKS
from benchmarks.quality_tasks import CACHE, DATA_SETS, Params, Task, function, table
from benchmarks.quality_tasks import study_of as plain_study_of
from cloudtune.results.events import Ended, Measured, Started
from cloudtune.search.axes import build_axes
from cloudtune.search.factory import make_strategy
from cloudtune.search.protocol import Suggestion
from cloudtune.search.sampling import complete_assignment
from cloudtune.study.search_space import Space
from cloudtune.study.study import Study

SIDES = ("none", "same", "transfer", "initial")
MARKS = (5, 10, 25, 50)
EARLIER = 50
"""The trials of the earlier task."""
RELATED = 0.6
"""The rank correlation from which on a pair counts as one that agrees."""
RESULTS = CACHE / "transfer.jsonl"


@dataclass(frozen=True)
class Earlier:
    """A trial of the earlier task."""

    parameters: Params
    objective: tuple[float, ...]
    source: str = "earlier"


@cache
def bowl(seed: int, moved: float, *, level: bool) -> Task:
    """Return a function of four numbers and two choices; a task moved from the one with 0."""
    base, other = Random(f"bowl:{seed}"), Random(f"bowl:{seed}:{moved}")
    names = ("a", "b", "c", "d")
    centre = [base.uniform(0.1, 0.9) for _ in names]
    weights = [base.uniform(0.2, 3.0) for _ in names]
    kinds = {kind: base.uniform(0.0, 0.6) for kind in "pqrs"}
    flag = base.uniform(-0.3, 0.3)
    if moved:
        centre = [min(max(c + moved * other.uniform(-1, 1), 0.0), 1.0) for c in centre]
        weights = [w * math.exp(moved * other.gauss(0, 1)) for w in weights]
        kinds = {kind: v + moved * other.uniform(-0.6, 0.6) for kind, v in kinds.items()}
        flag += moved * other.uniform(-0.6, 0.6)
    phase = base.random()

    def value(params: Params) -> float:
        x = [params["a"], (math.log10(params["b"]) + 5) / 5, params["c"] / 20, params["d"]]
        loss = sum(w * abs(v - c) ** 1.5 for w, v, c in zip(weights, x, centre, strict=True))
        loss += kinds[params["kind"]] + flag * params["flag"]
        loss += 0.05 * math.sin(15 * (x[0] + x[3] + phase))
        return float(100 + 30 * loss if level else loss)

    parameters = {
        "a": {"type": "float", "min": 0, "max": 1},
        "b": {"type": "float", "min": 1e-5, "max": 1, "scale": "log"},
        "c": {"type": "int", "min": 0, "max": 20},
        "d": {"type": "float", "min": 0, "max": 1},
        "kind": {"type": "categorical", "values": list("pqrs")},
        "flag": {"type": "bool"},
    }
    near = (
        {
            "a": min(max(centre[0] + other.gauss(0, 0.02), 0.0), 1.0),
            "b": 10 ** (5 * centre[1] - 5),
            "c": round(20 * centre[2]),
            "d": min(max(centre[3] + other.gauss(0, 0.02), 0.0), 1.0),
            "kind": min(kinds, key=kinds.__getitem__),
            "flag": flag < 0,
        }
        for _ in range(5_000)
    )
    best = min(map(value, near))
    noise = 0.02 * (30 if level else 1)
    return function(f"bowl{seed}_{moved}_{level}", parameters, value, best, noise)


@dataclass(frozen=True)
class Pair:
    """Two tasks with one space."""

    name: str
    earlier: Callable[[], Task]
    task: Callable[[], Task]


def _made() -> Iterable[Pair]:
    for seed in range(4):
        for moved in (0.05, 0.3, 1.0, 3.0):
            for level in (False, True):
                yield Pair(
                    f"bowl{seed}_{moved}{'_level' if level else ''}",
                    partial(bowl, seed, moved, level=level),
                    partial(bowl, seed, 0.0, level=False),
                )


def _tables() -> Iterable[Pair]:
    for module, names in DATA_SETS.items():
        for first, second in permutations(names, 2):
            yield Pair(
                f"{first}>{second}",
                partial(_table, module, first),
                partial(_table, module, second),
            )


_table = cache(table)
_FAMILIES = (
    ("svc_breast_cancer", "held_out_svc_clusters", "fresh_svc_unions"),
    ("models_digits", "held_out_models_votes", "fresh_models_cancer"),
    ("pipeline_digits", "held_out_pipeline_clusters", "fresh_pipeline_votes"),
    ("mlp_wine", "held_out_mlp_clusters", "fresh_mlp_votes"),
    ("trees_breast_cancer", "held_out_trees_unions", "fresh_trees_clusters"),
)


def _trained() -> Iterable[Pair]:
    for names in _FAMILIES:
        for first, second in permutations(names, 2):
            yield Pair(f"{first}>{second}", cache(TASKS[first]), cache(TASKS[second]))


GROUPS: Mapping[str, Callable[[], Iterable[Pair]]] = {
    "made": _made,
    "tables": _tables,
    "trained": _trained,
}


def _study_of(task: Task, kind: str | None) -> Study:
    study = plain_study_of(task.parameters)
    if kind is None:
        return study
    text = study.model_dump(mode="json", exclude_unset=True)
    return Study.model_validate(
        {**text, "warm_start": {"from": "earlier", "kind": kind}}, context={"parts_only": True}
    )


def search(
    task: Task,
    seed: int,
    trials: int,
    side: str = "none",
    earlier: Sequence[Earlier] = (),
) -> tuple[list[float], list[Earlier]]:
    """Return the regret of the best trial after each one, and the trials."""
    strategy = make_strategy(
        _study_of(task, side if side in {"same", "transfer"} else None),
        seed,
        earlier if side in {"same", "transfer"} else (),
    )
    measured: list[Earlier] = []
    curve: list[float] = []
    best, regret = math.inf, math.inf
    for index in range(trials):
        if side == "initial" and index == 0:
            suggestion = Suggestion(min(earlier, key=lambda trial: trial.objective).parameters)
        else:
            asked = strategy.ask(index)
            assert isinstance(asked, Suggestion)
            suggestion = asked
        number = index + 1
        strategy.tell(Started(number, 0.0, suggestion.parameters, memory=suggestion.memory))
        value = task.measure(suggestion.parameters, Random(f"{task.name}:{seed}:{number}"))
        strategy.tell(Measured(number, 0.0, 1, {"loss": value}))
        strategy.tell(Ended(number, 0.0, "completed"))
        measured.append(Earlier(suggestion.parameters, (value,)))
        if value < best:
            best, regret = value, task.regret(suggestion.parameters)
        curve.append(regret)
    return curve, measured


@cache
def earlier_trials(pair: str, seed: int) -> list[Earlier]:
    """Return the trials of a search on the earlier task."""
    path = CACHE / "earlier" / f"{PAIRS[pair].earlier().name}-{seed}.json"
    if path.exists():
        return [Earlier(p, (v,)) for p, v in json.loads(path.read_text("utf-8"))]
    _, trials = search(PAIRS[pair].earlier(), 1_000 + seed, EARLIER)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([[each.parameters, each.objective[0]] for each in trials]), "utf-8")
    return trials


PAIRS: Mapping[str, Pair] = {pair.name: pair for group in GROUPS.values() for pair in group()}


@cache
def agreement(name: str) -> float:
    """Return the rank correlation of the true values of a pair."""
    first, second = PAIRS[name].earlier(), PAIRS[name].task()
    space, random = Space.from_study(plain_study_of(first.parameters)), Random(3)
    axes = build_axes(space)
    sample = [complete_assignment(axes, space, {}, random) for _ in range(2_000)]
    ranks = [
        np.argsort(np.argsort([task.true_value(params) for params in sample]))
        for task in (first, second)
    ]
    matrix: Any = np.corrcoef(np.array(ranks))
    return float(matrix[0, 1])


def run(args: argparse.Namespace) -> None:
    """Run what is missing."""
    known = {(row["version"], row["pair"], row["side"], row["seed"]) for row in _read()}
    names = [pair.name for group in args.pairs for pair in GROUPS[group]()][:: args.every]
    for seed in range(args.seeds):
        for name in names:
            for side in args.sides:
                version = "" if side in {"none", "initial"} else args.version
                if (version, name, side, seed) in known:
                    continue
                earlier = earlier_trials(name, seed)
                curve, _ = search(PAIRS[name].task(), seed, max(MARKS), side, earlier)
                regrets = [round(curve[mark - 1], 5) for mark in MARKS]
                row = {"version": version, "pair": name, "side": side, "seed": seed}
                row |= {"regrets": regrets, "agreement": round(agreement(name), 3)}
                with RESULTS.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")


def _read() -> list[dict[str, Any]]:
    if not RESULTS.exists():
        return []
    return [json.loads(line) for line in RESULTS.read_text("utf-8").splitlines()]


def print_table(args: argparse.Namespace) -> None:
    """Print the mean difference to ``none`` for pairs that agree and for those that do not."""
    rows = _read()
    base = {(row["pair"], row["seed"]): row["regrets"] for row in rows if row["side"] == "none"}
    for group in GROUPS:
        names = {pair.name for pair in GROUPS[group]()}
        found: dict[tuple[str, str, str], dict[str, list[list[float]]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for row in rows:
            if row["pair"] in names and (row["pair"], row["seed"]) in base:
                kind = "agree" if row["agreement"] >= RELATED else "do not"
                found[kind, row["side"], row["version"]][row["pair"]].append(
                    [
                        a - b
                        for a, b in zip(row["regrets"], base[row["pair"], row["seed"]], strict=True)
                    ]
                    if row["side"] != "none"
                    else row["regrets"]
                )
        for (kind, side, version), by_pair in sorted(found.items()):
            means = [
                fmean(fmean(run[mark] for run in runs) for runs in by_pair.values())
                for mark in range(len(MARKS))
            ]
            worst = max(fmean(run[2] for run in runs) for runs in by_pair.values())
            shown = " ".join(f"{mean:+.3f}" for mean in means)
            count = sum(map(len, by_pair.values()))
            print(f"{group:8} {kind:6} {side:8} {version:10} {shown}  worst {worst:+.3f}", end="")
            print(f"  ({len(by_pair)} pairs, {count} runs)")


def main() -> None:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parts = parser.add_subparsers(required=True)
    running = parts.add_parser("run")
    running.add_argument("--pairs", nargs="+", choices=list(GROUPS), default=list(GROUPS))
    running.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    running.add_argument("--seeds", type=int, default=5)
    running.add_argument("--every", type=int, default=1)
    running.add_argument("--version", default="")
    running.set_defaults(run=run)
    parts.add_parser("table").set_defaults(run=print_table)
    args = parser.parse_args()
    with threadpool_limits(limits=1):
        args.run(args)


if __name__ == "__main__":
    main()
