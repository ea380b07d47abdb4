"""Wording: which texts look the same, and which change of one only fixes a typo."""

import re
import unicodedata
from functools import cache, lru_cache
from itertools import zip_longest

from django.conf import settings
from django.utils import dates, translation

MOST_EDITS = 2  # characters
# A letter of a living script carries three or four; more pile up over the lines around them.
MAX_MARKS = 6
# In a word of so many letters another letter makes another word: cat, car; Di, Do.
SHORT_WORD = 3  # letters
LONGEST_ABBREVIATION = 4  # letters

# These turn the letters around them, so that a text reads otherwise than it is written.
TURNING = [*range(0x202A, 0x202F), *range(0x2066, 0x206A)]
# Neither has a look. NUL stays: it is refused with a sentence. White space stays, too.
CONTROLS = [code for code in [*range(1, 32), *range(127, 160)] if not chr(code).isspace()]
DROPPED = dict.fromkeys([*TURNING, *CONTROLS])

# Default_Ignorable_Code_Point of Unicode 16 (DerivedCoreProperties.txt), and the marks of
# interlinear annotation: they show nothing, wherever they stand.
IGNORABLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
)
BLANK_BRAILLE = "\u2800"
# Of these parts an emoji is made, so that they show although they are ignorable elsewhere:
# the tags of a flag such as Scotland's, and the joiner behind a picture.
FLAG_TAGS = re.compile("\U0001f3f4([\U000e0020-\U000e007e]+)\U000e007f")
JOINER = "\u200d"

# How Unicode marks a character that is another one in other dress. What is raised, lowered,
# circled or a fraction stays: 10⁵ does not look like 105.
SAME_LOOK = {"<wide>", "<narrow>", "<compat>", "<font>", "<noBreak>"}
SAME_LOOK |= {"<initial>", "<medial>", "<final>", "<isolated>"}

# The common letters that look like a Latin one, small or capital, after UTS 39 (confusables.txt).
# Not the whole table: it holds thousands, most of them in scripts that few polls mix.
TWINS = str.maketrans(
    {
        # Cyrillic
        **dict(zip("авекмнорстухіјѕԁһԛԝґ", "abekmhopctyxijsdhqwr", strict=True)),
        # Greek
        **dict(zip("αβεζηικμνορτυχϲ", "abezhikmnoptyxc", strict=True)),
        # Apostrophes, quotation marks, dashes
        **dict.fromkeys("’‘ʼʹ′`´", "'"),
        **dict.fromkeys("“”„«»″", '"'),
        **dict.fromkeys("‐‑‒–—−", "-"),
    }
)

# Words that turn a sentence around, in the site's languages; without apostrophes (dont).
NEGATION_WORDS = """
    no not nor never none neither without nothing nobody cannot cant dont doesnt didnt wont isnt
    arent wasnt werent shouldnt wouldnt couldnt mustnt hasnt havent hadnt aint against
    nicht nichts kein keine keinen keinem keiner keines nie niemals ohne nein gegen weder
    non ne pas ni sans jamais aucun aucune contre rien
    sin nunca jamás contra ninguno ninguna nada tampoco
    não nao sem nem nenhum nenhuma
    لا ليس ليست لم لن بدون غير ضد دون
"""
NEGATIONS = frozenset(NEGATION_WORDS.split())


def one_line(text: str) -> str:
    return " ".join(text.translate(DROPPED).split())


def many_lines(text: str) -> str:
    """Return a text as it is kept: browsers send CRLF, and count one character."""
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(DROPPED).strip()


def look_of(text: str) -> str:
    """Return what texts have in common that look the same; empty for one that shows nothing.

    Capitals, full-width letters, ligatures and common twins of other scripts are the same. Single
    spaces and raised or lowered digits count: "1 1/2" is not "11/2". The cost grows with the
    text, so callers check its length first.
    """
    text = "".join(map(undressed, unicodedata.normalize("NFC", text)))
    text = without_ignorable(unicodedata.normalize("NFC", text))
    text = " ".join(text.replace(BLANK_BRAILLE, " ").split()).lower()
    text = unicodedata.normalize("NFC", "".join(with_marks_in_place(text)).translate(TWINS))
    return " ".join(text.split())


