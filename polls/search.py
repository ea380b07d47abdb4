"""Which polls hold the words of a search.

One rule, for both databases and for Python alike: a word is found where it begins a word of the
text, in any case. Scripts that are written without spaces, and words with signs such as C++ and
100%, are found wherever they stand. PostgreSQL finds candidates by an index (migration 0010);
SQLite, for small sites, looks at each text.
"""

import re
import unicodedata
from itertools import groupby

from django.db import connection
from django.db.backends.signals import connection_created
from django.db.models import BooleanField, Case, Exists, F, Func, OuterRef, Q, Value, When
from django.dispatch import receiver

MAX_SEARCH_LENGTH = 100  # characters
# Each word is one more look through the indexes.
MAX_WORDS = 5
# What stands further behind in a text is not found. PostgreSQL makes no index entry of more than a
# megabyte, and forms take no text that is longer.
MAX_TEXT_LENGTH = 20_000  # characters
# Letters and digits of scripts that put spaces between words: Latin, Greek, Cyrillic, Armenian,
# Hebrew, Arabic, Georgian and Korean. Ranges of code points, in regular expressions of Python and
# of PostgreSQL: [[:alnum:]] is another set in each locale of a database.
SPACED = "0-9A-Za-zÀ-ÖØ-öø-ɏΆΈ-ΊΌΎ-ΡΣ-ώЀ-ҁҊ-ԯԱ-Ֆա-ևא-תؠ-ؿف-ي٠-٩ٱ-ۓ۰-۹ა-ჺჼ-ჿḀ-ỿ가-힣"
# Scripts without such spaces, or whose vowels are marks: of India, Thailand, Burma and Cambodia;
# Japanese and Chinese. Each character is indexed as a word.
UNSPACED = "\u0900-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
UNSPACED += "\uf900-\ufaff\U00020000-\U0003ffff"
SIGNS = "+#%"
TOKENS = re.compile(f"[{SPACED}]+|[{UNSPACED}]")
POLL_FIELDS, CHOICE_FIELDS = ["question", "description"], ["text"]


def fold(text: str) -> str:
    """Return the text in lower case, letter by letter, as PostgreSQL's ``lower`` does it."""
    return text.replace("İ", "i").replace("Σ", "σ").lower().replace("ς", "σ")


def is_part_of_word(character: str) -> bool:
    is_mark = unicodedata.category(character).startswith("M")
    return character.isalnum() or is_mark or character in SIGNS


def words_in(typed: str) -> list[str]:
    """Return the unique words of a search, ``MAX_WORDS`` at most, in lower case.

    They are split at every character that is neither letter, digit nor sign. What has no letter
    or digit is dropped.
    """
    typed = fold(unicodedata.normalize("NFC", typed[:MAX_SEARCH_LENGTH]))
    runs = ("".join(run) for is_part, run in groupby(typed, is_part_of_word) if is_part)
    # A sign at the beginning is an operator elsewhere, and a mark there has lost its letter.
    words = (re.sub(r"^[\W_]+", "", run) for run in runs)
    return list(dict.fromkeys(filter(None, words)))


def holds_word(text: str, word: str) -> bool:
    """Whether the text holds the word: the rule itself, which PostgreSQL follows by ``is_in``."""
    folded = fold(text[:MAX_TEXT_LENGTH])
    return word in folded and begins_tokens(TOKENS.findall(word), TOKENS.findall(folded))


def begins_tokens(parts: list[str], tokens: list[str]) -> bool:
    return all(any(token.startswith(part) for token in tokens) for part in parts)


@receiver(connection_created)
def add_function(connection, **kwargs):
    if connection.vendor == "sqlite":
        connection.connection.create_function("holds_word", 2, holds_word, deterministic=True)


def condition(*expressions, **kwargs) -> Q:
    return Q(Func(*expressions, output_field=BooleanField(), **kwargs))


def document(fields: list[str]) -> Func:
    """Return the texts of a row as one: to the letter as in the indexes of migration 0010."""
    return Func(*map(F, fields), template="(%(expressions)s)", arg_joiner=" || ' ' || ")


def begins_words(fields: list[str], word: str) -> Q:
    """Whether each part of the word begins a word of the row: what the indexes answer."""
    tokens = Func(document(fields), function="polls_search_tokens")
    parts = " & ".join(f"'{token}':*" for token in TOKENS.findall(word))
    query = Func(Value(parts), template="%(expressions)s::tsquery")
    return condition(tokens, query, template="(%(expressions)s)", arg_joiner=" @@ ")


def contains(fields: list[str], word: str) -> Q:
    start = Func(document(fields), MAX_TEXT_LENGTH, function="LEFT")
    # As ``fold`` does it.
    lower = Func(Func(start, Value("İ"), Value("i"), function="TRANSLATE"), function="LOWER")
    folded = Func(lower, Value("ς"), Value("σ"), function="TRANSLATE")
    return condition(folded, Value(word), template="(STRPOS(%(expressions)s) > 0)")


def is_in(fields: list[str], word: str) -> Q:
    """Whether the row holds the word, by a look at it."""
    if connection.vendor == "sqlite":
        return condition(document(fields), Value(word), function="holds_word")
    if not has_tokens(word):
        return contains(fields, word)
    # In this order: splitting a text costs twenty times as much as looking into it.
    is_there = When(contains(fields, word), then=begins_words(fields, word))
    return Q(Case(is_there, default=False, output_field=BooleanField()))


def is_indexed(fields: list[str], word: str) -> Q:
    """The same, by the index of these fields, on PostgreSQL alone."""
    found = begins_words(fields, word)
    return found if TOKENS.fullmatch(word) else found & contains(fields, word)


def has_tokens(word: str) -> bool:
    """Whether the indexes know anything of the word: not of one in a script that is rare here."""
    return TOKENS.search(word) is not None


def holds(word: str, choices, authors_too=False) -> Q:
    """Whether a poll has the word: to be asked about few polls, for it uses no index."""
    of_poll = choices.filter(is_in(CHOICE_FIELDS, word), poll=OuterRef("pk"))
    found = is_in(POLL_FIELDS, word) | Q(Exists(of_poll))
    return found | has_author(word) if authors_too else found


def is_among_holders(words: list[str], polls, choices, authors_too=False) -> Q:
    """The same of all the words, by the indexes: to be asked where few of many polls hold them."""
    from django.contrib.postgres.expressions import ArraySubquery

    first, *others = [ids_of_holders(word, polls, choices, authors_too) for word in words]
    # As an array, for PostgreSQL thinks too many polls have a word, and would read all of them.
    holders = ArraySubquery(first.intersection(*others) if others else first)
    is_any_of = {"arg_joiner": " = ANY(", "template": "%(expressions)s)"}
    return Q(Func(F("pk"), holders, output_field=BooleanField(), **is_any_of))


def ids_of_holders(word: str, polls, choices, authors_too: bool):
    """Return the ids by one look at each index; of conditions joined by OR it would use neither."""
    places = [choices.filter(is_indexed(CHOICE_FIELDS, word)).order_by().values("poll")]
    if authors_too:
        places.append(polls.filter(has_author(word)).values("pk"))
    return polls.filter(is_indexed(POLL_FIELDS, word)).values("pk").union(*places)


def has_author(word: str) -> Q:
    return Q(author__username__icontains=word)
