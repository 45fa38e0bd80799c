"""Searches that IBM's notebooks ran on WML Accelerator.

Their requests are accepted, and the responses have the recorded form.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cloudtune.study.yaml_reader import is_list, is_map
from tests.cloudtune_watson.emulator.conftest import WMLA, script, tarred

if TYPE_CHECKING:
    from tests.cloudtune_watson.emulator.conftest import Cluster

RECORDED = sorted((Path(__file__).parent / "recorded").glob("*.json"))
CODE = """
    config = json.load(open("config.json"))
    listed([{"steps": 1, "loss": float(config["learning_rate"])}])
"""
FIXED = ("name", "dataType", "type", "userDefined", "id", "state", "progress", "complete", "failed")
"""Fields whose values are the same in each run of the same request."""


def form(value: Any) -> Any:
    """Return the fields and types of a response; values only of fields that are always the same."""
    if is_list(value):
        return [form(item) for item in value]
    if is_map(value):
        return {name: field if name in FIXED else form(field) for name, field in value.items()}
    return type(value).__name__


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
def test_a_recorded_search(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    recorded = json.loads(file.read_bytes())
    monkeypatch.setenv("CLOUDTUNE_WATSON_VERSION", recorded["version"])
    main = recorded["request"]["modelSpec"]["args"].partition("--model-main ")[2].split()[0]
    code = script(CODE)
    is_archive = recorded["file"].endswith(".modelDir.tar")
    content = tarred({f"tf-model/{main}": code}) if is_archive else code.encode()
    if "data_path=" in recorded["request"]["modelSpec"]["args"]:
        (cluster.folder / "volume" / "pytorch_mnist").mkdir()
    body = {
        recorded["field"]: (io.BytesIO(content), recorded["file"]),
        "data": json.dumps(recorded["request"]),
    }
    status, created = cluster.ask("POST", f"{WMLA}/hypersearch", data=body)
    assert status in {200, 201}, created
    assert form(created) == form(recorded["created"])
    name = created if isinstance(created, str) else created["uid"]
    response = cluster.until(
        lambda: cluster.get_search(name), lambda body: body["state"] == "FINISHED"
    )
    best = response.pop("best")
    assert best == min(response["experiments"], key=lambda each: each["metricVal"])
    del recorded["response"]["best"]
    assert form(response) == form(recorded["response"])
