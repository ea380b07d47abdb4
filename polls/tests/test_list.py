from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError, connection
from django.urls import reverse
from django.utils import timezone

from polls.listing import LEFT_ALONE, NEAR, PER_PAGE, PollListView
from polls.models import Poll

from .factories import PollFactory
from .test_reach import TAKEN_AWAY

pytestmark = pytest.mark.django_db
LIST = reverse("polls:list")


def get(client, **query):
    return client.get(LIST, query)


def make_one_of_each_kind():
    """Make an open, an upcoming and a closed poll."""
    hour = timedelta(hours=1)
    now = timezone.now()
    PollFactory(question="Tea now?", closes_at=now + hour)
    PollFactory(question="Tea later?", opens_at=now + hour)
    PollFactory(question="Tea before?", closes_at=now - hour)


def questions(response):
    return [poll.question for poll in response.context["polls"]]


def test_it_shows_open_polls_with_their_choices_to_everybody(client):
    PollFactory(question="Tea or coffee?", choices=["Tea", "Coffee"])
    response = get(client)
    assert response.status_code == 200
    for text in ["Tea or coffee?", "Tea", "Coffee"]:
        assert f">{text}</a>" in response.text


def test_it_shows_the_newest_first(client):
    for day in [2, 3, 1]:
        PollFactory(question=f"Day {day}?", opens_at=datetime(2026, 1, day, tzinfo=UTC))
    text = get(client).text
    assert text.index("Day 3?") < text.index("Day 2?") < text.index("Day 1?")


@pytest.mark.parametrize(
    ("show", "question", "heading"),
    [
        (None, "Tea now?", "Open polls"),
        ("open", "Tea now?", "Open polls"),
        ("upcoming", "Tea later?", "Polls coming up"),
        ("closed", "Tea before?", "Closed polls"),
        ("junk", "Tea now?", "Open polls"),
        ("\0", "Tea now?", "Open polls"),
    ],
)
def test_it_shows_one_kind_of_polls(client, show, question, heading):
    make_one_of_each_kind()
    response = get(client, **{"show": show} if show else {})
    assert questions(response) == [question]
    assert f"<title>{heading} " in response.text


def test_each_choice_leads_to_its_ballot_with_the_choice(client):
    poll = PollFactory()
    text = get(client).text
    for choice in poll.choices.all():
        assert f'href="/polls/{poll.pk}/?choice={choice.pk}"' in text


@pytest.mark.parametrize("show", ["upcoming", "closed"])
def test_a_poll_that_is_not_open_offers_no_choice(client, show):
    make_one_of_each_kind()
    text = get(client, show=show).text
    assert '<span class="answer">Yes</span>' in text
    assert "?choice=" not in text


def test_a_closed_poll_leads_to_its_results(client):
    poll = PollFactory(closes_at=timezone.now())
    assert f'href="/polls/{poll.pk}/results/"' in get(client, show="closed").text


def test_it_finds_words_of_the_question_in_any_case(client):
    PollFactory(question="Is tea better?")
    PollFactory(question="Is coffee better?")
    assert questions(get(client, q=" TEA ")) == ["Is tea better?"]


def test_a_search_stays_within_the_kind(client):
    make_one_of_each_kind()
    response = get(client, q="tea", show="closed")
    assert questions(response) == ["Tea before?"]
    assert '<input type="hidden" name="show" value="closed">' in response.text


@pytest.mark.parametrize("words", ["'; DROP TABLE polls_poll; --", "x" * 10_000, "100%"])
def test_a_search_that_finds_nothing_says_what_to_do(client, words):
    PollFactory()
    response = get(client, q=words)
    assert response.status_code == 200
    assert questions(response) == []
    assert "in its question, description or answers." in response.text
    assert "Show all of them" in response.text


