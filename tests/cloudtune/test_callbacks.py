"""Callbacks in trainings with the real frameworks, which a Python of their own has.

CLOUDTUNE_TEST_FRAMEWORKS names this Python, whose environment has what CONTRIBUTING.md says. The
scripts run as trials do, with the package that travels with them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from cloudtune import trial
from cloudtune.bundle.launcher import script_modules

Measurements = list[tuple[int, dict[str, float]]]
Script = Callable[..., tuple[Measurements, str]]

DATA = """
    import os, signal, sys
    import numpy as np
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 4)).astype("float32")
    y = (x[:, 0] + x[:, 1] > 0).astype("float32")

    def stop_here():
        os.kill(os.getpid(), signal.SIGTERM)
"""


@pytest.fixture
def run(tmp_path: Path) -> Script:
    """Return a function that runs a script as a trial; it returns what it reported and printed."""
    python = os.environ.get("CLOUDTUNE_TEST_FRAMEWORKS")
    if not python:
        assert not os.environ.get("CI"), "CLOUDTUNE_TEST_FRAMEWORKS is not set"
        pytest.skip("CLOUDTUNE_TEST_FRAMEWORKS names no Python with the frameworks")
    package = tmp_path / "package" / "cloudtune"
    package.mkdir(parents=True)
    for name, content in {"__init__.py": b"", **script_modules()}.items():
        (package / name).write_bytes(content)
    reports = tmp_path / "reports.jsonl"
    (tmp_path / "trial.json").write_text(json.dumps({"reports": str(reports)}), "utf-8")
    variables = {
        **{key: value for key, value in os.environ.items() if not key.startswith("PYTHON")},
        trial.TRIAL: str(tmp_path / "trial.json"),
        "PYTHONPATH": str(package.parent),
        "KERAS_BACKEND": "torch",
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }

    def run_script(*parts: str, **more_variables: str) -> tuple[Measurements, str]:
        code = "".join(map(textwrap.dedent, (DATA, *parts)))
        (tmp_path / "train.py").write_text(code, "utf-8")
        done = subprocess.run(
            [python, "train.py"],
            cwd=tmp_path,
            env=variables | more_variables,
            check=False,
            capture_output=True,
            text=True,
            timeout=280,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        lines = reports.read_text("utf-8").splitlines() if reports.exists() else []
        measured = [json.loads(line) for line in lines]
        return [(each["step"], each["metrics"]) for each in measured], done.stdout

    return run_script


def names(measured: Measurements) -> set[str]:
    return {name for _, metrics in measured for name in metrics}


def steps(measured: Measurements) -> list[int]:
    return [step for step, _ in measured]


def test_an_unknown_callback_is_no_attribute() -> None:
    for name in ("JaxCallback", "Callback", "_x", "value"):
        assert not hasattr(trial, name)


def test_a_missing_framework_is_an_import_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras.callbacks", None)
    with pytest.raises(ImportError, match="keras"):
        assert trial.KerasCallback


@pytest.mark.slow
class TestXGBoost:
    TRAIN = """
        import xgboost as xgb
        from cloudtune.trial import XGBoostCallback

        train, valid = xgb.DMatrix(x[:200], y[:200]), xgb.DMatrix(x[200:], y[200:])
        params = {"objective": "binary:logistic", "eval_metric": ["auc", "error@0.7"], "eta": 0.1}
    """

    def test_each_round_is_reported_and_continued(self, run: Script) -> None:
        measured, printed = run(
            self.TRAIN,
            """
        history = {}
        def fit(model, rounds):
            return xgb.train(params, train, rounds, evals=[(valid, "valid")], xgb_model=model,
                             evals_result=history, callbacks=[XGBoostCallback()],
                             verbose_eval=False)
        model = fit(fit(None, 3), 2)
        print(history["valid"]["auc"][-1], model.num_boosted_rounds())
        """,
        )
        assert steps(measured) == [1, 2, 3, 4, 5]
        assert names(measured) == {"valid-auc", "valid-error@0.7"}
        assert printed.split() == [str(measured[-1][1]["valid-auc"]), "5"]

    def test_a_stop_signal_ends_the_training_and_the_script_continues(self, run: Script) -> None:
        measured, printed = run(
            self.TRAIN,
            """
        class Stop(xgb.callback.TrainingCallback):
            def after_iteration(self, model, epoch, evals_log):
                if epoch == 3:
                    stop_here()
                return False
        model = xgb.train(params, train, 50, evals=[(valid, "valid")], verbose_eval=False,
                          callbacks=[Stop(), XGBoostCallback()])
        print(model.num_boosted_rounds())
        """,
        )
        assert steps(measured) == [1, 2, 3, 4]
        assert printed.split() == ["4"]

    def test_metrics_are_selected_and_renamed(self, run: Script) -> None:
        measured, _ = run(
            self.TRAIN,
            """
        xgb.train(params, train, 2, evals=[(train, "train"), (valid, "valid")],
                  callbacks=[XGBoostCallback({"auc": "valid-auc"})])
        for names in ("valid-auc", ["valid-auc", "valid-error@0.7"]):
            xgb.train(params, train, 1, evals=[(valid, "valid")],
                      callbacks=[XGBoostCallback(names)])
        """,
        )
        both = {"valid-auc", "valid-error@0.7"}
        assert [set(each) for _, each in measured] == [{"auc"}, {"auc"}, {"valid-auc"}, both]

    def test_its_own_early_stopping_cross_validation_and_pickles(self, run: Script) -> None:
        measured, printed = run(
            self.TRAIN,
            """
        import pickle
        model = xgb.XGBClassifier(n_estimators=500, early_stopping_rounds=5, eval_metric="error",
                                  callbacks=[XGBoostCallback()])
        model.fit(x[:200], y[:200], eval_set=[(x[200:], y[200:])], verbose=False)
        again = pickle.loads(pickle.dumps(model))
        print(model.best_iteration + 5 + 1, again.get_booster().num_boosted_rounds())
        means = xgb.cv(params, train, 4, nfold=3, callbacks=[XGBoostCallback()])
        print(means["test-auc-mean"].iloc[-1] if hasattr(means, "iloc") else
              means["test-auc-mean"][-1])
        """,
        )
        rounds, kept, mean = printed.split()
        first = [step for step, metrics in measured if "validation_0-error" in metrics]
        assert first == [*range(1, int(rounds) + 1)]
        assert int(kept) == len(first)
        assert measured[-1][0] == 4
        assert measured[-1][1]["test-auc"] == pytest.approx(float(mean))

    def test_one_of_two_processes_reports_and_a_stop_ends_both(self, run: Script) -> None:
        measured, printed = run(
            """
        import multiprocessing, threading
        import xgboost as xgb
        from xgboost.tracker import RabitTracker
        from cloudtune.trial import XGBoostCallback

        def work(rank, args):
            class Stop(xgb.callback.TrainingCallback):
                def after_iteration(self, model, epoch, evals_log):
                    if epoch == 2 and xgb.collective.get_rank() == 1:
                        stop_here()
                    return False
            with xgb.collective.CommunicatorContext(**args):
                part = slice(rank * 150, rank * 150 + 150)
                data = xgb.DMatrix(x[part], y[part])
                model = xgb.train({"objective": "binary:logistic"}, data, 40, evals=[(data, "all")],
                                  verbose_eval=False, callbacks=[Stop(), XGBoostCallback()])
                sys.stdout.write(f"rounds: {model.num_boosted_rounds()}\\n")

        if __name__ == "__main__":
            tracker = RabitTracker(host_ip="127.0.0.1", n_workers=2)
            tracker.start()
            args = tracker.worker_args()
            context = multiprocessing.get_context("spawn")
            workers = [context.Process(target=work, args=(rank, args)) for rank in range(2)]
            for each in workers:
                each.start()
            tracker.wait_for()
            for each in workers:
                each.join()
        """
        )
        assert steps(measured) == [1, 2, 3]
        assert printed.count("rounds: 3") == 2


@pytest.mark.slow
class TestLightGBM:
    TRAIN = """
        import lightgbm as lgb
        from cloudtune.trial import LightGBMCallback

        train = lgb.Dataset(x[:200], y[:200], free_raw_data=False)
        valid = lgb.Dataset(x[200:], y[200:], reference=train, free_raw_data=False)
        params = {"objective": "binary", "metric": ["auc", "binary_logloss"], "verbose": -1}
    """

    def test_each_round_is_reported_and_continued(self, run: Script) -> None:
        measured, printed = run(
            self.TRAIN,
            """
        history = {}
        def fit(model, rounds):
            return lgb.train(params, train, rounds, valid_sets=[valid], init_model=model,
                             callbacks=[LightGBMCallback(), lgb.record_evaluation(history)])
        model = fit(fit(None, 3), 2)
        print(history["valid_0"]["auc"][-1], model.current_iteration())
        """,
        )
        assert steps(measured) == [1, 2, 3, 4, 5]
        assert names(measured) == {"valid_0-auc", "valid_0-binary_logloss"}
        assert printed.split() == [str(measured[-1][1]["valid_0-auc"]), "5"]

    def test_a_stop_signal_ends_the_training_and_the_script_continues(self, run: Script) -> None:
        measured, printed = run(
            self.TRAIN,
            """
        def stop(env):
            if env.iteration == 3:
                stop_here()
        history = {}
        model = lgb.train(params, train, 50, valid_sets=[valid],
                          callbacks=[stop, LightGBMCallback(), lgb.record_evaluation(history)])
        print(model.current_iteration(), model.best_iteration, len(history["valid_0"]["auc"]))
        """,
        )
        assert steps(measured) == [1, 2, 3, 4]
        assert printed.split() == ["4", "4", "4"]

    def test_its_own_early_stopping_cross_validation_and_pickles(self, run: Script) -> None:
        measured, printed = run(
            self.TRAIN,
            """
        import pickle
        callback = pickle.loads(pickle.dumps(LightGBMCallback("valid_0-binary_logloss")))
        model = lgb.LGBMClassifier(n_estimators=500, learning_rate=1.0, verbose=-1)
        model.fit(x[:200], y[:200], eval_set=[(x[200:], y[200:])],
                  callbacks=[callback, lgb.early_stopping(3, verbose=False)])
        print(model.best_iteration_ + 3)
        means = lgb.cv(params, train, 4, nfold=3, callbacks=[LightGBMCallback()])
        print(means["valid auc-mean"][-1])
        """,
        )
        rounds, mean = printed.split()
        assert steps(measured) == [*range(1, int(rounds) + 1), 1, 2, 3, 4]
        assert measured[-1][1]["valid-auc"] == pytest.approx(float(mean))

    @pytest.mark.parametrize("rank", ["0", "1"])
    def test_only_the_first_process_reports(self, run: Script, rank: str) -> None:
        code = "lgb.train(params, train, 2, valid_sets=[valid], callbacks=[LightGBMCallback()])"
        measured, _ = run(self.TRAIN, code, RANK=rank)
        assert steps(measured) == ([1, 2] if rank == "0" else [])


@pytest.mark.slow
class TestKeras:
    TRAIN = """
        import keras
        from cloudtune.trial import KerasCallback

        model = keras.Sequential([keras.layers.Dense(1, activation="sigmoid")])
        model.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
    """

    def test_each_epoch_is_reported_and_continued(self, run: Script) -> None:
        measured, printed = run(
            self.TRAIN,
            """
        def fit(first, last):
            return model.fit(x, y, epochs=last, initial_epoch=first, validation_split=0.2,
                             verbose=0, callbacks=[KerasCallback()])
        fit(0, 2)
        print(fit(2, 3).history["val_accuracy"][-1])
        """,
        )
        assert steps(measured) == [1, 2, 3]
        assert names(measured) == {"loss", "accuracy", "val_loss", "val_accuracy"}
        assert float(printed) == measured[-1][1]["val_accuracy"]

    def test_a_stop_signal_ends_the_training_and_the_script_continues(self, run: Script) -> None:
        measured, printed = run(
            self.TRAIN,
            """
        class Stop(keras.callbacks.Callback):
            batches = 0
            def on_train_batch_end(self, batch, logs=None):
                self.batches += 1
                if self.batches == 25:
                    stop_here()
        stop = Stop()
        model.fit(x, y, epochs=9, batch_size=30, verbose=0, callbacks=[stop, KerasCallback()])
        print(stop.batches)
        """,
        )
        assert steps(measured) == [1, 2]
        assert printed.split() == ["25"]

    def test_only_the_first_worker_of_tensorflow_reports(self, run: Script) -> None:
        config = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}
        code = "model.fit(x, y, verbose=0, callbacks=[KerasCallback()])"
        assert run(self.TRAIN, code, TF_CONFIG=json.dumps(config))[0] == []
        config["task"] = {"type": "worker", "index": 0}
        assert steps(run(self.TRAIN, code, TF_CONFIG=json.dumps(config))[0]) == [1]


@pytest.mark.slow
class TestLightning:
    TRAIN = """
        import logging, warnings
        warnings.filterwarnings("ignore")
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        import torch
        import lightning as L
        from torch.utils.data import DataLoader, TensorDataset
        from cloudtune.trial import LightningCallback

        class Model(L.LightningModule):
            def __init__(self):
                super().__init__()
                self.layer = torch.nn.Linear(4, 1)
            def training_step(self, batch, index):
                loss = torch.nn.functional.mse_loss(self.layer(batch[0])[:, 0], batch[1])
                self.log("loss", loss, on_step=True, on_epoch=True)
                return loss
            def on_train_epoch_end(self):
                self.log("train/late", float(self.current_epoch))
            def validation_step(self, batch, index):
                difference = self.layer(batch[0])[:, 0] - batch[1]
                self.log("val/loss", (difference ** 2).mean())
            def configure_optimizers(self):
                return torch.optim.SGD(self.parameters(), lr=0.01)

        data = DataLoader(TensorDataset(torch.tensor(x), torch.tensor(y)), batch_size=30)

        def trainer(*callbacks, **options):
            return L.Trainer(accelerator="cpu", devices=1, logger=False,
                             enable_progress_bar=False, enable_model_summary=False,
                             callbacks=[LightningCallback(), *callbacks], **options)
    """

    def test_each_epoch_is_reported_and_continued(self, run: Script) -> None:
        measured, printed = run(
            self.TRAIN,
            """
        first = trainer(max_epochs=2)
        first.fit(Model(), data, data)
        first.save_checkpoint("model.ckpt")
        again = trainer(max_epochs=3)
        again.fit(Model(), data, data, ckpt_path="model.ckpt")
        print(float(again.callback_metrics["val/loss"]))
        again.validate(dataloaders=data, verbose=False)
        """,
        )
        assert steps(measured) == [1, 2, 3]
        assert names(measured) == {"loss", "loss_step", "loss_epoch", "train/late", "val/loss"}
        assert [metrics["train/late"] for _, metrics in measured] == [0, 1, 2]
        assert float(printed) == measured[-1][1]["val/loss"]

    def test_values_of_an_earlier_validation_are_not_repeated(self, run: Script) -> None:
        measured, _ = run(
            self.TRAIN,
            """
        trainer(max_epochs=4, check_val_every_n_epoch=2, enable_checkpointing=False).fit(
            Model(), data, data)
        """,
        )
        assert [step for step, metrics in measured if "val/loss" in metrics] == [2, 4]
        assert [step for step, metrics in measured if "loss" in metrics] == [1, 2, 3, 4]

    def test_at_a_stop_signal_lightning_ends_the_process(self, run: Script) -> None:
        measured, printed = run(
            self.TRAIN,
            """
        from lightning.pytorch.callbacks import OnExceptionCheckpoint
        class Stop(L.Callback):
            def on_train_batch_end(self, trainer, *args):
                if trainer.global_step == 25:
                    stop_here()
        try:
            trainer(Stop(), OnExceptionCheckpoint("."), max_epochs=9).fit(Model(), data, data)
        except SystemExit as error:
            print(error.code, os.path.exists("on_exception.ckpt"))
        """,
        )
        assert steps(measured) == [1, 2]
        assert printed.split() == ["143", "True"]

    def test_one_of_two_processes_reports(self, run: Script) -> None:
        measured, _ = run(
            self.TRAIN.replace("devices=1", 'devices=2, strategy="ddp_spawn"'),
            """
        if __name__ == "__main__":
            trainer(max_epochs=2, enable_checkpointing=False).fit(Model(), data, data)
        """,
        )
        assert steps(measured) == [1, 2]


@pytest.mark.slow
class TestTransformers:
    TRAIN = """
        import numpy as np
        from transformers import (BertConfig, BertForSequenceClassification, Trainer,
                                  TrainerCallback, TrainingArguments, set_seed)
        from cloudtune.trial import TransformersCallback

        set_seed(0)
        model = BertForSequenceClassification(BertConfig(
            vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=1,
            intermediate_size=8, max_position_embeddings=8))
        data = [{"input_ids": [n % 20, 1], "labels": n % 2} for n in range(40)]

        def accuracy(prediction):
            return {"accuracy": (prediction.predictions.argmax(-1) == prediction.label_ids).mean()}

        def trainer(*callbacks, **options):
            options = {"per_device_train_batch_size": 10, "use_cpu": True, "report_to": "none",
                       "save_strategy": "no", "disable_tqdm": True, **options}
            return Trainer(model, TrainingArguments("out", **options), train_dataset=data,
                           eval_dataset=data, compute_metrics=accuracy,
                           callbacks=[*callbacks, TransformersCallback()])

        class Stop(TrainerCallback):
            def on_step_begin(self, args, state, control, **kwargs):
                if state.global_step == 9:
                    stop_here()
    """

    def test_each_epoch_is_reported(self, run: Script) -> None:
        measured, printed = run(
            self.TRAIN,
            """
        first = trainer(num_train_epochs=3, eval_strategy="epoch", logging_strategy="epoch")
        first.train()
        logs = [each for each in first.state.log_history if "eval_accuracy" in each]
        print("last", logs[-1]["eval_accuracy"])
        """,
        )
        assert steps(measured) == [1, 2, 3]
        assert names(measured) >= {"loss", "eval_loss", "eval_accuracy"}
        assert not [each for each in names(measured) if each.endswith(("runtime", "second"))]
        assert float(printed.split()[-1]) == measured[-1][1]["eval_accuracy"]

    def test_evaluations_at_steps_and_trainings_without_evaluations(self, run: Script) -> None:
        measured, _ = run(
            self.TRAIN,
            """
        trainer(max_steps=5, eval_strategy="steps", eval_steps=2, logging_strategy="no").train()
        trainer(max_steps=4, logging_steps=2).train()
        """,
        )
        evaluated = [step for step, metrics in measured if "eval_loss" in metrics]
        assert evaluated[:2] == [2, 4]  # transformers 5 also evaluates at the end
        logged = [(step, set(metrics)) for step, metrics in measured if "eval_loss" not in metrics]
        assert [step for step, metrics in logged if "loss" in metrics] == [2, 4]

    @pytest.mark.parametrize("strategy", ["epoch", "steps"])
    def test_a_stop_signal_ends_the_training_and_the_script_continues(
        self, run: Script, strategy: str
    ) -> None:
        measured, printed = run(
            self.TRAIN,
            f"""
        first = trainer(Stop(), num_train_epochs=9, eval_strategy={strategy!r}, eval_steps=4)
        first.train()
        print("steps", first.state.global_step)
        """,
        )
        assert steps(measured) == ([1, 2] if strategy == "epoch" else [4, 8])
        assert printed.split()[-2:] == ["steps", "10"]

    def test_one_of_two_processes_reports_and_a_stop_ends_both(self, run: Script) -> None:
        measured, printed = run(
            self.TRAIN.replace(
                "global_step == 9", "global_step == 5 and os.environ['RANK'] == '1'"
            ),
            """
        import subprocess
        if "RANK" not in os.environ:
            words = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2",
                     "--master-addr=127.0.0.1", "--master-port=0", "--standalone", __file__]
            raise SystemExit(subprocess.run(words).returncode)
        first = trainer(Stop(), num_train_epochs=9, eval_strategy="epoch")
        first.train()
        sys.stdout.write(f"steps: {first.state.global_step}\\n")
        sys.stdout.flush()
        os._exit(0)  # torch itself may abort while the interpreter of a distributed process ends
        """,
        )
        assert steps(measured) == [1, 2]
        assert printed.count("steps: 6") == 2
