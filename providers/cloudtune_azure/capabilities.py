"""The capabilities of Azure: cloudtune chooses the trials, and command jobs run them."""

from __future__ import annotations

from dataclasses import replace

from cloudtune.provider import DRIVEN, Capabilities

CAPABILITIES = Capabilities(
    provider="azure",
    title="Azure Machine Learning",
    verified="offline only",
    managed=None,
    # A job gets values as words of a command, which do not distinguish 1 and "1".
    driven=replace(DRIVEN, text_only=True),
)