@pytest.mark.parametrize("typed", ["%", "_", "&", "| ! ' : * ( )", "<->", "☕", ":*", "\\"])
def test_a_search_without_a_word_says_so(client, typed):
    PollFactory(question=f"Is {typed} a question?")
    response = get(client, q=typed)
    assert response.status_code == 200
    assert questions(response) == []
    assert "has no word to look for. Type letters or digits." in response.text
    assert "Show all of them" in response.text


@pytest.mark.parametrize(
    "typed",
    [
        "tea & coffee",
        "tea|coffee",
        "!tea",
        "tea:*",
        "'tea",
        "tea')",
        "(tea",
        "tea <-> x",
        "*",
        "t\\",
    ],
)
def test_operators_are_no_operators(client, typed):
    PollFactory(question="Is tea better?")
    response = get(client, q=typed)
    assert response.status_code == 200
    assert set(questions(response)) <= {"Is tea better?"}


def test_it_finds_what_stands_beside_an_operator(client):
    PollFactory(question="Is tea & coffee better?")
    PollFactory(question="Is tea better?")
    assert questions(get(client, q="tea & coffee")) == ["Is tea & coffee better?"]


@pytest.mark.parametrize("words", ["office lunch pizza", "Pizza OFFICE", "lun offi", "sand meet"])
def test_each_word_may_stand_elsewhere(client, words):
    PollFactory(
        question="What is for lunch?",
        description="In the office, at our meeting.",
        choices=["Pizza", "Sandwiches"],
    )
    PollFactory(question="What is for lunch?", choices=["Pizza", "Soup"])
    response = get(client, q=words)
    assert [poll.description for poll in response.context["polls"]] == [
        "In the office, at our meeting."
    ]


def test_every_word_must_stand_somewhere(client):
    PollFactory(question="Tea or coffee?")
    assert questions(get(client, q="tea coffee milk")) == []


def test_the_first_ten_words_are_looked_for(client):
    PollFactory(question="a1 a2 a3 a4 a5 a6 a7 a8 a9 a10")
    ten = " ".join(f"a{n}" for n in range(1, 11))
    assert len(questions(get(client, q=ten))) == 1
    assert "your first 10 words" not in get(client, q=ten).text
    response = get(client, q=f"{ten} nowhere")
    assert len(questions(response)) == 1
    assert "We looked for your first 10 words." in response.text


@pytest.mark.parametrize(
    "fields", [{"is_listed": False}, *TAKEN_AWAY.values()], ids=["by link", *TAKEN_AWAY]
)
@pytest.mark.parametrize("show", ["open", "closed", "upcoming"])
def test_a_search_finds_nothing_that_is_not_listed(client, fields, show):
    hour = timedelta(hours=1)
    times = {
        "open": {},
        "closed": {"closes_at": timezone.now() - hour},
        "upcoming": {"opens_at": timezone.now() + hour},
    }
    PollFactory(question="Secret tea?", choices=["Cup", "Pot"], **fields, **times[show])
    for words in ["secret", "cup", "tea pot"]:
        assert "Secret tea?" not in get(client, q=words, show=show).text


