"""What a user of one of IBM's packages writes. Run in its environment: ``client.py SDK WHAT``.

The emulator's address and key are in the variables that every client of it is given. What came of
it goes to ``WHAT.json`` in the working folder.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import textwrap
import time
import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any

SPACE = "a-space"
TAG = "cloudtune-run:r-1"
SCRIPT = """
    import json, os, sys, time
    print("words", sys.argv[1:], flush=True)
    with open(os.path.join(os.environ["LOG_DIR"], "evaluation-metrics.txt"), "a") as file:
        for step, value in ((1, "0.5"), (2, "0.75")):
            file.write(json.dumps({
                "meta": {"training_id": "", "time": 1700000000000, "rindex": 1, "subid": ""},
                "grouplabel": "test",
                "etimes": {"iteration": {"type": 2, "value": str(step)}},
                "values": {"accuracy": {"type": 3, "value": value}},
            }) + "\\n")
    if "--fail" in sys.argv:
        sys.exit(3)
    if "--wait" in sys.argv:
        time.sleep(120)
    with open(os.path.join(os.environ["RESULT_DIR"], "val_dict_list.json"), "w") as file:
        json.dump([{"steps": 2, "accuracy": 0.75}], file)
"""


def client(kind: str, *, key: str | None = None, project: bool = False) -> Any:
    """Return a client of either package, in a space or a project."""
    url, key = os.environ["WATSON_EMULATOR_URL"], key or os.environ["WATSON_EMULATOR_KEY"]
    if kind == "watsonx":
        ai = import_module("ibm_watsonx_ai")
        created = ai.APIClient(ai.Credentials(url=url, username="someone", api_key=key))
    else:
        wml = import_module("ibm_watson_machine_learning")
        said = {"url": url, "username": "someone", "apikey": key, "instance_id": "openshift"}
        created = wml.APIClient({**said, "version": "5.0"})
    if project:
        created.set.default_project("a-project")
    else:
        created.set.default_space(SPACE)
    return created


def stored(created: Any, name: str) -> Any:
    """Store a model definition; return what the package tells of it."""
    archive = Path("code.zip")
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("train.py", textwrap.dedent(SCRIPT))
    names = created.model_definitions.ConfigurationMetaNames
    return created.model_definitions.store(
        str(archive),
        {
            names.NAME: name,
            names.DESCRIPTION: "of a test",
            names.PLATFORM: {"name": "python", "versions": ["3.11"]},
            names.VERSION: "1.0",
            names.COMMAND: "train.py",
        },
    )


def begun(created: Any, definition: str, command: str, *tags: str) -> str:
    """Run a training; return its id."""
    names = created.training.ConfigurationMetaNames
    kind = "spaces" if created.default_space_id else "projects"
    scope = created.default_space_id or created.default_project_id
    told = created.training.run(
        {
            names.NAME: "of a test",
            names.DESCRIPTION: "a training",
            names.TAGS: list(tags),
            names.TRAINING_DATA_REFERENCES: [],
            names.TRAINING_RESULTS_REFERENCE: {
                "type": "fs",
                "connection": {},
                "location": {"path": f"{kind}/{scope}/assets/cloudtune"},
            },
            names.MODEL_DEFINITION: {
                "id": definition,
                "command": command,
                "hardware_spec": {"name": "M", "nodes": 1},
                "software_spec": {"name": "runtime-24.1-py3.11"},
            },
        }
    )
    training: str = created.training.get_id(told)
    return training


def ended(created: Any, training: str) -> Any:
    """Return a training's status once it has ended."""
    due = time.monotonic() + 200
    while time.monotonic() < due:
        status = created.training.get_status(training)
        if status["state"] in ("completed", "failed", "canceled"):
            return status
        time.sleep(0.1)
    raise TimeoutError(f"{training} does not end")


def guarded(_kind: str) -> Any:
    """Try to reach something else than the emulator."""
    try:
        socket.create_connection(("127.0.0.1", 9), timeout=1).close()  # short: refused
    except PermissionError:
        return {"refused": True}
    return {"refused": False}


