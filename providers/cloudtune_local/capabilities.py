"""What this machine can do: all that cloudtune's own engine can."""

from cloudtune.fitting.capabilities import DRIVEN, Capabilities

CAPABILITIES = Capabilities(
    provider="local", title="this machine", verified="tested", managed=None, driven=DRIVEN
)
