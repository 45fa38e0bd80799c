"""The tables of rights: what whole runs use is in them, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cloudtune.planning.planner import plan
from cloudtune.study.schema import Mode
from cloudtune_azure import AzureProvider, rights
from tests.cloudtune_azure.support import study_of
from tests.run_calls import RunCalls


@pytest.mark.slow
class TestRights(RunCalls):
    name = "azure"
    settings: Mapping[str, Any] = {"compute": "cpu-cluster"}
    create_operations: Mapping[Mode, str] = {"driven": "PutJob", "managed": "PutJob"}

    @pytest.mark.parametrize("mode", ["driven", "managed"])
    def test_runs_use_exactly_the_rights_of_the_tables(self, mode: Mode) -> None:
        planned, calls = self.calls_of_runs(mode)
        table = [
            *rights.caller_rights(planned, "workspace"),
            *rights.caller_rights(planned, "storage"),
        ]
        used = {call.action for call in calls if call.by == "client"}
        assert used == {right.action for right in table if not right.unseen}


def test_roles_have_the_names_of_the_plan(tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    study = study_of(identity="managed", environment=None, image="python:3.11")
    planned = plan(study, "azure", base=tmp_path)
    printed = list(AzureProvider().policies(planned))
    caller, storage, _trials, doctor = (json.loads(each.text) for each in printed)
    assert rights.CALLER[0].action in caller["Actions"]
    assert any("environments" in each for each in caller["Actions"])
    assert caller["AssignableScopes"] == [
        "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/group"
    ]
    assert (storage["Actions"], doctor["DataActions"]) == ([], [])
    assert "--scope" in printed[0].commands[1]
    assert "workspaces/work" in printed[0].commands[1]
