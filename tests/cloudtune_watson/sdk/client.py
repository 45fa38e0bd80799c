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
        made = ai.APIClient(ai.Credentials(url=url, username="someone", api_key=key))
    else:
        wml = import_module("ibm_watson_machine_learning")
        said = {"url": url, "username": "someone", "apikey": key, "instance_id": "openshift"}
        made = wml.APIClient({**said, "version": "5.0"})
    if project:
        made.set.default_project("a-project")
    else:
        made.set.default_space(SPACE)
    return made


def stored(made: Any, name: str) -> Any:
    """Store a model definition; return what the package tells of it."""
    archive = Path("code.zip")
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("train.py", textwrap.dedent(SCRIPT))
    names = made.model_definitions.ConfigurationMetaNames
    return made.model_definitions.store(
        str(archive),
        {
            names.NAME: name,
            names.DESCRIPTION: "of a test",
            names.PLATFORM: {"name": "python", "versions": ["3.11"]},
            names.VERSION: "1.0",
            names.COMMAND: "train.py",
        },
    )


def begun(made: Any, definition: str, command: str, *tags: str) -> str:
    """Run a training; return its id."""
    names = made.training.ConfigurationMetaNames
    kind = "spaces" if made.default_space_id else "projects"
    scope = made.default_space_id or made.default_project_id
    told = made.training.run(
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
    training: str = made.training.get_id(told)
    return training


def ended(made: Any, training: str) -> Any:
    """Return a training's status once it has ended."""
    due = time.monotonic() + 60
    while time.monotonic() < due:
        status = made.training.get_status(training)
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
    made = client(kind, project=project)
    definition = stored(made, "mine")
    found: str = definition["metadata"]["guid"]
    Path("back.zip").unlink(missing_ok=True)
    made.model_definitions.download(found, "back.zip")
    details = made.model_definitions.get_details(found)
    listed = made.model_definitions.get_details()["resources"]
    training = begun(made, found, "train.py --rate 0.1 --note 'two words'", "cloudtune", TAG)
    other = begun(made, found, "train.py", "cloudtune")
    status = ended(made, training)
    ended(made, other)
    tagged: Any = {} if kind != "watsonx" else made.training.get_details(tag_value=TAG)
    told: dict[str, Any] = {
        "name": details["metadata"]["name"],
        "command": details["entity"]["wml_model_definition"]["command"],
        "listed": [each["metadata"]["name"] for each in listed],
        "same": Path("back.zip").read_bytes() == Path("code.zip").read_bytes(),
        "status": status,
        "details": made.training.get_details(training),
        "metrics": made.training.get_metrics(training),
        "trainings": len(made.training.get_details()["resources"]),
        "tagged": [each["metadata"]["id"] for each in tagged.get("resources", [])],
        "again": made.training.cancel(training),
        "forgotten": made.training.cancel(training, hard_delete=True),
        "left": len(made.training.get_details()["resources"]),
        "deleted": made.model_definitions.delete(found),
    }
    return {**told, "training": training}


def in_project(kind: str) -> Any:
    """Do the same in a project."""
    return whole(kind, project=True)


def stopped(kind: str) -> Any:
    """Cancel a training that runs, and let another one fail."""
    made = client(kind)
    definition = stored(made, "to be stopped")["metadata"]["guid"]
    failing = begun(made, definition, "train.py --fail")
    waiting = begun(made, definition, "train.py --wait")
    due = time.monotonic() + 60
    while "metrics" not in made.training.get_status(waiting) and time.monotonic() < due:
        time.sleep(0.1)
    cancelled = made.training.cancel(waiting)
    return {
        "cancelled": cancelled,
        "stopped": ended(made, waiting),
        "failed": ended(made, failing),
    }


def files(kind: str) -> Any:
    """Read what a training has left on the volume."""
    made = client(kind)
    training = begun(made, stored(made, "files")["metadata"]["guid"], "train.py")
    ended(made, training)
    helpers = import_module("ibm_watsonx_ai.helpers")
    location = made.training.get_details(training)["entity"]["results_reference"]["location"]

    def of(path: str) -> Any:
        found = helpers.DataConnection(location=helpers.FSLocation(path=path))
        found.set_client(made)
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
    made = client(kind)
    training = begun(made, stored(made, "with a model")["metadata"]["guid"], "train.py")
    ended(made, training)
    names = made.repository.ModelMetaNames
    base = made.software_specifications.get_id_by_name("runtime-24.1-py3.11")
    about = {names.NAME: "of a training", names.TYPE: "tensorflow_2.14"}
    details = made.repository.store_model(training, {**about, names.SOFTWARE_SPEC_ID: base})
    return {"model": details, "models": made.repository.list_models().to_dict("records")}


def refused(kind: str) -> Any:
    """Sign in with another key, name a definition that is not there, and ask for another space."""
    try:
        client(kind, key="another")
    except Exception as error:  # noqa: BLE001 - each package has its own
        signing_in = str(error)
    else:
        signing_in = ""
    made = client(kind)
    try:
        begun(made, "gone", "train.py")
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
