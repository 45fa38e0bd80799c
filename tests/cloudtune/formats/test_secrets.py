"""Passwords in addresses are not shown, and values with one are taken for secrets."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from cloudtune.cli import main
from cloudtune.cli.main_group import cloudtune
from cloudtune.formats.secrets import hide_credentials
from cloudtune.study.validation.trial_spec import looks_like_secret

PASSWORD = "hunter2"
ADDRESSES = [
    f"mysql://me:{PASSWORD}@127.0.0.1:1/db",
    f"postgresql+nothing://me:{PASSWORD}@127.0.0.1:1/db",
    f"redis://:{PASSWORD}@127.0.0.1:1",
    f"mysql://me:a/{PASSWORD}?#@127.0.0.1:1/db",
    f"mysql://me:a@{PASSWORD}@127.0.0.1:1/db",
    f"mysql://127.0.0.1:1/db?charset=utf8&password={PASSWORD}",
    f"postgresql://127.0.0.1:1/db?sslpassword={PASSWORD}",
    f"https://me:{PASSWORD}@127.0.0.1:1/mlflow",
    f"nothing://{PASSWORD}@127.0.0.1:1/db",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_passwords_are_removed(address: str) -> None:
    shown = hide_credentials(f"cannot open {address}: refused ({address})")
    assert PASSWORD not in shown
    assert shown.count("127.0.0.1:1") == 2
    assert shown.startswith("cannot open ")
    assert shown.count("refused") == 1


@pytest.mark.parametrize("address", ["s3://bucket/a@b", "https://host/x?y=1", "user@host: a"])
def test_other_addresses_stay(address: str) -> None:
    assert hide_credentials(address) == address


@pytest.mark.parametrize("address", [each for each in ADDRESSES if "https" not in each])
@pytest.mark.parametrize("command", ["attach", "attach-tool", "import", "export"])
def test_commands_do_not_print_passwords(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    command: str,
    address: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    words = {
        "attach": ["attach", address],
        "attach-tool": ["attach", f"optuna:{address}"],
        "import": ["import", address, "--from", "optuna"],
        "export": ["export", "--to", "optuna", address],
    }
    with pytest.raises(SystemExit):
        main(words[command])
    captured = capfd.readouterr()
    assert captured.err
    assert PASSWORD not in captured.out + captured.err


@pytest.mark.parametrize(
    ("value", "is_secret"),
    [
        ("postgres://me:hunter2@host/db", True),
        ("amqp://:hunter2@host", True),
        ("me:hunter2@db.example.com:5432/x", True),
        ("me:hunter2@localhost", True),
        ("me:hunter2@db:5432", True),
        ("me:hunter2@db/x", True),
        ("me:hunter2@10.0.0.1", True),
        ("a:b@c", False),
        ("model:v1@staging", False),
        ("azureml:sklearn@latest", False),
        ("azureml:name@v1.beta", False),
        ("npm:react@1.2.3", False),
        ("image:1@sha256:1bc", False),
        ("postgres://me:${PASSWORD}@host/db", False),
        ("postgres://me@host/db", False),
        ("https://host:80/a@b", False),
        ("git@github.com:a/b", False),
        ("registry/image:1@sha256:abc", False),
        ("image:1@sha256:abc", False),
        ("mailto:me@host", False),
        ("12:30", False),
    ],
)
def test_values_with_a_password_are_secrets(value: str, is_secret: bool) -> None:
    assert looks_like_secret("DATABASE", value) is is_secret


def test_an_imported_variable_with_a_password_is_left_out(tmp_path: Path) -> None:
    source = tmp_path / "sweep.yaml"
    source.write_text(
        "program: train.py\nmethod: random\nmetric: {name: loss, goal: minimize}\n"
        "parameters: {lr: {min: 0.1, max: 0.5}}\n"
        "command: ['${env}', DB=postgres://me:hunter2@host/db, python, '${program}']\n"
    )
    done = CliRunner().invoke(cloudtune, ["import", str(source)])
    assert "hunter2" not in done.output + str(done.exception or "")
