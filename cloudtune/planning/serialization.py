"""Reading plans back: from a saved file, and from the ledger."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from cloudtune.errors import ProviderError, UsageError
from cloudtune.ledger.home import state_folder
from cloudtune.planning.planner import plan_from_facts
from cloudtune.provider.plan import Plan
from cloudtune.provider.stored_plan import (
    FORMAT,
    HINT,
    OTHER_VERSION,
    StoredPlan,
    parse_stored_plan,
)
from cloudtune.study.regular_files import read_regular
from cloudtune.study.schema import Json

MAX_PLAN_BYTES = 256 * 1024**2
"""The largest file of plans; a plan can contain the results of earlier runs."""


def restore_plan(data: Any) -> Plan:
    """Return the plan that `Plan.to_json` describes, planned again from its facts.

    Raises:
        UsageError: If the data is not a plan, or this version of cloudtune would send something
            else.
        ProviderError: If planning failed because of a mistake in the provider's code.
    """
    return _restore(parse_stored_plan(data))


def read_plan_file(file: Path) -> list[Plan] | None:
    """Return the plans in a file, or None if it contains no plans: it may be a study.

    Raises:
        UsageError: If the file contains a list of something else, an empty list or plans of
            several runs; if the run belongs to another state folder on this machine, where it may
            have been started; or if a plan cannot be restored.
        ProviderError: If planning failed because of a mistake in the provider's code.
    """
    try:
        content: Any = json.loads(read_regular(file, MAX_PLAN_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    if isinstance(content, dict) and cast("Json", content).get("format") == FORMAT:
        content = [content]
    if not isinstance(content, list):
        return None
    plans = [parse_stored_plan(each) for each in cast("list[Json]", content)]
    if not plans:
        raise UsageError(f"{file} contains no plan; {HINT}")
    if len({plan.run for plan in plans}) > 1 or len({p.provider for p in plans}) < len(plans):
        raise UsageError(f"{file} must contain the plans of one run, one per provider; {HINT}")
    state = plans[0].state
    if state and Path(state) != state_folder() and Path(state).parent.is_dir():
        raise UsageError(
            f"the run of {file} belongs to {state}: run it where it was planned, "
            f"or with CLOUDTUNE_HOME={shlex.quote(state)}"
        )
    return [_restore(plan) for plan in plans]


def write_plan_file(plans: Sequence[Plan], file: Path) -> None:
    """Write the plans of one run to a file that `read_plan_file` reads."""
    state = {"state": str(state_folder())}
    text = json.dumps([plan.to_json() | state for plan in plans], indent=2)
    file.write_text(f"{text}\n", "utf-8")


def _restore(stored: StoredPlan) -> Plan:
    if stored.broken:
        raise ProviderError(stored.provider, stored.broken)
    try:
        plan = plan_from_facts(stored.to_study(), stored.provider, stored.to_facts())
    except KeyError as error:
        raise UsageError(
            f"another version of cloudtune created this plan, without the fact {error}, which "
            f"{stored.provider} needs; {OTHER_VERSION}"
        ) from error
    if json.loads(json.dumps(plan.request)) != stored.request or plan.mode != stored.mode:
        raise UsageError(
            "another version of cloudtune created this plan, and this version would send "
            f"something else; {OTHER_VERSION}"
        )
    return plan
