"""Runs whose calls would reach an emulator, because the environment or the settings lead there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudtune.emulation.environment import folder_variable, running_emulator
from cloudtune.errors import ProviderError, UsageError
from cloudtune.planning.planner import plan
from cloudtune.planning.serialization import restore_plan
from cloudtune.provider import registry
from cloudtune.provider.models import JobContext
from cloudtune.provider.plan import Plan
from cloudtune.runs import lifecycle
from cloudtune.runs.remote import list_uploads, remove_run_uploads
from cloudtune.study.study import Study
from tests.providers import DRIVEN_SETTINGS, TUNERS


@pytest.fixture(autouse=True)
def _isolate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("AWS_", "CLOUDTUNE_EMULATOR_")):
            monkeypatch.delenv(name)
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "train.py").write_text(
        "from cloudtune.trial import report\nreport(accuracy=1.0)\nprint('measured')\n"
    )


def planned(on: str, **settings: object) -> Plan:
    study = {
        "objective": {"metric": "accuracy", "goal": "maximize"},
        "parameters": {"x": {"type": "float", "min": 0, "max": 1}},
        "limits": {"max_trials": 1, "trial_timeout": "1m"},
        "trial": {"script": "train.py", "source": "code"},
        "providers": {on: {**DRIVEN_SETTINGS[on], **settings}},
    }
    return plan(Study.model_validate(study), on)


@pytest.fixture
def served(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, str]]:
    """The variables of `cloudtune emulate` for one provider, which are set."""
    command = [sys.executable, "-m", "cloudtune", "emulate", request.param, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=tmp_path) as process:
        assert process.stdout is not None
        variables = json.loads(process.stdout.readline())
        variables.pop("url")
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        yield variables
        process.send_signal(signal.SIGINT)


@pytest.mark.slow
@pytest.mark.parametrize("served", TUNERS, indirect=True)
def test_a_plain_run_in_an_emulators_environment_is_emulated(
    served: dict[str, str], request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    on: str = request.node.callspec.params["served"]
    first = planned(on)
    assert first.facts.emulated
    assert first.estimate is None
    assert [note for note in first.notes if note.path == f"providers.{on}" and "emul" in note.text]
    new = lifecycle.create([first])
    # A process without the variables finds the emulator, too.
    for name in served:
        monkeypatch.delenv(name)
    lifecycle.execute(new.id)
    (result,) = lifecycle.results(new.id)
    assert (result.state, result.emulated, result.link) == ("completed", True, None), result.reason
    assert [trial.cost for trial in result.trials] == [None]
    folder = Path(served[folder_variable(on)])
    assert (folder / "address.json").exists()  # it serves others, too
    assert not list((folder.parents[1] / "runs").glob("*/*/emulator"))
    assert restore_plan(first.to_json()).facts == first.facts
    # Through the service's own calls, as at the service; Vertex AI's emulator has no logs, and the
    # metrics of Azure go to MLflow.
    (trial,) = result.trials
    context = JobContext(folder, running_emulator(folder))
    lines = registry.get(on).read_log(first, context, trial)
    assert (lines is None) == (on == "vertex")
    printed = "measured" if on == "azure" else "metric accuracy = 1.0"
    assert lines is None or any(printed in line for line in lines)
    assert bool(list_uploads(new.id, [new.id])) == (on != "azure")  # whose code stays there
    remove_run_uploads(new.id)
    assert not list_uploads(new.id, [new.id])


@pytest.mark.parametrize("on", TUNERS)
def test_an_emulator_that_has_ended_is_an_error(
    on: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(folder_variable(on), str(tmp_path / "ended"))
    with pytest.raises(UsageError, match=f"unset {folder_variable(on)}"):
        planned(on)


@pytest.mark.parametrize(
    ("variables", "emulator"),
    [
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}, "http://127.0.0.1:4566"),
        ({"AWS_ENDPOINT_URL": "http://localhost:5000"}, "http://localhost:5000"),
        ({"AWS_ENDPOINT_URL": "https://sagemaker.us-east-1.vpce.amazonaws.com"}, None),
        ({}, None),
        (
            {
                "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
                "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
            },
            None,
        ),
        (
            {
                "AWS_ENDPOINT_URL_SAGEMAKER": "http://127.0.0.1:1",
                "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1",
            },
            "http://127.0.0.1:1",
        ),
    ],
)
def test_endpoint_variables_of_aws(
    variables: dict[str, str], emulator: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    facts = planned("sagemaker").facts
    assert (facts.emulated, facts.emulator) == (emulator is not None, emulator)


def test_half_of_aws_on_this_machine_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9000")
    with pytest.raises(UsageError, match="boto3 would reach S3 at"):
        planned("sagemaker")


def test_the_endpoint_of_a_profile_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config"
    config.write_text("[profile test]\nendpoint_url = http://127.0.0.1:4566\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    assert planned("sagemaker", profile="test").facts.emulator == "http://127.0.0.1:4566"
    assert planned("sagemaker").facts.emulator is None


def test_the_address_of_an_emulator_in_the_settings_counts() -> None:
    assert planned("watson", url="https://127.0.0.1:9000").facts.emulated
    assert not planned("watson", url="https://cpd.example.com").facts.emulated


def test_an_emulator_that_can_no_longer_be_reached_fails_the_job(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    new = lifecycle.create([planned("sagemaker")])
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    outcome = lifecycle.execute(new.id)["sagemaker"]
    assert outcome.state == "failed"
    assert "set the variables that lead to it" in outcome.reason
    assert ProviderError.__name__ not in outcome.reason
