# pyright: basic, reportMissingImports=false
"""What a user of version 3 of the `sagemaker` SDK writes; as ``client.py`` for version 2."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sagemaker.core.helper.session_helper import Session
from sagemaker.core.parameter import CategoricalParameter, ContinuousParameter, IntegerParameter
from sagemaker.core.resources import HyperParameterTuningJob, TrainingJob
from sagemaker.core.shapes import (
    HyperbandStrategyConfig,
    HyperParameterTuningJobStrategyConfig,
    HyperParameterTuningJobWarmStartConfig,
    ParentHyperParameterTuningJob,
    TuningJobCompletionCriteria,
)
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import (
    CheckpointConfig,
    Compute,
    InputData,
    MetricDefinition,
    SourceCode,
    StoppingCondition,
    Tag,
)
from sagemaker.train.tuner import HyperparameterTuner

ROLE = "arn:aws:iam::123456789012:role/tuning"
IMAGES = {
    "sklearn": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
    "pytorch": "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.3-cpu-py311",
}
METRICS = {"score": r"score=([-+0-9.e]+);", "loss": r"loss=([-+0-9.e]+);"}
RANGES = {
    "rate": ContinuousParameter(0.001, 0.1, "Logarithmic"),
    "layers": IntegerParameter(1, 6),
    "optimizer": CategoricalParameter(["sgd", "adam"]),
}
SOURCE = str(Path(__file__).with_name("source"))
POINT = {"rate": 0.01, "layers": 2, "optimizer": "adam"}


def session() -> Session:
    """Return a session, whose default bucket the emulator has once it is asked for."""
    return Session(default_bucket="training-data")


def trainer(
    name: str, own: Any = None, *, code: Any = None, spot: bool = False, **more: Any
) -> ModelTrainer:
    created = ModelTrainer(
        training_image=IMAGES["sklearn"],
        source_code=code or SourceCode(source_dir=SOURCE, entry_script="train.py"),
        role=ROLE,
        compute=Compute(
            instance_type="ml.m5.large", instance_count=1, enable_managed_spot_training=spot
        ),
        hyperparameters={"epochs": 3, "note": "two words", **(own or {})},
        environment={"OWN": "kept"},
        stopping_condition=StoppingCondition(
            max_runtime_in_seconds=600, **({"max_wait_time_in_seconds": 900} if spot else {})
        ),
        sagemaker_session=session(),
        base_job_name=name,
        **more,
    )
    return created.with_metric_definitions(
        [MetricDefinition(name=name, regex=regex) for name, regex in METRICS.items()]
    )


def data(name: str) -> list[InputData]:
    """Return a channel with two files of this machine, which the SDK uploads."""
    folder = Path(f"{name}-data")
    folder.mkdir()
    (folder / "a.csv").write_text("1.5")
    (folder / "b.csv").write_text("0.5")
    return [InputData(channel_name="train", data_source=str(folder))]


def tuner(trained: ModelTrainer, ranges: Any = None, **more: Any) -> HyperparameterTuner:
    definitions = [{"Name": name, "Regex": regex} for name, regex in METRICS.items()]
    return HyperparameterTuner(
        trained,
        objective_metric_name="score",
        hyperparameter_ranges=ranges or RANGES,
        metric_definitions=definitions,
        **{"max_jobs": 4, "max_parallel_jobs": 2, "strategy": "Random", **more},
    )


def of_tuning(job: HyperparameterTuner) -> dict[str, Any]:
    """Return what the SDK reports of a tuning job, and its trials as boto3 has them."""
    described = job.describe()
    name = described.hyper_parameter_tuning_job_name
    client = session().boto_session.client("sagemaker")
    rows = client.list_training_jobs_for_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name, MaxResults=100
    )["TrainingJobSummaries"]
    return {
        "status": described.hyper_parameter_tuning_job_status,
        "listed": [one.training_job_name for one in described.get_all_training_jobs()],
        "trials": [
            client.describe_training_job(TrainingJobName=row["TrainingJobName"]) for row in rows
        ],
        "rows": rows,
    }


def training() -> dict[str, Any]:
    """Train, and show the log as it grows."""
    created = trainer("training", POINT | {"epochs": 4})
    created.train(input_data_config=data("training"), wait=True, logs=True)
    job = created._latest_training_job.refresh()
    return {
        "name": job.training_job_name,
        "status": job.training_job_status,
        "model": job.model_artifacts.s3_model_artifacts,
        "metrics": {one.metric_name: one.value for one in job.final_metric_data_list},
        "found": [one.training_job_name for one in TrainingJob.get_all(name_contains="training")],
    }


def command() -> dict[str, Any]:
    """Train with a command of its own, with requirements, and with a shell script."""
    words = "python train.py --rate 0.02 --layers 1 --optimizer adam"
    code = {
        "words": SourceCode(source_dir=SOURCE, command=words, args=["--note", "a b; c"]),
        "shell": SourceCode(source_dir=SOURCE, entry_script="train.sh"),
        "file": SourceCode(entry_script="train.py", source_dir=SOURCE, requirements="none.txt"),
    }
    jobs = {}
    for name, each in code.items():
        created = trainer(name, POINT if name != "words" else None, code=each)
        created.train(wait=False, logs=False)
        jobs[name] = created._latest_training_job
    for job in jobs.values():
        job.wait()
    return {
        name: {
            "status": job.refresh().training_job_status,
            "metrics": {one.metric_name: one.value for one in job.final_metric_data_list},
        }
        for name, job in jobs.items()
    }


def failures() -> dict[str, Any]:
    """Meet what the SDK raises when a script fails, and what the service refuses."""
    broken = trainer("broken", POINT | {"break": "no data"})
    every_one = tuner(trainer("each", {"break": "no data"}), max_jobs=10)
    never = tuner(trainer("never"), max_jobs=10, strategy="Grid")
    calls: dict[str, Callable[[], Any]] = {
        "training": lambda: broken.train(wait=True, logs=False),
        "tuning": lambda: every_one.tune(job_name="all-fail-3", wait=True),
        "refused": lambda: never.tune(job_name="grid-over-numbers-3", wait=False),
        "unknown": lambda: HyperParameterTuningJob.get("nowhere"),
        "no best": every_one.best_training_job,
    }
    reported = {}
    for name, call in calls.items():
        try:
            call()
        except Exception as error:  # noqa: BLE001 - which one it is is what the test checks
            reported[name] = [type(error).__name__, str(error)]
    return reported


def stop() -> dict[str, Any]:
    """Stop a training job and a tuning job while their scripts run."""
    slow = {"epochs": 500, "pause": 0.2}
    one = trainer("halted", POINT | slow)
    one.train(wait=False, logs=False)
    many = tuner(trainer("halted-tuning", slow), max_jobs=20)
    many.tune(job_name="halted-tuning-3", wait=False)
    job = one._latest_training_job
    while job.refresh().secondary_status != "Training":
        time.sleep(0.5)
    running = job.model_artifacts
    time.sleep(1)
    job.stop()
    many.stop_tuning_job()
    job.wait()
    many.wait()
    return {
        "training": job.refresh().training_job_status,
        "running": str(running),
        "tuning": of_tuning(many),
    }


def bayesian() -> dict[str, Any]:
    """Tune on spot machines with all kinds of ranges."""
    trained = trainer(
        "bayesian",
        spot=True,
        checkpoint_config=CheckpointConfig(s3_uri="s3://training-data/checkpoints-3/"),
    )
    job = tuner(
        trained,
        strategy="Bayesian",
        max_jobs=5,
        early_stopping_type="Auto",
        random_seed=1,
        tags=[Tag(key="team", value="vision")],
    )
    uri = session().upload_data(data("bayesian")[0].data_source, key_prefix="bayesian/train")
    job.tune({"train": uri}, job_name="bayesian-3", wait=True)
    arn = job.describe().hyper_parameter_tuning_job_arn
    client = session().boto_session.client("sagemaker")
    return {
        **of_tuning(job),
        "best": job.best_training_job(),
        "tags": client.list_tags(ResourceArn=arn)["Tags"],
    }


def others() -> dict[str, Any]:
    """Use the other strategies at once, and continue from one of them."""
    grid = tuner(
        trainer("grid", {"rate": 0.01}),
        {"optimizer": RANGES["optimizer"], "layers": CategoricalParameter(["1", "2"])},
        strategy="Grid",
        max_jobs=4,
        max_parallel_jobs=4,
    )
    band = tuner(
        trainer("band", {"epochs": 4}),
        strategy="Hyperband",
        strategy_config=HyperParameterTuningJobStrategyConfig(
            hyperband_strategy_config=HyperbandStrategyConfig(max_resource=4, min_resource=1)
        ),
    )
    target = tuner(
        trainer("target"),
        max_jobs=30,
        completion_criteria_config=TuningJobCompletionCriteria(
            target_objective_metric_value=-100.0
        ),
    )
    jobs = {"grid": grid, "band": band, "target": target}
    for name, job in jobs.items():
        job.tune(job_name=f"other-{name}-3", wait=False)
    for job in jobs.values():
        job.wait()
    parent = ParentHyperParameterTuningJob(hyper_parameter_tuning_job_name="other-target-3")
    again = tuner(  # transfer_learning_tuner of 3.27.0 fails before it sends anything
        trainer("again"),
        max_jobs=2,
        warm_start_config=HyperParameterTuningJobWarmStartConfig(
            parent_hyper_parameter_tuning_jobs=[parent], warm_start_type="TransferLearning"
        ),
    )
    again.tune(job_name="other-again-3", wait=True)
    return {name: of_tuning(job) for name, job in {**jobs, "again": again}.items()}


def attached(name: str) -> dict[str, Any]:
    """Read a tuning job that another client created."""
    job = HyperParameterTuningJob.get(name)
    job.wait()
    job.refresh()
    return {
        "status": job.hyper_parameter_tuning_job_status,
        "best": job.best_training_job.training_job_name,
        "listed": [one.training_job_name for one in job.get_all_training_jobs()],
    }


USES: tuple[Any, ...] = (
    *(training, command, failures, stop),
    *(bayesian, others, attached),
)

if __name__ == "__main__":
    use = next(use for use in USES if use.__name__ == sys.argv[1])
    Path(f"{sys.argv[1]}.json").write_text(json.dumps(use(*sys.argv[2:]), default=str))
