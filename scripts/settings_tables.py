"""The tables of a provider's settings and rights for its page in the documentation."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cloudtune.provider import CloudSettings, registry
from cloudtune.provider.account import Right
from cloudtune.study.quantities import format_duration
from scripts.study_reference import format_flow, marked

_DEFAULT = re.compile(r"(?:[;.] [Dd]efault: (.+)|; (required.*))\.$")
RIGHTS: Mapping[str, Mapping[str, str]] = {
    "azure": {"you": "CALLER"},
    "sagemaker": {"you": "CALLER", "`role_arn`": "ROLE"},
    "vertex": {"you": "CALLER"},
}
"""The tables in each provider's ``rights.py``, by who needs the rights."""
_ON: Mapping[str, str] = {
    "any": "every resource (`*`)",
    "own objects": "objects of runs in the bucket",
    "read buckets": "the bucket and those of inputs",
    "read objects": "objects of runs, and inputs",
    "service account": "`service_account`, if it is set",
    "impersonated account": "the account of `impersonate`, if it is set",
}
"""What a right is about, where its name in the code is too short for a page."""


def settings_table(provider: str) -> str:
    """Return the table of a provider's own settings in Markdown."""
    schema = registry.get(provider).settings.model_json_schema()
    rows = _rows(schema["properties"], schema.get("$defs", {}), "")
    head = [f"| under `providers.{provider}` | meaning | default |", "|---|---|---|"]
    return "\n".join([*head, *rows]) + "\n"


def _rows(fields: dict[str, Any], parts: dict[str, Any], prefix: str) -> Iterator[str]:
    for name, field in fields.items():
        if name in CloudSettings.model_fields:
            continue
        kinds = [field, *field.get("anyOf", ())]
        part = next((each["$ref"] for each in kinds if "$ref" in each), "").rpartition("/")[2]
        text = field.get("description")
        if text and name != "prices":
            meaning, default = _split(text, field.get("default"))
            values = [each for kind in kinds for each in (*kind.get("enum", ()), kind.get("const"))]
            values = [each for each in values if each]
            one_of = f" One of {', '.join(f'`{value}`' for value in values)}." if values else ""
            yield f"| `{prefix}{name}` | {meaning}{one_of} | {default} |"
        if part:
            yield from _rows(parts[part]["properties"], parts, f"{prefix}{name}.")


def _split(text: str, default: Any) -> tuple[str, str]:
    """Return the meaning and the default of a setting."""
    if match := _DEFAULT.search(text):
        return marked(f"{text[: match.start()]}."), marked(match[1] or match[2])
    if default in (None, "", [], {}):
        return marked(text), ""
    return marked(text), f"`{_default(default)}`"


def _default(value: Any) -> str:
    """Return a default as a study file has it; the settings have no other floats than durations."""
    return format_duration(value) if isinstance(value, float) else format_flow(value)


def rights_table(provider: str) -> str:
    """Return the table of the rights that a run needs in Markdown."""
    rights = importlib.import_module(f"cloudtune_{provider}.rights")
    rows: dict[tuple[str, str, str, str], list[str]] = {}
    for who, name in RIGHTS[provider].items():
        table: Sequence[Right[str]] = getattr(rights, name)
        for each in table:
            mode = each.modes[0] if len(each.modes) == 1 else ""
            on = _ON.get(each.on, each.on)
            rows.setdefault((who, on, mode, each.without), []).append(f"`{each.action}`")
    lines = [
        f"| {who} | {', '.join(actions)} | {on} | {mode} | {without or 'the run fails'} |"
        for (who, on, mode, without), actions in rows.items()
    ]
    head = ["| who | rights | on | only in mode | without them |", "|---" * 5 + "|"]
    return "\n".join([*head, *lines]) + "\n"
