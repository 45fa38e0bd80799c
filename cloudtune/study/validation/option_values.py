"""Check that a script's parser can read the texts that it gets as values of options."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from cloudtune.diagnostics import Note, Problem
from cloudtune.launcher.call import looks_like_option, placeholder_names
from cloudtune.launcher.values import part_name
from cloudtune.study.fields import StudyFields
from cloudtune.study.map_values import MapValue
from cloudtune.study.schema import CategoricalParameter
from cloudtune.study.search_space import Value

OPTION_STYLES = frozenset({"flags", "equals"})
"""The values of ``trial.arguments`` that pass parameters as options."""
LOST_TEXT = "--"
"""Python 3.11's argparse removes this text even from ``--name=--``, which then reads as []."""
_PLACEHOLDER = re.compile(r"\{\{([^{}]+)\}\}")
_OPTION = re.compile(r"-[^=\s{]*")


def check_option_values(study: StudyFields) -> Iterator[Problem]:
    """Yield a problem for each value that argparse would drop."""
    hint = "use another text, or pass parameters with trial.arguments: json, env or none"
    for path in find_lost_values(study, is_option=study.trial.arguments in OPTION_STYLES):
        yield Problem(path, f"{LOST_TEXT!r} as the value of an option is dropped by argparse", hint)


def find_lost_values(study: StudyFields, *, is_option: bool) -> Iterator[str]:
    """Yield the paths of the values that argparse would drop.

    Args:
        study: The study.
        is_option: Whether parameters without a placeholder are passed as options.
    """
    joined, separate, elsewhere = _placed_names(study)
    options = joined | separate
    for path, name, value in _texts(study):
        as_option = name in options or (is_option and name not in elsewhere)
        if value == LOST_TEXT and as_option:
            yield path


def note_option_values(study: StudyFields) -> Iterator[Note]:
    """Yield a warning for each text after an option that argparse takes for another option."""
    _, separate, _ = _placed_names(study)
    for path, name, value in _texts(study):
        if name in separate and isinstance(value, str) and looks_like_option(value):
            text = (
                f"argparse takes {value!r} for an option: write --OPTION={{{{{name}}}}} as one word"
            )
            yield Note(path, f"{text} in trial.args", "warning")


def _texts(study: StudyFields) -> Iterator[tuple[str, str, Value]]:
    """Yield the path, the name and the value of each text that trials get."""
    for path, name, parameter in study.definitions():
        if isinstance(parameter, CategoricalParameter):
            for index, value in enumerate(parameter.values):
                if isinstance(value, MapValue):
                    for key, part in value.parts.items():
                        yield f"{path}.values.{index}.{key}", part_name(name, key), part
                else:
                    yield f"{path}.values.{index}", name, value
    for name, value in study.constants.items():
        yield f"constants.{name}", name, value
    for number, trial in enumerate(study.initial_trials):
        for name, value in trial.items():
            if name not in study.parameters:
                yield f"initial_trials.{number}.{name}", name, value


def _placed_names(study: StudyFields) -> tuple[set[str], set[str], set[str]]:
    """Return the names placed as ``--option={{name}}``, as ``--option {{name}}``, and elsewhere."""
    joined: set[str] = set()
    separate: set[str] = set()
    every: set[str] = set()
    words: Sequence[str] = [*(study.trial.command or ()), *study.trial.args]
    for before, word in zip(["", *words], words, strict=False):
        every |= {*placeholder_names([word])}
        option, _, value = word.rpartition("=")
        if whole := _PLACEHOLDER.fullmatch(value):
            if _OPTION.fullmatch(option):
                joined.add(whole[1].strip())
            elif value == word and _OPTION.fullmatch(before):
                separate.add(whole[1].strip())
    return joined, separate, every - joined - separate
