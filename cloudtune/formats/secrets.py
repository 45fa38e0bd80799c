"""Take values that look like secrets out of a document."""

from __future__ import annotations

import copy
import re
from typing import Any

from cloudtune.formats.fields import Report
from cloudtune.study.validation.trial_spec import looks_like_secret
from cloudtune.study.yaml_reader import is_list, is_map

_VARIABLES = frozenset(
    ["env", "environment", "environmentvariables", "environment_variables", "env_vars"]
)
"""Maps whose keys are names of variables, in lower case."""
_CREDENTIALS = re.compile(
    r"(ssh_?)?(password|passwd|passphrase)|.*account_?key|(access_?|auth_?)?token|api_?key"
    r"|(client_?|access_?)?secret",
    re.IGNORECASE,
)
"""Keys for the credentials of a machine, a cluster or a storage."""
_USER = re.compile(r"(?<=://)(?:[^\s:/?#@'\"]*:[^\s'\"]*|[^\s/?#'\"]*)@")
"""The user in an address. A password may contain any character, so it ends with the last ``@``."""
_PASSWORD = re.compile(
    r"(?i)([?&;][\w.-]*(?:passw(?:or)?d|pwd|secret|token|key|signature)[\w.-]*=)[^&;#\s'\"]+"
)


def hide_credentials(text: str) -> str:
    """Return a text without the users and passwords of addresses in it.

    >>> hide_credentials("mysql://me:secret@host/db?password=secret&charset=utf8")
    'mysql://host/db?password=***&charset=utf8'
    """
    return _PASSWORD.sub(r"\1***", _USER.sub("", text))


def drop_secrets(document: Any, report: Report) -> Any:
    """Return a copy of a document without values that look like secrets, each with a finding."""
    data = copy.deepcopy(document)
    pending: list[tuple[str, Any, bool]] = [("", data, False)]
    while pending:
        path, value, names_count = pending.pop()
        if is_list(value):
            pending += [(_join(path, str(n)), item, False) for n, item in enumerate(value)]
        elif is_map(value):
            name, text = value.get("name"), value.get("value")
            pair = name if isinstance(name, str) and isinstance(text, str) else None
            if pair is not None and _drop(value, "value", pair, _join(path, "value"), report):
                value["value"] = None  # unlike a variable without a value
            for key in list(value):
                where = _join(path, key)
                if isinstance(value[key], str):
                    is_credential = not names_count and _CREDENTIALS.fullmatch(key)
                    variable = key if names_count else "PASSWORD" if is_credential else ""
                    hint = "an export lacks it: add it to the file" if is_credential else ""
                    _drop(value, key, variable, where, report, hint=hint)
                else:
                    pending.append((where, value[key], key.lower() in _VARIABLES))
    return data


def _drop(
    data: dict[str, Any], key: str, name: str, path: str, report: Report, *, hint: str = ""
) -> bool:
    if not looks_like_secret(name, data[key]):
        return False
    del data[key]
    hint = hint or f"pass it in trial.env as {{from_env: {name or 'NAME'}}}"
    report.drop(path, f"looks like a secret, which a study must not contain; {hint}")
    return True


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
