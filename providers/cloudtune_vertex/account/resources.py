"""Whether buckets, image and quotas suffice in the location of the jobs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import quote

from cloudtune.provider import Check, Json, Plan, if_found
from cloudtune.provider.account import account_error, account_ok, account_unknown, account_warning
from cloudtune_vertex.account.ask import ask, unknown
from cloudtune_vertex.account.project import report_bucket
from cloudtune_vertex.client import Google
from cloudtune_vertex.rights import caller_rights
from cloudtune_vertex.rules.machines import QuotaNeed, quota_needs
from cloudtune_vertex.settings import VertexSettings

BUCKET = "providers.vertex.bucket"
_IMAGE = re.compile(
    r"(?P<location>[a-z0-9-]+)-docker\.pkg\.dev/(?P<project>[^/]+)/(?P<repository>[^/]+)/"
    r"(?P<package>[^:@]+)(:(?P<tag>[^@]+))?(?P<digest>@sha256:[0-9a-f]{64})?"
)
"""The address of an image in Artifact Registry (artifact-registry/docs/docker/names)."""
_CONSOLE = "see IAM & Admin, Quotas, in the console"


def check_buckets(google: Google, plan: Plan) -> Iterator[Check]:
    """Yield the checks of the run's own bucket, and of those of its inputs."""
    own: str = plan.facts.data["bucket"]
    inputs = plan.facts.lookup.inputs.addresses
    others = {
        str(uri).removeprefix("gs://").partition("/")[0]: f"trial.inputs.{name}"
        for name, uri in inputs.items()
        if str(uri).startswith("gs://")
    }
    for bucket, path in {**others, own: BUCKET}.items():
        if "{{" not in bucket:
            yield from _check_bucket(google, plan, bucket, path)


def _check_bucket(google: Google, plan: Plan, bucket: str, path: str) -> Iterator[Check]:
    project, location = plan.facts.data["project"], plan.facts.data["location"]
    is_own = path == BUCKET
    question = f"whether the bucket {bucket} exists in {location}"
    right = f"storage.objects.list on {bucket}, or it belongs to another project"
    layout = partial(_find, google, "storage", f"/storage/v1/b/{bucket}/storageLayout")
    found = yield from ask(layout, unknown("bucket", question, right, path=path))
    if found is None:
        return
    if not found and google.emulated and is_own:
        yield account_ok(id="bucket", message=f"the emulator creates the bucket {bucket}")
        return
    if not found:
        yield account_error(
            id="bucket",
            path=path,
            message=f"there is no bucket {bucket}",
            fix="create it",
            command=f"gcloud storage buckets create gs://{bucket} --project={project} "
            f"--location={location}",
        )
        return
    yield from _compare_location(found, bucket, location, path)
    if is_own:
        rights = caller_rights(plan, "bucket")
        permissions = [right.action for right in rights]
        answer = google.rest(
            "GET",
            "storage",
            f"/storage/v1/b/{bucket}/iam/testPermissions",
            params={"permissions": permissions},
        )
        yield from report_bucket(answer, rights, project, bucket)


def _find(google: Google, api: str, url: str) -> Json:
    """Return a resource, empty if it does not exist."""
    return if_found(lambda: google.rest("GET", api, url)) or {}


def _compare_location(found: Json, bucket: str, location: str, path: str) -> Iterator[Check]:
    place = str(found.get("location", "")).lower()
    if place == location:
        yield account_ok(id="bucket", message=f"bucket {bucket} is in {location}")
    elif found.get("locationType", "region") == "region":
        yield account_error(
            id="bucket-location",
            path=path,
            message=f"the bucket {bucket} is in {place} and the jobs run in {location}; it must be "
            "in the location of the job",
            fix=f"use a bucket in {location}, or set providers.vertex.location to {place}",
            command=f"gcloud storage buckets create gs://{bucket}-{location} --location={location}",
        )
    else:
        yield account_warning(
            id="bucket-location",
            path=path,
            message=f"the bucket {bucket} is in the multi-region {place}; whether jobs in "
            f"{location} can use it is not verified",
            fix=f"use a bucket in {location}",
        )


