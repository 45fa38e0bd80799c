"""What a format of another tool is: it is recognized, read into studies, and written."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from cloudtune.errors import UsageError
from cloudtune.formats.fields import Fields, Json, Report
from cloudtune.formats.yaml_scalars import YamlVersion

if TYPE_CHECKING:
    from cloudtune.dialect.model import Dialect


@dataclass
class StudyDraft:
    """One study of a document, as a plain map in the form of a study file."""

    data: Json
    """The study. The order of the parameters is that of the document."""
    name: str = ""
    """The name of the definition, if a document has several."""
    origins: Mapping[str, str] = field(default_factory=dict[str, str])
    """The path in the document of each path in the study, for messages about invalid values; the
    nearest enclosing path counts."""
    path: str = ""
    """The path of the definition in a document that has several."""


class DocumentReader:
    """Reads one document as one study. Create it with the whole document."""

    def __init__(self, document: Fields) -> None:
        self._document = document
        self._data: Json = {}
        """The study, as a plain map in the form of a study file."""
        self._origins: dict[str, str] = {}
        """See `StudyDraft`."""

    def _set_objectives(self, metrics: Sequence[str], goals: Iterable[str], path: str) -> None:
        """Set the objectives of the study, which are at a path of the document."""
        objectives = [
            {"metric": metric, "goal": goal} for metric, goal in zip(metrics, goals, strict=True)
        ]
        self._data["objective"] = objectives[0] if len(objectives) == 1 else objectives
        self._origins["objective"] = path

    def _set_limits(self, limits: Json, **paths: str) -> None:
        """Set the limits of the study, with the path of each in the document."""
        self._data["limits"] = limits
        self._origins |= {f"limits.{name}": path for name, path in paths.items()}

    def _finish(self, home: str) -> StudyDraft:
        """Return the study, with what was not taken of the document under ``providers.<home>``."""
        return finish_draft(self._document, self._data, self._origins, home)


def finish_draft(document: Fields, data: Json, origins: Mapping[str, str], home: str) -> StudyDraft:
    """Return a study, with what was not taken of its document under ``providers.<home>``."""
    rest = document.rest()
    data["providers"] = {home: {"native": rest}} if rest else {}
    name = data.get("name")
    return StudyDraft(data, name if isinstance(name, str) else "", origins, document.path)


class Format(ABC):
    """The configuration files of one tool."""

    name: str
    """The name in ``--from`` and ``--to``."""
    title: str
    """What a file is, such as ``a Katib Experiment``."""
    source: str
    """The documentation that the reader and the writer follow, with its date."""
    dialect_at: str = ""
    """Where the dialect is, as ``module:NAME``, which is imported late; empty if there is none."""
    yaml_version: YamlVersion = "1.2"
    """The version of YAML as which the tool reads its files."""
    syntax: Literal["json", "yaml"] = "json"
    """The syntax in which a document is written, unless the name of the file says otherwise."""

    @property
    def home(self) -> str:
        """The block under ``providers`` with what only this format can express."""
        return self.name

    @abstractmethod
    def matches(self, document: Json) -> bool:
        """Return whether a document has this format, by keys that no other format has."""

    def explain(self, document: Json) -> str | None:  # noqa: ARG002
        """Return what to do with a document of the tool that is no file of this format.

        The text continues a message that starts with the name of the file, such as ``is the answer
        of GET, without a search space: import the file that was posted``. None for all others.
        """
        return None

    @abstractmethod
    def read(self, document: Fields) -> Sequence[StudyDraft]:
        """Return the studies of a document: one for each definition.

        Takes each key that it understands out of the fields, and keeps ``document.rest()`` under
        ``providers.<home>.native``. Tells in ``document.report`` what the study cannot hold.
        """

    def dialect(self) -> Dialect | None:
        """Return how a study is written as a document; None if the format is read only."""
        from pkgutil import resolve_name

        return resolve_name(self.dialect_at) if self.dialect_at else None

    def join(self, documents: Sequence[Json], report: Report) -> Json:  # noqa: ARG002
        """Return one document with several studies, each of which is written as a document.

        Tells in the report where the studies differ although the document has one value.

        Raises:
            UsageError: If a document has one study, which is the default.
        """
        raise UsageError(f"{self.title} has one study: export {len(documents)} one by one")

    def open(self, place: str, *, is_named: bool) -> Json | None:  # noqa: ARG002
        """Return the document at a place that is no JSON or YAML file, None if there is none.

        By default, a format has only JSON and YAML files.

        Args:
            place: What the user named: a file, an address with ``://``, or what a format defines.
            is_named: Whether the user named the format. Otherwise, no code of a file may run.
        """
        return None


def read_named(
    owner: Fields,
    key: str,
    identity: str,
    read: Callable[[Fields], Json | None],
    origins: dict[str, str],
) -> Json:
    """Return the parameters in a list, by name and in its order.

    Args:
        owner: The map with the list.
        key: The key of the list.
        identity: The key of a parameter's name.
        read: Returns a parameter, or None after a mistake or a refusal.
        origins: Receives the path of each parameter.
    """
    parameters: Json = {}
    for fields in owner.maps(key, identity):
        name = fields.text(identity)
        if not name:
            fields.mistake(identity, "a parameter needs a name")
            continue
        if name in parameters:
            fields.mistake(identity, f"the parameter {name} is defined twice")
        if (parameter := read(fields)) is not None:
            parameters[name] = parameter
        origins[f"parameters.{name}"] = fields.path
    return parameters


def report_call(*metrics: str) -> str:
    """Return the code with which a script reports metrics to cloudtune.

    >>> report_call("loss", "size")
    'cloudtune.trial.report({"loss": value, "size": value})'
    """
    values = ", ".join(f'"{metric}": value' for metric in metrics)
    return f"cloudtune.trial.report({{{values}}})"


def compact(**fields: Any) -> Json:
    """Return the fields that have a value: not None, and no empty text, list or map."""
    empty: tuple[Any, ...] = (None, "", [], {})
    return {name: value for name, value in fields.items() if value not in empty}
