"""The requests that studies become, compared with golden files.

A file in the folder ``golden`` of a provider holds a study and what becomes of it. To add one,
write its study alone; to renew all of them, run

    CLOUDTUNE_RENEW_GOLDEN=1 pytest tests/test_golden_requests.py

and read the difference.
"""

from __future__ import annotations

import json
import os
import re
import socket
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from cloudtune.provider.stored_plan import facts_to_json
from cloudtune.study.study import Study
from tests.providers import TUNERS

FILES = [
    (provider, file)
    for provider, folder in (
        ("azure", "golden/driven"),
        *((name, "golden") for name in sorted({*TUNERS, "ray"} - {"azure"})),
    )
    for file in sorted(Path(__file__).parent.glob(f"cloudtune_{provider}/{folder}/*.json"))
]
MODES = ("managed", "driven")
KINDS: dict[str, tuple[tuple[Any, ...], tuple[Any, ...]]] = {
    "managed": ((), ("managed",)),
    "driven": ((), ("driven",)),
    "wml": (("wml",), ()),
    "wmla": (("wmla",), ()),
    "ray": ((), ()),
}
"""Arguments of `study_of`, and of `plan_of` after the folder."""
SECRET = "s3cr3t-value"


@pytest.fixture(autouse=True)
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the studies name."""
    monkeypatch.delenv("RAY_API_SERVER_ADDRESS", raising=False)
    for name in ("AZURE_SUBSCRIPTION_ID", "AZURE_RESOURCE_GROUP", "AZURE_WORKSPACE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("WATSONX_APIKEY", "RAY_AUTH_TOKEN"):
        monkeypatch.setenv(name, SECRET)
    (tmp_path / "train.py").write_text("print('acc=1')\n", "utf-8")
    (tmp_path / "requirements.txt").touch()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.csv").write_text("1,2\n", "utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("provider", "file"), FILES, ids=[f"{provider}-{file.stem}" for provider, file in FILES]
)
def test_request_and_findings_match_the_golden_file(
    provider: str, file: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    golden = json.loads(file.read_text("utf-8"))
    for name, value in golden.get("environment", {}).items():
        monkeypatch.setenv(name, value)
    if provider == "ray":
        (base / "requirements.txt").write_text("six>=1  # old\n\n# none\n-r more.txt\n", "utf-8")
        (base / "data" / "rows.csv").unlink()
    support = import_module(f"tests.cloudtune_{provider}.support")
    study, emulated = Study.model_validate(golden["study"]), golden.get("emulated", False)
    more = {"parent_jobs": golden["parent_jobs"]} if "parent_jobs" in golden else {}

    def current(*mode: str) -> dict[str, Any]:
        plan = support.plan_of(study, base, *mode, emulated=emulated, **more)
        document = {"found": [str(item) for item in plan.found], "request": plan.request}
        text = json.dumps(document, ensure_ascii=False).replace(str(base), "BASE")
        parts: dict[str, Any] = json.loads(
            re.sub(r"/uploads/[0-9a-f]{32}/", "/uploads/HASH/", text)
        )
        return parts

    has_modes = provider in {"sagemaker", "vertex"}
    found = {mode: current(mode) for mode in MODES} if has_modes else current()
    if os.environ.get("CLOUDTUNE_RENEW_GOLDEN"):
        renewed = json.dumps({**golden, **found}, indent=1, ensure_ascii=False)
        file.write_text(f"{renewed}\n", "utf-8")
        pytest.skip("renewed")
    assert found == {key: golden[key] for key in found}
    for secret in (SECRET, *golden.get("environment", {}).values()):
        assert secret not in file.read_text("utf-8").replace(json.dumps(secret), "", 1)


@pytest.mark.parametrize(
    ("provider", "kind"),
    [
        *((provider, mode) for provider in ("azure", "sagemaker", "vertex") for mode in MODES),
        *(("watson", "wml"), ("watson", "wmla"), ("ray", "ray")),
    ],
)
def test_planning_is_offline_and_deterministic_and_a_plan_has_no_secrets(
    provider: str, kind: str, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object, **_more: object) -> None:
        raise AssertionError("planning opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("TOKEN", SECRET)
    support = import_module(f"tests.cloudtune_{provider}.support")
    of_study, of_plan = KINDS[kind]
    env = {} if kind == "wmla" else {"env": {"HF_TOKEN": {"from_env": "TOKEN"}}}
    over = {"trial": {"script": "train.py", **env}}
    first, second = (
        support.plan_of(support.study_of(*of_study, over), base, *of_plan) for _ in range(2)
    )
    assert first.request == second.request
    assert first.facts.data == json.loads(json.dumps(first.facts.data))
    everything = json.dumps(
        [first.request, facts_to_json(first.facts), [str(each) for each in first.found]]
    )
    assert SECRET not in everything
    assert ("${TOKEN}" in everything) == (provider != "watson")