def check_image(google: Google, plan: Plan) -> Iterator[Check]:
    """Yield whether the image is in Artifact Registry."""
    image: str = plan.facts.data["image"]
    if "{{" in image or (google.emulated and plan.facts.data["prebuilt"]):
        return
    path = "providers.vertex.image"
    match = _IMAGE.fullmatch(image)
    if match is None:
        yield account_unknown(
            id="image",
            path=path,
            message=f"whether the image {image} exists is unknown",
            fix="it is not in Artifact Registry, the only registry that is checked",
        )
        return
    name = (
        f"projects/{match['project']}/locations/{match['location']}/repositories/"
        f"{match['repository']}"
    )
    package, tag = quote(match["package"], safe=""), match["tag"] or "latest"
    if match["digest"]:
        url = f"/v1/{name}/packages/{package}/versions/{match['digest'][1:]}"
        right = "artifactregistry.versions.get"
    else:
        url, right = f"/v1/{name}/packages/{package}/tags/{tag}", "artifactregistry.tags.get"
    question = f"whether the image {image} exists"
    right = f"{right} on the repository {match['repository']} of {match['project']}"
    find = partial(_find, google, "artifactregistry", url)
    found = yield from ask(find, unknown("image", question, right, path=path))
    if found is None:
        return
    if not found:
        repository = image.rpartition("/")[0]
        yield account_error(
            id="image",
            path=path,
            message=f"Artifact Registry has no image {image}",
            fix="push it, or choose one that exists; this lists them",
            command=f"gcloud artifacts docker images list {repository} --include-tags",
        )
    else:
        yield account_ok(id="image", message=f"image {image} exists")


def check_quotas(google: Google, plan: Plan) -> Iterator[Check]:
    """Yield whether the quotas suffice for the trials that run at a time."""
    settings = plan.settings
    assert isinstance(settings, VertexSettings)
    needs = list(quota_needs(plan.study, settings))
    if not needs:
        return
    project: str = plan.facts.data["project"]
    parent = f"/v1/projects/{project}/locations/global/services/aiplatform.googleapis.com"

    def read() -> dict[str, Json]:
        infos: dict[str, Json] = {}
        token = ""
        while True:
            params = {"pageSize": 1000, **({"pageToken": token} if token else {})}
            page = google.rest("GET", "cloudquotas", f"{parent}/quotaInfos", params=params)
            for info in page.get("quotaInfos", ()):
                infos[str(info.get("metric", "")).rpartition("/")[2]] = info
            token = page.get("nextPageToken", "")
            if not token:
                return infos

    names = " and ".join(map(str, needs))
    right = "cloudquotas.quotas.get, or the API cloudquotas.googleapis.com is disabled"
    quotas = yield from ask(
        read,
        unknown(
            "quota",
            f"whether the quotas cover {names}",
            right,
            path="providers.vertex.machine_type",
            look=_CONSOLE,
        ),
    )
    for need in needs if quotas is not None else ():
        info = (quotas or {}).get(need.metric)
        yield _compare_quota(plan, need, info)


def _compare_quota(plan: Plan, need: QuotaNeed, info: Json | None) -> Check:
    location, project = plan.facts.data["location"], plan.facts.data["project"]
    path = f"providers.vertex.{'machine' if need.unit == 'CPUs' else 'accelerator'}_type"
    value = quota_value(info, location) if info else None
    if value is None:
        return account_unknown(
            id="quota",
            path=path,
            message=f"the project lists no quota {need.metric} in {location}",
            fix=_CONSOLE,
        )
    if 0 <= value < need.amount:
        quota_id = (info or {}).get("quotaId", need.metric)
        return account_error(
            id="quota",
            path=path,
            message=f"the quota {need.metric} in {location} is {value}, and the study needs "
            f"{need.amount} {need.unit} at a time",
            fix="request a higher quota, or lower limits.parallel_trials",
            command="gcloud beta quotas preferences create --service=aiplatform.googleapis.com "
            f"--project={project} --quota-id={quota_id} --preferred-value={need.amount} "
            f"--dimensions=region={location}",
        )
    amount = "unlimited" if value < 0 else str(value)
    return account_ok(id="quota", message=f"quota {need.metric} is {amount} for {need.amount}")


def quota_value(info: Json, location: str) -> int | None:
    """Return the value in a location; -1 is unlimited, and without the region it is for all others.

    As DimensionsInfo of Cloud Quotas v1 (read 2026-11-27).
    """
    entries: list[Any] = list(info.get("dimensionsInfos", ()))
    exact = [each for each in entries if each.get("dimensions", {}).get("region") == location]
    listed = [each for each in entries if location in each.get("applicableLocations", ())]
    general = [each for each in entries if "region" not in each.get("dimensions", {})]
    for each in [*exact, *listed, *general]:
        value = each.get("details", {}).get("value")
        if value is not None:
            return int(value)
    return None
