"""Emulators, and the checks of their projects by Google's clients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import requests

from cloudtune.diagnostics import Check
from cloudtune.planning.planner import plan
from cloudtune.provider.models import Emulator as Address
from cloudtune.provider.models import JobContext
from cloudtune.provider.plan import Plan
from cloudtune.study.schema import Mode
from cloudtune_vertex import VertexProvider
from tests.cloudtune_vertex.emulator.conftest import Emulator
from tests.cloudtune_vertex.support import study_of
from tests.emulator_server import emulator_fixtures


def account_plan(folder: Path, mode: Mode = "managed", **settings: Any) -> Plan:
    """Return the plan of a study; other arguments are settings, but `over` is put over it."""
    study = study_of(settings.pop("over", {}), mode=mode, **settings)
    (folder / "train.py").touch()
    return plan(study, "vertex", base=folder, emulated=True)


class Account(Emulator):
    """An emulator whose project is checked."""

    def checks(self, folder: Path, mode: Mode = "managed", **settings: Any) -> list[Check]:
        """Return the checks of a study's project; the bucket is the emulator's."""
        planned = account_plan(folder, mode, **{"bucket": "in-iowa", **settings})
        context = JobContext(folder, Address(self.url, self.key))
        return list(VertexProvider().check_account(planned, context))

    def post(self, path: str, body: Any = None, **params: str) -> None:
        """Send a request of Google's REST APIs."""
        headers = {"Authorization": f"Bearer {self.key}"}
        requests.post(
            self.url + path, params=params, headers=headers, json=body, timeout=200
        ).raise_for_status()

    def reach(self) -> None:
        """Wait until it listens; create a bucket in the location of the jobs, and one elsewhere."""
        super().reach()
        self.storage.create_bucket("in-iowa", location="US-CENTRAL1")
        self.storage.create_bucket("abroad", location="EUROPE-WEST4")


account, start_account = emulator_fixtures(Account, "account")
