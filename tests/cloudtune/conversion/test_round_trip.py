"""Studies that are exported and imported are the same studies."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cloudtune.conversion import exporter, importer
from cloudtune.conversion.registry import all_formats
from cloudtune.study.loader import load

NAMES = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True)
WORDS = st.from_regex(r"[a-z]{1,6}", fullmatch=True)
SCALES = st.sampled_from(["linear", "log"])


@st.composite
def floats(draw: st.DrawFn) -> dict[str, Any]:
    low = draw(st.floats(1e-6, 10).map(lambda x: float(f"{x:.4g}")))
    high = draw(st.floats(low * 1.5, low * 1e6).map(lambda x: float(f"{x:.4g}")))
    return {"type": "float", "min": low, "max": high, "scale": draw(SCALES)}


@st.composite
def linear(draw: st.DrawFn) -> dict[str, Any]:
    """Return a linear range of any numbers, as people write them."""
    kind = draw(st.sampled_from(["float", "int"]))
    digits = draw(st.integers(1, 12))
    number: st.SearchStrategy[Any] = (
        st.integers(-(10**9), 10**9)
        if kind == "int"
        else st.floats(-1e9, 1e9).map(lambda x: float(f"{x:.{digits}g}"))
    )
    low, high = sorted(draw(st.lists(number, min_size=2, max_size=2, unique=True)))
    return {"type": kind, "min": low, "max": high, "scale": "linear"}


@st.composite
def integers(draw: st.DrawFn) -> dict[str, Any]:
    low = draw(st.integers(1, 50))
    return {
        "type": "int",
        "min": low,
        "max": draw(st.integers(low + 1, 1000)),
        "scale": draw(SCALES),
    }


CATEGORICAL = st.lists(WORDS, min_size=2, max_size=6, unique=True).map(
    lambda values: {"type": "categorical", "values": values}
)
STUDIES = st.fixed_dictionaries(
    {
        "name": NAMES,
        "objective": st.fixed_dictionaries(
            {"metric": WORDS, "goal": st.sampled_from(["maximize", "minimize"])}
        ),
        "parameters": st.dictionaries(
            NAMES, floats() | integers() | linear() | CATEGORICAL, min_size=1, max_size=5
        ),
        "strategy": st.sampled_from(["bayesian", "random"]).map(lambda name: {"name": name}),
        "limits": st.fixed_dictionaries(
            {"max_trials": st.integers(1, 500), "parallel_trials": st.integers(1, 20)}
        ),
    }
)


ALMOST_SHORT_LOGARITHM: dict[str, Any] = {
    "name": "a",
    "objective": {"metric": "a", "goal": "maximize"},
    "parameters": {"a": {"type": "float", "min": 1.0, "max": 65060.0, "scale": "log"}},
    "strategy": {"name": "bayesian"},
    "limits": {"max_trials": 1, "parallel_trials": 1},
}
DIALECTS = sorted(name for name, each in all_formats().items() if each.dialect())
NAMING = {"ray", "syne-tune"}
"""The formats that search at random unless they name an algorithm."""


@pytest.mark.parametrize("name", [name for name in DIALECTS if name != "hydra"])  # has no names
@settings(
    max_examples=30,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=STUDIES)
@example(data=ALMOST_SHORT_LOGARITHM)
def test_a_study_comes_back(name: str, data: dict[str, Any], tmp_path: Path) -> None:
    data = copy.deepcopy(data)
    if name == "watson":  # its integers have no log scale
        for parameter in data["parameters"].values():
            if parameter["type"] == "int":
                del parameter["scale"]
    if name == "wandb":  # has no parallel trials
        del data["limits"]["parallel_trials"]
    if name == "azure":  # has no log scale in a Bayesian search
        data["strategy"] = {"name": "random"}
    if name == "vizier":  # has no limits
        del data["limits"]
    if name in NAMING:
        data["strategy"] = {"name": "bayesian", "method": "tpe"}
    if name == "configspace":  # has only parameters
        data = {"name": data["name"], "parameters": data["parameters"]}
    study = load(data)
    exported = exporter.write(study, name)
    file = tmp_path / f"{name}.{exported.format.syntax}"
    file.write_text(exported.to_text(file), "utf-8")
    (found,) = importer.read(file).studies
    has_finding = any(each.path.startswith("limits.") for each in exported.findings)
    for block in (
        "name",
        "objective",
        "parameters",
        "strategy",
        *([] if has_finding else ["limits"]),
    ):
        assert getattr(found.study, block) == getattr(study, block)
