"""An emulator in this process, and what asks it as a client would."""

from __future__ import annotations

import io
import itertools
import json
import tarfile
import textwrap
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from werkzeug.test import Client

from cloudtune.emulation.faults import FaultPlan, SupportedFaults, read_plan
from cloudtune.emulator_kit.delays import Delays
from cloudtune_watson.emulator.app import WatsonApp
from cloudtune_watson.emulator.operations import EFFECTS, OPERATIONS

KEY = "the-key"
SPACE = "space-1"
VERSION = "2024-01-01"
WMLA = "/platform/rest/deeplearning/v1"
LOGS = """
    import json, os, sys
    def log(step, **values):
        os.makedirs(os.environ["LOG_DIR"] + "/" + os.environ.get("SUBID", ""), exist_ok=True)
        path = os.path.join(os.environ["LOG_DIR"], os.environ.get("SUBID", ""))
        with open(path + "/evaluation-metrics.txt", "a") as file:
            file.write(json.dumps({
                "meta": {"training_id": "", "time": 1700000000000 + step, "rindex": 1, "subid": ""},
                "grouplabel": "test",
                "etimes": {"iteration": {"type": 2, "value": str(step)}},
                "values": {n: {"type": 3, "value": str(v)} for n, v in values.items()},
            }) + "\\n")
    def listed(entries, as_text=False):
        with open(os.environ["RESULT_DIR"] + "/val_dict_list.json", "w") as file:
            json.dump(str(entries) if as_text else entries, file)
"""
"""What IBM's emetrics.py does, at the top of a script that knows nothing of cloudtune."""
QUADRATIC = """
    config = json.load(open("config.json"))
    print(json.dumps(config))
    loss = (float(config["x"]) - 1) ** 2
    listed([{"steps": 1, "loss": loss + 1, "acc": 1}, {"steps": 2, "loss": loss, "acc": 3},
            {"steps": 3, "loss": loss + 2, "acc": 2}], as_text=True)
"""


def script(code: str) -> str:
    return textwrap.dedent(LOGS) + textwrap.dedent(code)