def whole(kind: str, *, project: bool = False) -> Any:
    """Store, run, read, list and forget."""
    created = client(kind, project=project)
    definition = stored(created, "mine")
    found: str = definition["metadata"]["guid"]
    Path("back.zip").unlink(missing_ok=True)
    created.model_definitions.download(found, "back.zip")
    details = created.model_definitions.get_details(found)
    listed = created.model_definitions.get_details()["resources"]
    training = begun(created, found, "train.py --rate 0.1 --note 'two words'", "cloudtune", TAG)
    other = begun(created, found, "train.py", "cloudtune")
    status = ended(created, training)
    ended(created, other)
    tagged: Any = {} if kind != "watsonx" else created.training.get_details(tag_value=TAG)
    told: dict[str, Any] = {
        "name": details["metadata"]["name"],
        "command": details["entity"]["wml_model_definition"]["command"],
        "listed": [each["metadata"]["name"] for each in listed],
        "same": Path("back.zip").read_bytes() == Path("code.zip").read_bytes(),
        "status": status,
        "details": created.training.get_details(training),
        "metrics": created.training.get_metrics(training),
        "trainings": len(created.training.get_details()["resources"]),
        "tagged": [each["metadata"]["id"] for each in tagged.get("resources", [])],
        "again": created.training.cancel(training),
        "forgotten": created.training.cancel(training, hard_delete=True),
        "left": len(created.training.get_details()["resources"]),
        "deleted": created.model_definitions.delete(found),
    }
    return {**told, "training": training}


def in_project(kind: str) -> Any:
    """Do the same in a project."""
    return whole(kind, project=True)


def stopped(kind: str) -> Any:
    """Cancel a training that runs, and let another one fail."""
    created = client(kind)
    definition = stored(created, "to be stopped")["metadata"]["guid"]
    failing = begun(created, definition, "train.py --fail")
    waiting = begun(created, definition, "train.py --wait")
    due = time.monotonic() + 200
    while "metrics" not in created.training.get_status(waiting) and time.monotonic() < due:
        time.sleep(0.1)
    cancelled = created.training.cancel(waiting)
    return {
        "cancelled": cancelled,
        "stopped": ended(created, waiting),
        "failed": ended(created, failing),
    }


def files(kind: str) -> Any:
    """Read what a training has left on the volume."""
    created = client(kind)
    training = begun(created, stored(created, "files")["metadata"]["guid"], "train.py")
    ended(created, training)
    helpers = import_module("ibm_watsonx_ai.helpers")
    location = created.training.get_details(training)["entity"]["results_reference"]["location"]

    def of(path: str) -> Any:
        found = helpers.DataConnection(location=helpers.FSLocation(path=path))
        found.set_client(created)
        return found

    # Not the whole training: the package reads no path below a second folder `assets`.
    of(f"{location['training']}/logs").download_folder("results")
    metrics = "val_dict_list.json"
    of(f"{location['training']}/{metrics}").download(f"results/{metrics}")
    return {
        "log": of(location["training_log"]).read(binary=True).decode(),
        "files": sorted(path.name for path in Path("results").rglob("*") if path.is_file()),
    }


def model(kind: str) -> Any:
    """Store the model of a training, and list what a user sees."""
    created = client(kind)
    training = begun(created, stored(created, "with a model")["metadata"]["guid"], "train.py")
    ended(created, training)
    names = created.repository.ModelMetaNames
    base = created.software_specifications.get_id_by_name("runtime-24.1-py3.11")
    about = {names.NAME: "of a training", names.TYPE: "tensorflow_2.14"}
    details = created.repository.store_model(training, {**about, names.SOFTWARE_SPEC_ID: base})
    return {"model": details, "models": created.repository.list_models().to_dict("records")}


def refused(kind: str) -> Any:
    """Sign in with another key, name a definition that is not there, and ask for another space."""
    try:
        client(kind, key="another")
    except Exception as error:  # noqa: BLE001 - each package has its own
        signing_in = str(error)
    else:
        signing_in = ""
    created = client(kind)
    try:
        begun(created, "gone", "train.py")
    except Exception as error:  # noqa: BLE001
        running = str(error)
    else:
        running = ""
    return {"signing_in": signing_in, "running": running}


def untrusting(kind: str) -> Any:
    """Try to sign in where the certificate is trusted by nobody."""
    try:
        client(kind)
    except Exception as error:  # noqa: BLE001
        return {"refused": f"{type(error).__name__}: {error}"}
    return {"refused": ""}


if __name__ == "__main__":
    sdk, what = sys.argv[1:]
    came = globals()[what](sdk)
    Path(f"{what}.json").write_text(json.dumps(came), encoding="utf-8")
