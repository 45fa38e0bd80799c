"""Reads the facts of a study from a storage of Optuna, which stays as it is."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudtune.common.display import import_progress_bars
from cloudtune.errors import UsageError
from cloudtune.formats.fields import Json
from cloudtune.formats.secrets import hide_credentials
from cloudtune.formats.sqlite import MAX_BYTES, Database, is_sqlite, table_names
from cloudtune.formats.tool_runs.conditions import PresencePatterns
from cloudtune.formats.tool_runs.files import MAX_LINE
from cloudtune.study.regular_files import open_regular

if TYPE_CHECKING:
    import optuna
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

MAX_TRIALS = 100_000
"""Trials of which the distributions are read, the first ones."""
_TABLES = frozenset({"studies", "study_directions", "trial_params"})
_DAMAGE = (RuntimeError, ValueError, LookupError, TypeError, AttributeError, AssertionError)
"""What Optuna raises for a storage with values that it never writes."""


def is_storage(path: Path) -> bool:
    """Return whether a file is an SQLite or a journal storage of Optuna.

    Raises:
        UsageError: If it is an SQLite file that is damaged, or has what could run code.
    """
    return table_names(path) >= _TABLES or _is_journal(path)


def _is_journal(path: Path) -> bool:
    try:
        with open_regular(path) as file:
            line = file.readline(100_000).strip()
    except (OSError, ValueError):
        return False
    is_object = line.startswith(b"{") and line.endswith(b"}")
    return is_object and b'"op_code"' in line and b'"worker_id"' in line


def read_storage(place: str) -> Json:
    """Return the facts of the one study in a storage, or of its ``studies``.

    Args:
        place: A file, or an address of SQLAlchemy.

    Raises:
        UsageError: If the storage cannot be read, or has no study.
    """
    with open_storage(place) as storage:
        names = [each.study_name for each in storage.get_all_studies()]
        studies = [study_facts(storage, storage.get_study_id_from_name(name)) for name in names]
    if not studies:
        raise UsageError(f"{hide_credentials(place)}: no Optuna study is in this storage")
    return studies[0] if len(studies) == 1 else {"studies": studies}


@contextmanager
def open_storage(place: str) -> Generator[BaseStorage]:
    """Open a storage for reading.

    Args:
        place: An SQLite file, a file of a journal, or an address of SQLAlchemy.

    Raises:
        UsageError: If the storage cannot be read.
    """
    import_progress_bars()
    import optuna
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

    shown = hide_credentials(place)
    storage: Any = None
    path = Path(place.removeprefix("sqlite:///").partition("?")[0])
    database = Database(path) if path.is_file() and is_sqlite(path) else None
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        storage = _journal(place) or _rdb_storage(place, database)
        yield storage
    except optuna.exceptions.StorageInternalError as error:  # such as a table without a column
        reason = _reason(error.__cause__ or error, database)
        raise UsageError(f"Optuna cannot read {shown}: {reason}") from error
    except (ArgumentError, NoSuchModuleError, SQLAlchemyError, ImportError) as error:
        reason = _reason(error, database)
        raise UsageError(f"Optuna cannot open {shown}: {reason}") from None
    except _DAMAGE as error:
        if "optuna storage upgrade" in str(error):
            address = shown if "://" in shown else f"sqlite:///{shown}"
            raise UsageError(
                f"{shown} has the tables of an older version of Optuna: run `optuna storage "
                f"upgrade --storage {address}` on a copy, and import the copy"
            ) from error
        raise UsageError(f"Optuna cannot read {shown}: {_reason(error, database)}") from error
    finally:
        optuna.logging.set_verbosity(verbosity)
        if (engine := getattr(storage, "engine", None)) is not None:
            storage.remove_session()
            engine.dispose()


def _reason(error: BaseException, database: Database | None) -> str:
    return database.reason(error) if database else str(error).partition("\n")[0]


def _rdb_storage(place: str, database: Database | None) -> BaseStorage:
    from optuna.storages import RDBStorage
    from sqlalchemy.pool import NullPool

    if database:
        engine = {"creator": database.connect, "poolclass": NullPool}
        return RDBStorage("sqlite://", engine, skip_table_creation=True)
    if "://" not in place.removeprefix("sqlite:///"):
        raise ValueError("there is no such file, or it is no storage of Optuna")
    return RDBStorage(place, skip_table_creation=True)


def _journal(place: str) -> BaseStorage | None:
    path = Path(place)
    if "://" in place or not _is_journal(path):
        return None
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"larger than the limit of {MAX_BYTES // 1024**2} MiB")
    return _journal_storage(path)


def _journal_storage(path: Path) -> BaseStorage:
    """Return a journal that only reads: Optuna's own opens its file for writing."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import BaseJournalBackend

    class Backend(BaseJournalBackend):
        line = 0
        """The last line that was read."""

        def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
            with open_regular(path) as file:
                for self.line, line in enumerate(iter(partial(file.readline, MAX_LINE), b""), 1):
                    if self.line <= log_number_from:
                        continue
                    if not line.endswith(b"\n") and len(line) < MAX_LINE:
                        return  # cut off, which Optuna leaves out, too
                    yield json.loads(line)

        def append_logs(self, logs: list[dict[str, Any]]) -> None:  # noqa: ARG002
            raise ValueError("this storage is only read")

    backend = Backend()
    try:
        return JournalStorage(backend)
    except (*_DAMAGE, RecursionError) as error:
        raise UsageError(
            f"{path}: line {backend.line} is no operation of Optuna's journal: {error!r}"
        ) from error


