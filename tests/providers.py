"""The providers of this repository by what they are, so that tests take in a new one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudtune.provider import registry

EMULATED = [name for name in registry.names() if registry.get(name).emulator]
"""Those that a rehearsal can replace: all but this machine."""
TUNERS = [name for name in EMULATED if registry.get(name).capabilities.managed]
"""The services with a tuner, and so with an account, native documents and a dialect."""
VERIFIABLE = [name for name in TUNERS if not registry.get(name).not_verifiable]
DRIVEN_SETTINGS: Mapping[str, dict[str, Any]] = {
    name: {"backend": "wml"} if name == "watson" else {} for name in registry.names()
}
"""The settings without which a provider runs no trials in driven mode."""
