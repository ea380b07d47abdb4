"""What a search finds: the same on every database, and what its words mean."""

import pytest
from django.db import connection, transaction
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polls.models import Poll
from polls.search import MAX_SEARCH_LENGTH, holds_word, words_in

from .factories import PollFactory

pytestmark = pytest.mark.django_db
LIST = reverse("polls:list")


def words_held(poll, words):
    choices = [choice.text for choice in poll.choices.all()]
    texts = [f"{poll.question} {poll.description}", *choices]
    return [any(holds_word(text, word) for text in texts) for word in words]


FOUND = [
    ("Pizza/Pasta", "Pasta"),
    ("Pizza/Pasta", "pizza"),
    ("Pizza/Pasta", "Pizza/Pasta"),
    ("Covid-19", "19"),
    ("Covid-19", "Covid 19"),
    ("Covid-19", "covid-19"),
    ("COVID-19", "covid"),
    ("www.example.com/polls/tea.html", "example"),
    ("www.example.com/polls/tea.html", "tea"),
    ("https://example.org/a?b=c", "org"),
    ("ada@example.com", "example"),
    ("ada@example.com", "ada@example.com"),
    ("It is -5 or +7 degrees", "5"),
    ("It is -5 or +7 degrees", "-5"),
    ("It is 3.14 or 2,718", "14"),
    ("It is 3.14 or 2,718", "718"),
    ("1e5 or 6e46c4", "6e46"),
    ("A 10th-birthday", "birthday"),
    ("snake_case_name", "case"),
    ("a&amp;b <b>bold</b>", "bold"),
    ("Who's there?", "who's"),
    ("Who’s there?", "who"),
    ("„Äpfel“ oder «Birnen»", "äpfel"),
    ("ÄPFEL", "äpf"),
    ("ΟΔΟΣ", "οδος"),
    ("Καλημέρα", "καλη"),
    ("Привет, мир", "МИР"),
    ("İstanbul", "istanbul"),
    ("Łódź", "łódź"),
    ("cafe\u0301", "cafe"),
    ("שלום עולם", "עולם"),
    ("ما هو الأفضل", "الأفضل"),
    ("서울에서 만나요", "서울"),
    ("東京でラーメンを食べますか", "ラーメン"),
    ("東京でラーメンを食べますか", "東京 ラーメン"),
    ("東京でラーメンを食べますか", "食"),
    ("我们喜欢iPhone吗", "iphone"),
    ("我们喜欢iPhone吗", "喜欢iPhone"),
    ("คุณชอบกาแฟไหม", "กาแฟ"),
    ("क्या आपको चाय पसंद है", "चाय"),
    ("C++ or C#?", "C++"),
    ("C++ or C#?", "c#"),
    ("C++/C#", "C#"),
    ("C++17", "c++"),
    ("100% of it", "100%"),
    ("100% of it", "100"),
    ("#tea", "#tea"),
    ("#tea", "tea"),
    ("tea", "+tea"),
    ("ሰላም ለዓለም", "ሰላም"),
    ("x" * 300 + " y", "x" * 100),
    ("tea\u200bcoffee", "coffee"),
]
NOT_FOUND = [
    ("Party", "art"),
    ("Covid-19", "9"),
    ("C is fine", "C++"),
    ("C is fine", "C#"),
    ("ABC++", "C++"),
    ("100 of it", "100%"),
    ("東京でラーメン", "大阪"),
    ("ラーメ、ン", "ラーメン"),
    ("6e46c4", "c4"),
]


@pytest.mark.parametrize("field", ["question", "description", "choice"])
@pytest.mark.parametrize(
    ("text", "typed", "is_found"),
    [(*pair, True) for pair in FOUND] + [(*pair, False) for pair in NOT_FOUND],
)
def test_what_is_found(text, typed, is_found, field):
    fields = {"choices": [text[:200], "x1"]} if field == "choice" else {field: text}
    if field == "question":
        fields = {field: text[:200]}
    poll = PollFactory(**{"question": "?"} | fields)
    words = words_in(typed)
    assert words
    assert Poll.objects.search(words).exists() is is_found
    assert all(words_held(poll, words)) is is_found


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("  Tea  COFFEE tea ", ["tea", "coffee"]),
        ("tea&coffee|(milk)", ["tea", "coffee", "milk"]),
        ("+tea #milk", ["tea", "milk"]),
        ("c++ 100% a+b", ["c++", "100%", "a+b"]),
        ("++ % # & - ☕ \u0301 \ufe0f", []),
        ("❤\ufe0flove", ["love"]),
        ("e\u0301te\u0301", ["été"]),
        ("t\0ea", ["t", "ea"]),
        ("x" * 200, ["x" * MAX_SEARCH_LENGTH]),
        ("", []),
    ],
)
def test_the_words_of_a_search(typed, words):
    assert words_in(typed) == words


LETTERS = "aAbBzZ019éÉßñÑŁłıøΣσςΩйЙшא ما한서"
ODD = "+#%&/-._:@'\"<>()*?!,;|\\^$[]{}=~`´·…—“”«»\u200b\u00a0\ufe0f"
OTHERS = "東京ラー々กาแฟจัइक्षိ々፩ሰḀḁⅧ²½ª"
texts = st.text(alphabet=LETTERS * 3 + ODD + "   " + OTHERS, min_size=1, max_size=24)


@given(
    polls=st.lists(st.tuples(texts, texts, texts), min_size=1, max_size=4),
    typed=texts,
    start=st.integers(0, 20),
    length=st.integers(1, 6),
)
@settings(
    max_examples=300,
    derandomize=True,
    deadline=None,
    database=None,
    # The fixtures are the database's; each example undoes what it did.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_the_database_finds_the_same_polls_as_python(polls, typed, start, length):
    """Both ways of the database: by its indexes, and by a look at each row."""
    # A piece of what there is to find, and something else.
    for words in [words_in("".join(polls[0])[start : start + length]), words_in(typed)]:
        with transaction.atomic():
            rows = [
                PollFactory(
                    question=question, description=description, choices=[choice, "\U0001f600"]
                )
                for question, description, choice in polls
            ]
            expected = {poll.pk for poll in rows if all(words_held(poll, words))}
            assert set(Poll.objects.search(words).values_list("pk", flat=True)) == expected
            by_rows = Poll.objects.search([], words)
            assert set(by_rows.values_list("pk", flat=True)) == expected
            for poll in Poll.objects.newest_first().telling(words, 40):
                told = [getattr(poll, f"has_{n}") for n in range(len(words))]
                assert told == words_held(poll, words)
            transaction.set_rollback(True)


def test_a_search_is_cut_before_it_is_looked_at(client):
    assert client.get(LIST, {"q": "ﬁ" * 100_000}).status_code == 200
    assert client.get(LIST, {"q": "a " * 100_000}).status_code == 200


def test_a_poll_with_a_very_long_word_can_be_made_and_found():
    # PostgreSQL refuses index entries of more than two kilobytes.
    PollFactory(description="x" * 5000 + " tea " + "é" * 3000)
    assert Poll.objects.search(["tea"]).exists()
    assert Poll.objects.search(["x" * 100]).exists()


@pytest.mark.skipif(connection.vendor != "postgresql", reason="asks PostgreSQL for its indexes")
def test_the_indexes_are_valid():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, indisvalid FROM pg_index JOIN pg_class ON oid = indexrelid"
            " WHERE relname LIKE %s",
            ["%search%"],
        )
        assert dict(cursor.fetchall()) == {
            "poll_search_tokens": True,
            "choice_search_tokens": True,
        }