def zipped(files: Mapping[str, str]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return packed.getvalue()


def tarred(files: Mapping[str, str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return packed.getvalue()


class Cluster:
    """One emulator, and what a client asks of it."""

    key, space, version, wmla = KEY, SPACE, VERSION, WMLA

    def __init__(self, folder: Path, faults: FaultPlan | None = None, speed: float = 6000) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.watson = WatsonApp(folder, Delays(speed), faults or FaultPlan(), "https://here", KEY)
        self.client = Client(self.watson)
        self._names = itertools.count(1)

    def ask(self, method: str, path: str, query: Any = (), **more: Any) -> tuple[int, Any]:
        """Return the status and the document of an answer; its bytes if it is no document."""
        if path.startswith("/ml/v4") and query == ():
            query = {"version": VERSION, "space_id": SPACE}
        elif path.startswith("/v2/asset") and query == ():
            query = {"space_id": SPACE}
        address = f"{path}?{urlencode(query, doseq=True)}" if query else path
        answer = self.client.open(address, method=method, **more)
        body = answer.get_data()
        is_json = answer.content_type == "application/json" and body
        return answer.status_code, json.loads(body) if is_json else body

    def definition(self, code: str, **files: str) -> str:
        """Store a model definition as IBM's clients do; return its id."""
        metadata = {"name": f"code-{next(self._names)}", "asset_type": "wml_model_definition"}
        entity = {"wml_model_definition": {"command": "train.py"}}
        status, asset = self.ask(
            "POST", "/v2/assets", json={"metadata": metadata, "entity": entity}
        )
        assert status == 201, asset
        found: str = asset["metadata"]["asset_id"]
        kind = {"asset_type": "wml_model_definition"}
        status, attachment = self.ask("POST", f"/v2/assets/{found}/attachments", json=kind)
        assert status == 201, attachment
        content = zipped({"train.py": script(code), **files})
        put = {"file": (io.BytesIO(content), "/tmp/code.zip")}
        address = attachment["url1"]
        assert self.client.put(address, data=put).status_code == 201
        complete = f"/v2/assets/{found}/attachments/{attachment['attachment_id']}/complete"
        assert self.ask("POST", complete)[0] == 200
        return found

    def training(self, definition: str, **changes: Any) -> dict[str, Any]:
        """Return the request of a training; values of None leave fields out."""
        whole: dict[str, Any] = {
            "name": f"training-{next(self._names)}",
            "space_id": SPACE,
            "training_data_references": [],
            "results_reference": {
                "type": "fs",
                "connection": {},
                "location": {"path": f"spaces/{SPACE}/assets/results"},
            },
            "model_definition": {
                "id": definition,
                "hardware_spec": {"name": "M", "nodes": 1},
                "software_spec": {"name": "runtime-24.1-py3.11"},
                **changes.pop("model_definition", {}),
            },
        }
        return {name: value for name, value in (whole | changes).items() if value is not None}

    def create(self, request: Mapping[str, Any]) -> str:
        """Create a training; return its id."""
        status, body = self.ask("POST", "/ml/v4/trainings", {"version": VERSION}, json=request)
        assert status == 201, body
        found: str = body["metadata"]["id"]
        return found

    def get(self, training: str) -> Any:
        status, body = self.ask("GET", f"/ml/v4/trainings/{training}")
        assert status == 200, body
        return body

    def ended(self, training: str) -> Any:
        """Return the entity of a training once it has ended."""
        over = {"completed", "failed", "canceled"}
        body = self.until(
            lambda: self.get(training), lambda body: body["entity"]["status"]["state"] in over
        )
        return body["entity"]

    def run(self, code: str, **changes: Any) -> Any:
        """Run a script as a training; return its entity."""
        return self.ended(self.create(self.training(self.definition(code), **changes)))

    def log(self, entity: Mapping[str, Any]) -> str:
        """Return what a training printed."""
        path = entity["results_reference"]["location"]["training_log"]
        status, text = self.ask("GET", f"/v2/asset_files/{path.partition('/assets/')[2]}")
        assert status == 200, text
        printed: str = text.decode()
        return printed

    @staticmethod
    def search(*params: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
        """Return the data of a search; those of ``algoDef`` may be changed by their names."""
        about = {
            "algorithm": "Random",
            "maxJobNum": 3,
            "maxParalleJobNum": 3,
            "objectiveMetric": "loss",
            "objective": "minimize",
        }
        whole: dict[str, Any] = {
            "modelSpec": {"args": "--exec-start PyTorch --model-main main.py"},
            "hyperParams": list(params or [X]),
        }
        top = {"hpoName", "modelSpec", "hyperParams", "experiments"}
        whole |= {name: value for name, value in changes.items() if name in top}
        whole["algoDef"] = about | {n: v for n, v in changes.items() if n not in top}
        return {name: value for name, value in whole.items() if value is not None}

    def submit(
        self, data: Mapping[str, Any], code: str = QUADRATIC, **files: str
    ) -> tuple[int, Any]:
        """Submit a search whose archive is a folder under its own name."""
        content = tarred({"model/main.py": script(code), **files})
        form = {"file": (io.BytesIO(content), "m.modelDir.tar"), "data": json.dumps(data)}
        return self.ask("POST", f"{WMLA}/hypersearch", data=form)

    def start(self, data: Mapping[str, Any], code: str = QUADRATIC) -> str:
        status, body = self.submit(data, code)
        assert status == 201, body
        found: str = body["uid"]
        return found

    def get_search(self, name: str) -> Any:
        status, body = self.ask("GET", f"{WMLA}/hypersearch/{name}")
        assert status == 200, body
        return body

    def searched(self, data: Mapping[str, Any], code: str = QUADRATIC) -> Any:
        """Run a search to its end; return its description then."""
        name = self.start(data, code)
        over = {"FINISHED", "FAILED", "STOPPED"}
        return self.until(lambda: self.get_search(name), lambda body: body["state"] in over)

    def printed(self, experiment: Mapping[str, Any]) -> str:
        status, text = self.ask("GET", f"{WMLA}/execs/{experiment['appId']}/log")
        assert status == 200, text
        printed: str = text.decode()
        return printed

    @staticmethod
    def values(body: Mapping[str, Any], name: str = "x") -> Sequence[str]:
        """Return the values of a parameter over all experiments, as the service returns them."""
        return [
            each["fixedVal"]
            for experiment in body["experiments"]
            for each in experiment["hyperParams"]
            if each["name"] == name
        ]

    @staticmethod
    def until(look: Callable[[], Any], good: Callable[[Any], bool]) -> Any:
        due = time.monotonic() + 200
        while not good(found := look()):
            assert time.monotonic() < due, found
            time.sleep(0.03)
        return found


X = {"name": "x", "type": "Range", "dataType": "DOUBLE", "minDbVal": 0.5, "maxDbVal": 2}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """An emulator that the tests of a file share."""
    created = Cluster(tmp_path_factory.mktemp("cluster") / "state")
    yield created
    created.watson.close()


@pytest.fixture
def start_cluster(tmp_path: Path) -> Iterator[Callable[..., Cluster]]:
    """Starts an emulator of the test's own, with a fault plan if it gives one."""
    with ExitStack() as stack:
        numbers = itertools.count(1)

        def start(faults: str = "", speed: float = 6000) -> Cluster:
            plan = tmp_path / "faults.yaml"
            plan.write_text(textwrap.dedent(faults))
            created = Cluster(
                tmp_path / f"cluster{next(numbers)}",
                read_plan(plan, SupportedFaults(OPERATIONS, extra=EFFECTS)) if faults else None,
                speed,
            )
            stack.callback(created.watson.close)
            return created

        yield start
