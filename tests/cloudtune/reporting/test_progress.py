"""What is shown of a job while it runs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cloudtune.capabilities import Mode
from cloudtune.events import Ended, Started, TrialState
from cloudtune.planning import plan
from cloudtune.reporting.progress import JobView, end_line
from cloudtune.study import Study


@pytest.mark.parametrize(("mode", "count"), [("driven", "[1/2]"), ("managed", "[2/2]")])
def test_a_cancelled_trial_counts_where_it_is_not_asked_again(mode: Mode, count: str) -> None:
    study = Study.model_validate(
        {
            "objective": {"metric": "score", "goal": "maximize"},
            "parameters": {"x": {"type": "bool"}},
            "limits": {"max_trials": 2},
        }
    )
    view = JobView(replace(plan(study), mode=mode), [])
    states: tuple[TrialState, ...] = ("completed", "cancelled")
    for number, state in enumerate(states, start=1):
        view.tell(Started(number, 1.0, {"x": True}))
        view.tell(Ended(number, 2.0, state))
    assert end_line(view, 2, is_best=False).startswith(count)
