"""Import Google's types and client of jobs without the clients of Vertex AI's other services.

The package ``google.cloud.aiplatform_v1`` imports all of them, which takes seconds.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from threading import RLock
from typing import Any

_NAME = "google.cloud.aiplatform_v1"
_LOCK = RLock()


def import_google(name: str) -> Any:
    """Return a module.

    The package ``google.cloud.aiplatform_v1`` runs when a name is first used that is no module of
    it.

    Raises:
        ImportError: If the module is not installed.
    """
    with _LOCK:
        if name.startswith(f"{_NAME}.") and _NAME not in sys.modules:
            _put_package()
    return import_module(name)


def _put_package() -> None:
    spec = find_spec(_NAME)
    if spec is None or spec.loader is None:
        raise ImportError(f"No module named {_NAME!r}", name=_NAME)
    loader, package = spec.loader, module_from_spec(spec)

    def get_attribute(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {_NAME!r} has no attribute {name!r}")
        if find_spec(f"{_NAME}.{name}"):
            return import_module(f"{_NAME}.{name}")
        with _LOCK:
            if vars(package).pop("__getattr__", None):
                loader.exec_module(package)
        return getattr(package, name)

    vars(package)["__getattr__"] = get_attribute
    sys.modules[_NAME] = package
    parent, _, child = _NAME.rpartition(".")
    vars(import_module(parent))[child] = package
