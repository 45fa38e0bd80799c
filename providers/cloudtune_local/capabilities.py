"""The capabilities of this machine: all those of cloudtune's engine."""

from cloudtune.fitting.capabilities import DRIVEN, Capabilities

CAPABILITIES = Capabilities(
    provider="local", title="this machine", verified="tested", managed=None, driven=DRIVEN
)
