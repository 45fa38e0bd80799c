"""The table of what the modes of the providers can do, for the documentation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields

from cloudtune.fitting.capabilities import Limit, ModeCapabilities

_CONDITIONS = {
    "none": "flattened",
    "one_root": "those on one categorical or bool parameter; others are flattened",
    "choices": "on one parameter with listed values each; others are flattened",
    "tree": "yes",
}


def capability_table(modes: Mapping[str, ModeCapabilities]) -> str:
    """Return the table in Markdown with a column for each mode, and the sources of its numbers."""
    columns = [list(_rows(each)) for each in modes.values()]
    lines = [f"| | {' | '.join(modes)} |", "|---|" + "---|" * len(modes)]
    for rows in zip(*columns, strict=True):
        lines.append(f"| {rows[0][0]} | {' | '.join(text for _, text in rows)} |")
    sources = {limit.source: None for each in modes.values() for limit in _limits(each)}
    return "\n".join([*lines, "", *(f"- {source}" for source in sources)]).rstrip() + "\n"


def _rows(supported: ModeCapabilities) -> Iterator[tuple[str, str]]:
    for kind in ("float", "int", "discrete", "categorical", "bool"):
        scales = supported.parameters.get(kind)
        text = "as values" if "categorical" in supported.parameters else "no"
        if scales is not None:
            text = f"yes: {_list(scales)}" if scales else "yes"
        yield f"`{kind}`", text
    yield "steps", _yes(supported.steps)
    exact = "; exact in a grid" if supported.grid_of_trials else ""
    yield "conditions", _CONDITIONS[supported.conditions] + exact
    yield "strategies", _list(supported.strategies)
    yield "methods", _list(supported.methods or frozenset())
    yield "seed", _yes(supported.seeds)
    yield "objectives", "several" if supported.objectives > 1 else "one"
    yield "`target`", _yes(supported.targets or "target" in supported.enforced_here)
    yield "`select`", _list(supported.select)
    yield "early stopping", _list(supported.early_stopping)
    yield "limits", _list(supported.limits | (supported.enforced_here - {"target"}))
    enforced_here = _list(supported.enforced_here) if supported.unattended else "all"
    yield "of these, enforced by cloudtune, while it is running", enforced_here
    yield "initial trials", _yes(supported.initial_trials)
    yield "warm start", _list(supported.warm_start)
    yield "most trials", _number(supported.max_trials)
    yield "most at a time", _number(supported.max_parallel_trials)
    yield "most parameters", _number(supported.max_parameters)
    yield "most values of one", _number(supported.max_values)
    yield "survives this machine being switched off", _yes(supported.unattended)


def _limits(supported: ModeCapabilities) -> Iterator[Limit]:
    for field in fields(supported):
        value = getattr(supported, field.name)
        if isinstance(value, Limit):
            yield value


def _yes(answer: bool) -> str:
    return "yes" if answer else "no"


def _list(names: frozenset[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names)) or "none"


def _number(limit: Limit | None) -> str:
    return f"{limit.value:,}" if limit else "no limit"
