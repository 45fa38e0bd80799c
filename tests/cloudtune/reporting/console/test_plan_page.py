"""The page of a plan, and plans next to each other.

CLOUDTUNE_RENEW_GOLDEN=1 pytest tests/cloudtune/reporting/console/test_plan_page.py writes the
golden pages again.
"""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cloudtune.cli.templates import template_names, write_template
from cloudtune.ledger.ledger import Ledger
from cloudtune.planning import planner
from cloudtune.planning.forecast import forecast
from cloudtune.provider.plan import Plan
from cloudtune.reporting.console.plan_page import compare_plans, format_plan, plan_details
from cloudtune.reporting.console.tables import render_table
from cloudtune.results.events import Ended, Running, Started, Waiting
from cloudtune.runs.lifecycle import create
from cloudtune.study.loader import load

GOLDEN = Path(__file__).parent / "golden"
PROVIDERS = ("local", "sagemaker", "vertex", "watson")
RENEW = bool(os.environ.get("CLOUDTUNE_RENEW_GOLDEN"))
RUN = "3f6k2m9qxt"
STUDY = """\
objective: {metric: loss, goal: minimize}
parameters: {x: {type: float, min: 0, max: 1}}
strategy: {name: random, seed: 1}
limits: {max_trials: 20, parallel_trials: 4}
trial: {script: train.py}
providers:
  sagemaker:
    region: eu-west-1
    role_arn: arn:aws:iam::123456789012:role/trainer
    image: 123456789012.dkr.ecr.eu-west-1.amazonaws.com/trainer:1
    instance_type: ml.m5.xlarge
    prices: {hour: 0.36 USD}
"""