@lru_cache(maxsize=4096)
def undressed(char: str) -> str:
    """Return the plain characters that ``char`` looks like."""
    tag, _, plain = unicodedata.decomposition(char).partition(" ")
    if tag not in SAME_LOOK:
        return char
    return "".join(undressed(chr(int(code, 16))) for code in plain.split())


def without_ignorable(text: str) -> str:
    """Leave out what shows nothing, but for the parts that an emoji is made of."""

    def kept(match):
        before = text[match.start() - 1] if match.start() else ""
        if JOINER in match[0] and unicodedata.category(before or " ") in {"So", "Sk"}:
            return JOINER
        tags = FLAG_TAGS.match(text, match.start() - 1) if match.start() else None
        return tags[1] if tags else ""

    return IGNORABLE.sub(kept, text)


def with_marks_in_place(text: str):
    """Yield the characters without marks that have no letter to stand on."""
    has_letter = False
    for char in text:
        if is_mark(char):
            if has_letter:
                yield char
            continue
        has_letter = char != " "
        yield char


def is_mark(char: str) -> bool:
    return unicodedata.category(char).startswith("M")


def has_too_many_marks(text: str) -> bool:
    """Whether more than MAX_MARKS marks are piled on one letter."""
    piled = 0
    for char in unicodedata.normalize("NFC", text):
        piled = piled + 1 if unicodedata.category(char) in {"Mn", "Me"} else 0
        if piled > MAX_MARKS:
            return True
    return False


def is_typo_fix(first: str, text: str) -> bool:
    """Whether ``text`` differs from ``first``, the wording that the first voter saw, by a typo.

    At most two characters were added, left out or replaced, and never all there was. What decides
    (see ``deciding``) stays, and so does the first letter of each word: "legal" never becomes
    "illegal", nor "import" "export". Counted from the first wording, many small steps lead no
    further than one.
    """
    if first == text:
        return True
    if distance(first, text, MOST_EDITS) > min(MOST_EDITS, len(first) - 1):
        return False
    before, after = words_of(look_of(first)), words_of(look_of(text))
    if deciding(first) != deciding(text):
        return False
    if len(before) != len(after):
        return names_in(before) == names_in(after)
    pairs = zip(before, after, strict=True)
    return all(word == other or is_same_word(word, other) for word, other in pairs)


def may_be_taken_for(text: str, other: str) -> bool:
    """Whether ``text`` is so near to ``other``, the wording of another option, as to be mistaken.

    Two that differ in what decides, such as Team A and Team B, are told apart by that.
    """
    (look, *telling), (other_look, *other_telling) = told_apart_by(text), told_apart_by(other)
    if look == other_look:
        return True
    return telling == other_telling and distance(look, other_look, MOST_EDITS) <= MOST_EDITS


# Options are compared with each other, so that each text is asked about many times.
@lru_cache(maxsize=2048)
def told_apart_by(text: str) -> tuple:
    """Return the look of the wording of an option, its days and months, and what decides in it."""
    look = look_of(text)
    return look, names_in(words_of(look)), deciding(look)


@lru_cache(maxsize=256)
def deciding(text: str) -> list[str]:
    """Return what decides what a text says, in its order; a fix of a typo changes none of it.

    Words with a digit, all signs for numbers, words of one letter such as labels, signs such as
    currencies and emoji, Chinese characters (each is a word), negations, and short words in
    capitals, such as Roman numbers and sizes: II, XL, EU.
    """
    look, plain = look_of(text), text.replace("'", "").replace("’", "")
    with_digits = [word for word in look.split() if any(map(str.isdigit, word))]
    numbers = [char for char in look if char.isnumeric()]
    signs = [char for char in look if unicodedata.category(char) in {"So", "Sm", "Sc"}]
    words = [word for word in words_of(look) if len(word) == 1 or word in NEGATIONS]
    capitals = [w for w in words_of(plain) if w.isupper() and 1 < len(w) <= LONGEST_ABBREVIATION]
    return [*with_digits, *numbers, *signs, *words, *capitals]


