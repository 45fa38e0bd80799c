"""Import Google's types and client of jobs without the clients of Vertex AI's other services.

The packages ``google.cloud.aiplatform_v1`` and ``aiplatform_v1beta1`` import all of them, which
takes seconds.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from threading import RLock
from typing import Any

_PREFIX = "google.cloud.aiplatform_v1"
_LOCK = RLock()


def import_google(name: str) -> Any:
    """Return a module, without running the package of Vertex AI that it is in.

    The package runs when a name is first used that is none of its modules.

    Raises:
        ImportError: If the module is not installed.
    """
    package = ".".join(name.split(".")[:3])
    with _LOCK:
        if package.startswith(_PREFIX) and package not in sys.modules:
            _put_package(package)
    return import_module(name)


def _put_package(name: str) -> None:
    spec = find_spec(name)
    if spec is None or spec.loader is None:
        raise ImportError(f"No module named {name!r}", name=name)
    loader, package = spec.loader, module_from_spec(spec)

    def get_attribute(attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(f"module {name!r} has no attribute {attribute!r}")
        if find_spec(f"{name}.{attribute}"):
            return import_module(f"{name}.{attribute}")
        with _LOCK:
            if vars(package).pop("__getattr__", None):
                loader.exec_module(package)
        return getattr(package, attribute)

    vars(package)["__getattr__"] = get_attribute
    sys.modules[name] = package
    parent, _, child = name.rpartition(".")
    vars(import_module(parent))[child] = package
