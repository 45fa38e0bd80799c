"""What is left at an emulator after a verification."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from cloudtune.emulation.process import Address


def _sagemaker(address: Address) -> list[str]:
    boto3: Any = import_module("boto3")
    env = address.environment
    session = boto3.session.Session(
        env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], region_name="us-east-1"
    )
    sagemaker, s3 = (session.client(each, endpoint_url=address.url) for each in ("sagemaker", "s3"))
    jobs = sagemaker.list_hyper_parameter_tuning_jobs()["HyperParameterTuningJobSummaries"]
    running = sagemaker.list_training_jobs(StatusEquals="InProgress")["TrainingJobSummaries"]
    objects = [
        each["Key"]
        for bucket in s3.list_buckets()["Buckets"]
        for each in s3.list_objects_v2(Bucket=bucket["Name"]).get("Contents", ())
    ]
    return [*map(str, jobs), *map(str, running), *objects]


def _vertex(address: Address) -> list[str]:
    requests: Any = import_module("requests")
    headers = {"Authorization": f"Bearer {address.key}"}

    def get(path: str) -> Any:
        return requests.get(f"{address.url}{path}", headers=headers, timeout=200).json()

    left: list[str] = []
    for kind in ("hyperparameterTuningJobs", "customJobs"):
        path = f"/v1/projects/emulated/locations/us-central1/{kind}"
        left += map(str, get(path).get(kind, ()))
    for bucket in get("/storage/v1/b?project=emulated").get("items", ()):
        objects = get(f"/storage/v1/b/{bucket['name']}/o").get("items", ())
        left += [each["name"] for each in objects]
    return left


def _watson(address: Address) -> list[str]:
    requests: Any = import_module("requests")
    session = requests.Session()
    session.verify = address.certificate
    session.trust_env = False
    grant = "urn:ibm:params:oauth:grant-type:apikey"
    form = {"grant_type": grant, "apikey": address.key}
    token = session.post(f"{address.url}/identity/token", data=form).json()["access_token"]
    session.headers["Authorization"] = f"Bearer {token}"
    left: list[str] = []
    for space in session.get(f"{address.url}/v2/spaces").json()["resources"]:
        query = {"version": "2024-01-01", "space_id": space["metadata"]["id"]}
        for kind in ("deployments", "deployment_jobs"):
            found = session.get(f"{address.url}/ml/v4/{kind}", params=query).json()
            left += map(str, found["resources"])
        for kind in ("script", "data_asset"):
            url = f"{address.url}/v2/asset_types/{kind}/search"
            found = session.post(url, params=query, json={"query": "*:*"}).json()
            left += map(str, found["results"])
    return left


LEFTOVERS: Mapping[str, Callable[[Address], list[str]]] = {
    "sagemaker": _sagemaker,
    "vertex": _vertex,
    "watson": _watson,
}
"""By provider."""
