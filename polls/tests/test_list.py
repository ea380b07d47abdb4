from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from .factories import PollFactory

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


@pytest.mark.parametrize("words", ["%", "_", "'; DROP TABLE polls_poll; --", "x" * 10_000])
def test_a_search_that_finds_nothing_says_what_to_do(client, words):
    PollFactory()
    response = get(client, q=words)
    assert response.status_code == 200
    assert questions(response) == []
    assert "in its question." in response.text
    assert "Show all of them" in response.text


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
        ("open", "No poll is open just now."),
        ("upcoming", "No poll is waiting to open."),
        ("closed", "No poll has closed yet."),
    ],
)
def test_an_empty_list_says_so(client, show, sentence):
    assert sentence in get(client, show=show).text


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


@pytest.mark.parametrize("page", ["2", "999", "0", "-1", "x", "\0", "1.5", "9" * 400, "9" * 5000])
def test_a_page_that_is_not_there_is_a_404_in_the_sites_look(client, page):
    PollFactory()
    response = get(client, page=page)
    assert response.status_code == 404
    assert "<title>There is no such page · Pollstr</title>" in response.text


@pytest.mark.parametrize("polls", [1, 3])
def test_queries_do_not_grow_with_the_polls(client, django_assert_num_queries, polls):
    PollFactory.create_batch(polls)
    with django_assert_num_queries(3):
        assert len(questions(get(client))) == polls


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
