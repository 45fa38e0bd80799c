"""Where a run of another tool is: a folder, or one of several in it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from cloudtune.errors import UsageError
from cloudtune.formats.tool_runs.files import is_folder
from cloudtune.study.quantities import format_list
from cloudtune.study.suggestions import did_you_mean

_SHOWN = 10


def find_run_folder(
    location: str, name: str | None, is_run: Callable[[Path], bool], title: str
) -> Path:
    """Return the folder of a run: the location itself, or the one in it with this name.

    Raises:
        UsageError: If the location has no run, or several; the message lists them.
    """
    path = Path(location).expanduser()
    if not path.is_dir():
        raise UsageError(f"{path} is not a folder, so it is not {title}")
    if is_run(path):
        if name not in {None, path.name}:
            raise UsageError(f"{path} is one run, so --name {name} does not apply")
        return path.absolute()
    runs = {each.name: each for each in sorted(path.iterdir()) if is_folder(each) and is_run(each)}
    return runs[choose_name(name, runs, f"{path} is not {title}")].absolute()


def choose_name(name: str | None, known: Collection[str], nothing: str) -> str:
    """Return the name that the user gives, or the only one there is.

    Raises:
        UsageError: If it is unknown, or there are several and the user gives none.
    """
    if not known:
        raise UsageError(nothing)
    names = list(known)
    listed = format_list(names, _SHOWN)
    if name is None:
        if len(names) == 1:
            return names[0]
        raise UsageError(f"there are several runs: {listed}. Choose one with --name")
    if name not in known:
        hint = did_you_mean(name, names)
        raise UsageError(f"there is no {name!r}{f', {hint}' if hint else ''}. Runs: {listed}")
    return name
