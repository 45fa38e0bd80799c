"""The capabilities of this machine: all those of cloudtune's engine."""

from dataclasses import replace

from cloudtune.provider import DRIVEN, Capabilities

CAPABILITIES = Capabilities(
    provider="local",
    title="this machine",
    verified="tested",
    managed=None,
    driven=replace(DRIVEN, memory="shared"),
)
