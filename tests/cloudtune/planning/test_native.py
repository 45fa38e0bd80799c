"""What a study puts over a request lies where rule 26 says."""

from __future__ import annotations

from typing import Any

import pytest

from cloudtune.diagnostics import Finding
from cloudtune.planning.native import merge

REQUEST: dict[str, Any] = {
    "Name": "job",
    "Tags": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}],
    "Children": [
        {"parentIntValues": {"values": ["1"]}, "parameterSpec": {"parameterId": "a", "x": 1}},
        {"parentIntValues": {"values": ["1"]}, "parameterSpec": {"parameterId": "b", "x": 2}},
    ],
    "Definition": {"Image": "i", "Words": ["x", "y"], "Steps": [{"n": 1, "m": 2}, {"n": 3}]},
}


def over(
    native: dict[str, Any], protected_paths: tuple[str, ...] = ()
) -> tuple[dict[str, Any], set[Any]]:
    merged, findings = merge(REQUEST, native, provider="odd", protected_paths=protected_paths)
    return merged, {(item.kind, item.path) for item in findings if isinstance(item, Finding)}


def test_nothing_over_it_is_the_request() -> None:
    assert over({}) == (REQUEST, set())


@pytest.mark.parametrize(
    ("native", "path", "wanted"),
    [
        ({"Definition": {"New": {"Deep": 1}}}, ["Definition", "New"], {"Deep": 1}),
        ({"Definition": {"Image": "j"}}, ["Definition", "Image"], "j"),
        ({"Definition": {"Words": ["z"]}}, ["Definition", "Words"], ["z"]),
        ({"Tags": [{"Key": "b", "Value": "3"}]}, ["Tags", 1], {"Key": "b", "Value": "3"}),
        ({"Tags": [{"Key": "c", "Value": "3"}]}, ["Tags", 2], {"Key": "c", "Value": "3"}),
        ({"Tags": [{"Key": "a", "Extra": "3"}]}, ["Tags", 0, "Value"], "1"),
        (
            {"Definition": {"Steps": [{"n": 9}]}},
            ["Definition", "Steps"],
            [{"n": 9, "m": 2}, {"n": 3}],
        ),
        ({"Definition": {"Steps": [{}, {}, {"n": 4}]}}, ["Definition", "Steps", 2], {"n": 4}),
        (
            {"Children": [{"parameterSpec": {"parameterId": "b", "x": 3}}]},
            ["Children", 1, "parameterSpec"],
            {"parameterId": "b", "x": 3},
        ),
        (
            {"Children": [{"parameterSpec": {"parameterId": "b", "x": 3}}]},
            ["Children", 0, "parameterSpec", "x"],
            1,
        ),
        ({"New": {"a": None, "b": 1}}, ["New"], {"b": 1}),
    ],
)
def test_maps_merge_by_key_and_lists_by_what_names_their_entries(
    native: dict[str, Any], path: list[Any], wanted: object
) -> None:
    found: Any = over(native)[0]
    for key in path:
        found = found[key]
    assert found == wanted


def test_what_names_an_entry_is_no_change() -> None:
    found = over({"Children": [{"parameterSpec": {"parameterId": "b", "x": 3}}]})[1]
    assert found == {("approximated", "providers.odd.native.Children.b.parameterSpec.x")}


def test_null_removes() -> None:
    assert over({"Definition": {"Image": None}})[0]["Definition"].keys() == {"Words", "Steps"}


def test_the_request_that_was_made_stays_as_it_is() -> None:
    before = repr(REQUEST)
    over({"Tags": [{"Key": "a", "Value": "9"}], "Definition": None})
    assert repr(REQUEST) == before


def test_what_the_study_sets_too_is_a_finding_and_what_is_kept_is_refused() -> None:
    tags = [{"Key": "a", "Value": "9"}, {"Key": "z", "Value": "9"}]
    native = {"Name": "mine", "Definition": {"Image": "j", "New": 1}, "Tags": tags}
    _, found = over(native, protected_paths=("Name", "Tags.a"))
    assert found == {
        ("refused", "providers.odd.native.Name"),
        ("refused", "providers.odd.native.Tags.a.Value"),
        ("approximated", "providers.odd.native.Definition.Image"),
    }


def test_what_is_kept_in_any_entry_of_a_list_is_refused() -> None:
    native = {"Parts": [{"Name": "p", "Deep": {"Path": "x"}, "Other": 1}]}
    assert over(native, protected_paths=("Parts.*.Deep.Path",))[1] == {
        ("refused", "providers.odd.native.Parts.p.Deep.Path")
    }


def test_removing_what_holds_something_kept_is_refused() -> None:
    assert over({"Definition": None}, protected_paths=("Definition.Image",))[1] == {
        ("refused", "providers.odd.native.Definition")
    }
