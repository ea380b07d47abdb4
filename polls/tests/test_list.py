import html
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError, connection
from django.db.models.expressions import RawSQL
from django.urls import reverse
from django.utils import timezone

from polls.listing import LEFT_ALONE, NEAR, PER_PAGE, PollListView
from polls.models import Poll, PollQuerySet

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
    assert "We found no poll with" in response.text
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


def test_the_first_five_words_are_looked_for(client):
    PollFactory(question="a1 a2 a3 a4 a5")
    five = "a1 a2 a3 a4 a5"
    assert len(questions(get(client, q=five))) == 1
    assert "your first 5 words" not in get(client, q=f"{five} a1 A5").text
    response = get(client, q=f"{five} nowhere")
    assert len(questions(response)) == 1
    assert "We looked for your first 5 words." in response.text


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


def link(response, rel):
    found = re.search(f'rel="{rel}" href="([^"]*)"', response.text)
    return found and LIST + html.unescape(found[1])


def test_paging_keeps_the_filters(client):
    for n in range(21):
        PollFactory(question=f"Is tea {n}?", closes_at=timezone.now())
    first = get(client, q="tea", show="closed")
    assert len(questions(first)) == 20
    assert link(first, "next").startswith(f"{LIST}?q=tea&show=closed&page=2&before=")
    last = client.get(link(first, "next"))
    assert "Page 2" in last.text
    assert questions(last) == ["Is tea 0?"]
    assert link(last, "prev").startswith(f"{LIST}?q=tea&show=closed&page=1&after=")
    assert questions(client.get(link(last, "prev"))) == questions(first)
    assert 'rel="next"' not in last.text


HOUR = timedelta(hours=1)
STARTS = {
    "open": {},
    "upcoming": {"opens_at": datetime(2100, 1, 1, tzinfo=UTC)},
    "closed": {"closes_at": datetime(2026, 2, 1, tzinfo=UTC)},
}


@pytest.mark.parametrize("query", [{}, {"q": "tea"}], ids=["all", "search"])
@pytest.mark.parametrize("show", STARTS)
def test_no_poll_is_skipped_or_shown_twice_when_others_leave_the_list(client, show, query):
    # All at one moment: their ids tell them apart.
    polls = [PollFactory(question=f"Tea {n}?", **STARTS[show]) for n in range(3 * PER_PAGE + 5)]
    expected = [poll.question for poll in reversed(polls)]
    page = get(client, show=show, **query)
    seen = questions(page)
    for number in [2, 3, 4]:
        Poll.objects.filter(question__in=seen[:2]).update(hidden_because="Spam.")
        PollFactory(question=f"Tea, new {number}?", **STARTS[show])
        page = client.get(link(page, "next"))
        assert f"Page {number}" in page.text
        seen += questions(page)
    assert seen == expected
    assert link(page, "next") is None
    back = questions(page)
    while (before := link(page, "prev")) is not None:
        page = client.get(before)
        assert set(questions(page)) - set(back)
        back += questions(page)
    assert "Page 1" in page.text
    assert set(expected[6:]) <= set(back)


def test_the_first_page_is_full_however_it_is_come_to(client):
    for n in range(PER_PAGE + 5):
        PollFactory(question=f"Tea {n}?")
    second = client.get(link(get(client), "next"))
    for n in range(3):
        PollFactory(question=f"New {n}?")
    third = client.get(link(second, "prev"))
    assert len(questions(third)) == PER_PAGE
    newest = client.get(link(third, "prev"))
    assert questions(newest) == questions(get(client))


def test_a_page_that_became_empty_says_so(client):
    for n in range(PER_PAGE + 1):
        PollFactory(question=f"Tea {n}?")
    following = link(get(client), "next")
    Poll.objects.filter(question="Tea 0?").update(trashed_at=timezone.now())
    response = client.get(following)
    assert response.status_code == 200
    assert "There are no more polls here." in response.text
    assert f'href="{LIST}"' in response.text


def test_rows_are_counted_where_only_a_number_is_given(client):
    for n in range(2 * PER_PAGE + 1):
        PollFactory(question=f"Tea {n}?")
    assert questions(get(client, page=3)) == ["Tea 0?"]
    assert questions(client.get(link(get(client, page=3), "prev")))[-1] == "Tea 1?"


@pytest.mark.parametrize("name", ["before", "after"])
@pytest.mark.parametrize(
    "place",
    [
        *["", "x", "1", "1-", "-1-1", "1-1-1-1", "1-x", "1.5-2", "²-1", "\0"],
        *[f"{'9' * 20}-1", f"1-{'9' * 20}", f"{'9' * 19}-1", f"1-{'9' * 19}", "9" * 5000],
    ],
)
def test_a_place_that_is_none_is_a_404(client, name, place):
    PollFactory()
    assert get(client, **{name: place}).status_code == 404


@pytest.mark.parametrize("show", STARTS)
@pytest.mark.parametrize("page", ["", "1", "5", "99999999999999999999"])
def test_an_odd_place_is_no_error(client, show, page):
    PollFactory(**STARTS[show])
    for number in [0, 1, 2**63 - 1]:
        moments = "-".join(["315537897599999999"] * (2 if show == "closed" else 1))
        query = {"before": f"{moments}-{number}", "show": show} | ({"page": page} if page else {})
        assert get(client, **query).status_code == (404 if len(page) > 5 else 200)


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
# A search is counted for its internet address.
@pytest.mark.parametrize(("query", "queries"), [({}, 2), ({"q": "poll yes"}, 3)], ids=str)
def test_queries_do_not_grow_with_the_polls(
    client, django_assert_num_queries, polls, query, queries
):
    PollFactory.create_batch(polls)
    with django_assert_num_queries(queries):
        assert len(questions(get(client, **query))) == polls


