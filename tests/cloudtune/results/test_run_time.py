"""How long a start waited and ran, from its events."""

from __future__ import annotations

import pytest

from cloudtune.results.events import UNKNOWN_TIME, Ended, Event, Running, Started, Waiting
from cloudtune.results.trials import Trials
from cloudtune.study.study import Study

STUDY = Study.model_validate(
    {
        "objective": {"metric": "score", "goal": "maximize"},
        "parameters": {"x": {"type": "int", "min": 0, "max": 9}},
    }
)
AT_100 = Started(1, 100.0, {})


@pytest.mark.parametrize(
    ("events", "seconds", "waited", "started"),
    [
        pytest.param([Ended(1, 130.0, "completed")], 30.0, None, 100.0, id="here"),
        pytest.param([Running(1, 110.0), Ended(1, 130.0, "completed")], 20.0, 10.0, 110.0, id="at"),
        pytest.param(
            [
                *(Waiting(1, 105.0, "a"), Waiting(1, 108.0, "b")),
                *(Running(1, 120.0), Running(1, 125.0), Ended(1, 130.0, "completed")),
            ],
            *(10.0, 20.0, 120.0),
            id="waited for two reasons, and seen running twice",
        ),
        pytest.param(
            [
                *(Running(1, 110.0), Waiting(1, 120.0, "spot"), Running(1, 150.0)),
                Ended(1, 155.0, "completed"),
            ],
            *(15.0, 40.0, 110.0),
            id="lost its machine",
        ),
        pytest.param(
            [Waiting(1, 105.0, "a"), Ended(1, 130.0, "cancelled")], 0.0, 30.0, None, id="never ran"
        ),
        pytest.param(
            [Running(1, 90.0), Ended(1, 130.0, "completed")], 40.0, None, 90.0, id="clocks differ"
        ),
        pytest.param([Ended(1, 130.0, "completed", seconds=7.0)], 7.0, None, 100.0, id="measured"),
        pytest.param([Ended(1, UNKNOWN_TIME, "completed")], None, None, 100.0, id="unknown"),
        pytest.param(
            [
                *(Waiting(1, 105.0, "no machine"), Ended(1, 110.0, "pending", lost=True)),
                *(Started(1, 120.0, {}), Running(1, 125.0), Ended(1, 126.0, "completed")),
            ],
            *(1.0, 15.0, 125.0),
            id="asked again",
        ),
    ],
)
def test_waiting_is_no_running(
    events: list[Event], seconds: float | None, waited: float | None, started: float | None
) -> None:
    trials = Trials(STUDY, "r")
    for event in [AT_100, *events]:
        trials.tell(event)
    trial = trials.get(1)
    assert (trial.seconds, trial.waited, trial.started) == (seconds, waited, started)
    assert trial.created == 100.0


def test_a_waiting_trial_says_what_it_waits_for() -> None:
    trials = Trials(STUDY, "r")
    trials.tell(AT_100)
    trials.tell(Waiting(1, 101.0, "PENDING (Resources)"))
    assert (trials.get(1).state, trials.get(1).reason) == ("waiting", "PENDING (Resources)")
    trials.tell(Running(1, 130.0))
    assert (trials.get(1).state, trials.get(1).reason) == ("running", "")
