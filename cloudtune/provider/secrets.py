"""Secrets: values that trials get from the caller's environment.

Plans and files contain ``${NAME}`` instead of the value. Scripts print and services quote values,
so text that a service or a script returns is masked before it is stored or shortened.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from cloudtune.diagnostics import Finding, Note
from cloudtune.errors import UsageError
from cloudtune.launcher.secrets import SecretFilter
from cloudtune.results.events import Ended, Measured, Waiting
from cloudtune.study.schema import FromEnvironment, Json
from cloudtune.study.study import Study

_MAX_REASON_LENGTH = 1_500


class Mask:
    """Replaces the secrets of a study in text, also in encoded forms."""

    def __init__(self, study: Study) -> None:
        names = {os.environ.get(source, ""): source for source in _sources(study).values()}
        self._filter = SecretFilter(names)

    def __call__(self, reason: str) -> str:
        """Return a reason without secrets, shortened to fit in a table."""
        masked = self._filter.hide_cut_text(reason)
        short = masked[:_MAX_REASON_LENGTH]
        return masked if masked == short else f"{short}..."

    def end(self, event: Ended) -> Ended:
        """Return the end of a trial without secrets."""
        reason, tail = self(event.reason), self._filter.hide_cut_text(event.log_tail)
        if (reason, tail) == (event.reason, event.log_tail):
            return event
        return replace(event, reason=reason, log_tail=tail)

    def measure(self, event: Measured) -> Measured:
        """Return a measurement without secrets in the names of its metrics."""
        if not self._filter:
            return event
        metrics = {self.hide(name): value for name, value in event.metrics.items()}
        return event if metrics == event.metrics else replace(event, metrics=metrics)

    def wait(self, event: Waiting) -> Waiting:
        """Return what a trial waits for without secrets."""
        reason = self(event.reason)
        return event if reason == event.reason else replace(event, reason=reason)

    def hide(self, text: str) -> str:
        """Return a text without secrets."""
        return self._filter.hide_text(text)


def check_visible_secrets(
    study: Study, provider: str, *, readers: str, advice: str, accepted: bool
) -> Iterator[Finding | Note]:
    """Yield the secrets of a study that others at the service can read.

    Args:
        study: The study.
        provider: The provider, which has the setting ``visible_secrets``.
        readers: Who can read the variables of a job, and how.
        advice: Another way for a trial to get a secret.
        accepted: Whether ``visible_secrets`` is set, so that secrets are sent.
    """
    refusal = f"{readers}: {advice}, or accept that by providers.{provider}.visible_secrets: true"
    for name in _sources(study):
        path = f"trial.env.{name}"
        yield Note(path, readers) if accepted else Finding("refused", path, refusal)


def secret_variables(study: Study) -> dict[str, str]:
    """Return the placeholder of each secret, ``${NAME}``, by its name in trials."""
    return {name: f"${{{source}}}" for name, source in _sources(study).items()}


def resolve_secrets(
    request: Json,
    study: Study,
    *,
    key: str = "env",
    escape: Callable[[str], str] = str,
    allow_empty: bool = True,
) -> Json:
    """Return a copy of a request with the values of the secrets.

    Only variables are resolved: the maps and the lists of ``name`` and ``value`` under ``key``, at
    any depth. The same text elsewhere in the request stays.

    ``escape`` escapes what the service would expand in a value.

    Raises:
        UsageError: If a variable is not set, or empty unless ``allow_empty``.
    """
    sources = _sources(study)
    _require(sources, lambda name: name in os.environ, "not set in this shell")
    if not allow_empty:
        _require(sources, lambda name: bool(os.environ[name]), "empty, which the service rejects")
    values = {
        name: (placeholder, escape(os.environ[sources[name]]))
        for name, placeholder in secret_variables(study).items()
    }
    return cast("Json", _resolve(request, key, values)) if values else request


def _resolve(part: Any, key: str, values: Mapping[str, tuple[str, str]]) -> Any:
    if isinstance(part, Mapping):
        entries = cast("Mapping[str, Any]", part)
        return {
            name: _resolve_environment(entry, values)
            if name == key
            else _resolve(entry, key, values)
            for name, entry in entries.items()
        }
    if isinstance(part, list):
        return [_resolve(entry, key, values) for entry in cast("list[object]", part)]
    return part


def _resolve_environment(part: Any, values: Mapping[str, tuple[str, str]]) -> Any:
    def value_of(name: Any, text: Any) -> Any:
        placeholder, value = values.get(name, (None, None))
        return value if placeholder and text == placeholder else text

    if isinstance(part, Mapping):
        variables = cast("Mapping[str, Any]", part)
        return {name: value_of(name, text) for name, text in variables.items()}
    if isinstance(part, list):
        return [
            each | {"value": value_of(each.get("name"), each["value"])} if "value" in each else each
            for each in cast("Sequence[Json]", part)
        ]
    return part


def _require(sources: Mapping[str, str], test: Callable[[str], bool], problem: str) -> None:
    if names := [f"{s} (trial.env.{name})" for name, s in sources.items() if not test(s)]:
        raise UsageError(f"environment variables {problem}: {', '.join(names)}")


def _sources(study: Study) -> Mapping[str, str]:
    """Return the names in this environment of the study's variables, by their names in trials."""
    return {
        name: value.from_env
        for name, value in study.trial.env.items()
        if isinstance(value, FromEnvironment)
    }
