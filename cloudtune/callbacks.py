"""Callbacks that report the metrics of training frameworks, imported from `cloudtune.trial`.

::

    from cloudtune.trial import XGBoostCallback

    xgb.train(params, train, evals=[(valid, "valid")], callbacks=[XGBoostCallback()])

The file travels with `cloudtune.trial`, so it also needs only the standard library and Python 3.7.
A framework is imported when its callback is.

Each callback reports what its framework measures, under the framework's names, from one process of
a distributed training. When the trial is asked to stop, the training ends in the framework's way.
"""

from __future__ import annotations

import json
import os
from importlib import import_module
from typing import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Union

    Selection = Union[Mapping[str, str], Iterable[str], None]

_EPOCH_TOLERANCE = 0.01
"""Fraction of an epoch by which transformers may count too much."""
_INTERRUPTED = 143
"""Exit code after SIGTERM, as shells have it."""
_COUNTERS = ("epoch", "total_flos", "num_input_tokens_seen")
"""Values in a log of transformers that grow with the training."""
_RANKS = ("RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID")
"""Variables with the number of a process, as torchrun, MPI and srun set them."""


class _Reporter:
    """Selects, renames and reports the metrics of a framework.

    Args:
        metrics: The names of the metrics to report. A map also renames them: its keys are the
            study's names, its values the framework's. By default, all metrics are reported.
    """

    _send: Any
    """The function `cloudtune.trial.report`."""
    _should_stop: Any
    """The function `cloudtune.trial.should_stop`."""

    def __init__(self, metrics: Selection = None) -> None:
        super().__init__()
        names: Any = [metrics] if isinstance(metrics, str) else metrics
        if names is not None:
            names = dict(names) if hasattr(names, "items") else {name: name for name in names}
        self._names = names

    def _report(self, values: Mapping[str, Any], step: int) -> None:
        if self._names is not None:
            values = {own: values[name] for own, name in self._names.items() if name in values}
        if values:
            self._send(values, step=step)


class _XGBoost(_Reporter):
    """Reports each boosting round of XGBoost, and ends the training when the trial has to stop.

    A metric is named after its data set and itself, as XGBoost prints it: ``valid-auc``. The step
    is the number of rounds of the model, so a training that continues a model continues its steps.
    With ``xgb.cv``, the values are the means over the folds.
    """

    def before_training(self, model: Any) -> Any:
        """Install the handler of the stop signal."""
        self._should_stop()
        return model

    def after_iteration(self, model: Any, _epoch: int, evals_log: Mapping[str, Any]) -> bool:
        """Report the last round; return whether to stop."""
        collective: Any = import_module("xgboost.collective")
        values: dict[str, Any] = {}
        for data, metrics in evals_log.items():
            for name, history in metrics.items():
                last = history[-1]
                values[data + "-" + name] = last[0] if isinstance(last, tuple) else last
        if collective.get_rank() == 0:
            self._report(values, model.num_boosted_rounds())
        stops: bool = self._should_stop()
        if collective.is_distributed():
            numpy: Any = import_module("numpy")
            # All processes have to leave after the same round, and the signal may reach only one.
            flag = numpy.asarray([stops], dtype=numpy.int32)
            stops = bool(collective.allreduce(flag, collective.Op.MAX)[0])
        return stops


class _LightGBM(_Reporter):
    """Reports each boosting round of LightGBM, and ends the training when the trial has to stop.

    A metric is named after its data set and itself: ``valid_0-auc``. The step is the number of
    rounds, including those of an initial model. With ``lgb.cv``, the values are the means over the
    folds.
    """

    def __init__(self, metrics: Selection = None) -> None:
        super().__init__(metrics)
        self.order = 25  # after the callbacks that record a round, before the one that stops early
        self.before_iteration = False

    def __call__(self, env: Any) -> None:
        """Report the last round.

        Raises:
            EarlyStopException: If the trial has to stop.
        """
        results: Any = env.evaluation_result_list or []
        if _is_first_process():
            values = {result[0] + "-" + result[1]: result[2] for result in results}
            self._report(values, env.iteration + 1)
        if self._should_stop():
            callback: Any = import_module("lightgbm.callback")
            raise callback.EarlyStopException(env.iteration, results)


