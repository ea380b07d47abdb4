"""Which texts look the same, and what counts as a typo."""

import time

import pytest

from polls.wording import is_typo_fix, look_of, one_line


@pytest.mark.parametrize(
    ("first", "text"),
    [
        ("Shal we meet?", "Shall we meet?"),
        ("Teh colour", "The colour"),
        ("Recieve it", "Receive it"),
        ("Meet at 18:00 in Rom", "Meet at 18:00 in Rome"),
        ("Tea", "tea"),
        ("x" * 5000, "x" * 2500 + "yy" + "x" * 2500),
    ],
)
def test_two_characters_are_a_typo(first, text):
    assert is_typo_fix(first, text)


@pytest.mark.parametrize(
    ("first", "text"),
    [
        ("Shall we meet?", "Shall we not meet?"),
        ("Yes", "No!"),
        ("Shall we meet?", ""),
        # Nothing is left of what there was.
        ("A", "B"),
        ("on", "off"),
        ("", "no"),
        # Numbers.
        ("Raise it by 5 %", "Raise it by 6 %"),
        ("Raise it by 5 %", "Raise it by 50 %"),
        ("Raise it by 1.5 %", "Raise it by 15 %"),
        ("Raise it by -5 %", "Raise it by 5 %"),
        ("Room 12 or", "Room or"),
        ("Room 12 or 13", "Room 13 or 12"),
        ("Room", "Room ٣"),
    ],
)
def test_more_than_that_is_another_wording(first, text):
    assert not is_typo_fix(first, text)


def test_a_long_text_is_compared_quickly():
    began = time.process_time()
    assert not is_typo_fix("x" * 2500 + "abc" + "x" * 2500, "x" * 2500 + "ABC" + "x" * 2500)
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    "twin", ["ice cream", "ICE\u00a0CREAM", " Icecream ", "Ｉce cream", "Ice\u200d cr\u00adeam"]
)
def test_what_looks_the_same_is_the_same(twin):
    assert look_of(twin) == look_of("Ice cream")


@pytest.mark.parametrize("empty", ["", " \t\n", "\u200b", "\u2066\u2069"])
def test_what_is_not_seen_is_nothing(empty):
    assert look_of(empty) == ""


def test_accents_and_signs_are_seen():
    assert len({look_of(text) for text in ["Cafe", "Café", "Cafe!", "Café?"]}) == 4


def test_text_that_reads_backwards_is_written_as_it_reads():
    assert one_line("\u202eoN ,\u2067 seY") == "oN , seY"
