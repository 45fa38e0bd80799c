"""Facts keep their values in a plan, and plans of earlier versions can be read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cloudtune.planning.planner import plan
from cloudtune.planning.serialization import restore_plan
from cloudtune.provider.facts import (
    Facts,
    Inputs,
    Lookup,
    Parent,
    Price,
    ServiceLimits,
    SourceFiles,
    Variables,
)
from cloudtune.provider.stored_plan import facts_to_json, parse_stored_plan
from cloudtune.study.study import Study

STUDY = Study.model_validate(
    {
        "objective": {"metric": "x", "goal": "maximize"},
        "parameters": {"x": {"type": "float", "min": 0, "max": 1}},
        "limits": {"max_trials": 1},
        "trial": {"command": ["true"], "metrics": {"x": "x=(.*)"}},
    }
)
LOOKUP = Lookup(
    price=Price(0.25, "USD", "a list", 600.0, 60.0),
    limits=ServiceLimits(3600.0, ("managed",), set_by_native=True),
    missing_settings={"zone": "give a zone"},
    code_address="far://code",
    source=SourceFiles(3, 200, ("train.py",)),
    variables=Variables(("UNSET",), ("EMPTY",)),
    inputs=Inputs({"a": "far://a", "b": None}, {"a": "/data/a"}, ("a",)),
    links={"driven": "https://console/jobs"},
    job_links={"managed": "https://console/{job}"},
    data={"zone": "here", "machines": ["big", "small"]},
)


@pytest.fixture
def facts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Facts:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    return plan(STUDY, base=tmp_path).facts


def stored(facts: Facts) -> dict[str, Any]:
    plain = plan(STUDY, base=facts.base).to_json() | {"facts": facts_to_json(facts)}
    data: dict[str, Any] = json.loads(json.dumps(plain | {"run": facts.run_id}))
    return data


@pytest.mark.parametrize("lookup", [LOOKUP, Lookup(), replace(LOOKUP, price="no price list")])
def test_facts_come_back(facts: Facts, lookup: Lookup) -> None:
    facts = replace(facts, lookup=lookup, parents=[Parent({"x": 1.0}, (0.5,))], emulated=True)
    assert parse_stored_plan(stored(facts)).to_facts() == facts


def test_a_plan_of_an_earlier_version_is_read(facts: Facts) -> None:
    data = stored(facts)
    for key in ("limits", "missing_settings", "code_address", "links", "job_links"):
        del data["facts"]["lookup"][key]
    del data["facts"]["lookup"]["inputs"]["uploads"]
    assert restore_plan(data).facts == facts