class _Keras(_Reporter):
    """Reports each epoch of Keras, and ends the training when the trial has to stop.

    Metrics have the names of Keras: ``loss``, ``val_accuracy``. The step is the epoch, from 1. An
    epoch that the stop signal cuts short is not reported.
    """

    model: Any

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        """Install the handler of the stop signal."""
        self._stopped = self._should_stop()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Let Keras stop after this batch if the trial has to stop."""
        if self._should_stop():
            self.model.stop_training = self._stopped = True

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Report the epoch."""
        if logs and not self._stopped and _is_first_process():
            self._report(logs, epoch + 1)


class _Lightning(_Reporter):
    """Reports each training epoch of Lightning.

    Metrics have the names under which the module logs them. Values of a validation that did not
    run in the epoch are not repeated. The step is the number of finished epochs.

    When the trial has to stop, Lightning itself ends the process after the current batch, with its
    ``SIGTERMException`` and here with exit code 143. Its callbacks can save a checkpoint then, for
    example ``OnExceptionCheckpoint``.
    """

    def __init__(self, metrics: Selection = None) -> None:
        super().__init__(metrics)
        self._earlier_names: set[str] = set()
        self._validation_names: set[str] = set()
        self._validated = False
        self._epoch_ended = False

    def on_validation_start(self, trainer: Any, _module: Any) -> None:
        """Record the names of the metrics that the validation does not add."""
        self._earlier_names = set(trainer.callback_metrics)

    def on_validation_end(self, trainer: Any, _module: Any) -> None:
        """Record the validation's metrics."""
        if not trainer.sanity_checking:
            self._validation_names |= set(trainer.callback_metrics) - self._earlier_names
            self._validated = True

    def on_train_epoch_end(self, _trainer: Any, _module: Any) -> None:
        """Record that there is an epoch to report, once the module has logged its metrics, too."""
        self._epoch_ended = True

    def on_train_epoch_start(self, trainer: Any, _module: Any) -> None:
        """Report the epoch before this one."""
        self._report_epoch(trainer)

    def on_train_end(self, trainer: Any, _module: Any) -> None:
        """Report the last epoch."""
        self._report_epoch(trainer)

    def on_exception(self, _trainer: Any, _module: Any, exception: BaseException) -> None:
        """Make an interrupted process end with an error code."""
        if isinstance(exception, SystemExit) and exception.code is None:
            exception.code = _INTERRUPTED

    def _report_epoch(self, trainer: Any) -> None:
        if self._epoch_ended and trainer.is_global_zero:
            metrics = {k: float(v) for k, v in trainer.callback_metrics.items()}
            if not self._validated:
                metrics = {k: v for k, v in metrics.items() if k not in self._validation_names}
            self._report(metrics, trainer.current_epoch)
        self._epoch_ended = self._validated = False


