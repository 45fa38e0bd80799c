"""What is written and read again is the fitted study: `read(write(study)) == fit(study)`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudtune.conversion import exporter, importer
from cloudtune.conversion.registry import all_formats
from cloudtune.dialect.model import fit_document
from cloudtune.errors import ConversionError
from cloudtune.study.loader import load
from cloudtune.study.search_space import list_values
from cloudtune.study.study import Study

DIALECTS = {name: found for name, each in all_formats().items() if (found := each.dialect())}
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
NUMBERS = st.sampled_from([0.001, 0.25, 0.5, 1.0, 2.0, 16.0, 100.0])
SCALES = st.sampled_from(["linear", "log", "reverse_log", "auto"])


@st.composite
def ranges(draw: st.DrawFn) -> dict[str, Any]:
    """Return a range, which may have a step."""
    scale = draw(SCALES)
    found: dict[str, Any] = {}
    if draw(st.booleans()):
        first, size = draw(st.integers(1, 20)), draw(st.integers(3, 40))
        found = {"type": "int", "min": first, "max": first + size}
        found["step"] = draw(st.sampled_from([None, 1, 3]))
    else:
        low, high = sorted(draw(st.lists(NUMBERS, min_size=2, max_size=2, unique=True)))
        found = {"type": "float", "min": low, "max": high}
        found["step"] = draw(st.sampled_from([None, 0.25])) if low >= 0.25 else None
    return {key: value for key, value in {**found, "scale": scale}.items() if value is not None}


LISTS = st.one_of(
    st.just({"type": "bool"}),
    st.lists(st.sampled_from(["a", "b", "c"]), min_size=2, unique=True).map(
        lambda values: {"type": "categorical", "values": values}
    ),
    st.lists(st.integers(1, 99), min_size=2, max_size=5, unique=True).map(
        lambda values: {"type": "discrete", "values": sorted(values)}
    ),
)
STUDIES = st.fixed_dictionaries(
    {
        "name": NAMES,
        "objective": st.fixed_dictionaries(
            {
                "metric": st.sampled_from(["loss", "default"]),
                "goal": st.sampled_from(["maximize", "minimize"]),
                "select": st.sampled_from(["last", "best"]),
            }
        ),
        "parameters": st.dictionaries(NAMES, ranges() | LISTS, min_size=1, max_size=4),
        "strategy": st.sampled_from(
            [
                {"name": "random", "seed": 3},
                {"name": "bayesian", "method": "tpe"},
                {"name": "bayesian", "method": "gp"},
            ]
        ),
        "limits": st.fixed_dictionaries(
            {"max_trials": st.integers(1, 50), "parallel_trials": st.integers(1, 4)},
            optional={"timeout": st.sampled_from(["1h", "90m"])},
        ),
    }
)


@pytest.mark.parametrize("name", sorted(DIALECTS))
@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=STUDIES)
def test_a_written_study_is_the_fitted_one(name: str, data: dict[str, Any], tmp_path: Path) -> None:
    study = load(data)
    try:
        exported = exporter.write(study, name)
    except ConversionError:
        return
    fitted = fit_document(study, DIALECTS[name]).study
    file = tmp_path / f"{name}.{exported.format.syntax}"
    file.write_text(exported.to_text(file), "utf-8")
    (found,) = importer.read(file, name).studies
    paths = {each.path for each in exported.findings}
    changed = {
        *(["objective"] if {"objective.goal", "objective.metric"} & paths else []),
        *(["limits"] if {"limits.max_trials", "limits.timeout"} & paths else []),
    }
    blocks = {"name", "parameters", "limits", "objective"} - changed
    assert [meaning(found.study)[key] for key in blocks] == [meaning(fitted)[key] for key in blocks]


def meaning(study: Study) -> dict[str, Any]:
    """Return a study without defaults that are written out; required ones cannot be dropped."""
    data = study.to_json()
    if data.get("limits", {}).get("parallel_trials") == 1:
        del data["limits"]["parallel_trials"]
    for name, variants in data["parameters"].items():
        for each, parameter in zip(variants, study.parameters[name], strict=True):
            if "step" in each:  # the last value may be below the upper bound
                each["max"] = list(list_values(parameter) or [])[-1]
            if each.get("type") == "int" and each.get("step") == 1:
                del each["step"]
    return {key: data.get(key) or None for key in ("name", "objective", "parameters", "limits")}
