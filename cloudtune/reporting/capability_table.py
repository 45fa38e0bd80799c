"""The table of what a provider can do, for its page in the documents."""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.fitting.capabilities import Capabilities, Limit, ModeCapabilities

_CONDITIONS = {
    "none": "flattened",
    "one_root": "those on one categorical or bool parameter; others are flattened",
    "tree": "yes",
}


def capability_table(able: Capabilities) -> str:
    """Return the table in Markdown, a column for each mode, and the sources of its numbers."""
    both = {"managed": able.managed, "driven": able.driven}
    found = {mode: each for mode, each in both.items() if each is not None}
    columns = [list(_rows(each)) for each in found.values()]
    lines = [f"| | {' | '.join(found)} |", "|---|" + "---|" * len(found)]
    for rows in zip(*columns, strict=True):
        lines.append(f"| {rows[0][0]} | {' | '.join(text for _, text in rows)} |")
    sources = {limit.source: None for each in found.values() for limit in _limits(each)}
    return "\n".join([*lines, "", *(f"- {source}" for source in sources)]).rstrip() + "\n"


def _rows(able: ModeCapabilities) -> Iterator[tuple[str, str]]:
    for kind in ("float", "int", "discrete", "categorical", "bool"):
        scales = able.parameters.get(kind)
        held = "as values" if "categorical" in able.parameters else "no"
        if scales is not None:
            held = f"yes: {_list(scales)}" if scales else "yes"
        yield f"`{kind}`", held
    yield "steps", _yes(able.steps)
    exact = "; exact in a grid" if able.grid_of_trials else ""
    yield "conditions", _CONDITIONS[able.conditions] + exact
    yield "strategies", _list(able.strategies)
    yield "methods", _list(able.methods)
    yield "seed", _yes(able.seeds)
    yield "objectives", "several" if able.objectives > 1 else "one"
    yield "`target`", _yes(able.targets)
    yield "`select`", _list(able.select)
    yield "early stopping", _list(able.early_stopping)
    yield "limits", _list(able.limits)
    yield "initial trials", _yes(able.initial_trials)
    yield "warm start", _list(able.warm_start)
    yield "most trials", _number(able.max_trials)
    yield "most at a time", _number(able.max_parallel_trials)
    yield "most parameters", _number(able.max_parameters)
    yield "most values of one", _number(able.max_values)
    yield "survives this machine being switched off", _yes(able.unattended)


def _limits(able: ModeCapabilities) -> Iterator[Limit]:
    for limit in (
        able.max_trials,
        able.max_parallel_trials,
        able.max_parameters,
        able.max_values,
        able.max_name_length,
    ):
        if limit is not None:
            yield limit


def _yes(answer: bool) -> str:
    return "yes" if answer else "no"


def _list(names: frozenset[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names)) or "none"


def _number(limit: Limit | None) -> str:
    return f"{limit.value:,}" if limit else "no limit"
