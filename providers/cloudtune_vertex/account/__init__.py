"""What read-only, free calls show of a Google Cloud project before a run.

The calls: testIamPermissions of the project, the bucket and the trials' service account, which need
no permission; services.batchGet of Service Usage; buckets.getStorageLayout; tags.get of Artifact
Registry; quotaInfos.list of Cloud Quotas; persistentResources.get; and the list of the jobs.
References as in the emulator's ``account.py``.
"""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.provider import Check, Plan
from cloudtune.provider.account import check_packages
from cloudtune_vertex.account.identity import check_identity
from cloudtune_vertex.account.persistent_resource import check_persistent_resource
from cloudtune_vertex.account.project import check_apis, check_permissions, check_service_account
from cloudtune_vertex.account.resources import check_buckets, check_image, check_quotas
from cloudtune_vertex.client import Google


def check_account(google: Google, plan: Plan) -> Iterator[Check]:
    """Yield the checks of a project. Without valid credentials, only that is known.

    Raises:
        GoogleError: If Google cannot be reached.
    """
    yield from check_packages("vertex")
    if "{{" in plan.facts.data["project"]:
        return
    is_known = yield from check_identity(google, plan)
    if not is_known:
        return
    yield from check_apis(google, plan)
    yield from check_permissions(google, plan)
    yield from check_service_account(google, plan)
    yield from check_buckets(google, plan)
    yield from check_image(google, plan)
    yield from check_quotas(google, plan)
    yield from check_persistent_resource(google, plan)
