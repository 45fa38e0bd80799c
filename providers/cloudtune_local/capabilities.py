"""The capabilities of this machine: all those of cloudtune's engine."""

from dataclasses import replace

from cloudtune.provider import DRIVEN, Capabilities

_PROCESSES = frozenset({"trial.python", "trial.warm", "trial.preload"})
"""How processes are started here."""

CAPABILITIES = Capabilities(
    provider="local",
    title="this machine",
    verified="tested",
    managed=None,
    driven=replace(DRIVEN, memory="shared", fields=DRIVEN.fields | _PROCESSES),
)