def test_a_search_finds_beyond_the_newest_polls(client):
    """Both ways of searching, among the first polls and by the indexes, give one list."""
    for n in range(NEAR + PER_PAGE):
        is_rare = n % PER_PAGE == 0
        PollFactory(question=f"Question {n}?", choices=["Rare" if is_rare else "Usual", "x"])
    for words in ["rare", "question rare", "rare x question"]:
        found = questions(get(client, q=words))
        assert found == [f"Question {n}?" for n in range(NEAR, -1, -PER_PAGE)]
    numbers = range(1, NEAR // PER_PAGE + 2)
    pages = [questions(get(client, q="question", page=number)) for number in numbers]
    assert [n for page in pages for n in page] == [
        f"Question {n}?" for n in range(NEAR + PER_PAGE - 1, -1, -1)
    ]


def test_the_latest_to_close_comes_first(client):
    for day in [2, 3, 1]:
        closed = datetime(2026, 2, day, tzinfo=UTC)
        PollFactory(
            question=f"Day {day}?",
            closes_at=closed,
            opens_at=datetime(2026, 1, 4 - day, tzinfo=UTC),
        )
    assert questions(get(client, show="closed")) == ["Day 3?", "Day 2?", "Day 1?"]


def test_of_those_that_closed_together_the_newest_comes_first(client):
    for day in [2, 3, 1]:
        opened = datetime(2026, 1, day, tzinfo=UTC)
        closed = datetime(2026, 2, 1, tzinfo=UTC)
        PollFactory(question=f"Day {day}?", opens_at=opened, closes_at=closed)
    assert questions(get(client, show="closed")) == ["Day 3?", "Day 2?", "Day 1?"]


def test_the_newest_comes_first_among_those_to_come_too(client):
    for day in [2, 3, 1]:
        PollFactory(question=f"Day {day}?", opens_at=timezone.now() + timedelta(days=day))
    assert questions(get(client, show="upcoming")) == ["Day 3?", "Day 2?", "Day 1?"]


def test_a_search_is_cut_to_100_characters(client):
    PollFactory(question="x" * 100)
    response = get(client, q="x" * 101)
    assert questions(response) == ["x" * 100]
    assert f'name="q" value="{"x" * 100}"' in response.text


def test_a_search_leaves_out_nul(client):
    PollFactory(question="Is tea better?")
    assert questions(get(client, q="t\0ea")) == ["Is tea better?"]


@pytest.mark.parametrize(
    ("show", "sentence"),
    [
        ("open", "No poll is open just now. Make one, or see what is coming up."),
        ("upcoming", "No poll is waiting to open."),
        ("closed", "No poll has closed yet."),
    ],
)
def test_an_empty_list_says_so(client, show, sentence):
    assert sentence in get(client, show=show).text


@pytest.mark.parametrize("polls", [0, 1])
def test_it_leads_to_making_a_poll(client, polls):
    PollFactory.create_batch(polls)
    assert 'href="/polls/new/"' in get(client).text


def test_what_people_typed_is_escaped(client):
    PollFactory(question="<script>alert(1)</script>", choices=["<b>1</b>", "2"])
    text = get(client, q="<script>").text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "&lt;b&gt;1&lt;/b&gt;" in text
    assert 'value="&lt;script&gt;"' in text
    assert "<script>" not in text
    assert "<b>" not in text


def test_paging_keeps_the_filters(client):
    for n in range(21):
        PollFactory(question=f"Is tea {n}?", closes_at=timezone.now())
    first = get(client, q="tea", show="closed")
    assert len(questions(first)) == 20
    assert 'rel="next" href="?q=tea&amp;show=closed&amp;page=2"' in first.text
    last = get(client, q="tea", show="closed", page=2)
    assert len(questions(last)) == 1
    assert 'rel="prev" href="?q=tea&amp;show=closed&amp;page=1"' in last.text
    assert not {poll.pk for poll in first.context["polls"]} & {
        poll.pk for poll in last.context["polls"]
    }
    assert 'rel="next"' not in last.text


def test_a_full_last_page_leads_to_no_empty_one(client):
    PollFactory.create_batch(PER_PAGE)
    text = get(client).text
    assert 'rel="next"' not in text
    assert get(client, page=2).status_code == 404


@pytest.mark.parametrize("page", ["2", "999", "0", "-1", "x", "\0", "1.5", "9" * 400, "9" * 5000])
def test_a_page_that_is_not_there_is_a_404_in_the_sites_look(client, page):
    PollFactory()
    response = get(client, page=page)
    assert response.status_code == 404
    assert "<title>There is no such page · Pollstr</title>" in response.text


@pytest.mark.parametrize("polls", [1, 3, 20])
@pytest.mark.parametrize(("query", "queries"), [({}, 2), ({"q": "poll yes"}, 2)], ids=str)
def test_queries_do_not_grow_with_the_polls(
    client, django_assert_num_queries, polls, query, queries
):
    PollFactory.create_batch(polls)
    with django_assert_num_queries(queries):
        assert len(questions(get(client, **query))) == polls


@pytest.mark.parametrize("words", ["rare", "poll yes rare"])
def test_a_search_beyond_the_newest_polls_is_one_more_query(
    client, django_assert_num_queries, words
):
    PollFactory(description="Rare.")
    PollFactory.create_batch(NEAR)
    with django_assert_num_queries(3):
        assert len(questions(get(client, q=words))) == 1


def test_it_counts_no_rows(client, django_assert_num_queries):
    PollFactory.create_batch(21)
    with django_assert_num_queries(2) as queries:
        get(client)
    assert "COUNT" not in str([query["sql"] for query in queries])


@pytest.mark.skipif(connection.vendor != "postgresql", reason="asks PostgreSQL for its plan")
@pytest.mark.parametrize("words", [["tea"], ["tea", "coffee"]])
def test_a_search_asks_the_indexes(words):
    with connection.cursor() as cursor:
        # With so few rows everything is quicker than the indexes.
        for way in ["seqscan", "indexscan", "indexonlyscan"]:
            cursor.execute(f"SET LOCAL enable_{way} = off")
    plan = Poll.objects.listed().search(words).newest_first().explain()
    assert plan.count("Bitmap Index Scan on poll_search") == len(words)
    assert plan.count("Bitmap Index Scan on choice_search") == len(words)
    assert "Seq Scan" not in plan


@pytest.mark.skipif(connection.vendor != "postgresql", reason="asks PostgreSQL for its plan")
@pytest.mark.parametrize(
    ("kind", "order", "index"),
    [
        ("open", "newest_first", "poll_newest_listed"),
        ("upcoming", "newest_first", "poll_newest_listed"),
        ("closed", "latest_closed_first", "poll_latest_closed_listed"),
    ],
)
def test_a_list_comes_in_order_from_its_index(kind, order, index):
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        # On a table of few rows sorting costs less than the index does.
        cursor.execute("SET LOCAL enable_sort = off")
    polls = getattr(getattr(Poll.objects.listed(), kind)(), order)()
    plan = polls[:21].explain()
    assert index in plan
    assert "Sort" not in plan


def test_it_can_only_be_read(client):
    response = client.post(LIST)
    assert response.status_code == 405
    assert response["Allow"] == "GET, HEAD, OPTIONS"
    assert "<title>That does not work this way · Pollstr</title>" in response.text


def test_a_reader_gets_no_cookie(client):
    PollFactory()
    assert not get(client).cookies


def test_the_front_page_leads_to_it(client):
    response = client.get("/")
    assert response.status_code == 302
    assert response["Location"] == LIST


@pytest.fixture
def lost_replica(monkeypatch):
    """A replica whose host is gone: each who asks it waits for nothing."""
    asked, rows_of = [], PollListView.rows_of

    def ask(view, database):
        asked.append(database)
        if database == "replica":
            raise OperationalError("connection timeout expired")
        return rows_of(view, database)

    monkeypatch.setattr("polls.listing.connections", ["default", "replica"])
    monkeypatch.setattr(PollListView, "rows_of", ask)
    monkeypatch.setattr(PollListView, "replica_away_until", 0.0)
    return asked


def test_a_replica_that_does_not_answer_is_left_alone_for_a_while(
    client, lost_replica, monkeypatch
):
    PollFactory(question="Tea or coffee?")
    now = 1000.0
    monkeypatch.setattr("polls.listing.monotonic", lambda: now)
    for _ in range(3):
        assert questions(get(client, q="tea")) == ["Tea or coffee?"]
    assert lost_replica == ["replica", "default", "default", "default"]
    now += LEFT_ALONE
    get(client, q="tea")
    assert lost_replica[4:] == ["replica", "default"]
