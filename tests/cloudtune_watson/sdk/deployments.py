"""What IBM's notebooks on deployments of scripts do with ibm_watsonx_ai, with small scripts.

Run as ``deployments.py PLACE WHAT``: the place is ``cloud`` or ``cluster``. The emulator's address
and key are in the variables of all its clients. The result goes to ``WHAT.json`` in the working
folder. The notebooks are "Use script to recognize hand-written digits" for IBM Cloud and "Use
watsonx to deploy a Python script" for 5.2, of IBM/watsonx-ai-samples at 0a9a2c8.
"""

from __future__ import annotations

import json
import os
import sys
import textwrap
import time
import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any

SPACE = "a-space"
OUTPUT = "deploy_test_script-out"
ONE_FILE = """
    import json, os
    with open(os.environ["JOBS_PAYLOAD_FILE"]) as file:
        scoring = json.load(file)["scoring"]
    result = {
        "sum": sum(scoring["input_data"][0]["values"][0]),
        "variable": os.environ["SPACE_ID"],
        "input": os.listdir(os.environ["BATCH_INPUT_DIR"]),
    }
    with open(os.path.join(os.environ["BATCH_OUTPUT_DIR"], "output.json"), "w") as file:
        json.dump(result, file)
"""
TWO_FILES = """
    import os
    for name in ("swspec.log", "more.log"):
        with open(os.path.join(os.environ["BATCH_OUTPUT_DIR"], name), "w") as file:
            file.write("run successfully")
"""
ENDLESS = "import time\ntime.sleep(120)"
FAILING = "raise SystemExit(3)"


def client(place: str) -> Any:
    """Return a client of IBM Cloud or of a cluster, in a space."""
    ai = import_module("ibm_watsonx_ai")
    url, key = os.environ["WATSON_EMULATOR_URL"], os.environ["WATSON_EMULATOR_KEY"]
    if place == "cloud":
        credentials = ai.Credentials(
            url=url, api_key=key, platform_url=url, auth_url=f"{url}/identity/token"
        )
        return ai.APIClient(credentials, space_id=SPACE)
    credentials = ai.Credentials(
        url=url, username="someone", api_key=key, instance_id="openshift", version="5.2"
    )
    created = ai.APIClient(credentials)
    created.set.default_space(SPACE)
    return created


def deployed(created: Any, code: str) -> tuple[str, str]:
    """Return the ids of a script and of its deployment."""
    path = Path("script.py")
    path.write_text(textwrap.dedent(code))
    base = created.software_specifications.get_id_by_name("runtime-25.1-py3.12")
    names = created.script.ConfigurationMetaNames
    details = created.script.store(
        {names.NAME: "Python script", names.SOFTWARE_SPEC_ID: base}, file_path=str(path)
    )
    script = created.script.get_id(details)
    names = created.deployments.ConfigurationMetaNames
    about = {names.NAME: "pyscript_deployment", names.BATCH: {}, names.HARDWARE_SPEC: {"name": "S"}}
    return script, created.deployments.get_id(created.deployments.create(script, about))


def ended(created: Any, job: str) -> Any:
    """Return a job once it has ended."""
    due = time.monotonic() + 200
    while time.monotonic() < due:
        state = created.deployments.get_job_status(job)["state"]
        if state in ("completed", "canceled") or "fail" in state:
            return created.deployments.get_job_details(job)
        time.sleep(0.1)
    raise TimeoutError(f"{job} does not end")


def payload(created: Any, **more: Any) -> Any:
    names = created.deployments.ScoringMetaNames
    output = {"type": "data_asset", "location": {"name": OUTPUT}}
    return {names.OUTPUT_DATA_REFERENCE: output, **more}


def downloaded(created: Any, details: Any) -> bytes:
    """Return the content of the results of a job, read in both ways that do not need Flight.

    The notebooks call ``download`` of the connection, which calls IBM's Flight service.
    """
    helpers = import_module("ibm_watsonx_ai.helpers")
    reference = details["entity"]["scoring"]["output_data_reference"]
    connection = helpers.DataConnection.from_dict(reference)
    connection.set_client(created)
    content: bytes = connection.read(binary=True, use_flight=False)
    asset = reference["location"]["href"].partition("?")[0].rpartition("/")[2]
    Path("result.zip").unlink(missing_ok=True)
    created.data_assets.download(asset, "result.zip")
    assert Path("result.zip").read_bytes() == content
    return content


def whole(place: str) -> Any:
    """Store, deploy, run, read and delete."""
    created = client(place)
    script, deployment = deployed(created, ONE_FILE)
    names = created.deployments.ScoringMetaNames
    inputs = [{"fields": ["data"], "values": [[1, 2, 3]]}]
    variables = {"SPACE_ID": SPACE}
    more = {names.INPUT_DATA: inputs, names.ENVIRONMENT_VARIABLES: variables}
    job = created.deployments.create_job(deployment, meta_props=payload(created, **more))
    first = created.deployments.get_job_status(created.deployments.get_job_id(job))
    details = ended(created, created.deployments.get_job_id(job))
    content = downloaded(created, details)
    if zipfile.is_zipfile("result.zip"):
        with zipfile.ZipFile("result.zip") as archive:
            content = archive.read("output.json")
            is_zip = True
    else:
        is_zip = False
    listed = created.data_assets.get_details()["resources"]
    report = {
        "first": first,
        "status": details["entity"]["scoring"]["status"],
        "result": json.loads(content),
        "is_zip": is_zip,
        "outputs": [row["metadata"]["name"] for row in listed],
        "deployment": created.deployments.get_details(deployment),
        "deployments": len(created.deployments.get_details()["resources"]),
        "jobs": len(created.deployments.get_job_details()["resources"]),
        "script": created.script.get_details(script),
        "forgotten": created.deployments.delete_job(details["metadata"]["id"], hard_delete=True),
        "undeployed": created.deployments.delete(deployment),
        "deleted": created.script.delete(script),
    }
    report["data_assets"] = created.data_assets.list().to_dict("records")
    if place == "cloud":
        report["credentials"] = created.task_credentials.list().to_dict("records")
    report["left"] = len(created.deployments.get_details()["resources"])
    return report


def two_files(place: str) -> Any:
    """Run a script that leaves two files."""
    created = client(place)
    _, deployment = deployed(created, TWO_FILES)
    job = created.deployments.create_job(deployment, meta_props=payload(created))
    downloaded(created, ended(created, created.deployments.get_job_id(job)))
    with zipfile.ZipFile("result.zip") as archive:
        return {"names": sorted(archive.namelist())}


def stopped(place: str) -> Any:
    """Cancel a job, and run one that fails."""
    created = client(place)
    _, deployment = deployed(created, ENDLESS)
    job = created.deployments.get_job_id(
        created.deployments.create_job(deployment, meta_props=payload(created))
    )
    while created.deployments.get_job_status(job)["state"] != "running":
        time.sleep(0.1)
    cancelled = created.deployments.delete_job(job)
    _, failing = deployed(created, FAILING)
    other = created.deployments.create_job(failing, meta_props=payload(created))
    return {
        "cancelled": cancelled,
        "stopped": ended(created, job)["entity"]["scoring"],
        "failed": ended(created, created.deployments.get_job_id(other))["entity"]["scoring"],
    }


if __name__ == "__main__":
    functions = {"whole": whole, "two_files": two_files, "stopped": stopped}
    result = functions[sys.argv[2]](sys.argv[1])
    Path(f"{sys.argv[2]}.json").write_text(json.dumps(result))
