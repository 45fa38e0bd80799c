"""The tables of calls: what whole runs call is in them, and nothing else is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from cloudtune.study.schema import Mode
from cloudtune_watson import WatsonProvider
from cloudtune_watson.jobs.rights import CALLS as JOBS
from cloudtune_watson.rights import Call
from cloudtune_watson.wml.rights import CALLS as TRAININGS
from cloudtune_watson.wmla.rights import CALLS as SEARCHES
from tests.cloudtune_watson.account.test_account import account_plan
from tests.cloudtune_watson.on_backends import OnBackends
from tests.run_calls import RunCalls

CALLS: Mapping[Mode, Sequence[Call]] = {"managed": SEARCHES, "driven": TRAININGS}


@pytest.mark.slow
class TestRights(OnBackends, RunCalls):
    @pytest.mark.parametrize("mode", ["managed", "driven"])
    def test_runs_make_exactly_the_calls_of_the_tables(self, mode: Mode) -> None:
        _, calls = self.calls_of_runs(mode)
        used = {call.action for call in calls}
        assert used == {call.operation for call in CALLS[mode] if not call.unseen}


@pytest.mark.slow
class TestRightsOfJobs(RunCalls):
    name = "watson"
    settings: Mapping[str, Any] = {"backend": "jobs"}
    create_operations: Mapping[Mode, str] = {"driven": "CreateDeploymentJob"}

    def list_jobs(self, folder: Path) -> Sequence[str]:
        return [path.name for path in folder.glob("jobs/*")]

    def test_runs_make_exactly_the_calls_of_the_table(self) -> None:
        _, calls = self.calls_of_runs("driven")
        used = {call.action for call in calls}
        assert used == {call.operation for call in JOBS if not call.unseen}


def test_the_role_has_the_names_of_the_plan(tmp_path: Path) -> None:
    (policy,) = WatsonProvider().policies(account_plan(tmp_path, "wml"))
    assert policy.title == "role of me in the space my-space: Editor"
    assert "Editor: CreateTraining" in policy.text
    assert "--space-id=my-space" in policy.commands[0]
    project = account_plan(tmp_path, "wml", space_id=None, project_id="p 1")
    (policy,) = WatsonProvider().policies(project)
    assert "cpd-cli project member create --project-id='p 1'" in policy.commands[0]
    (policy,) = WatsonProvider().policies(account_plan(tmp_path, "jobs"))
    assert policy.title == "role of your user in the space my-space: Editor, on IBM Cloud"
    assert "Editor: CreateDeploymentJob" in policy.text
    assert not policy.commands
    (policy,) = WatsonProvider().policies(account_plan(tmp_path, "wmla"))
    assert "StartSearch" in policy.text
