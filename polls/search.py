"""Which polls hold the words of a search: PostgreSQL asks its full text, SQLite compares texts."""

from functools import reduce
from operator import or_

from django.db import connection
from django.db.models import BooleanField, Exists, F, Func, OuterRef, Q, Value
from django.db.models.functions import Left, Replace

LONGEST_SEARCH = 100  # characters
# Each word is one more look through the indexes.
MOST_WORDS = 10
# PostgreSQL makes no index entry of more than a megabyte; nobody reads as far as this.
LONGEST_DOCUMENT = 20_000  # characters
POLL, CHOICE = ["question", "description"], ["text"]


def words_in(typed: str) -> list[str]:
    """Return each word once; what has neither letter nor digit, such as an operator, is none."""
    # PostgreSQL takes no NUL in a text.
    words = typed.replace("\0", "")[:LONGEST_SEARCH].split()
    return [word for word in dict.fromkeys(words) if any(map(str.isalnum, word))][:MOST_WORDS]


def has(fields: list[str], word: str) -> Q:
    """Whether one of the fields has the word."""
    if connection.vendor != "postgresql":
        return reduce(or_, (Q(**{f"{field}__icontains": word}) for field in fields))
    # Imported here, for it takes psycopg.
    from django.contrib.postgres.search import Lexeme, SearchQuery, SearchVector, SearchVectorExact

    # The indexes are made of this (migration 0002), and serve nothing that differs from it.
    # PostgreSQL would skip what follows a < as a tag.
    texts = (Left(Replace(field, Value("<"), Value(" ")), LONGEST_DOCUMENT) for field in fields)
    document = SearchVector(*texts, config="simple")
    return Q(SearchVectorExact(document, SearchQuery(Lexeme(word, prefix=True), config="simple")))


def holds(word: str, choices, authors_too=False) -> Q:
    """Whether a poll has the word: to be asked about few polls, for it uses no index."""
    of_poll = choices.filter(has(CHOICE, word), poll=OuterRef("pk"))
    found = has(POLL, word) | Q(Exists(of_poll))
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
    places = [choices.filter(has(CHOICE, word)).order_by().values("poll")]
    if authors_too:
        places.append(polls.filter(has_author(word)).values("pk"))
    return polls.filter(has(POLL, word)).values("pk").union(*places)


def has_author(word: str) -> Q:
    return Q(author__username__icontains=word)
