from __future__ import annotations

import textwrap
from typing import Any
QUADRATIC = "print(1)"


def test_a_python_package_is_tuned(emulator: Any) -> None:
    request = emulator.tuning()
    request["trialJobSpec"]["workerPoolSpecs"] = [emulator.package(QUADRATIC)]
    job = emulator.run(request)
    assert job.state.name == "JOB_STATE_SUCCEEDED", job
    print(job)
