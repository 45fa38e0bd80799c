"""An Optuna storage that holds the trials of one study as a plain list.

Optuna's in-memory storage cannot remove trials. Here the trial that a sampler is asked for is
removed again once its parameters are known. Asking then has no side effects, and the numbers of the
trials, from which samplers derive their random state, are the same after a resume.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from typing_extensions import override


class ListStorage(InMemoryStorage):
    """Holds one study. A trial's id is its index. Replaces the methods that samplers use."""

    def __init__(self, directions: Sequence[StudyDirection]) -> None:
        super().__init__()
        self.trials: list[FrozenTrial] = []
        self.visible: list[FrozenTrial] | None = None
        """The trials that a sampler sees, in addition to the requested one; None for all."""
        self.study_attrs: dict[str, Any] = {}
        self._directions = list(directions)

    def add(
        self,
        state: TrialState,
        params: dict[str, Any],
        distributions: dict[str, BaseDistribution],
        attrs: dict[str, Any],
        values: Sequence[float] | None = None,
    ) -> FrozenTrial:
        """Append a trial and return it; the caller may change its state and values."""
        index = len(self.trials)
        trial = FrozenTrial(
            number=index,
            state=state,
            value=None,
            values=values,
            datetime_start=None,
            datetime_complete=None,
            params=params,
            distributions=distributions,
            user_attrs={},
            system_attrs=attrs,
            intermediate_values={},
            trial_id=index,
        )
        self.trials.append(trial)
        return trial

    @override
    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        trial = self.add(TrialState.RUNNING, {}, {}, {})
        if self.visible is not None:
            self.visible.append(trial)
        return trial.number

    @override
    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        trial = self.trials[trial_id]
        value = distribution.to_external_repr(param_value_internal)
        trial.params = {**trial.params, param_name: value}
        trial.distributions = {**trial.distributions, param_name: distribution}

    @override
    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        self.trials[trial_id].system_attrs[key] = value

    @override
    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        self.study_attrs[key] = value

    @override
    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return self.study_attrs

    @override
    def get_trial(self, trial_id: int) -> FrozenTrial:
        return self.trials[trial_id]

    @override
    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        trials = self.trials if self.visible is None else self.visible
        return [trial for trial in trials if states is None or trial.state in states]

    @override
    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        return self._directions

    @override
    def get_study_id_from_name(self, study_name: str) -> int:
        return 0

    @override
    def get_study_name_from_id(self, study_id: int) -> str:
        return ""

    @override
    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        return {}
