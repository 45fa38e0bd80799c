"""Study files: YAML in, a `Study` out, or every mistake at once with its file and line."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple, cast

from pydantic import ValidationError

from cloudtune.diagnostics import Problem
from cloudtune.errors import StudyError
from cloudtune.study import overrides as overrides_
from cloudtune.study import validation, yaml_reader
from cloudtune.study.guesses import Guess, guesses
from cloudtune.study.messages import (
    KeyPath,
    Mistake,
    collect_mistakes,
    describe_mistakes,
)
from cloudtune.study.study import Study
from cloudtune.study.yaml_reader import is_list, is_map

__all__ = ["apply_overrides", "load", "loads", "schema"]

TEAM_FILE = "cloudtune.providers.yaml"
_MAX_PROBLEMS = 200


class _Place(NamedTuple):
    file: str
    line: int | None


def load(path: str | Path, *, overrides: Sequence[str] = ()) -> Study:
    """Return the study in a file, with the team's provider settings beneath its own.

    Args:
        path: The study file.
        overrides: Words ``path=value`` that replace or add one field each. The value is read as
            YAML, and an empty one takes the field out. Where names have dots in them, the longest
            key that exists is meant.

    Raises:
        StudyError: If anything in it is wrong; every problem at once.
    """
    file = Path(path)
    draft = _Draft(yaml_reader.read_file(file))
    if is_map(draft.data):
        draft.data.setdefault("name", file.stem)
        team, foreign = _team_file(file.absolute())
        draft.notes += [
            ("providers", f"{path} is another user's, and was not read") for path in foreign
        ]
        if team is not None:
            draft.put_beneath(team)
    draft.override(overrides)
    return draft.study()


def loads(text: str, name: str = "<text>") -> Study:
    """Return the study in a text. No file is read.

    Raises:
        StudyError: If anything in it is wrong; every problem at once.
    """
    return _Draft(yaml_reader.parse(text.removeprefix("\ufeff"), name)).study()


def apply_overrides(study: Study, overrides: Sequence[str]) -> Study:
    """Return a study with single fields replaced, by words as `load` takes them.

    Raises:
        StudyError: If a word is not understood or the study would be wrong.
    """
    source = yaml_reader.YamlSource(study.file or "", study.to_json())
    draft = _Draft(source)
    draft.override(overrides)
    return draft.study()


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the study file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Study.model_json_schema(by_alias=True),
        "title": "cloudtune study",
        "examples": [
            {
                "objective": {"metric": "accuracy", "goal": "maximize"},
                "parameters": {"lr": {"type": "float", "min": 1e-4, "max": 0.1, "scale": "log"}},
                "limits": {"max_trials": 20, "timeout": "1h"},
                "trial": {"script": "train.py"},
            }
        ],
    }


def _team_file(study: Path) -> tuple[Path | None, list[Path]]:
    """Return the nearest file of provider settings: beside the study, above it, or the user's.

    It must be ours, root's, or of whose study we were told to read; nearer ones of others come
    with it.
    """
    foreign: list[Path] = []
    for folder in study.parents:
        file = folder / TEAM_FILE
        if file.is_file():
            if _is_trusted(file, study):
                return file, foreign
            foreign.append(file)
    own = _user_folder() / "providers.yaml"
    return (own if own.is_file() else None), foreign


def _is_trusted(file: Path, study: Path) -> bool:
    if not hasattr(os, "getuid"):
        return True
    return file.stat().st_uid in {os.getuid(), 0, study.stat().st_uid}


def _user_folder() -> Path:
    base = os.environ.get("APPDATA" if os.name == "nt" else "XDG_CONFIG_HOME")
    return Path(base or Path("~/.config").expanduser()) / "cloudtune"


class _Draft:
    """What a study file says, while it is put together and checked."""

    def __init__(self, source: yaml_reader.YamlSource) -> None:
        self.file = source.name
        self.data: Any = source.data
        self.lines = source.lines
        self.foreign: dict[str, _Place] = {}
        """Where fields stand that come from somewhere else than the study file."""
        self.problems = list(source.problems)
        self.broken = list(source.broken)
        self.unsaid = 0
        """How many mistakes were found beyond those that anyone reads."""
        self.notes: list[tuple[str, str]] = []

    def put_beneath(self, file: Path) -> None:
        """Merge the team's settings of providers under those of the study."""
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
        own = self.data.get("providers")
        if own is None:
            own = self.data["providers"] = {}
        if not is_map(own):
            return
        _merge_beneath(own, team.data)
        for path, line in team.lines.items():
            if f"providers.{path}" not in self.lines:
                self.foreign[f"providers.{path}"] = _Place(team.name, line)
        self.broken += [("providers", *place) for place in team.broken]
        self.notes.append(("providers", f"settings were also read from {team.name}"))

    def override(self, words: Sequence[str]) -> None:
        """Replace or add single fields."""
        if not is_map(self.data):
            return
        for word in words:
            try:
                field = overrides_.apply_override(word, self.data)
            except StudyError as error:
                self.problems += error.problems
            else:
                self._forget(field)
                self.foreign[field] = _Place(f"--set {word}", None)

    def _forget(self, field: str) -> None:
        """Drop what was known about a field that is replaced."""

        def stays(path: str) -> bool:
            return path != field and not path.startswith(f"{field}.")

        self.lines = {path: line for path, line in self.lines.items() if stays(path)}
        self.foreign = {path: place for path, place in self.foreign.items() if stays(path)}
        self.broken = [place for place in self.broken if stays(_dotted(place))]

    def study(self) -> Study:
        """Return the study.

        Raises:
            StudyError: If anything is wrong; every problem at once.
        """
        if not is_map(self.data):
            message = "a study is a map of keys and values"
            hint = "a saved plan is started by `cloudtune run` alone" if is_list(self.data) else ""
            self.problems.append(Problem("", message, hint, file=self.file, line=1))
            raise StudyError(self.problems)
        self._tidy(self.data)
        study, hidden = self._sound_parts(self.data)
        self._remember(study)
        for problem in validation.find_problems(study, hidden=hidden):
            self._add(problem)
        if self.problems:
            raise StudyError(self._reported())
        return study

    def _tidy(self, data: dict[str, Any]) -> None:
        """Leave out blocks without content, and read the spellings that are known from the wild."""
        for key in [key for key, value in data.items() if value is None]:
            if (key,) not in self.broken:
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
                    self.notes.append((f"{path}.range", "read as step, which is its name here"))
                    if f"{path}.range" in self.lines:
                        self.lines[f"{path}.step"] = self.lines[f"{path}.range"]

    def _sound_parts(self, data: dict[str, Any]) -> tuple[Study, frozenset[str]]:
        """Report what is wrong by itself; return the study that is left and the paths taken out.

        What is taken out can leave a gap behind, so this goes on until the rest is whole.
        Only the first look tells the user anything new, but for parameters whose types were guessed
        then.
        """
        hidden: set[str] = set()
        wrong = [Mistake(place) for place in self.broken]
        guessed: dict[KeyPath, Guess] = {}
        told = False
        while True:
            if wrong:
                data = deepcopy(data)
            for mistake in sorted(wrong, key=lambda m: _last_first(m.place), reverse=True):
                guess = guessed.get(mistake.place[:-1])
                if guess and mistake.place[-1] == "type":
                    guess.apply(data)
                else:
                    _remove(data, mistake, hidden)
            try:
                study = Study.model_validate(data, context={"parts_only": True})
            except ValidationError as error:
                new = wrong = collect_mistakes(error, data)
                if told:
                    new = [mistake for mistake in wrong if _is_in(guessed, mistake)]
                else:
                    guessed = guesses(wrong[:_MAX_PROBLEMS], data)
                    new = [*wrong, *(g.misspelt for g in guessed.values() if g.misspelt)]
                self._tell([mistake for mistake in new if mistake.path not in hidden])
                told = True
            else:
                return study, frozenset(hidden)

    def _tell(self, mistakes: Sequence[Mistake]) -> None:
        for problem in describe_mistakes(mistakes[:_MAX_PROBLEMS], Study):
            self._add(problem)
        self.unsaid += len(mistakes[_MAX_PROBLEMS:])

    def _place(self, path: str) -> _Place:
        inside = path
        while inside:
            if inside in self.foreign:
                return self.foreign[inside]
            if inside in self.lines:
                return _Place(self.file, self.lines[inside])
            inside = inside.rpartition(".")[0]
        return _Place(self.file, None)

    def _add(self, problem: Problem) -> None:
        file, line = self._place(problem.path)
        self.problems.append(Problem(problem.path, problem.message, problem.hint, file, line))

    def _reported(self) -> list[Problem]:
        """Return the problems in the order of the lines, and not more than anyone reads."""
        found = sorted(
            dict.fromkeys(self.problems),
            key=lambda problem: (problem.file != self.file, problem.file or "", problem.line or 0),
        )
        unsaid = self.unsaid + len(found[_MAX_PROBLEMS:])
        if unsaid:
            more = f"and {unsaid:,} more mistakes"
            found = [*found[:_MAX_PROBLEMS], Problem("", more, file=self.file)]
        return found

    def _remember(self, study: Study) -> None:
        from cloudtune.diagnostics import Note

        study.set_source(
            self.file or None,
            self.lines,
            other_locations=self.foreign,
            notes=[Note(path, text) for path, text in self.notes],
        )


