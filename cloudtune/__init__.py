"""One tuning study, any tuning service, one report.

::

    import cloudtune

    study = cloudtune.load("study.yaml")
    plan = cloudtune.plan(study, on="local")
    run = cloudtune.run(study)
    run.results().best

Everything is imported when it is first used; the names are in the stub.
"""

from __future__ import annotations

from cloudtune._version import __version__ as __version__
from cloudtune.common.display import set_renderers
from cloudtune.common.lazy_exports import lazy_exports

__getattr__, _, _names = lazy_exports(__name__, __file__)
_NOT_STARRED = {"__version__", "bool", "float", "int"}
__all__ = [name for name in _names if name not in _NOT_STARRED]  # pyright: ignore[reportUnsupportedDunderAll]
"""Without the names of Python's own types, which ``from cloudtune import *`` would replace."""


def _render_html(value: object) -> str:
    from cloudtune.reporting.notebook import to_html

    return to_html(value)


def _render_text(value: object) -> str:
    from cloudtune.reporting.short_text import to_text

    return to_text(value)


set_renderers(_render_text, _render_html)


def __dir__() -> list[str]:
    return sorted(["__doc__", *_names])
