"""One tuning study, any tuning service, one report.

::

    import cloudtune

    study = cloudtune.load("study.yaml")
    plan = cloudtune.plan(study, on="local")
    run = cloudtune.run(study)
    run.results().best

Everything is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudtune._version import __version__ as __version__
from cloudtune.common.display import set_renderers

if TYPE_CHECKING:
    from cloudtune.api import Results, Run, plan, report, resume, run, start
    from cloudtune.attachments.attach import attach
    from cloudtune.conversion.exporter import export_study
    from cloudtune.conversion.importer import import_study
    from cloudtune.doctor.diagnosis import diagnose
    from cloudtune.errors import (
        CloudtuneError,
        ConversionError,
        LedgerError,
        MissingExtraError,
        ProviderError,
        RunFailedError,
        StudyError,
        UnsupportedError,
        UsageError,
    )
    from cloudtune.functions import to_script, tune
    from cloudtune.study.loader import load
    from cloudtune.study.parameters import bool as bool  # noqa: A004
    from cloudtune.study.parameters import categorical, discrete
    from cloudtune.study.parameters import float as float  # noqa: A004
    from cloudtune.study.parameters import int as int  # noqa: A004
    from cloudtune.study.study import Study

_HOMES = {
    "cloudtune.api": (
        "Results",
        "Run",
        "plan",
        "report",
        "resume",
        "run",
        "start",
    ),
    "cloudtune.attachments.attach": ("attach",),
    "cloudtune.conversion.exporter": ("export_study",),
    "cloudtune.conversion.importer": ("import_study",),
    "cloudtune.doctor.diagnosis": ("diagnose",),
    "cloudtune.errors": (
        "CloudtuneError",
        "ConversionError",
        "LedgerError",
        "MissingExtraError",
        "ProviderError",
        "RunFailedError",
        "StudyError",
        "UnsupportedError",
        "UsageError",
    ),
    "cloudtune.functions": ("to_script", "tune"),
    "cloudtune.study.loader": ("load",),
    "cloudtune.study.parameters": ("bool", "categorical", "discrete", "float", "int"),
    "cloudtune.study.study": ("Study",),
}

__all__ = [
    "CloudtuneError",
    "ConversionError",
    "LedgerError",
    "MissingExtraError",
    "ProviderError",
    "Results",
    "Run",
    "RunFailedError",
    "Study",
    "StudyError",
    "UnsupportedError",
    "UsageError",
    "attach",
    "categorical",
    "diagnose",
    "discrete",
    "export_study",
    "import_study",
    "load",
    "plan",
    "report",
    "resume",
    "run",
    "start",
    "to_script",
    "tune",
]
"""Without the names of Python's own types, which ``from cloudtune import *`` would replace."""


def __getattr__(name: str) -> Any:
    from importlib import import_module

    for home, names in _HOMES.items():
        if name in names:
            value = getattr(import_module(home), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'cloudtune' has no attribute {name!r}")


def _render_html(value: object) -> str:
    from cloudtune.reporting.notebook import to_html

    return to_html(value)


def _render_text(value: object) -> str:
    from cloudtune.reporting.short_text import to_text

    return to_text(value)


set_renderers(_render_text, _render_html)


def __dir__() -> list[str]:
    return sorted(
        {"__doc__", "__version__", *(name for names in _HOMES.values() for name in names)}
    )