@pytest.mark.parametrize("words", ["rare", "poll yes rare"])
def test_a_search_beyond_the_newest_polls_is_one_more_query(
    client, django_assert_max_num_queries, words
):
    PollFactory(description="Rare.")
    PollFactory.create_batch(NEAR)
    # And a transaction with a time limit, on PostgreSQL.
    with django_assert_max_num_queries(4 if connection.vendor != "postgresql" else 7):
        assert len(questions(get(client, q=words))) == 1


def test_it_counts_no_rows(client, django_assert_num_queries):
    PollFactory.create_batch(21)
    with django_assert_num_queries(2) as queries:
        get(client)
    assert "COUNT" not in str([query["sql"] for query in queries])


@pytest.mark.skipif(connection.vendor != "postgresql", reason="asks PostgreSQL for its plan")
@pytest.mark.parametrize("words", [["tea"], ["tea", "coffee"], ["c++"], ["東京", "ラーメン"]])
def test_a_search_asks_the_indexes(words):
    with connection.cursor() as cursor:
        # With so few rows everything is quicker than the indexes.
        for way in ["seqscan", "indexscan", "indexonlyscan"]:
            cursor.execute(f"SET LOCAL enable_{way} = off")
    plan = Poll.objects.listed().search(words).newest_first().explain()
    assert plan.count("Bitmap Index Scan on poll_search_tokens") == len(words)
    assert plan.count("Bitmap Index Scan on choice_search_tokens") == len(words)
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


def test_a_late_replica_shows_no_poll_that_the_primary_does_not_list(client, monkeypatch):
    polls = [PollFactory(question=f"Tea {n}?") for n in range(PER_PAGE + 1)]
    rows_of = PollListView.rows_of
    monkeypatch.setattr("polls.listing.connections", {"replica": connection, "default": connection})

    def late_rows(view, database):
        assert database == "replica"
        rows = rows_of(view, "default")
        Poll.objects.filter(pk=polls[-1].pk).update(hidden_because="Spam.")
        Poll.objects.filter(pk=polls[-2].pk).update(is_listed=False)
        return rows

    monkeypatch.setattr(PollListView, "rows_of", late_rows)
    response = get(client)
    assert questions(response) == [f"Tea {n}?" for n in range(PER_PAGE - 2, 0, -1)]
    assert link(response, "next")


def test_searches_are_limited_by_internet_address(client, monkeypatch):
    monkeypatch.setattr("polls.listing.SEARCHES.most", 2)
    PollFactory(question="Tea or coffee?")
    for _ in range(2):
        assert questions(get(client, q="tea")) == ["Tea or coffee?"]
    response = get(client, q="tea")
    assert response.status_code == 429
    assert 0 < int(response["Retry-After"]) <= 600
    assert "Too many searches came from your internet address." in response.text
    assert 'name="q" value="tea"' in response.text
    assert "We found no poll" not in response.text
    # What is no search is not counted, and not refused.
    assert get(client).status_code == get(client, q="!").status_code == 200
    assert get(client, q="tea", page="x").status_code == 429
    elsewhere = client.get(LIST, {"q": "tea"}, REMOTE_ADDR="192.0.2.7")
    assert questions(elsewhere) == ["Tea or coffee?"]


def test_refused_searches_write_nothing(client, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr("polls.listing.SEARCHES.most", 1)
    for _ in range(2):
        get(client, q="tea")
    with django_assert_num_queries(0):
        assert get(client, q="tea").status_code == 429


def test_a_limit_ends_with_its_window(client, monkeypatch, time_machine):
    monkeypatch.setattr("polls.listing.SEARCHES.most", 1)
    time_machine.move_to("2026-06-01T12:01:00Z", tick=False)
    assert [get(client, q="tea").status_code for _ in range(3)] == [200, 429, 429]
    assert get(client, q="tea")["Retry-After"] == "540"
    time_machine.move_to("2026-06-01T12:10:00Z", tick=False)
    assert get(client, q="tea").status_code == 200


@pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL alone has a time limit")
def test_a_search_that_takes_too_long_is_ended(client, monkeypatch):
    PollFactory.create_batch(NEAR + 1)
    search = PollQuerySet.search

    def slow(polls, *args):
        return search(polls, *args).annotate(slept=RawSQL("pg_sleep(3)::text", []))

    monkeypatch.setattr(PollQuerySet, "search", slow)
    monkeypatch.setattr("polls.listing.MAX_SEARCH_SECONDS", 0.1)
    response = get(client, q="poll")
    assert len(questions(response)) == PER_PAGE
    response = get(client, q="is", page=3)
    assert response.status_code == 200
    assert "This search took too long." in response.text
    # And the connection still serves.
    assert get(client).status_code == 200


def test_a_poll_with_several_answers_looks_like_it(client):
    PollFactory(question="One?")
    assert "several" not in get(client).text
    PollFactory(question="Two?", max_choices=2)
    text = get(client).text
    assert text.count('class="answers several"') == 1
    assert text.count("You can pick several answers.") == 1


def test_an_open_poll_says_so_with_and_without_an_end(client):
    PollFactory()
    assert "Open, with no end date" in get(client).text
    Poll.objects.update(closes_at=timezone.now() + timedelta(days=1))
    text = get(client).text
    assert "Open, with no end date" not in text
    assert "Open until" in text
