"""Read study files: YAML in, a `Study` out, or every problem at once with its file and line."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

from cloudtune.diagnostics import Note, Problem
from cloudtune.errors import StudyError
from cloudtune.study import validation, yaml_reader
from cloudtune.study.overrides import OPTION, apply_override, describe_override, located
from cloudtune.study.partial_study import MAX_PROBLEMS, read_whole
from cloudtune.study.study import Study
from cloudtune.study.yaml_builder import YamlSource
from cloudtune.study.yaml_reader import is_list, is_map

_T = TypeVar("_T")
_TEAM_FILE = "cloudtune.providers.yaml"


def load(
    study: str | Path | Mapping[str, Any],
    *,
    overrides: Sequence[str] = (),
    folder: Path | None = None,
) -> Study:
    """Return the study in a file, or in a map as a file would have it.

    A file is completed by the team's provider settings. A study without a name has that of its
    file, or of its folder if the file is called ``study``.

    Args:
        study: The study file, or the study as a map, for example ``{"objective": …}``.
        overrides: Texts of the form ``path=value``; each replaces or adds one field. The value is
            read as YAML, and an empty value removes the field. Where names contain dots, the
            longest key that exists is used.
        folder: The folder whose team settings complete a map; none do by default.

    Raises:
        StudyError: If the study has mistakes; all of them at once.
    """
    try:
        return _read_draft(study, overrides, folder).study()
    except StudyError as error:
        raise StudyError(_name_causes(error.problems, study, overrides, folder)) from None


class StudyParts(NamedTuple):
    """What could be read of a study."""

    study: Study | None
    """The valid parts; None if nothing can be read."""
    problems: Sequence[Problem]
    """All mistakes."""
    corrected: frozenset[str] = frozenset()
    """The paths of mistakes of which the study has a correction."""


def read_parts(file: str | Path, *, overrides: Sequence[str] = ()) -> StudyParts:
    """Return the valid parts of the study in a file, and its mistakes; arguments as for `load`."""
    try:
        parts = _read_draft(file, overrides).valid_parts()
    except StudyError as error:
        parts = StudyParts(None, error.problems)
    return parts._replace(problems=_name_causes(parts.problems, file, overrides))


def _name_causes(
    problems: Sequence[Problem],
    study: str | Path | Mapping[str, Any],
    overrides: Sequence[str],
    folder: Path | None = None,
) -> Sequence[Problem]:
    """Return problems; those of the file that it has only with the overrides name these."""
    in_file = [each for each in problems if each.file and not each.file.startswith(OPTION)]
    if not overrides or not in_file:
        return problems
    try:
        without = _read_draft(study, (), folder).valid_parts().problems
    except StudyError as error:
        without = error.problems
    options = " ".join(map(describe_override, overrides))
    return [
        replace(each, message=f"{each.message}, with {options}")
        if each in in_file and each not in without
        else each
        for each in problems
    ]


def _read_draft(
    study: str | Path | Mapping[str, Any], overrides: Sequence[str], folder: Path | None = None
) -> _Draft:
    if isinstance(study, Mapping):
        draft = _Draft(YamlSource("", data=_plain(dict(study))))
        owner = folder
    else:
        file = Path(study)
        draft = _Draft(yaml_reader.read_file(file))
        folder, owner = file.absolute().parent, file
        if is_map(draft.data):
            draft.data.setdefault("name", _default_name(file))
    if is_map(draft.data) and folder is not None and owner is not None:
        team_file, foreign_files = _find_team_file(folder.absolute(), owner)
        draft.notes += [
            Note("providers", f"{foreign} belongs to another user and was not read", "warning")
            for foreign in foreign_files
        ]
        if team_file is not None:
            draft.add_team_settings(team_file)
    draft.override(overrides)
    return draft


def _default_name(file: Path) -> str:
    folder = file.absolute().parent.name
    return folder if file.stem == "study" and folder.isprintable() and folder else file.stem


def _plain(value: Any) -> Any:
    """Return a copy with dicts and lists only, which can be changed."""
    if is_map(value):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in cast("Sequence[Any]", value)]
    return value


def loads(text: str, name: str = "<text>") -> Study:
    """Return the study in a text. No file is read.

    Raises:
        StudyError: If the study has mistakes; all of them at once.
    """
    return _Draft(yaml_reader.parse(text.removeprefix("\ufeff"), name)).study()


def apply_overrides(study: Study, overrides: Sequence[str]) -> Study:
    """Return a study with single fields replaced, by overrides as `load` accepts them.

    Raises:
        StudyError: If an override is malformed or the resulting study has mistakes.
    """
    draft = _Draft(YamlSource(study.file or "", study.to_json()))
    draft.override(overrides)
    return draft.study()


def _find_team_file(start: Path, trusted: Path) -> tuple[Path | None, list[Path]]:
    """Return the nearest provider settings: in a folder, above it, or the user's own.

    The file must belong to the user, to root or to the owner of a file that is trusted already.
    Nearer files of other users come second in the result.
    """
    foreign: list[Path] = []
    for folder in (start, *start.parents):
        file = folder / _TEAM_FILE
        if file.is_file():
            owner = file.stat().st_uid
            if not hasattr(os, "getuid") or owner in {os.getuid(), 0, trusted.stat().st_uid}:
                return file, foreign
            foreign.append(file)
    base = os.environ.get("APPDATA" if os.name == "nt" else "XDG_CONFIG_HOME")
    user_file = Path(base or Path("~/.config").expanduser()) / "cloudtune" / "providers.yaml"
    return (user_file if user_file.is_file() else None), foreign


class _Draft:
    """The data of a study while it is put together and checked."""

    def __init__(self, source: YamlSource) -> None:
        self.file = source.name
        self.data: Any = source.data
        self.lines = source.lines
        self.other_locations: dict[str, tuple[str, int | None]] = {}
        """The file and line of the fields that are not in the study file."""
        self.problems = list(source.problems)
        self.unreadable = list(source.unreadable)
        self.notes: list[Note] = []

    def add_team_settings(self, file: Path) -> None:
        """Add the team's provider settings where the study has none."""
        try:
            team = yaml_reader.read_file(file)
        except StudyError as error:
            self.problems += error.problems
            return
        self.problems += team.problems
        if not is_map(team.data):
            message = "must be a map of providers"
            self.problems.append(Problem("", message, file=team.name, line=1))
            return
        if "providers" in team.data:
            message = "is no provider: write the names of providers at the top of this file"
            line = team.lines.get("providers", 1)
            self.problems.append(Problem("providers", message, file=team.name, line=line))
            return
        providers = self.data.get("providers")
        if providers is None:
            providers = self.data["providers"] = {}
        if not is_map(providers):
            return
        _merge_defaults(providers, team.data)
        for path, line in team.lines.items():
            if f"providers.{path}" not in self.lines:
                self.other_locations[f"providers.{path}"] = (team.name, line)
        self.unreadable += [("providers", *keys) for keys in team.unreadable]
        self.notes.append(Note("providers", f"settings were also read from {team.name}"))

    def override(self, overrides: Sequence[str]) -> None:
        if not is_map(self.data):
            return
        for override in overrides:
            try:
                field = apply_override(override, self.data)
            except StudyError as error:
                self.problems += error.problems
            else:
                self._forget_location(field)
                self.other_locations[field] = (describe_override(override), None)

    def _forget_location(self, field: str) -> None:
        def is_other(path: str) -> bool:
            return path != field and not path.startswith(f"{field}.")

        self.lines = {path: line for path, line in self.lines.items() if is_other(path)}
        self.other_locations = {p: at for p, at in self.other_locations.items() if is_other(p)}
        self.unreadable = [k for k in self.unreadable if is_other(".".join(map(str, k)))]

    def study(self) -> Study:
        """Return the study, or raise a `StudyError` with all its mistakes."""
        study, problems, _ = self.valid_parts()
        if study is None or problems:
            raise StudyError(problems)
        return study

    def valid_parts(self) -> StudyParts:
        """Return the valid parts of the study, if it is a map, and all its mistakes."""
        if not is_map(self.data):
            message = "a study must be a map of keys and values"
            hint = "only `cloudtune run` accepts a saved plan" if is_list(self.data) else ""
            self.problems.append(Problem("", message, hint, file=self.file, line=1))
            return StudyParts(None, self.problems)
        self._normalize(self.data)
        parts = None if self.unreadable else read_whole(self.data)
        if parts is None:
            from cloudtune.study.valid_parts import read_valid_parts

            parts = read_valid_parts(self.data, self.unreadable)
        study = parts.study
        for old, new in parts.renamed:
            self.lines = _with_renamed(self.lines, old, new)
            self.other_locations = _with_renamed(self.other_locations, old, new)
        study.set_source(
            self.file or None, self.lines, other_locations=self.other_locations, notes=self.notes
        )
        for problem in (*parts.problems, *validation.find_problems(study, parts.invalid_fields)):
            self.problems.append(located(problem, problem.path, *study.location(problem.path)))
        return StudyParts(study, self._sorted_problems(parts.unreported), parts.corrected)

    def _normalize(self, data: dict[str, Any]) -> None:
        """Remove empty blocks, and rename ``range``, as other tools call a parameter's step."""
        for key in [key for key, value in data.items() if value is None]:
            if (key,) not in self.unreadable:
                del data[key]
        parameters = data.get("parameters")
        if not is_map(parameters):
            return
        for name, entry in parameters.items():
            several = is_list(entry)
            for number, definition in enumerate(entry if several else [entry]):
                if is_map(definition) and _has_range_for_step(definition):
                    definition["step"] = definition.pop("range")
                    path = f"parameters.{name}.{number}" if several else f"parameters.{name}"
                    self.notes.append(Note(f"{path}.range", "read as step"))
                    if f"{path}.range" in self.lines:
                        self.lines[f"{path}.step"] = self.lines[f"{path}.range"]

    def _sorted_problems(self, unreported: int) -> list[Problem]:
        """Return the first problems in the order of the lines, and the count of the others."""
        problems = sorted(
            dict.fromkeys(self.problems),
            key=lambda problem: (problem.file != self.file, problem.file or "", problem.line or 0),
        )
        unreported += len(problems[MAX_PROBLEMS:])
        if unreported:
            more = f"and {unreported:,} more problems"
            problems = [*problems[:MAX_PROBLEMS], Problem("", more, file=self.file)]
        return problems


def _merge_defaults(data: dict[str, Any], defaults: Mapping[str, Any]) -> None:
    for key, value in defaults.items():
        current = data.get(key)
        if is_map(current) and is_map(value):
            _merge_defaults(current, value)
        else:
            data.setdefault(key, value)


def _with_renamed(locations: Mapping[str, _T], old: str, new: str) -> dict[str, _T]:
    """Return locations by path, also for the new path of a field and of the fields below it."""
    below = {
        new + path.removeprefix(old): location
        for path, location in locations.items()
        if path == old or path.startswith(f"{old}.")
    }
    return {**locations, **below}


def _has_range_for_step(definition: Mapping[str, Any]) -> bool:
    return (
        definition.get("type") in ("float", "int")
        and isinstance(definition.get("range"), int | float)
        and "step" not in definition
    )
