"""Ray Tune: the search space and the configuration of a tuner, as JSON or from a Python module.

Ray has no file for a search space. The JSON of this format names the functions of ``ray.tune`` and
their arguments: ``{"lr": {"loguniform": [0.0001, 0.1]}}``; ``{"grid_search": [...]}`` is Ray's own
form. Follows Ray 2.60.0 (``tune/search/sample.py``, ``tune/tune_config.py``, ``tune/schedulers``,
``tune/search``), read 2026-11-27.

A module is code, so it runs only if the user names it together with this format; see `module`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from typing_extensions import override

from cloudtune.errors import UsageError
from cloudtune.formats.fields import Fields, Json
from cloudtune.formats.model import Format, StudyDraft
from cloudtune.formats.ray.names import HOME, is_domain
from cloudtune.study.yaml_reader import is_list, is_map


class RayFormat(Format):
    """Tuners of Ray Tune: ``param_space``, ``tune_config`` and ``run_config``."""

    name = HOME
    title = "a search space of Ray Tune"
    source = "https://docs.ray.io/en/releases-2.60.0/tune/api/, read 2026-11-27"
    dialect_at = "cloudtune.formats.ray.dialect:RAY"

    @override
    def matches(self, document: Json) -> bool:
        if is_map(document.get("param_space")):
            return True
        plain = all(
            is_domain(each) or not (is_map(each) or is_list(each)) for each in document.values()
        )
        return plain and any(map(is_domain, document.values()))

    @override
    def read(self, document: Fields) -> Sequence[StudyDraft]:
        from cloudtune.formats.ray.reader import TunerReader

        if "param_space" not in document.original:
            space = dict(document.original)
            document = Fields({"param_space": space}, document.report)
        return [TunerReader(document).draft()]

    @override
    def open(self, place: str, *, is_named: bool) -> Json | None:
        file, name = split_place(place)
        if not file.endswith(".py"):
            return None
        if not is_named:
            if Path(file).is_file():
                raise UsageError(
                    f"{place} is Python code, which runs only if you name a format that reads it: "
                    f"cloudtune import {place} --from {HOME}"
                )
            return None
        from cloudtune.formats.ray.module import read_module

        return read_module(Path(file), name)


def split_place(place: str) -> tuple[str, str]:
    """Return a file and the name of an object in it, empty if none is named.

    >>> split_place("tune.py:space"), split_place("tune.py")
    (('tune.py', 'space'), ('tune.py', ''))
    """
    file, colon, name = place.rpartition(":")
    return (file, name) if colon and file.endswith(".py") else (place, "")