class _Transformers(_Reporter):
    """Reports each evaluation of a transformers ``Trainer``, and ends the training on a stop.

    Metrics have the names of transformers: ``eval_loss``, ``eval_accuracy``; with them comes the
    last logged ``loss``. The step is the epoch where the trainer evaluates after each epoch, else
    the global step. Without evaluations, the logged values are reported. An epoch that the stop
    signal cuts short is not evaluated.
    """

    def __init__(self, metrics: Selection = None) -> None:
        super().__init__(metrics)
        self._logs: dict[str, Any] = {}
        self._stopped = False

    def on_train_begin(self, _args: Any, _state: Any, _control: Any, **_kwargs: Any) -> None:
        """Install the handler of the stop signal."""
        self._stopped = self._should_stop()

    def on_step_end(self, args: Any, _state: Any, control: Any, **_kwargs: Any) -> None:
        """Let the trainer stop after this step if the trial has to stop."""
        if _any_process(args, self._should_stop()):
            control.should_training_stop = self._stopped = True

    def on_epoch_end(self, _args: Any, _state: Any, control: Any, **_kwargs: Any) -> None:
        """Skip the evaluation of an incomplete epoch."""
        if self._stopped:
            control.should_evaluate = False

    def on_log(
        self, args: Any, state: Any, _control: Any, logs: Any = None, **_kwargs: Any
    ) -> None:
        """Keep the last values of the training; report them if nothing else is measured."""
        values = _without_speeds(logs or {})
        values = {k: v for k, v in values.items() if not k.startswith(("eval_", "train_"))}
        self._logs = values or self._logs
        if _strategy(args) == "no" and state.is_world_process_zero:
            self._report(values, state.global_step)

    def on_evaluate(
        self, args: Any, state: Any, _control: Any, metrics: Any = None, **_kwargs: Any
    ) -> None:
        """Report an evaluation, together with the training's last values."""
        if not state.is_world_process_zero or (self._stopped and _strategy(args) == "epoch"):
            return
        step = state.global_step
        if _strategy(args) == "epoch" and state.epoch is not None:
            step = -int(-(state.epoch - _EPOCH_TOLERANCE) // 1)
        self._report({**self._logs, **_without_speeds(metrics or {})}, step)


def _strategy(args: Any) -> str:
    strategy = getattr(args, "eval_strategy", "no")
    return str(getattr(strategy, "value", strategy))


def _without_speeds(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a trainer's log that measure the model."""
    return {
        name: value
        for name, value in metrics.items()
        if name not in _COUNTERS and not name.endswith(("_runtime", "_per_second", "_time"))
    }


def _any_process(args: Any, flag: bool) -> bool:
    """Return whether a flag is set in any process of a distributed training.

    All of them have to leave after the same step, and a signal may reach only one.
    """
    if args.world_size == 1:
        return flag
    torch: Any = import_module("torch")
    if not torch.distributed.is_initialized():
        return flag
    flags = torch.tensor([int(flag)], device=args.device)
    torch.distributed.all_reduce(flags, op=torch.distributed.ReduceOp.MAX)
    return bool(flags.item())


def _is_first_process() -> bool:
    """Return whether the environment gives this process the number 0, or no number."""
    ranks = [os.environ.get(name, "") for name in _RANKS]
    config = os.environ.get("TF_CONFIG")
    if config:
        task: dict[str, Any] = json.loads(config).get("task") or {}
        ranks += [str(task.get("index", 0)), "" if task.get("type") != "evaluator" else "1"]
    return all(rank in ("", "0") for rank in ranks)


_CALLBACKS: dict[str, tuple[type[_Reporter], str, str]] = {
    "KerasCallback": (_Keras, "keras.callbacks", "Callback"),
    "LightGBMCallback": (_LightGBM, "lightgbm.callback", ""),
    "LightningCallback": (_Lightning, "lightning.pytorch", "Callback"),
    "TransformersCallback": (_Transformers, "transformers", "TrainerCallback"),
    "XGBoostCallback": (_XGBoost, "xgboost.callback", "TrainingCallback"),
}
"""For each name the implementation, and the module and class of the framework that it extends."""


def callback_class(name: str, report: Any, should_stop: Any) -> type[Any]:
    """Return a callback, a subclass of its framework's class.

    Args:
        name: The name of the callback.
        report: The function `cloudtune.trial.report`.
        should_stop: The function `cloudtune.trial.should_stop`.

    Raises:
        AttributeError: If no callback has this name.
        ImportError: If the framework is not installed.
    """
    if name not in _CALLBACKS:
        raise AttributeError("module 'cloudtune.trial' has no attribute {!r}".format(name))
    implementation, module, base = _CALLBACKS[name]
    framework = import_module(module)
    bases = (implementation, getattr(framework, base)) if base else (implementation,)
    # Pickles of models contain their callbacks, by the place from which scripts import them.
    members: dict[str, Any] = {"__module__": "cloudtune.trial", "__doc__": implementation.__doc__}
    members.update(_send=staticmethod(report), _should_stop=staticmethod(should_stop))
    return type(name, bases, members)
