"""Emulators to which the environment of a command leads, so that its run is emulated."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudtune.errors import ProviderError, UsageError
from cloudtune.provider.settings import CloudSettings, ProviderSettings

if TYPE_CHECKING:
    from cloudtune.provider.base import BaseProvider
    from cloudtune.provider.models import Emulator


def folder_variable(provider: str) -> str:
    """Return the variable of `cloudtune emulate` with the folder of a provider's emulator."""
    return f"CLOUDTUNE_EMULATOR_{re.sub(r'[^A-Z0-9]', '_', provider.upper())}"


def find_emulator(
    name: str, provider: BaseProvider[Any], settings: ProviderSettings
) -> Emulator | None:
    """Return the emulator to which the environment or the settings lead, or None.

    Raises:
        UsageError: If the emulator has ended, or only some calls would reach it.
    """
    if not isinstance(settings, CloudSettings):
        return None
    variable = folder_variable(name)
    if folder := os.environ.get(variable):
        if emulator := running_emulator(Path(folder)):
            return emulator
        raise UsageError(f"no emulator runs in {folder}: start it again, or unset {variable}")
    return provider.reachable_emulator(settings)


def reconnect(
    name: str, provider: BaseProvider[Any], settings: ProviderSettings, location: str
) -> Emulator:
    """Return the emulator that a plan uses, from its folder or its address.

    Raises:
        ProviderError: If it has ended, or the environment does not lead to it any more.
    """
    if "://" not in location:
        if emulator := running_emulator(Path(location)):
            return emulator
        raise ProviderError(name, f"the emulator in {location} has ended, and its jobs with it")
    reachable = find_emulator(name, provider, settings)
    if reachable is None or reachable.location != location:
        raise ProviderError(
            name, f"the run uses the emulator at {location}: set the variables that lead to it"
        )
    return reachable


def running_emulator(folder: Path) -> Emulator | None:
    """Return the emulator that runs in a folder, or None."""
    from cloudtune.emulation.process import find_running
    from cloudtune.provider.models import Emulator

    address = find_running(folder)
    if address is None:
        return None
    certificate = Path(address.certificate) if address.certificate else None
    return Emulator(address.url, address.key, certificate, folder.absolute())
