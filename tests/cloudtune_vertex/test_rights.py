"""The tables of permissions: what whole runs use is in them, and nothing else is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cloudtune.study.schema import Mode
from cloudtune_vertex import rights
from cloudtune_vertex.policy import policies
from tests.cloudtune_vertex.account.conftest import account_plan
from tests.run_calls import RunCalls


@pytest.mark.slow
class TestRights(RunCalls):
    name = "vertex"
    settings: Mapping[str, Any] = {"bucket": "team-bucket", "project": "team"}
    create_operations: Mapping[Mode, str] = {
        "managed": "CreateHyperparameterTuningJob",
        "driven": "CreateCustomJob",
    }

    @pytest.mark.parametrize("mode", ["managed", "driven"])
    def test_runs_use_exactly_the_permissions_of_the_tables(self, mode: Mode) -> None:
        planned, calls = self.calls_of_runs(mode)
        table = [
            *rights.caller_rights(planned, "project"),
            *rights.caller_rights(planned, "bucket"),
        ]
        used = {call.action for call in calls if call.by == "client"}
        used.discard("storage.buckets.create")  # only on the emulator
        assert used == {right.action for right in table if not right.unseen}
        assert {call.action for call in calls if call.by == "job"} <= {
            right.action for right in rights.TRIALS
        }
        buckets = {call.resource for call in calls if call.action.startswith("storage.objects")}
        assert buckets == {"projects/_/buckets/team-bucket"}


def test_roles_have_the_names_of_the_plan(tmp_path: Path) -> None:
    plan = account_plan(
        tmp_path,
        "driven",
        service_account="robot@my-project.iam.gserviceaccount.com",
        impersonate="deployer@my-project.iam.gserviceaccount.com",
    )
    printed = list(policies(plan))
    texts = "\n".join(f"{each.title}\n{each.text}\n" + "\n".join(each.commands) for each in printed)
    assert "aiplatform.customJobs.create" in texts
    assert "hyperparameterTuningJobs" not in texts
    assert "--member=serviceAccount:deployer@my-project.iam.gserviceaccount.com" in texts
    assert "--member=serviceAccount:robot@my-project.iam.gserviceaccount.com" in texts
    assert "roles/iam.serviceAccountUser" in texts
    assert "roles/iam.serviceAccountTokenCreator" in texts
    assert "gcloud services enable aiplatform.googleapis.com storage.googleapis.com" in texts
    assert "{{" not in texts
