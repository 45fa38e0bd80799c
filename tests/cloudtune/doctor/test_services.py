"""A script under the contract of each service, with the means by which that service reads it."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from cloudtune.diagnostics import Check
from cloudtune.doctor.diagnosis import diagnose
from tests.providers import DRIVEN_SETTINGS, TUNERS

HEAD = """
    import argparse, json, os, time
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float)
    lr = parser.parse_args().lr
"""
PRINTS = f"""{HEAD}
    for epoch in range(1, 4):
        print(f"epoch {{epoch}} loss: {{-lr / epoch:.3e}}")
"""
WRITES = {
    "vertex": f"""{HEAD}
    os.makedirs(os.path.dirname(os.environ["CLOUD_ML_HP_METRIC_FILE"]), exist_ok=True)
    with open(os.environ["CLOUD_ML_HP_METRIC_FILE"], "a") as file:
        for step in (1, 2):
            line = {{"trial": "0", "loss": str(lr / step), "global_step": step}}
            file.write(json.dumps({{"timestamp": time.time(), **line}}) + "\\n")
    """,
    "watson": f"""{HEAD}
    with open(os.path.join(os.environ["RESULT_DIR"], "val_dict_list.json"), "w") as file:
        json.dump([{{"steps": step, "loss": lr / step}} for step in (1, 2)], file)
    """,
}


def script_checks(
    folder: Path, service: str, script: str, strategy: Any = "random", **trial: Any
) -> list[Check]:
    (folder / "train.py").write_text(textwrap.dedent(script))
    study = {
        "objective": {"metric": "loss", "goal": "minimize"},
        "parameters": {"lr": {"type": "float", "min": 0.01, "max": 1}},
        "limits": {"max_trials": 9},
        "strategy": strategy,
        "trial": {"script": "train.py", **trial},
        "providers": {service: DRIVEN_SETTINGS[service]},
    }
    checks = diagnose(study, service, seconds=30, emulate=True).checks
    return [check for check in checks if check.area in {"study", "script"}]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    (tmp_path / "code").mkdir()
    monkeypatch.chdir(tmp_path / "code")


def found(checks: list[Check]) -> list[str]:
    return [f"{check.id}: {check}" for check in checks if check.severity != "ok"]


@pytest.mark.slow
@pytest.mark.parametrize("service", TUNERS)
def test_a_service_sees_what_is_printed(service: str) -> None:
    checks = script_checks(Path(), service, PRINTS, metrics={"loss": r"loss: (\S+)"})
    assert found(checks) == []
    (metric,) = [check for check in checks if check.id == "metric"]
    assert "loss -0.003333 and -0.3333" in metric.message


@pytest.mark.slow
@pytest.mark.parametrize("service", WRITES)
def test_a_service_sees_what_is_written(service: str) -> None:
    checks = script_checks(Path(), service, WRITES[service])
    assert found(checks) == []
    (metric,) = [check for check in checks if check.id == "metric"]
    assert "loss 0.005 and 0.5, 2 measurements each" in metric.message


@pytest.mark.slow
@pytest.mark.parametrize("service", TUNERS)
def test_a_service_does_not_see_the_metric(service: str) -> None:
    checks = script_checks(Path(), service, PRINTS, metrics={"loss": r"Loss: (\S+)"})
    (check,) = [check for check in checks if check.severity == "error"]
    assert (check.id, check.command) == ("metric-missing", r"metrics: {loss: '\bloss:\s*(\S+)'}")


@pytest.mark.slow
@pytest.mark.parametrize("service", TUNERS)
def test_a_service_gets_the_reason_of_a_failure(service: str) -> None:
    checks = script_checks(Path(), service, HEAD.replace("--lr", "--rate"))
    (check,) = [check for check in checks if check.severity == "error"]
    assert (check.id, check.path) == ("option-unknown", "parameters.lr")


RESUMES = """
    import argparse, json, os, time
    from cloudtune.trial import checkpoint_dir, report
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float)
    parser.add_argument("--epochs", type=int)
    options = parser.parse_args()
    file = os.path.join(checkpoint_dir(), "state.json")
    first = json.load(open(file)) + 1 if os.path.exists(file) else 1
    for epoch in range(first, options.epochs + 1):
        time.sleep(0.5)
        report(loss=options.lr / epoch, step=epoch)
        with open(file, "w") as state:
            json.dump(epoch, state)
"""
KEEPS_CHECKPOINTS = {"azure", "sagemaker", "vertex"}
HYPERBAND = {"name": "hyperband", "resource": "epochs", "min": 6, "max": 54}


@pytest.mark.slow
@pytest.mark.parametrize("service", TUNERS)
@pytest.mark.parametrize("saves", [True, False])
def test_a_service_keeps_the_checkpoint(service: str, *, saves: bool) -> None:
    script = RESUMES if saves else RESUMES.replace('file, "w"', 'os.devnull, "w"')
    checks = script_checks(Path(), service, script, strategy=HYPERBAND)
    ids = [check.id for check in checks if check.id.startswith("checkpoint")]
    kept = "checkpoint" if service in KEEPS_CHECKPOINTS else "checkpoint-unread"
    assert ids == [kept if saves else "checkpoint-missing"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("service", "severity", "name"),
    [("sagemaker", "unknown", "script-not-run"), ("vertex", "error", "file-missing")],
)
def test_a_folder_of_one_services_containers(service: str, severity: str, name: str) -> None:
    script = f"{HEAD}    open('/opt/ml/input/config/hyperparameters.json')\n"
    (check,) = [each for each in script_checks(Path(), service, script) if each.severity != "ok"]
    assert (check.severity, check.id, check.line) == (severity, name, 6)
    assert "/opt/ml" in check.message
    assert "cloudtune.trial" in check.fix


@pytest.mark.slow
def test_hypertune_that_is_not_installed() -> None:
    script = f"""{HEAD}
    try:
        import hypertune
    except ImportError:
        print("loss:", lr)
    """
    (check,) = [each for each in script_checks(Path(), "vertex", script) if each.severity != "ok"]
    assert check.id == "metric-missing"
    assert "list cloudml-hypertune in trial.requirements; or" in check.fix
