"""What is read of stored plans, of this version and of earlier ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cloudtune.ledger.job_facts import JobFacts, read_facts
from cloudtune.planning.planner import plan
from cloudtune.provider.facts import Price
from cloudtune.study.study import Study

STUDY = Study.model_validate(
    {
        "parameters": {"x": {"type": "float", "min": 0, "max": 1}},
        "strategy": {"name": "random", "seed": 5},
        "limits": {"max_trials": 3},
    }
)
PAGE = "https://example.com/jobs"


def test_a_plan_is_read_as_it_was_created() -> None:
    created = plan(STUDY)
    lookup = replace(
        created.facts.lookup,
        price=Price(0.5, "USD", "a list"),
        links={"driven": PAGE},
        job_links={"driven": f"{PAGE}/{{job}}", "managed": "elsewhere"},
    )
    facts = replace(
        created.facts,
        lookup=lookup,
        source_hash="abc",
        unhashed=("log.txt",),
        emulator="https://127.0.0.1:1",
        attached="north/job",
    )
    assert read_facts(replace(created, facts=facts).to_json()) == JobFacts(
        mode="driven",
        seed=5,
        findings=created.findings,
        source_hash="abc",
        unhashed=("log.txt",),
        emulator="https://127.0.0.1:1",
        attached="north/job",
        link=PAGE,
        job_link=f"{PAGE}/{{job}}",
        price=(0.5, "USD"),
    )
    assert created.findings


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        ({"price_per_second": 0.5, "currency": "USD", "price_source": "a list"}, (0.5, "USD")),
        ({"price_per_second": None, "currency": None, "why_no_price": "unknown"}, None),
        ({}, None),
    ],
)
def test_a_plan_of_an_earlier_version_is_read(
    price: dict[str, Any], expected: tuple[float, str] | None
) -> None:
    stored = {
        "format": "cloudtune.plan/v1",
        "mode": "managed",
        "findings": [{"kind": "dropped", "path": "constants", "reason": "unused"}],
        "facts": {
            "seed": 1,
            "source_hash": None,
            "own": {**price, "links": {"managed": PAGE}, "job_links": {}},
        },
    }
    facts = read_facts(stored)
    assert (facts.mode, facts.seed, facts.link, facts.job_link) == ("managed", 1, PAGE, None)
    assert (facts.emulator, facts.attached, facts.unhashed) == (None, None, ())
    assert [str(finding) for finding in facts.findings] == ["dropped constants: unused"]
    assert facts.price == expected


@pytest.mark.parametrize("key", ["mode", "findings", "facts"])
def test_what_is_no_plan_is_not_read(key: str) -> None:
    stored = plan(STUDY).to_json()
    del stored[key]
    with pytest.raises(KeyError):
        read_facts(stored)
