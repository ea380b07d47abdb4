"""Wording: which texts look the same, and which change of one only mends a typo."""

import unicodedata

MOST_EDITS = 2
# These turn the letters around them, so that a text reads otherwise than it is written.
TURNING = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)])


def one_line(text: str) -> str:
    return " ".join(text.translate(TURNING).split())


def look_of(text: str) -> str:
    """Return what texts have in common that look the same; nothing for one that is not seen."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return "".join(char for char in folded if not char.isspace() and is_seen(char))


def is_seen(char: str) -> bool:
    return unicodedata.category(char) != "Cf"


def is_typo_fix(first: str, text: str) -> bool:
    """Whether ``text`` differs from ``first``, the wording that the first voter saw, by a typo.

    At most two characters were added, left out or replaced, for three would be a "not", and
    never all that there was. No word that holds a digit differs: a date or a price is no typo.
    Counted from the first wording, many small steps lead no further than one.
    """
    most = min(MOST_EDITS, len(first) - 1)
    return words_with_digits(first) == words_with_digits(text) and is_within(first, text, most)


def words_with_digits(text: str) -> list[str]:
    return [word for word in text.split() if any(map(str.isdigit, word))]


def is_within(a: str, b: str, edits: int) -> bool:
    """Whether at most so many edits of one character make ``b`` of ``a`` (Levenshtein)."""
    same = next(
        (n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )
    a, b = a[same:], b[same:]
    if not a or not b or edits <= 0:
        return max(len(a), len(b)) <= edits
    return any(is_within(*left, edits - 1) for left in [(a[1:], b), (a, b[1:]), (a[1:], b[1:])])
