"""What the providers support, as lines of text and as rows."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from cloudtune.fitting.capabilities import DRIVEN, Capabilities, ModeCapabilities
from cloudtune.reporting.sanitize import sanitize_line

_WIDTH = 79


def capability_rows(providers: Sequence[tuple[Capabilities, str | None]]) -> list[dict[str, Any]]:
    """Return one row for each provider and mode, with the extra that it lacks, if any."""
    rows: list[dict[str, Any]] = []
    for each, extra in providers:
        for mode in ("managed", "driven"):
            supported = each.for_mode(mode)
            if supported is not None:
                rows.append(
                    {
                        "provider": each.provider,
                        "mode": mode,
                        "strategies": ", ".join(sorted(supported.strategies)),
                        "parameters": ", ".join(supported.parameters),
                        "conditions": supported.conditions != "none",
                        "early stopping": ", ".join(sorted(supported.early_stopping)),
                        "most trials": supported.max_trials.value if supported.max_trials else None,
                        "verified": each.verified,
                        "missing": extra and f"cloudtune[{extra}]",
                    }
                )
    return rows


def format_capabilities(providers: Sequence[tuple[Capabilities, str | None]]) -> list[str]:
    """Return the providers with their modes as lines of at most 79 columns.

    Each provider comes with the extra that it lacks, if any.
    """
    lines: list[str] = []
    for each, extra in providers:
        missing = f"; to install it: pip install 'cloudtune[{extra}]'" if extra else ""
        lines.append(f"{each.provider}: {each.title}, verified: {each.verified}{missing}")
        for mode in ("managed", "driven"):
            if supported := each.for_mode(mode):
                text = f"  {mode:8} {_describe_mode(supported)}"
                lines += textwrap.wrap(text, _WIDTH, subsequent_indent=" " * 11)
    return [sanitize_line(line) for line in lines]


def _describe_mode(mode: ModeCapabilities) -> str:
    if mode.strategies == DRIVEN.strategies and mode.parameters == DRIVEN.parameters:
        return "all strategies, parameters, and stopping rules of cloudtune"
    parts = [
        f"strategies {', '.join(sorted(mode.strategies))}",
        f"parameters {', '.join(mode.parameters)}{'' if mode.conditions == 'none' else ', when'}",
        f"early stopping {', '.join(sorted(mode.early_stopping)) or 'none'}",
    ]
    if mode.max_trials:
        parts.append(f"at most {mode.max_trials.value:,} trials")
    return "; ".join(parts)
