"""Numbers in tables and on lines of progress."""

from __future__ import annotations

import pytest

from cloudtune.reporting.phrases import format_parameters, format_short


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.39999999999999997, "0.4"),
        (1.4489565928713406, "1.449"),
        (1e-05, "1e-05"),
        (1234.5, "1234"),
        (9999.96, "10000"),
        (700553.37764, "700553"),
        (-25000.0, "-25000"),
        (1.5e12, "1.5e+12"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (700553, "700553"),
    ],
)
def test_short_numbers(value: float, text: str) -> None:
    assert format_short(value) == text


def test_an_empty_word_is_visible() -> None:
    assert format_parameters({"name": "", "other": " "}) == "name='' other=' '"
