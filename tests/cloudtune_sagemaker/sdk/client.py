# pyright: basic, reportMissingImports=false
"""What a user of the `sagemaker` SDK writes. Runs in an environment that has it, and not ours.

Each use is a function that returns what a test looks at. ``client.py USE [WORD]...`` leaves it as
JSON in a file of that name in the working folder.
"""

from __future__ import annotations

import json
import socket
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sagemaker
from sagemaker.inputs import TrainingInput
from sagemaker.parameter import CategoricalParameter, ContinuousParameter, IntegerParameter
from sagemaker.pytorch import PyTorch
from sagemaker.sklearn import SKLearn
from sagemaker.tuner import (
    HyperbandStrategyConfig,
    HyperparameterTuner,
    StrategyConfig,
    TuningJobCompletionCriteriaConfig,
)

BUCKET = "training-data"
ROLE = "arn:aws:iam::123456789012:role/tuning"
IMAGES = {
    SKLearn: "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
    PyTorch: "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.3-cpu-py311",
}
METRICS = [
    {"Name": "score", "Regex": r"score=([-+0-9.e]+);"},
    {"Name": "loss", "Regex": r"loss=([-+0-9.e]+);"},
]
RANGES = {
    "rate": ContinuousParameter(0.001, 0.1, "Logarithmic"),
    "layers": IntegerParameter(1, 6),
    "optimizer": CategoricalParameter(["sgd", "adam", "true"]),
}
AWAY = ("192.0.2.1", 443)
"""An address that nobody has."""


def session() -> sagemaker.Session:
    return sagemaker.Session(default_bucket=BUCKET)


def estimator(kind: Any = SKLearn, own: Any = None, **more: Any) -> Any:
    return kind(
        entry_point="train.py",
        source_dir=str(Path(__file__).with_name("source")),
        role=ROLE,
        image_uri=IMAGES[kind],
        instance_type="ml.m5.large",
        instance_count=1,
        hyperparameters={"epochs": 3, "note": "two words", "flag": True, **(own or {})},
        metric_definitions=METRICS,
        environment={"OWN": "kept"},
        max_run=600,
        sagemaker_session=session(),
        **more,
    )


def tuner(trained: Any, ranges: Any = None, **more: Any) -> HyperparameterTuner:
    return HyperparameterTuner(
        trained,
        objective_metric_name="score",
        hyperparameter_ranges=ranges or RANGES,
        metric_definitions=METRICS,
        **{"max_jobs": 4, "max_parallel_jobs": 2, "strategy": "Random", **more},
    )


def uploaded(name: str) -> dict[str, TrainingInput]:
    """Put two files where a channel takes them from."""
    data = Path(f"{name}-data")
    data.mkdir()
    (data / "a.csv").write_text("1.5")
    (data / "b.csv").write_text("0.5")
    uri = session().upload_data(str(data), key_prefix=f"{name}/train")
    return {"train": TrainingInput(uri, content_type="text/csv")}


def told(job: HyperparameterTuner) -> dict[str, Any]:
    """Return all that the SDK tells of a tuning job."""
    client = job.sagemaker_session.sagemaker_client
    frame = job.analytics().dataframe()
    names = list(frame["TrainingJobName"]) if len(frame) else []
    described = job.describe()
    trials = [client.describe_training_job(TrainingJobName=name) for name in names]
    arns = [described["HyperParameterTuningJobArn"], *(one["TrainingJobArn"] for one in trials)]
    tags = [client.list_tags(ResourceArn=arn)["Tags"] for arn in arns]
    return {
        "job": described,
        "rows": json.loads(frame.to_json(orient="records", date_format="iso")),
        "ranges": job.analytics().tuning_ranges,
        "trials": trials,
        "tags": tags[0],
        "trial_tags": tags[1:],
    }


def bayesian() -> dict[str, Any]:
    """Tune on spot machines with all kinds of ranges, then read everything there is."""
    checkpoints = {"checkpoint_s3_uri": f"s3://{BUCKET}/checkpoints"}
    trained = estimator(SKLearn, use_spot_instances=True, max_wait=900, **checkpoints)
    job = tuner(
        trained,
        strategy="Bayesian",
        max_jobs=5,
        early_stopping_type="Auto",
        random_seed=0,
        tags=[{"Key": "team", "Value": "vision"}],
    )
    job.fit(uploaded("bayesian"), include_cls_metadata=True, wait=True)
    name = job.latest_tuning_job.name
    attached = HyperparameterTuner.attach(name, sagemaker_session=session())
    best = attached.best_estimator()
    curve = best.training_job_analytics.dataframe()
    session().download_data(".", BUCKET, best.model_data.removeprefix(f"s3://{BUCKET}/"))
    with tarfile.open("model.tar.gz") as model:
        names = model.getnames()
        file = model.extractfile("model.json")
        assert file is not None
        note = json.load(file)["note"]
    return {
        **told(job),
        "best": job.best_training_job(),
        "attached": {
            "best": attached.best_training_job(),
            "estimator": type(best).__name__,
            "hyperparameters": best.hyperparameters(),
            "strategy": attached.strategy,
            "ranges": sorted(attached.analytics().tuning_ranges),
        },
        "curve": json.loads(curve.to_json(orient="records")),
        "model": {"files": names, "note": note},
    }


def warm_start() -> dict[str, Any]:
    """Tune at random, then go on from what was found."""
    inputs = uploaded("warm")
    first = tuner(estimator(), max_jobs=3, max_parallel_jobs=3, random_seed=1)
    first.fit(inputs, job_name="comes-first", wait=True)  # the SDK draws one name a minute
    second = first.identical_dataset_and_algorithm_tuner()
    second.metric_definitions = METRICS  # which the SDK forgets
    second.max_jobs = 2
    second.fit(inputs, job_name="goes-on", wait=True)
    return {"first": told(first), "second": told(second)}