def _is_in(definitions: Collection[KeyPath], mistake: Mistake) -> bool:
    return any(mistake.place[:end] in definitions for end in range(len(mistake.place)))


def _merge_beneath(own: dict[str, Any], other: Mapping[str, Any]) -> None:
    for key, value in other.items():
        mine = own.get(key)
        if is_map(mine) and is_map(value):
            _merge_beneath(mine, value)
        else:
            own.setdefault(key, value)


def _has_range_for_step(definition: Mapping[str, Any]) -> bool:
    return (
        definition.get("type") in ("float", "int")
        and isinstance(definition.get("range"), int | float)
        and "step" not in definition
    )


def _dotted(place: Sequence[str | int]) -> str:
    return ".".join(map(str, place))


def _last_first(place: Sequence[str | int]) -> tuple[tuple[bool, str | int], ...]:
    return tuple((isinstance(step, int), step) for step in place)


def _remove(data: dict[str, Any], mistake: Mistake, hidden: set[str]) -> None:
    """Remove what is wrong, so that the rest can be looked at."""
    place = mistake.place[:-1] if mistake.missing else mistake.place
    if len(place) > 1 and place[0] == "parameters" and not mistake.unknown_key:
        _substitute(data["parameters"], place, hidden)
        return
    if len(place) == 2 and place[0] == "initial_trials":
        data["initial_trials"][place[1]] = {}
        return
    if not place:
        data.clear()
        return
    container: Any = data
    *above, last = place
    for end, step in enumerate(above, start=1):
        if isinstance(container.get(step), list):
            place, last = place[:end], step
            break
        container = container.get(step, {})
    container.pop(last, None)
    hidden.add(_dotted(place))


def _substitute(parameters: Any, place: Sequence[str | int], hidden: set[str]) -> None:
    """Put a definition in the place of a wrong one that fits everywhere, as others refer to it."""
    name = cast("str", place[1])
    hidden.add(f"parameters.{name}")
    several = isinstance(parameters[name], list)
    if several and len(place) == 2:
        parameters[name] = {"type": "bool"}
        return
    container, key = (parameters[name], place[2]) if several else (parameters, name)
    inner = place[3:] if several else place[2:]
    definition = container[key]
    if inner and inner[0] in {"scale", "step", "when"}:
        definition.pop(inner[0], None)
    elif inner and isinstance(definition, dict) and "when" in definition:
        container[key] = {"type": "bool", "when": cast("Any", definition)["when"]}
    else:
        container[key] = {"type": "bool"}
