"""Which texts look the same, and what counts as a typo."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polls.wording import (
    deciding,
    distance,
    has_too_many_marks,
    is_typo_fix,
    look_of,
    many_lines,
    may_be_taken_for,
    one_line,
)


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


@pytest.mark.parametrize(
    ("first", "text"),
    [
        # Labels, days and months are like numbers.
        ("Plan A", "Plan C"),
        ("Group b wins", "Group d wins"),
        ("Option II", "Option III"),
        ("XL", "XXL"),
        ("EU", "EUR"),
        ("6 am", "6 pm"),
        ("Tuesday", "Thursday"),
        ("Meet in June", "Meet in July"),
        ("Juni", "Juli"),
        ("juin", "juil."),
        ("Di 18 Uhr", "Do 18 Uhr"),
        ("Sonday", "Monday"),
        ("Jan", "Jun"),
        # A negation, in any language of the site.
        ("Meet now", "Meet not"),
        ("We can meet", "We can't meet"),
        ("Es ist nicht gut", "Es ist nett gut"),
        ("Ele vem não", "Ele vem mão"),
        # The beginning of a word turns it round.
        ("Is it legal?", "Is it illegal?"),
        ("This is moral", "This is amoral"),
        ("Import", "Export"),
        ("Increase", "Decrease"),
        ("unbound", "bound"),
        # In a short word another letter is another word.
        ("Cat", "Car"),
        ("Ja", "Na"),
        ("Bus or car", "But or car"),
        ("No, on", "No, no"),
        # Signs and Chinese characters are words.
        ("5 €", "5 $"),
        ("\U0001f44d\U0001f44d it", "\U0001f44e\U0001f44d it"),
        ("A lot > a few", "A lot < a few"),
        ("我们支持这个计划", "我们反对这个计划"),
        ("½ cup", "¼ cup"),
    ],
)
def test_what_turns_the_meaning_is_no_typo(first, text):
    assert not is_typo_fix(first, text)
    assert not is_typo_fix(text, first)


@pytest.mark.parametrize(
    ("first", "text"),
    [
        ("Fryday", "Friday"),
        ("Meet on Wensday", "Meet on Wednsday"),
        ("Osterreich", "Österreich"),
        ("Tu vas ou?", "Tu vas où?"),
        ("We do'nt know", "We don’t know"),
        ("Tuesday", "TUesday"),
        ("Mitwoch, Freitag", "Mittwoch, Freitag"),
        ("icecream", "ice cream"),
        ("Tea or coffe", "Tea or coffee?"),
    ],
)
def test_other_typos_are_fixed(first, text):
    assert is_typo_fix(first, text)


@pytest.mark.parametrize(
    ("text", "other", "expected"),
    [
        ("Blue tent", "Blue tint", True),
        ("Blue tent", "BLUE  TENT", True),
        ("llegal", "Illegal", True),
        # Told apart by their labels, days or numbers.
        ("Team A", "Team B", False),
        ("Tuesday", "Thursday", False),
        ("Room 12", "Room 13", False),
        ("Blue tent", "Red house", False),
    ],
)
def test_a_wording_may_be_taken_for_another(text, other, expected):
    assert may_be_taken_for(text, other) is expected
    assert may_be_taken_for(other, text) is expected


letters = st.text(alphabet="abcAB \u0301é1-", max_size=12)


def edits_between(a: str, b: str) -> int:
    """Count the edits between two texts with the whole table."""
    row = list(range(len(b) + 1))
    for n, char in enumerate(a, start=1):
        last, row = row, [n]
        for m, other in enumerate(b, start=1):
            row.append(min(last[m - 1] + (char != other), last[m] + 1, row[m - 1] + 1))
    return row[-1]


@given(letters, letters, st.integers(0, 3))
@settings(max_examples=500, derandomize=True, deadline=None, database=None)
def test_the_distance_is_that_of_levenshtein(a, b, most):
    assert distance(a, b, most) == min(edits_between(a, b), most + 1)


@given(st.text(max_size=60))
@settings(max_examples=500, derandomize=True, deadline=None, database=None)
def test_a_look_is_its_own_look(text):
    look = look_of(text)
    assert look_of(look) == look
    assert look_of(f" {text}\u200b ".replace(" ", "  ")) == look
    assert one_line(one_line(text)) == one_line(text)
    assert many_lines(many_lines(text)) == many_lines(text)


@given(st.text(max_size=40), st.text(max_size=40))
@settings(max_examples=500, derandomize=True, deadline=None, database=None)
def test_a_typo_is_never_large(first, text):
    if is_typo_fix(first, text):
        assert edits_between(first, text) <= 2
        assert deciding(first) == deciding(text)
    assert is_typo_fix(first, first)


def test_the_work_on_a_long_text_grows_with_its_length(monkeypatch):
    seen = []
    monkeypatch.setattr(
        "polls.wording.min", lambda *args: seen.append(1) or min(*args), raising=False
    )
    assert not is_typo_fix("a" + "x" * 4998 + "b", "c" + "x" * 4998 + "d" + "e")
    assert len(seen) < 10 * 5000


@pytest.mark.parametrize(
    "twin", ["ice cream", "ICE\u00a0CREAM", " Ice  cream ", "Ｉce cream", "Ice\u200d cr\u00adeam"]
)
def test_what_looks_the_same_is_the_same(twin):
    assert look_of(twin) == look_of("Ice cream")


INVISIBLE = [
    "\u3164",
    "\u2800",
    "\uffa0",
    "\u115f\u1160",
    "\u034f",
    "\ufe0f",
    "\U000e0100",
    "\u180b",
]
LONE_MARKS = ["\u0301", " \u0301 \u0316", "\u200b\u20dd"]


@pytest.mark.parametrize("empty", ["", " \t\n", "\u200b", "\u2066\u2069", *INVISIBLE, *LONE_MARKS])
def test_what_is_not_seen_is_nothing(empty):
    assert look_of(empty) == ""


def test_accents_and_signs_are_seen():
    assert len({look_of(text) for text in ["Cafe", "Café", "Cafe!", "Café?"]}) == 4


def test_text_that_reads_backwards_is_written_as_it_reads():
    assert one_line("\u202eoN ,\u2067 seY") == "oN , seY"


@pytest.mark.parametrize(
    ("text", "twin"),
    [
        ("❤", "❤️"),
        ("Tea", "Теа"),
        ("ΝΟ", "no"),
        ("Вода", "вода"),
        ("ﬁne", "fine"),
        ("don't", "don’t"),
        ("a\u2800b", "a b"),
        ("𝐓𝐞𝐚", "tea"),
        ("Cafe\u0301", "Café"),
    ],
)
def test_twins_of_other_scripts_and_dresses_look_the_same(text, twin):
    assert look_of(text) == look_of(twin)


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("10⁵", "105"),
        ("1 1/2", "11/2"),
        ("no where", "nowhere"),
        ("Maße", "Masse"),
        ("½", "1/2"),
        ("\U0001f468\u200d\U0001f469", "\U0001f468\U0001f469"),
        (
            "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
            "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
        ),
    ],
)
def test_what_looks_different_is_different(text, other):
    assert look_of(text) != look_of(other)


def test_marks_that_a_language_needs_are_few():
    for text in ["Việt Nam", "שָׁלוֹם", "ที่นี่", "ཧཱུྃ", "1️⃣", "مُحَمَّدٌ"]:
        assert not has_too_many_marks(text)
    assert has_too_many_marks("Z" + "\u0336\u0301" * 4)