def stop() -> dict[str, Any]:
    """Stop a tuning job in the midst of its trials, and once more when it has ended."""
    job = tuner(estimator(own={"epochs": 500, "pause": 0.2}), max_jobs=20)
    job.fit(job_name="stopped-by-hand", wait=False)
    running: list[Any] = []
    while len(running) < 2:
        time.sleep(0.5)
        summaries = job.analytics().training_job_summaries(force_refresh=True)
        running = [one for one in summaries if "TrainingStartTime" in one]
    time.sleep(2)
    job.stop_tuning_job()
    job.wait()
    job.stop_tuning_job()
    return told(job)


def training() -> dict[str, Any]:
    """Run one training job, and read along what it prints."""
    given = {"rate": 0.01, "layers": 2, "optimizer": "true", "b": 1, "epochs": 4, "pause": 2}
    trained = estimator(PyTorch, own=given)
    trained.fit(uploaded("training"), wait=True, logs="All")
    return {
        "job": trained.latest_training_job.describe(),
        "model": trained.model_data,
        "metrics": json.loads(trained.training_job_analytics.dataframe().to_json(orient="records")),
    }


def failures() -> dict[str, Any]:
    """Meet what the SDK raises when jobs fail, and what the service refuses."""
    said: dict[str, Any] = {}
    wrong = {"rate": 0.01, "layers": 2, "optimizer": "adam", "break": "no data"}
    one = estimator(PyTorch, own=wrong)
    all_of_them = tuner(estimator(own={"break": "no data"}), max_jobs=10)
    never = tuner(estimator(), max_jobs=10, strategy="Grid")
    unknown = HyperparameterTuner.attach
    calls: dict[str, Callable[[], Any]] = {
        "training": lambda: one.fit(wait=True, logs="None"),
        "tuning": lambda: all_of_them.fit(job_name="all-fail", wait=True),
        "taken": lambda: all_of_them.fit(job_name="ALL-FAIL", wait=False),
        "refused": lambda: never.fit(job_name="grid-over-numbers", wait=False),
        "unknown": lambda: unknown("nowhere", sagemaker_session=session()),
        "no best": all_of_them.best_training_job,
    }
    for name, call in calls.items():
        try:
            call()
        except Exception as error:  # noqa: BLE001 - which one it is is what the test wants to know
            said[name] = [type(error).__name__, str(error)]
    return said


def others() -> dict[str, Any]:
    """Use the other strategies and several definitions at once."""
    words = CategoricalParameter(["sgd", "adam"])
    grid = tuner(
        estimator(own={"rate": 0.01}),
        {"optimizer": words, "layers": CategoricalParameter([1, 2])},
        strategy="Grid",
        max_parallel_jobs=4,
    )
    band = tuner(
        estimator(own={"epochs": 4}),
        strategy="Hyperband",
        strategy_config=StrategyConfig(HyperbandStrategyConfig(max_resource=4, min_resource=1)),
        max_jobs=4,
    )
    met = tuner(
        estimator(),
        max_jobs=30,
        completion_criteria_config=TuningJobCompletionCriteriaConfig(
            target_objective_metric_value=-100.0
        ),
    )
    several = HyperparameterTuner.create(
        estimator_dict={
            "one": estimator(own={"layers": 1}),
            "two": estimator(PyTorch, own={"layers": 2}),
        },
        objective_metric_name_dict={"one": "score", "two": "score"},
        hyperparameter_ranges_dict={
            "one": {"rate": RANGES["rate"], "optimizer": words},
            "two": {"rate": RANGES["rate"], "optimizer": words},
        },
        metric_definitions_dict={"one": METRICS, "two": METRICS},
        strategy="Random",
        max_jobs=4,
        max_parallel_jobs=2,
    )
    jobs = {"grid": grid, "band": band, "met": met, "several": several}
    for name, job in jobs.items():
        several_at_once: Any = {} if job is several else False
        job.fit(job_name=f"other-{name}", include_cls_metadata=several_at_once, wait=False)
    for job in jobs.values():
        job.wait()
    return {name: told(job) for name, job in jobs.items()}


def attached(name: str) -> dict[str, Any]:
    """Wait for a tuning job that somebody else made, and read it."""
    job = HyperparameterTuner.attach(name, sagemaker_session=session())
    job.wait()
    return {
        **told(job),
        "best": job.best_training_job(),
        "objective": [job.objective_metric_name, job.objective_type],
        "strategy": job.strategy,
    }


def guarded() -> dict[str, Any]:
    """Show that nothing but the emulator can be reached."""
    said: dict[str, Any] = {}
    calls: dict[str, Callable[[], Any]] = {
        "connect": lambda: socket.socket().connect(AWAY),
        "look up": lambda: socket.getaddrinfo("sts.us-east-1.amazonaws.com", 443),
        "account": lambda: session().account_id(),
    }
    for name, call in calls.items():
        try:
            call()
        except Exception as error:  # noqa: BLE001 - as above
            said[name] = [type(error).__name__, str(error)]
    return said


USES: tuple[Any, ...] = (
    *(bayesian, warm_start, stop, training),
    *(failures, others, attached, guarded),
)

if __name__ == "__main__":
    use = next(use for use in USES if use.__name__ == sys.argv[1])
    Path(f"{sys.argv[1]}.json").write_text(json.dumps(use(*sys.argv[2:]), default=str))
