"""Percentages never deny a vote, and page, JSON and CSV say the same."""

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from polls.shares import are_rounded, percents, share

voters = st.integers(1, 10**7) | st.sampled_from([3, 7, 16, 29, 2000, 3000, 100_000])
tables = voters.flatmap(
    lambda n: st.tuples(st.lists(st.integers(0, n), min_size=1, max_size=6), st.just(n))
)


def exactly(text: str) -> Decimal:
    """Round a share to tenths of a percent as people do by hand."""
    return (Decimal(text) * 100).quantize(Decimal("0.1"), ROUND_HALF_UP)


@given(tables)
def test_no_percentage_denies_a_vote(table):
    votes, n = table
    for each, shown in zip(votes, percents(votes, n), strict=True):
        assert (shown in {"0", "0.0"}) == (each == 0)
        assert (shown in {"100", "100.0"}) == (each == n)


@given(tables)
def test_all_of_a_table_have_the_same_decimals(table):
    shown = percents(*table)
    assert len({text.partition(".")[2] == "" for text in shown}) == 1


@given(tables)
def test_percentages_are_rounded_half_up(table):
    votes, n = table
    for each, shown in zip(votes, percents(votes, n), strict=True):
        if shown[0] not in "<>":
            exact = Fraction(100 * each, n)
            assert -Fraction(1, 20) < Fraction(shown) - exact <= Fraction(1, 20)


@given(tables)
def test_who_rounds_the_share_gets_the_percentage(table):
    votes, n = table
    for each, shown in zip(votes, percents(votes, n), strict=True):
        if shown[0] not in "<>":
            assert exactly(repr(share(each, n))) == Decimal(shown).quantize(Decimal("0.1"))


@given(tables)
def test_no_share_denies_a_vote(table):
    votes, n = table
    for each in votes:
        value = share(each, n)
        assert abs(Fraction(value) - Fraction(each, n)) < Fraction(1, 10_000)
        assert (value == 0) == (each == 0)
        assert (value == 1) == (each == n)


@pytest.mark.parametrize(
    ("votes", "n", "shown"),
    [
        ([4999, 1], 5000, ["> 99.9", "< 0.1"]),
        ([1, 31], 32, ["3.1", "96.9"]),
        ([5, 75], 80, ["6.3", "93.8"]),
        ([265, 660, 75], 1000, ["26.5", "66.0", "7.5"]),
        ([3, 1], 4, ["75", "25"]),
        ([10_000, 5000, 1], 10_000, ["100.0", "50.0", "< 0.1"]),
        ([3, 0, 4], 7, ["42.9", "0.0", "57.1"]),
        ([0, 0], 0, ["0", "0"]),
    ],
)
def test_examples(votes, n, shown):
    assert percents(votes, n) == shown


def test_they_are_written_as_the_language_does():
    with translation.override("de"):
        assert percents([1, 2, 2000], 2003) == ["< 0,1", "0,1", "99,9"]


@pytest.mark.parametrize(
    ("votes", "n", "expected"), [([1, 1], 2, False), ([1, 2], 3, True), ([0, 0], 0, False)]
)
def test_it_tells_whether_percentages_are_rounded(votes, n, expected):
    assert are_rounded(votes, n) is expected
