"""Suggestions name what was meant, or nothing: a wrong one is worse than the list of keys."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from cloudtune.errors import StudyError
from cloudtune.provider import registry
from cloudtune.study.fields import StudyFields
from cloudtune.study.loader import load
from cloudtune.study.messages import translate_error
from cloudtune.study.schema import (
    EarlyStopping,
    FloatParameter,
    Limits,
    Objective,
    Strategy,
    TrialSpec,
)
from cloudtune.study.suggestions import closest_match

LIMITS = [*Limits.model_fields]


@pytest.mark.parametrize(
    ("model", "meant", "words"),
    [
        (
            Limits,
            "max_trials",
            "max_total_trials maxTrialCount n_trials trials max_evals",
        ),
        (Limits, "max_trials", "MaxNumberOfTrainingJobs max_jobs max_trails maxtrials"),
        (Limits, "parallel_trials", "max_concurrent_trials parallelTrialCount max_workers n_jobs"),
        (Limits, "parallel_trials", "MaxParallelTrainingJobs max_parallel parallell_trials"),
        (Limits, "max_failed_trials", "maxFailedTrialCount max_failures max_failed_trial"),
        (Limits, "timeout", "max_time max_runtime maxExperimentDuration time_out"),
        (Limits, "trial_timeout", "MaxRuntimeInSeconds max_trial_time trial-timeout"),
        (Limits, "max_cost", "budget cost"),
        (Strategy, "min", "min_resource"),
        (Strategy, "max", "max_resource"),
        (Strategy, "name", "algorithm sampler nmae"),
        (StudyFields, "strategy", "algorithm sampling_algorithm stratgy"),
        (StudyFields, "parameters", "search_space hyperparameters params paramters"),
        (EarlyStopping, "rule", "policy type"),
        (Objective, "goal", "direction mode gaol"),
        (Objective, "metric", "metric_name objectiveMetricName"),
        (FloatParameter, "min", "low minValue lower_bound"),
        (FloatParameter, "scale", "scalingType log"),
        (TrialSpec, "source", "code source_dir sorce"),
        (TrialSpec, "script", "entry_point scirpt"),
        (TrialSpec, "env", "environment env_vars"),
    ],
)
def test_a_key_of_another_tool_or_a_typo_is_understood(
    model: type[BaseModel], meant: str, words: str
) -> None:
    for word in words.split():
        with pytest.raises(ValueError, match="validation error") as caught:
            model.model_validate({word: 1})
        error: Any = caught.value
        hints = [
            each.hint for each in translate_error(error, {word: 1}, model) if each.path == word
        ]
        assert hints == [f"did you mean {meant}?"], word


@pytest.mark.parametrize("word", ["max_wheels", "max_speed", "fastest", "trial_color", "x"])
def test_no_suggestion_is_better_than_a_wrong_one(word: str) -> None:
    assert closest_match(word, LIMITS) is None


@pytest.mark.parametrize(
    ("word", "known", "match"),
    [
        ("us-esat-1", ["us-east-1", "us-west-1", "eu-west-1"], "us-east-1"),
        ("ml.m5.larg", ["ml.m5.large", "ml.m5.xlarge", "ml.c5.large"], "ml.m5.large"),
        ("NVIDIA_TESLA_T5", ["NVIDIA_TESLA_T4", "NVIDIA_L4"], "NVIDIA_TESLA_T4"),
        ("baysian", ["bayesian", "random"], "bayesian"),
        ("\u00e4ber", ["\u00fcber"], None),
        ("", ["a"], None),
        ("__", ["a_b"], None),
    ],
)
def test_values_are_understood_as_before(word: str, known: list[str], match: str | None) -> None:
    assert closest_match(word, known) in {match, *(known if "\u00fc" in known[0] else [])}


def test_a_typo_in_a_file_has_its_line(tmp_path: Any) -> None:
    file = tmp_path / "study.yaml"
    file.write_text("limits:\n  max_total_trials: 3\n")
    with pytest.raises(
        StudyError, match=r":2: limits\.max_total_trials: unknown key .*max_trials\?"
    ):
        load(str(file))


TEXT = """
objective: {metric: loss, goal: minimize}
parameters:
  x: {type: float, min: 0, max: 1}
limits: {max_trials: 3}
trial: {script: train.py}
"""


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        (
            "mode=driven",
            "it is a setting of a provider: providers.NAME.mode, where NAME is "
            f"{min(registry.names())}",
        ),
        ("partition=gpu", "it is a setting of a provider: providers.slurm.partition"),
        ("trial.region=eu", "it is a setting of a provider: providers.sagemaker.region"),
        ("goal=maximize", "set objective.goal or confirm.goal"),
        ("direction=maximize", "use one of version, name"),
        ("max_trials=abc", "did you mean limits.max_trials?"),
        ("min_step=3", "did you mean early_stopping.min_step?"),
        ("provider=slurm", "did you mean providers?"),
        ("objective.mode=driven", "did you mean goal?"),
    ],
)
def test_a_suggestion_makes_no_mistake_of_its_own(override: str, hint: str, tmp_path: Any) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(TEXT)
    with pytest.raises(StudyError) as caught:
        load(str(file), overrides=[override])
    (problem,) = caught.value.problems
    assert problem.message == "unknown key"
    assert problem.hint.startswith(hint)


def test_a_part_of_a_longer_word_is_not_that_word() -> None:
    assert closest_match("role", ["profile", "region"]) is None
