"""The operations of the services: their method, their path, and what carries them out.

The names are the emulator's own, for fault plans; IBM's REST APIs have none.
"""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cloudtune.emulator_kit import Context, Delays, FaultPlan, Response, app
from cloudtune_watson.emulator.assets import Assets
from cloudtune_watson.emulator.errors import unavailable
from cloudtune_watson.emulator.hypersearch import Hypersearch
from cloudtune_watson.emulator.keys import Keys
from cloudtune_watson.emulator.platform import Platform
from cloudtune_watson.emulator.script_jobs import FILES_ONLY, Jobs
from cloudtune_watson.emulator.storage import Files, Volume
from cloudtune_watson.emulator.trainings import Trainings
from cloudtune_watson.emulator.tuner import Tuner
from cloudtune_watson.emulator.wire import Call


class Operations(app.Operations[Jobs, Tuner]):
    """Carries out operations on the resources of one emulator."""

    def __init__(self, folder: Path, delays: Delays, faults: FaultPlan, keys: Keys) -> None:
        lock = threading.RLock()
        jobs = Jobs(delays, lock)
        super().__init__(Context(folder, delays, faults, jobs, lock))
        volume = Volume(folder / "volume")
        self.platform = Platform(keys)
        self.assets = Assets(volume, keys)
        self.files = Files(volume)
        self.trainings = Trainings(volume, self.assets, self.context)
        self.searches = Hypersearch(volume, self.tuners, self.context)

    def carry_out(self, operation: Operation, call: Call) -> Response:
        """Return the response to a call.

        Raises:
            ServiceError: If the service would refuse.
        """
        try:
            with self.context.lock:
                return operation.carry_out(self, call)
        except OSError as error:  # scripts may change the files meanwhile
            raise unavailable(f"The volume: {error.strerror}.") from error


@dataclass(frozen=True)
class Operation:
    """An operation."""

    method: str
    pattern: re.Pattern[str]
    carry_out: Callable[[Operations, Call], Response]


Part = TypeVar("Part")
"""The part of `Operations` that an operation belongs to."""


def _operations(
    part: Callable[[Operations], Part],
    *rows: tuple[str, str, Callable[[Part, Call], Response]],
) -> Iterator[tuple[str, Operation]]:
    """Yield the names and operations of a part.

    Args:
        part: Returns the part.
        rows: For each operation its name, its method and path, and what carries it out. Braces
            enclose the names in the path.
    """
    for name, address, carry_out in rows:
        method, _, path = address.partition(" ")
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path).replace("{*}", "(?P<path>.*)")
        yield name, Operation(method, re.compile(pattern), _bound(part, carry_out))


def _bound(
    part: Callable[[Operations], Part], carry_out: Callable[[Part, Call], Response]
) -> Callable[[Operations, Call], Response]:
    return lambda operations, call: carry_out(part(operations), call)


EFFECTS = (FILES_ONLY,)
"""Effects on a trial that only this emulator has."""
NOT_DRIVEN: Mapping[str, str] = {
    "stop_early": "Watson Machine Learning does not stop trainings early"
}
NOT_MANAGED: Mapping[str, str] = {
    FILES_ONLY: "a search reads the metrics of its trials in their files"
}
"""Effects that are impossible for trainings, and for trials of a search, and why."""
_ASSET = "/v2/assets/{id}"
_ATTACHMENT = f"{_ASSET}/attachments/{{attachment}}"
_WMLA = "/platform/rest/deeplearning/v1"
_SEARCH = f"{_WMLA}/hypersearch/{{name}}"
_EXEC = f"{_WMLA}/execs/{{exec}}"

OPERATIONS: Mapping[str, Operation] = dict(
    itertools.chain(
        _operations(
            lambda operations: operations.platform,
            ("Authorize", "POST /icp4d-api/v1/authorize", Platform.authorize),
            ("Logon", "GET /auth/v1/logon", Platform.logon),
            ("GetVersion", "GET /ml/wml_services(?:/v2)?/version", Platform.version),
            ("ListSpaces", "GET /v2/spaces", Platform.list_spaces),
            ("GetSpace", "GET /v2/spaces/{id}", Platform.get_space),
            ("GetProject", "GET /v2/projects/{id}", Platform.get_project),
        ),
        _operations(
            lambda operations: operations.assets,
            ("CreateAsset", "POST /v2/assets", Assets.create),
            ("GetAsset", f"GET {_ASSET}", Assets.get),
            ("DeleteAsset", f"DELETE {_ASSET}", Assets.delete),
            ("SearchAssets", "POST /v2/asset_types/{type}/search", Assets.search),
            ("CreateAttachment", f"POST {_ASSET}/attachments", Assets.attach),
            ("GetAttachment", f"GET {_ATTACHMENT}", Assets.get_attachment),
            ("CompleteAttachment", f"POST {_ATTACHMENT}/complete", Assets.complete),
        ),
        _operations(
            lambda operations: operations.files,
            ("GetFile", "GET /v2/asset_files/{*}", Files.read),
            ("HeadFile", "HEAD /v2/asset_files/{*}", Files.head),
            ("PutFile", "PUT /v2/asset_files/{*}", Files.put),
            ("DeleteFile", "DELETE /v2/asset_files/{*}", Files.delete),
        ),
        _operations(
            lambda operations: operations.trainings,
            ("CreateTraining", "POST /ml/v4/trainings", Trainings.create),
            ("ListTrainings", "GET /ml/v4/trainings", Trainings.list),
            ("GetTraining", "GET /ml/v4/trainings/{id}", Trainings.get),
            ("DeleteTraining", "DELETE /ml/v4/trainings/{id}", Trainings.delete),
        ),
        _operations(
            lambda operations: operations.searches,
            ("StartSearch", f"POST {_WMLA}/hypersearch", Hypersearch.start),
            ("ListSearches", f"GET {_WMLA}/hypersearch", Hypersearch.list),
            ("DeleteSearches", f"DELETE {_WMLA}/hypersearch", Hypersearch.delete_all),
            ("ListAlgorithms", f"GET {_WMLA}/hypersearch/algorithm", Hypersearch.algorithms),
            ("GetSearch", f"GET {_SEARCH}", Hypersearch.get),
            ("StopSearch", f"PUT {_SEARCH}", Hypersearch.stop),
            ("ForceStopSearch", f"PUT {_SEARCH}/force", Hypersearch.force_stop),
            ("DeleteSearch", f"DELETE {_SEARCH}", Hypersearch.delete),
            ("ListExecs", f"GET {_WMLA}/execs/?", Hypersearch.list_execs),
            ("GetExec", f"GET {_EXEC}", Hypersearch.get_exec),
            ("GetExecLog", f"GET {_EXEC}/log", Hypersearch.exec_log),
            ("GetExecResult", f"GET {_EXEC}/result", Hypersearch.exec_result),
            ("StopExec", f"POST {_EXEC}/stop", Hypersearch.stop_exec),
        ),
    )
)
