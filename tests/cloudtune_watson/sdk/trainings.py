"""Uses `cloudtune_watson.wml.client` with whichever of IBM's packages this Python has.

That Python need not have what cloudtune itself needs: the provider's package is not imported, only
what reaches IBM. The function that is named is called, and what it returns is written as JSON.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import warnings
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

package = ModuleType("cloudtune_watson")
package.__path__ = [os.environ["TEST_PROVIDER"]]
sys.modules["cloudtune_watson"] = package

from cloudtune_watson.errors import WatsonError  # noqa: E402
from cloudtune_watson.http import Connection, HttpClient  # noqa: E402
from cloudtune_watson.wml.client import WmlClient  # noqa: E402

URL, KEY, RUN = (os.environ[f"TEST_{name}"] for name in ("URL", "KEY", "RUN"))
CERTIFICATE = Path(os.environ["TEST_CERTIFICATE"])
SPACE = "00000000-0000-4000-8000-000000000001"
OWN = {"version": "5.0", "space_id": SPACE, "software_spec": "tensorflow_rt24.1-py3.11"}
SCRIPT = """
import os, sys, time
print(sys.argv[1:])
with open(os.path.join(os.environ["RESULT_DIR"], "val_dict_list.json"), "w") as file:
    file.write('[{"steps": 1, "accuracy": 0.5}]')
time.sleep(float(sys.argv[1]))
"""


def trainings(
    *, key: str = KEY, certificate: Path | None = CERTIFICATE, **own: Any
) -> tuple[WmlClient, HttpClient]:
    way = HttpClient(Connection(URL, "me", key, certificate, emulated=True))
    return WmlClient(way, {**OWN, **own}), way


def request(name: str, definition: str, seconds: str) -> dict[str, Any]:
    path = f"spaces/{SPACE}/assets/there/{name}"
    return {
        "name": name,
        "description": "one",
        "tags": [f"run:{RUN}", f"job:{RUN}-{name}"],
        "training_data_references": [],
        "results_reference": {"type": "fs", "connection": {}, "location": {"path": path}},
        "model_definition": {
            "id": definition,
            "command": f"main.py {seconds} 'a b'",
            "hardware_spec": {"name": "M", "nodes": 1},
            "software_spec": {"name": OWN["software_spec"]},
        },
    }


def used() -> dict[str, Any]:
    ibm, _ = trainings()
    code, found = Path("code.zip"), Path("found.zip")
    with zipfile.ZipFile(code, "w") as packed:
        packed.writestr("main.py", SCRIPT)
    before = ibm.definitions(RUN)
    definition = ibm.store(RUN, code)
    ibm.download(definition, found)
    short = ibm.create(request("short", definition, "0"))
    long = ibm.create(request("long", definition, "60"))
    while (told := ibm.get(short))["entity"]["status"]["state"] not in ("completed", "failed"):
        time.sleep(0.1)
    ibm.cancel(long)
    while ibm.get(long)["entity"]["status"]["state"] == "running":
        time.sleep(0.1)
    path = f"spaces/{SPACE}/assets/there/short/{short}/val_dict_list.json"
    return {
        "definitions": [before, ibm.definitions(RUN) == [definition]],
        "whole": code.read_bytes() == found.read_bytes(),
        "state": told["entity"]["status"]["state"],
        "stopped": ibm.get(long)["entity"]["status"]["state"],
        "ended": refused(lambda: ibm.cancel(short)),
        "tagged": [
            sorted(each["metadata"]["id"] for each in ibm.list_by_tag(tag)) == sorted(wanted)
            for tag, wanted in (
                (f"run:{RUN}", [short, long]),
                (f"job:{RUN}-long", [long]),
                ("x", []),
            )
        ],
        "read": (ibm.read(path) or b"").decode(),
        "absent": ibm.read(path + "x"),
        "unknown": refused(lambda: ibm.get("00000000-0000-4000-8000-00000000000f")),
        "dropped": refused(lambda: ibm.create({**request("a", "b", "0"), "custom": {}})),
    }


def expired() -> dict[str, Any]:
    """Let the cluster forget a sign-in: it is made anew, and the call with it."""
    ibm, way = trainings()
    ibm.list_by_tag("a")
    send = way.send
    sent: list[str] = []

    def forgetful(method: str, url: str, **more: Any) -> Any:
        sent.append(f"{method} {url.removeprefix(URL)}")
        if len(sent) == 1:
            raise WatsonError("expired", code=401, affects_all_calls=True)
        return send(method, url, **more)

    way.send = forgetful  # type: ignore[method-assign]
    found = ibm.list_by_tag("a")
    return {"found": found, "signed_in": [s for s in sent if "authorize" in s]}


def refusals() -> dict[str, Any]:
    return {
        "untrusted": refused(lambda: trainings(certificate=None)[0].list_by_tag("a")),
        "foreign": refused(
            lambda: trainings(certificate=Path(os.environ["TEST_FOREIGN"]))[0].list_by_tag("a")
        ),
        "trusted": refused(lambda: trainings()[0].list_by_tag("a")),
        "key": refused(lambda: trainings(key="another")[0].list_by_tag("a")),
    }


def refused(call: Any) -> dict[str, Any] | None:
    try:
        call()
    except WatsonError as error:
        return {"said": str(error), "code": error.code, "retryable": error.retryable}
    return None


if __name__ == "__main__":
    logging.basicConfig(stream=sys.stderr)
    warnings.simplefilter("always")
    warnings.filterwarnings("ignore", "invalid escape sequence")  # in IBM's own code
    Path("told.json").write_text(json.dumps(globals()[sys.argv[1]]()), "utf-8")