def words_of(look: str) -> list[str]:
    """Return the words of a text's look, without apostrophes; a Chinese character is a word."""
    words, is_open = [], False
    for char in look.replace("'", ""):
        if is_ideograph(char):
            words.append(char)
            is_open = False
        elif unicodedata.category(char)[0] in "LNM":
            words[-1:] = [words[-1] + char] if is_open else [*words[-1:], char]
            is_open = True
        else:
            is_open = False
    return words


def is_ideograph(char: str) -> bool:
    return "\u3400" <= char <= "\u9fff" or "\uf900" <= char <= "\ufaff" or char >= "\U00020000"


def is_same_word(word: str, other: str) -> bool:
    """Whether ``other`` is ``word`` with a typo fixed."""
    if without_accents(word)[:1] != without_accents(other)[:1] or not fits_name(word, other):
        return False
    is_replaced = len(word) == len(other) <= SHORT_WORD
    return (
        not is_replaced or is_swap(word, other) or without_accents(word) == without_accents(other)
    )


def without_accents(word: str) -> str:
    """Return the letters alone: Osterreich is a typo of Österreich."""
    return "".join(char for char in unicodedata.normalize("NFD", word) if not is_mark(char))


def is_swap(word: str, other: str) -> bool:
    """Whether two neighbours trade places behind the first letter, as in teh and the."""
    differing = [n for n, pair in enumerate(zip(word, other, strict=True)) if len(set(pair)) > 1]
    return len(differing) == 2 and differing[0] > 0 and sorted(word) == sorted(other)


def fits_name(word: str, other: str) -> bool:
    """Whether no other day or month is meant: a day stays, and a typo is of the nearest name."""
    names = names_of_days_and_months()
    meant, means = names.get(word), names.get(other)
    if meant:
        return bool(means and meant & means)
    if not means:
        return True
    near = distance(word, other, MOST_EDITS)
    return all(known & means or distance(word, name, near) > near for name, known in names.items())


def names_in(words: list[str]) -> list[frozenset]:
    names = names_of_days_and_months()
    return [names[word] for word in words if word in names]


@cache
def names_of_days_and_months() -> dict[str, frozenset]:
    """Return which days and months each name means in any language of the site."""
    names = {}
    lists = {
        "day": [dates.WEEKDAYS, dates.WEEKDAYS_ABBR],
        "month": [dates.MONTHS, dates.MONTHS_3, dates.MONTHS_AP, dates.MONTHS_ALT],
    }
    for language, _name in settings.LANGUAGES:
        with translation.override(language):
            for kind, tables in lists.items():
                for number, name in (item for table in tables for item in table.items()):
                    for word in words_of(look_of(str(name))):
                        names.setdefault(word, set()).add((kind, number))
    return {word: frozenset(meanings) for word, meanings in names.items()}


def trades_options(first: str, text: str, options: dict[str, frozenset]) -> bool:
    """Whether a word that names one option now names another.

    ``options`` says of each word which options have or had it; such as the ``pk`` of each.
    """
    pairs = zip_longest(words_of(look_of(first)), words_of(look_of(text)))
    known = ((options.get(word), options.get(other)) for word, other in pairs)
    return any(before and after and not before & after for before, after in known)


def distance(a: str, b: str, most: int) -> int:
    """Return how many edits of one character make ``b`` of ``a`` (Levenshtein), or ``most`` + 1.

    Each further edit only asks how far both texts are the same from there (Ukkonen 1985), so that
    the cost hardly grows with the length.
    """
    # For each offset of b against a: how much of a is done with so many edits.
    done = {0: length_in_common(a, b)}
    for edits in range(most + 1):
        if done.get(len(b) - len(a)) == len(a):
            return edits
        before, done = done, {}
        for offset in range(-edits - 1, edits + 2):
            replaced = before.get(offset, -2) + 1
            added = before.get(offset - 1, -1)
            left_out = before.get(offset + 1, -2) + 1
            end = min(max(replaced, added, left_out), len(a), len(b) - offset)
            if end >= max(0, -offset):
                done[offset] = end + length_in_common(a[end:], b[end + offset :])
    return most + 1


def length_in_common(a: str, b: str) -> int:
    """Return how many characters both texts begin with, by halving: comparing slices is quick."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
