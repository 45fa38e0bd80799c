"""Durations, sizes and money."""

import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.study.quantities import (
    Money,
    format_cost,
    format_duration,
    format_percent,
    parse_bytes,
    parse_duration,
    parse_money,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("10m", 600),
        ("2h30m", 9000),
        ("1d", 86400),
        ("1d2h3m4.5s", 93784.5),
        ("1.5h", 5400),
        (" 2h ", 7200),
        (timedelta(minutes=2), 120),
    ],
)
def test_a_duration_is_read_as_seconds(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "wrong",
    ["", "s", "5", "1h 30m", "30m1h", "-5s", "0s", "0h", "1e3s", "ten", None, True, [], "٣s"],
)
def test_an_invalid_duration_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(wrong)


def test_a_duration_without_a_unit_is_refused_with_an_example() -> None:
    with pytest.raises(ValueError, match="for example 90s or 90m"):
        parse_duration(90)


@pytest.mark.parametrize("zeros", [18, 30, 300, 400])
def test_a_duration_that_is_too_long_is_refused(zeros: int) -> None:
    with pytest.raises(ValueError, match="at most 1000000000000d"):
        parse_duration(f"1{'0' * zeros}s")
    longest = parse_duration("1000000000000d")
    assert parse_duration(format_duration(longest)) == longest


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(90.0, "1m30s"), (7200.0, "2h"), (86400.0, "1d"), (0.5, "0.5s"), (93784.5, "1d2h3m4.5s")],
)
def test_a_duration_is_formatted_in_the_largest_units(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.floats(min_value=1e-6, max_value=1e12))
def test_a_formatted_duration_parses_to_the_same_value(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "money"),
    [("25 USD", Money(25, "USD")), ("0.5EUR", Money(0.5, "EUR")), ("7 JPY", Money(7, "JPY"))],
)
def test_money_is_parsed(text: str, money: Money) -> None:
    assert parse_money(text) == money


@pytest.mark.parametrize("wrong", ["25", "USD", "25 usd", "-3 USD", "1e3 USD", "$25", None, True])
def test_an_invalid_amount_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="money"):
        parse_money(wrong)


def test_an_amount_without_a_currency_is_refused_with_an_example() -> None:
    with pytest.raises(ValueError, match="for example 3 USD"):
        parse_money(3)


def test_an_infinite_amount_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        parse_money("9" * 400 + " USD")


@given(st.floats(min_value=0, max_value=1e15))
def test_formatted_money_parses_to_the_same_value(amount: float) -> None:
    back = parse_money(str(Money(amount, "USD")))
    assert math.isclose(back.amount, amount, rel_tol=0, abs_tol=0)
    assert back.currency == "USD"


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        *[(0, "0.00"), (1234.567, "1234.57"), (1, "1.00"), (0.9999, "1.00"), (0.5, "0.50")],
        *[(0.9949, "0.995"), (0.01, "0.01"), (0.00090912, "0.000909"), (3e-8, "0.00000003")],
    ],
)
def test_a_small_cost_is_never_shown_as_none(amount: float, text: str) -> None:
    assert format_cost(amount, "USD") == f"{text} USD"


@pytest.mark.parametrize(
    ("share", "text"),
    [
        *[
            (0.0, "0 %"),
            (1e-9, "< 1 %"),
            (0.005, "< 1 %"),
            (0.0049, "< 1 %"),
            (-0.001, "> -1 %"),
            (0.006, "1 %"),
            (0.5, "50 %"),
        ],
        *[(0.9949, "99 %"), (0.9999, "99 %"), (1.0, "100 %"), (1.25, "125 %")],
    ],
)
def test_a_part_is_never_shown_as_nothing_or_all(share: float, text: str) -> None:
    assert format_percent(share) == text


@pytest.mark.parametrize(
    ("text", "size"),
    [("8 GB", 8 * 10**9), ("1.5 GiB", 3 * 2**29), ("7KiB", 7168), ("2TB", 2 * 10**12)],
)
def test_a_size_is_read_as_bytes(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("wrong", ["", "8", "GB", "8 XB", "8 GBs"])
def test_an_invalid_size_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="invalid size"):
        parse_bytes(wrong)
