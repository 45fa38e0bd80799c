"""What the shell offers at Tab. It must appear at once, so nothing heavy is imported."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import click

SET_PATHS = {
    "objective": "metric goal target select",
    "strategy": "name seed method resource min max eta proposals proposal_wait",
    "limits": "max_trials parallel_trials timeout trial_timeout max_failed_trials patience "
    "max_cost",
    "early_stopping": "rule min_step interval min_trials slack slack_amount eta",
    "warm_start": "from kind",
    "confirm": "metric goal train_metric",
    "notify": "command on",
    "trial": "source script module command requirements python warm preload args arguments "
    "seed_argument switches metrics select inputs env resources.cpus resources.gpus "
    "resources.memory resources.when retry.on retry.memory retry.times",
    "": "name description initial_trials constraints",
}
"""The fields of a study by block, without those whose names the study chooses."""
PARAMETER_KEYS = {
    **dict.fromkeys(("float", "int"), "min max scale step when"),
    "discrete": "values scale when",
    "categorical": "values when",
    "bool": "when",
}
"""The fields of a parameter by type, without the type."""


def _providers() -> set[str]:
    from cloudtune.common.entry_points import find_entry_points

    return {entry.name for entry in find_entry_points("cloudtune.providers")}


def complete_providers(
    _context: click.Context, _parameter: click.Parameter, typed: str
) -> list[str]:
    """Return the installed providers that begin with a text."""
    return sorted(name for name in _providers() if name.startswith(typed))


def complete_sources(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
    """Return the services and tools from which `cloudtune attach` takes jobs and runs."""
    from cloudtune.formats import run_readers

    services = _providers() - {"local"}
    return sorted(
        f"{name}:" for name in {*run_readers.names(), *services} if name.startswith(typed)
    )


def complete_formats(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
    """Return the formats of other tools that begin with a text; providers are not imported.

    A service that has a provider has a format of the same name.
    """
    from cloudtune.formats import registry

    services = _providers() - {"local"}
    return sorted(name for name in {*registry.names(), *services} if name.startswith(typed))


def complete_targets(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
    """Return what `cloudtune export` writes: runs for programs, and studies in formats."""
    programs = [name for name in ("mlflow", "optuna") if name.startswith(typed)]
    return sorted({*programs, *complete_formats(_context, _parameter, typed)})


def complete_runs(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
    """Return the runs that begin with a text, the last used first. The ledger is not opened."""
    from cloudtune.errors import LedgerError
    from cloudtune.ledger.home import list_run_folders, state_folder

    try:
        folder = state_folder()
    except LedgerError:
        return []
    names = [name for name in list_run_folders(folder) if name.startswith(typed)]
    return sorted(names, key=lambda name: _last_change(folder / "runs" / name), reverse=True)


def _last_change(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # removed since
        return 0.0


def complete_templates(
    _context: click.Context, _parameter: click.Parameter, typed: str
) -> list[str]:
    """Return the templates that begin with a text."""
    from cloudtune.cli.templates import template_names

    return [name for name in template_names() if name.startswith(typed)]


def complete_limits(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
    """Return the paths of limits, for ``--set``."""
    return [path for path in _block_paths("limits") if path.startswith(typed)]


def complete_confirm(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
    """Return the paths of the block ``confirm``, for ``--set``."""
    return [path for path in _block_paths("confirm") if path.startswith(typed)]


def complete_paths(context: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
    """Return the paths of fields, for ``--set``; also those of the study that was typed before."""
    if "=" in typed:
        return []
    paths = [path for block in SET_PATHS for path in _block_paths(block)]
    # click assigns arguments only if the last option is complete, which --set is not.
    for study in [context.params.get("study"), *context.args]:
        if study:
            paths += _study_paths(study)
    return [path for path in paths if path.startswith(typed)]


def _block_paths(block: str) -> list[str]:
    prefix = f"{block}." if block else ""
    return [f"{prefix}{name}=" for name in SET_PATHS[block].split()]


def _study_paths(file: str) -> Iterator[str]:
    """Yield the paths of the parameters and constants in a study file; none if it has mistakes."""
    from cloudtune.errors import StudyError
    from cloudtune.study.yaml_reader import is_list, is_map, read_file

    try:
        data = read_file(Path(file)).data
    except (OSError, StudyError):
        return
    parameters: Any = data.get("parameters") if is_map(data) else None
    constants: Any = data.get("constants") if is_map(data) else None
    for name, entry in parameters.items() if is_map(parameters) else ():
        several = list(enumerate(entry)) if is_list(entry) else [(None, entry)]
        for number, definition in several:
            kind = definition.get("type") if is_map(definition) else None
            prefix = f"parameters.{name}" if number is None else f"parameters.{name}.{number}"
            for key in PARAMETER_KEYS.get(str(kind), "").split():
                yield f"{prefix}.{key}="
    yield from (f"constants.{name}=" for name in (constants if is_map(constants) else ()))
