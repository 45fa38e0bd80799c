"""The capabilities of Ray: cloudtune chooses the trials, and Ray Jobs run them."""

from __future__ import annotations

from dataclasses import replace

from cloudtune.provider import DRIVEN, Capabilities

CAPABILITIES = Capabilities(
    provider="ray",
    title="Ray",
    verified="Ray 2.60.0",
    managed=None,
    # A job gets values as words of a command, which do not distinguish 1 and "1".
    driven=replace(DRIVEN, text_only=True, memory="trial"),
)
