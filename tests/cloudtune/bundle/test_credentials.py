"""Which files look like credentials, and what a plan does with them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from cloudtune.bundle.credentials import has_credential_content, has_credential_name
from cloudtune.bundle.files import find_credentials, list_files
from cloudtune.planning.planner import plan
from cloudtune.planning.serialization import restore_plan
from cloudtune.study.study import Study
from tests.providers import TUNERS

CREDENTIALS = """
    .env .env.production sub/.ENV .envrc .aws/credentials home/.aws/config .ssh/id_rsa
    .ssh/mine id_ed25519 .netrc .pypirc .config/gcloud/credentials.db .docker/config.json
    .kube/config kaggle.json apikey.json keys/service-account-prod.json service_account.json
    client_secret_1.json application_default_credentials.json rootkey.csv me_accessKeys.csv
    store.p12 .azure/accessTokens.json terraform.tfstate .streamlit/secrets.toml
    .cache/huggingface/token
"""
OTHERS = """
    train.py environment.yml env.py .env.example .env.sample envs/a.py .environment
    .ssh/known_hosts .ssh/id_rsa.pub .aws/task-definition.json
    .docker/Dockerfile rsa.py credentials.py tokens.txt tokenizer.json token.json
    data/id_rsa_images/1.png aws/credentials config/gcloud/x keys.csv .env.d/readme
"""
KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow+/IBAA=\nKCAQEA\n-----END RSA PRIVATE KEY-----\n"
ACCOUNT = json.dumps({"type": "service_account", "private_key": KEY}, indent=2)


@pytest.mark.parametrize("name", CREDENTIALS.split())
def test_names_of_credentials(name: str) -> None:
    assert has_credential_name(name)


@pytest.mark.parametrize("name", OTHERS.split())
def test_names_that_are_no_credentials(name: str) -> None:
    assert not has_credential_name(name)


@pytest.mark.parametrize(
    ("name", "content", "certain"),
    [
        ("prod.json", ACCOUNT, True),
        ("prod.json", '{"type": "service_account"}', False),
        ("prod.json", '{"type": "user", "private_key": "x"}', False),
        ("server.pem", "Bag Attributes\n  friendlyName: x\n" + KEY, True),
        ("ca.pem", KEY.replace("RSA PRIVATE KEY", "CERTIFICATE"), False),
        ("deploy", "\n" + KEY, True),
        ("deploy", KEY.replace("RSA ", "OPENSSH "), True),
        ("test_keys.py", f'KEY = """{KEY}"""', False),
        ("readme.md", "Write `-----BEGIN PRIVATE KEY-----` at the top", False),
        ("huge.pem", KEY + "x" * 70_000, False),
        ("empty", "", False),
    ],
)
def test_content_that_is_certain(name: str, content: str, *, certain: bool) -> None:
    assert has_credential_content(name, content.encode()) is certain


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for name, text in {
        "train.py": "",
        ".env": "TOKEN=1",
        ".aws/credentials": "[default]",
        ".ssh/id_rsa": KEY,
        ".ssh/id_rsa.pub": "ssh-rsa",
        "gcp.json": ACCOUNT,
        "data.json": "{}",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


ALL = (".aws/credentials", ".env", ".ssh/id_rsa", "gcp.json")


def suspects(source: Path) -> tuple[str, ...]:
    return find_credentials(source, list_files(source))[1]


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        ("", ALL),
        (".env\n.aws\n", (".ssh/id_rsa", "gcp.json")),
        ("!.env\n!/gcp.json\n!.ssh/\n!.aws/credentials\n", ()),
        ("!.env*\n", (".aws/credentials", ".ssh/id_rsa", "gcp.json")),
        ("!*\n!**\n!/*\n", ALL),
        ("/*\n!/train.py\n!.env\n", ()),
        ("!.env\n.env\n", (".aws/credentials", ".ssh/id_rsa", "gcp.json")),
    ],
)
def test_what_the_ignore_file_names_is_wanted(
    source: Path, patterns: str, left: tuple[str, ...]
) -> None:
    (source / ".cloudtuneignore").write_text(patterns)
    assert suspects(source) == left


def test_a_folder_that_is_included_does_not_include_its_credentials(source: Path) -> None:
    (source / "src").mkdir()
    (source / "src" / ".env").touch()
    (source / ".cloudtuneignore").write_text("/*\n!/src\n")
    assert suspects(source) == ("src/.env",)


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_also_files_that_git_tracks(source: Path) -> None:
    env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull}
    (source / ".gitignore").write_text(".aws\ngcp.json\n")
    for words in (["init"], ["add", ".env"]):
        subprocess.run(["git", *words], cwd=source, env=env, check=True, capture_output=True)
    assert suspects(source) == (".env", ".ssh/id_rsa")


@pytest.mark.parametrize("on", TUNERS)
@pytest.mark.parametrize("emulated", [True, False])
def test_a_service_refuses_credentials(source: Path, on: str, *, emulated: bool) -> None:
    study = Study.model_validate({"trial": {"script": "train.py"}})
    planned = plan(study, on, base=source, emulated=emulated)
    (finding,) = [f for f in planned.refused if f.path == "trial.source"]
    assert finding.reason == (
        ".aws/credentials, .env, .ssh/id_rsa, gcp.json look like credentials, and would be sent: "
        "exclude them in .cloudtuneignore, or, if trials need them, list each there with `!`, "
        "as in `!.aws/credentials`"
    )
    restored = restore_plan(json.loads(json.dumps(planned.to_json())))
    assert finding in restored.refused
    (source / ".cloudtuneignore").write_text(".aws\n.env\n.ssh\n!gcp.json\n")
    planned = plan(study, on, base=source, emulated=emulated)
    assert not [f for f in planned.refused if f.path == "trial.source"]
    assert planned.facts.files == (".cloudtuneignore", "data.json", "gcp.json", "train.py")


def test_this_machine_only_notes_them(source: Path) -> None:
    study = Study.model_validate({"trial": {"script": "train.py"}})
    planned = plan(study, base=source)
    assert not [f for f in planned.refused if f.path == "trial.source"]
    assert "gcp.json look like credentials; no service" in str([str(n) for n in planned.notes])


@pytest.mark.parametrize("on", TUNERS)
def test_an_input_with_credentials_is_not_uploaded(source: Path, on: str) -> None:
    (source / ".cloudtuneignore").write_text("/*\n!/train.py\n")
    study = {"script": "train.py", "inputs": {"home": ".", "key": "gcp.json", "env": ".env"}}
    planned = plan(Study.model_validate({"trial": study}), on, base=source, emulated=True)
    (finding,) = [
        f for f in planned.refused if "credential" in f.reason and f.path != "trial.source"
    ]
    assert finding.path == "trial.inputs.home"
    assert "looks like a credential, and would be uploaded" in finding.reason
    assert finding in restore_plan(json.loads(json.dumps(planned.to_json()))).refused
    local = plan(Study.model_validate({"trial": study}), base=source)
    assert not [f for f in local.refused if f.path.startswith("trial.inputs")]
