"""Emulators, and the checks of their accounts by boto3."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from cloudtune.diagnostics import Check
from cloudtune.planning.planner import plan
from cloudtune.provider.models import Emulator as Address
from cloudtune.provider.models import JobContext
from cloudtune.provider.plan import Plan
from cloudtune.study.schema import Mode
from cloudtune_sagemaker import SagemakerProvider
from cloudtune_sagemaker.rights import trust_policy
from tests.cloudtune_sagemaker.emulator.conftest import Emulator
from tests.cloudtune_sagemaker.support import study_of
from tests.emulator_server import emulator_fixtures, starting

RUN = "3f6k2m9qxt"


def account_plan(folder: Path, mode: Mode = "managed", **settings: Any) -> Plan:
    """Return the plan of a study; other arguments are settings, but `over` is put over it."""
    study = study_of(settings.pop("over", {}), mode=mode, **settings)
    (folder / "train.py").touch()
    return plan(study, "sagemaker", base=folder, run_id=RUN, emulated=True)


class Account(Emulator):
    """An emulator whose account is checked."""

    def checks(self, folder: Path, mode: Mode = "managed", **settings: Any) -> list[Check]:
        """Return the checks of a study's account."""
        plan = account_plan(folder, mode, **settings)
        context = JobContext(folder, Address(self.url, self.key))
        return list(SagemakerProvider().check_account(plan, context))

    def delete_role(self) -> None:
        """Delete the role of `support.SETTINGS`, if there is one."""
        iam = self.client("iam")
        with suppress(iam.exceptions.NoSuchEntityException):
            iam.delete_role_policy(RoleName="tuning", PolicyName="p")
        with suppress(iam.exceptions.NoSuchEntityException):
            iam.delete_role(RoleName="tuning")

    def create_role(self, policy: Any = None, trust: Any = None, path: str = "/") -> None:
        """Create the role of `support.SETTINGS` anew; by default, SageMaker may assume it."""
        self.delete_role()
        iam = self.client("iam")
        document = json.dumps(trust_policy() if trust is None else trust)
        iam.create_role(RoleName="tuning", Path=path, AssumeRolePolicyDocument=document)
        if policy is not None:
            iam.put_role_policy(
                RoleName="tuning", PolicyName="p", PolicyDocument=json.dumps(policy)
            )

    def push_image(self, tag: str) -> None:
        """Put an image into the repository of `support.SETTINGS`."""
        ecr = self.client("ecr")
        with suppress(ecr.exceptions.RepositoryAlreadyExistsException):
            ecr.create_repository(repositoryName="train")
        manifest: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": {"mediaType": "x", "size": 1, "digest": f"sha256:{'0' * 64}"},
            "layers": [],
        }
        ecr.put_image(repositoryName="train", imageManifest=json.dumps(manifest), imageTag=tag)


account, start_account = emulator_fixtures(Account, "account")


@pytest.fixture(scope="session")
def team_account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """An emulator that several tests share, with another role and the image."""
    for start in starting(Account, tmp_path_factory.mktemp("team")):
        account = start()
        account.client("iam").create_role(RoleName="other", AssumeRolePolicyDocument="{}")
        account.push_image("1")
        yield account