def study_facts(storage: BaseStorage, study: int) -> Json:
    """Return what a storage keeps of a study, as the JSON that this format reads."""
    from optuna.trial import TrialState

    name = storage.get_study_name_from_id(study)
    system = storage.get_study_system_attrs(study)
    trials = storage.get_all_trials(study, deepcopy=False)
    waiting = [trial for trial in trials if trial.state == TrialState.WAITING]
    tried = [trial for trial in trials if trial.distributions][:MAX_TRIALS]
    facts: Json = {
        "study_name": name,
        "directions": [each.name.lower() for each in storage.get_study_directions(study)],
    }
    if names := system.get("study:metric_names"):
        facts["metric_names"] = list(names)
    if attributes := dict(storage.get_study_user_attrs(study)):
        facts["user_attrs"] = attributes
    facts["distributions"] = _distributions(tried)
    completed = [trial for trial in tried if trial.state == TrialState.COMPLETE]
    conditions, unexplained = _conditions(completed or tried)
    facts |= {"conditions": conditions} if conditions else {}
    facts |= {"in_some_trials": unexplained} if unexplained else {}
    enqueued = [trial.system_attrs.get("fixed_params") for trial in waiting]
    facts |= {"enqueued_trials": found} if (found := [each for each in enqueued if each]) else {}
    return {**facts, "trials": len(trials) - len(waiting)}


def _distributions(trials: Sequence[FrozenTrial]) -> Json:
    """Return the distribution of each parameter, a list if trials have different ones."""
    from optuna.distributions import distribution_to_json

    found: dict[str, dict[optuna.distributions.BaseDistribution, None]] = {}
    for trial in trials:
        for name, distribution in trial.distributions.items():
            found.setdefault(name, {}).setdefault(distribution)
    as_json = {
        name: [json.loads(distribution_to_json(each)) for each in several]
        for name, several in found.items()
    }
    return {name: each[0] if len(each) == 1 else each for name, each in as_json.items()}


def _conditions(trials: Sequence[FrozenTrial]) -> tuple[Json, list[str]]:
    """Return the condition of each parameter that has one, and those of some trials without one."""
    from optuna.distributions import CategoricalDistribution, IntDistribution

    patterns = PresencePatterns()
    kinds: dict[str, type] = {}
    counts = Counter[str]()
    for trial in trials:
        patterns.add(trial.params)
        counts.update(trial.params.keys())
        kinds |= {name: type(each) for name, each in trial.distributions.items()}
    choices = [name for name, kind in kinds.items() if kind is CategoricalDistribution]
    integers = [name for name, kind in kinds.items() if issubclass(kind, IntDistribution)]
    found = patterns.conditions(choices, integers)
    partial = [name for name, count in counts.items() if count < len(trials)]
    return dict(found), [name for name in partial if name not in found]