@pytest.fixture(autouse=True)
def _no_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith(("AWS_", "GOOGLE_", "CLOUD", "WATSON", "IBM")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("emulated", [False, True])
@pytest.mark.parametrize("template", template_names())
def test_the_pages_of_each_template_match_the_golden_file(
    template: str, *, emulated: bool, tmp_path: Path
) -> None:
    write_template(template, tmp_path / "study")
    study = load(Path("study/study.yaml"))
    plans = [
        planner.plan(study, on, run_id=RUN, seed=5, emulated=emulated and on != "local")
        for on in PROVIDERS
    ]
    lines = render_table(compare_plans(plans), 120)
    for plan in plans:
        lines += ["", *format_plan(plan, brief=False)]
    page = "\n".join(lines) + "\n"
    page = page.replace(sys.executable, "PYTHON").replace(str(tmp_path), "FOLDER")
    page = re.sub(r"uploads/[0-9a-f]{32}", "uploads/HASH", page)
    page = re.sub(r"\d+ files?, \d+ kB", "FILES", page)
    file = GOLDEN / f"{template}{'-emulated' * emulated}.txt"
    if RENEW:
        file.parent.mkdir(exist_ok=True)
        file.write_text(page, "utf-8")
        pytest.skip("renewed")
    assert page == file.read_text("utf-8")


def plan_of(on: str = "local", text: str = STUDY, *, emulated: bool = False) -> Plan:
    Path("train.py").touch()
    Path("study.yaml").write_text(text, "utf-8")
    return planner.plan(load(Path("study.yaml")), on, seed=5, emulated=emulated)


def record_trials(plan: Plan, *seconds: float, state: Any = "completed") -> str:
    """Write a run with trials that took some time, and return its id."""
    run = create([plan]).id
    with Ledger() as ledger:
        for number, each in enumerate(seconds, 1):
            started = Started(number, 1000.0, {"x": 0.5})
            ledger.append(run, plan.provider, started, Ended(number, 1000.0 + each, state))
    return run


def row(plan: Plan, label: str) -> str:
    """Return the text of a row of the plan's page."""
    (line,) = (line for line in format_plan(plan, brief=False) if line.split()[0] == label)
    return line.split(maxsplit=1)[1]


def test_without_earlier_trials_the_time_is_unknown() -> None:
    assert row(plan_of(), "time") == "unknown, since no trial of this study has completed here"
    limited = plan_of(text=STUDY.replace("max_trials: 20", "max_trials: 18, trial_timeout: 2m"))
    assert row(limited, "time").endswith("at most 10 min 00 s by its time limits")
    assert row(limited, "limits") == "trial_timeout 2m"


def test_earlier_trials_of_the_study_tell_time_and_cost() -> None:
    run = record_trials(plan_of(), 10, 20, 30, 40)
    assert row(plan_of(), "time") == (
        f"about 100 s to 2 min 30 s: half of the 4 trials of run {run} on local took 20 to 30 s"
    )
    cloud = plan_of("sagemaker")
    assert "on local took" in row(cloud, "time")
    assert "other machines differ; each trial also waits for its machine" in row(cloud, "time")
    assert row(cloud, "cost").startswith("about 0.04 to 0.06 USD for that time; 0 to about 173")
    assert forecast(cloud).cost == pytest.approx((20 * 20 * 1e-4, 20 * 30 * 1e-4))


def test_the_waits_of_the_same_service_count_as_time_and_not_as_cost() -> None:
    cloud = plan_of("sagemaker")
    run = create([cloud]).id
    with Ledger() as ledger:
        for number, waited in enumerate((100, 200, 300, 400), 1):
            ran = 1000.0 + waited
            ledger.append(
                *(run, "sagemaker", Started(number, 1000.0, {"x": 0.5})),
                *(Waiting(number, 1000.0, "Pending"), Running(number, ran)),
                Ended(number, ran + 20, "completed"),
            )
    time = row(cloud, "time")
    assert time.startswith("about 18 min 20 s to 26 min 40 s, ")  # 5 rounds of 4 trials
    assert time.endswith(
        f"run {run} on sagemaker took 20 s, and waited 3 min 20 s to 5 min 00 s for machines"
    )
    assert row(cloud, "cost").startswith("about 0.04 USD for that time")
    assert "each trial also waits" in row(plan_of("vertex"), "time")


def test_few_long_trials_count_for_the_time() -> None:
    record_trials(plan_of(), *[10] * 7, 200)
    assert row(plan_of(), "time").startswith("about 50 s to 2 min 49 s: half of the 8 trials")


def test_trials_with_another_most_of_the_resource_tell_no_time() -> None:
    record_trials(plan_of(text=HYPERBAND), 10)
    assert row(plan_of(text=HYPERBAND), "time").startswith("about 50 s")
    assert row(plan_of(text=HYPERBAND.replace("max: 9", "max: 81")), "time").startswith("unknown")


def test_trials_that_hyperband_never_promoted_count_for_the_time() -> None:
    plan = plan_of()
    run = create([plan]).id
    with Ledger() as ledger:
        for number in range(1, 9):
            ended = Ended(number, 1010.0, "pending")
            ledger.append(run, "local", Started(number, 1000.0, {"x": 0.5}, resource=1), ended)
        for number in (1, 2, 3):
            again = Started(number, 2000.0, {"x": 0.5}, resource=9)
            ledger.append(run, "local", again, Ended(number, 2090.0, "completed"))
        for number in range(4, 9):
            ledger.append(run, "local", Ended(number, 2100.0, "stopped_early"))
    time = "about 50 s to 8 min 20 s: half of the 8 trials"
    assert row(plan_of(), "time").startswith(time)


@pytest.mark.parametrize(
    ("limits", "time", "cost"),
    [
        ("timeout: 10s", "about 10 s, at most 10 s", "about 0.0111 USD"),  # four trials at a time
        ("max_cost: 0.01 USD", "about 9.0 s:", "about 0.01 USD"),
        ("timeout: 1h, max_cost: 9 USD", "about 100 s to 2 min 30 s, at", "about 0.111 to 0.167 U"),
    ],
)
def test_a_limit_that_ends_a_job_ends_its_time_and_its_cost(
    limits: str, time: str, cost: str
) -> None:
    record_trials(plan_of(), 20, 20, 30, 30)
    text = STUDY.replace("max_trials: 20", f"max_trials: 20, {limits}")
    plan = plan_of(text=f"{text}  local: {{prices: {{hour: 1 USD}}}}\n")
    assert row(plan, "time").startswith(time)
    assert row(plan, "cost").startswith(cost)


def test_short_trials_cost_at_least_what_the_service_bills() -> None:
    record_trials(plan_of(), 20, 20, 90, 90)
    settings = {"backend": "jobs", "hardware_spec": "XS"}
    watson = plan_of("watson", STUDY + f"  watson: {json.dumps(settings)}\n")
    assert forecast(watson).cost == pytest.approx((20 * 60 * 0.5 / 3600, 20 * 90 * 0.5 / 3600))


def test_trials_on_the_same_provider_count_before_others() -> None:
    emulated = record_trials(plan_of("sagemaker", emulated=True), 5)
    record_trials(plan_of(), 50)
    basis = forecast(plan_of("sagemaker", emulated=True)).basis
    assert basis
    assert (basis.run, basis.low, basis.high) == (emulated, 5, 5)


@pytest.mark.parametrize(
    "other",
    [
        STUDY.replace("max: 1}", "max: 2}"),
        STUDY.replace("script: train.py", "script: other.py"),
        STUDY.replace("loss", "error"),
    ],
)
def test_trials_of_another_study_tell_nothing(other: str) -> None:
    Path("other.py").touch()
    record_trials(plan_of(text=other), 10)
    assert forecast(plan_of()).basis is None


def test_failed_trials_tell_nothing() -> None:
    record_trials(plan_of(), 10, state="failed")
    assert forecast(plan_of()).basis is None


def test_a_job_without_an_end_has_no_total() -> None:
    endless = STUDY.replace("max_trials: 20, ", "timeout: 1h, ")
    record_trials(plan_of(text=endless), 10)
    known = forecast(plan_of(text=endless))
    assert (known.trials, known.seconds, known.most) == (None, None, 3600)
    assert "at most 1 h 00 min" in row(plan_of(text=endless), "time")


def test_the_verdict_is_first() -> None:
    assert format_plan(plan_of(), brief=False)[0] == "local: can run"
    changed = plan_of("sagemaker", STUDY + "early_stopping: {rule: median, min_step: 3}\n")
    assert format_plan(changed, brief=False)[0] == "sagemaker: can run with 1 change"
    refused = plan_of("vertex")
    assert format_plan(refused, brief=False)[0].startswith(
        "vertex: cannot run this study: 5 refuse"
    )
    broken = replace(plan_of(), broken="mistake")
    assert format_plan(broken, brief=False) == ["local: cannot be planned: mistake"]


def test_the_request_is_shown_on_demand() -> None:
    plan = plan_of("sagemaker")
    assert "HyperParameterTuningJobName" not in "\n".join(format_plan(plan, brief=False))
    page = "\n".join(format_plan(plan, brief=False, request=True))
    assert json.loads(page.partition("request:")[2]) == plan.request


def test_the_reason_of_the_mode_is_named() -> None:
    assert row(plan_of("sagemaker"), "mode") == (
        "managed: SageMaker's tuner chooses the trials; the job continues without this machine"
    )
    driven = plan_of("sagemaker", STUDY + "    mode: driven\n")
    assert "as providers.sagemaker.mode requires; the job needs" in row(driven, "mode")
    genetic = plan_of("sagemaker", STUDY.replace("name: random", "name: genetic"))
    assert "since managed mode refuses strategy" in row(genetic, "mode")


def test_only_differences_are_compared() -> None:
    plans = [plan_of("local"), plan_of("sagemaker")]
    columns = compare_plans(plans)
    assert list(columns) == ["", "local", "sagemaker"]
    rows = dict(zip(columns[""], zip(*list(columns.values())[1:], strict=True), strict=True))
    assert rows["mode"] == ("driven", "managed")
    assert "trials" not in rows
    assert compare_plans([plan_of("local"), plan_of("local")]) == {}


def test_the_compared_rows_have_no_sources() -> None:
    text = STUDY.replace("max_trials: 20, ", "")
    plans = [plan_of("local", text), plan_of("sagemaker", text), plan_of("vertex", text)]
    for column in compare_plans(plans).values():
        assert not [cell for cell in column if "(" in cell or ":" in cell]


def test_the_trials_of_a_grid_bound_the_cost() -> None:
    text = STUDY.replace("name: random, seed: 1", "name: grid").replace("max_trials: 20, ", "")
    text = text.replace("type: float, min: 0, max: 1", "type: int, min: 1, max: 5")
    assert row(plan_of("sagemaker", text), "cost").startswith(
        "0 to about 43.26 USD, an estimate, which does not count volumes of 30 GB, whose price is "
        "unknown; the upload of what trials have saved: "
    )


def test_details_are_json() -> None:
    record_trials(plan_of(), 10)
    details = json.loads(json.dumps(plan_details(plan_of("sagemaker"))))
    assert details["verdict"] == "can run"
    assert details["forecast"]["basis"]["trials"] == 1
    assert details["outline"]["machine"] == "1 x ml.m5.xlarge, 30 GB disk"


HYPERBAND = STUDY.replace("name: random", "name: hyperband, resource: epochs, max: 9")


def test_a_plan_with_hyperband_shows_the_resource_of_each_bracket() -> None:
    plan = plan_of(text=HYPERBAND)
    lines = format_plan(plan, brief=False)
    assert row(plan, "resource").startswith("about 70 to 140 epochs in all, at most 180; ")
    start = lines.index("  trials by bracket and epochs:")
    assert [line.split() for line in lines[start + 3 : start + 5]] == [
        ["1", "10", "4", "3"],
        ["3", "10", "3"],
    ]
    details = json.loads(json.dumps(plan_details(plan)))
    assert details["forecast"]["brackets"]["brackets"][1] == {
        "start": 3,
        "trials": {"3": 10, "9": 3},
    }
    assert "steps in all" in row(
        plan_of(text=HYPERBAND.replace("resource: epochs, ", "")), "resource"
    )


def test_a_certain_amount_of_the_resource_is_no_estimate() -> None:
    plan = plan_of(text=HYPERBAND.replace("max: 9", "min: 9, max: 9"))
    assert row(plan, "resource") == "180 epochs in all"


def test_a_plan_with_early_stopping_shows_the_rule_and_its_rungs() -> None:
    halving = STUDY + "early_stopping: {rule: halving, min_step: 2, eta: 4}\n"
    text = "halving: at steps 2, 8, 32 and so on, the best 1 of 4 trials continue"
    assert row(plan_of(text=halving), "stopping") == text
    median = STUDY + "early_stopping: {rule: median}\n"
    assert row(plan_of(text=median), "stopping") == "median"


def test_a_service_applies_the_time_limit_to_each_rung_of_a_trial() -> None:
    limited = HYPERBAND.replace("max_trials: 20", "max_trials: 20, trial_timeout: 2m")
    assert row(plan_of(text=limited), "time").endswith("at most 10 min 00 s by its time limits")
    driven = limited.replace("  sagemaker:\n", "  sagemaker:\n    mode: driven\n")
    service = plan_of("sagemaker", driven)
    assert row(service, "time").endswith(
        "about 30 min 00 s by its time limits, without the time that trials wait for machines"
    )
    cost = row(service, "cost")  # 20 trials, 3 rungs, 2 minutes and the 2 until they are killed
    assert cost.startswith("0 to about 1.44 USD, an estimate, which does not count volumes of 30")
    assert "; repeats of lost trials: " in cost


def test_a_timeout_that_the_service_raises_is_shown_as_it_is() -> None:
    text = STUDY.replace("max_trials: 20", "max_trials: 20, timeout: 60s")
    assert row(plan_of("sagemaker", text), "time").endswith(
        "at most 2 min 00 s by its time limits, and then until the service has stopped its trials"
    )
    cost = row(plan_of("sagemaker", text), "cost")  # four at a time, with 120 s until they end
    assert cost.startswith("0 to about 0.096 USD")


def test_brackets_are_shown_only_if_cloudtune_runs_a_known_number_of_trials() -> None:
    unlimited = HYPERBAND.replace("max_trials: 20", "timeout: 1h")
    managed = HYPERBAND.replace("resource: epochs, ", "").replace(
        "  sagemaker:\n", "  sagemaker:\n    mode: managed\n"
    )
    for plan in (plan_of(), plan_of(text=unlimited), plan_of("sagemaker", managed)):
        assert forecast(plan).brackets is None
        assert not any(line.startswith("  trials by") for line in format_plan(plan, brief=False))
