import re
from datetime import timedelta
from html import unescape

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from polls.models import Ballot, Change, Figure, Poll

from .factories import PollFactory

pytestmark = pytest.mark.django_db
ADA = "+12025550123"
REPEATED, LATE = "the number had voted", "voting was not open"
FINAL = "You have voted. In this poll a vote cannot be changed, so the first one stays."


def vote(client, poll, choice):
    return client.post(reverse("polls:vote", args=[poll.pk]), {"choice": choice.pk})


def page(client, poll):
    return " ".join(client.get(reverse("polls:integrity", args=[poll.pk])).text.split())


def refused(client, poll, because):
    return int(page(client, poll).partition(f"{because}</dt> <dd>")[2].partition("<")[0])


@pytest.fixture
def final():
    """A poll in which no vote may be changed."""
    return PollFactory(may_change=False)


def test_where_votes_may_not_change_the_first_stays(verified, final):
    yes, no = final.choices.all()
    vote(verified, final, yes)
    response = vote(verified, final, no)
    assert response.status_code == 409
    assert FINAL in response.text
    ballot = Ballot.objects.get()
    assert ballot.revision == 1
    assert ballot.votes.get().choice == yes


def test_a_repeated_vote_is_told_on_the_integrity_page(client, verified, final):
    yes, no = final.choices.all()
    assert refused(client, final, REPEATED) == 0
    for choice in [yes, no, yes]:
        vote(verified, final, choice)
    assert refused(client, final, REPEATED) == 2
    assert refused(client, final, LATE) == 0


def test_the_ballot_says_beforehand_that_the_vote_is_final(verified, final):
    text = verified.get(final.get_absolute_url()).text
    assert "Your number votes once in this poll, and the vote cannot be changed." in text


def test_the_ballot_says_afterwards_that_the_vote_is_final(verified, final):
    vote(verified, final, final.choices.first())
    text = verified.get(final.get_absolute_url()).text
    assert "<fieldset disabled>" in text
    assert "You have voted. In this poll a vote cannot be changed." in text
    assert "Change my vote" not in text
    assert "Change my vote" not in verified.get(reverse("polls:results", args=[final.pk])).text


@pytest.mark.parametrize("hours", [{"opens_at": 1}, {"closes_at": -1}])
def test_a_late_or_early_vote_is_told(client, verified, hours):
    poll = PollFactory(**{key: timezone.now() + timedelta(hours=n) for key, n in hours.items()})
    vote(verified, poll, poll.choices.first())
    assert refused(client, poll, LATE) == 1
    assert refused(client, poll, REPEATED) == 0


def test_after_the_close_a_repeated_vote_is_a_late_one(verified, final):
    vote(verified, final, final.choices.first())
    Poll.objects.update(closes_at=timezone.now() - timedelta(seconds=1))
    assert vote(verified, final, final.choices.last()).status_code == 409
    assert Figure.objects.get().kind == Figure.Kind.LATE


def test_it_tells_voters_votes_and_hours(client):
    poll = PollFactory(max_choices=2)
    for n in range(3):
        Ballot.objects.cast(poll, f"+1202555000{n}", [choice.pk for choice in poll.choices.all()])
    Ballot.objects.update(cast_at="2026-03-04T05:59:59Z")
    text = page(client, poll)
    assert "<dt>Numbers that voted</dt> <dd>3</dd>" in text
    assert "<dt>Votes (up to 2 a ballot)</dt> <dd>6</dd>" in text
    assert ">4 Mar 2026, 05:00</time></td> <td>3</td>" in text


def test_it_tells_every_change_with_the_voters_at_the_time(client):
    poll = PollFactory()
    Change.objects.create(poll=poll, what="<b>It changed.</b>", voters=12)
    text = page(client, poll)
    assert "at 12 voters: &lt;b&gt;It changed.&lt;/b&gt;" in text


def test_it_promises_no_more_than_is_true(client):
    assert "A number is not a person" in page(client, PollFactory())


def test_a_poll_that_is_not_there_is_a_404(client):
    assert client.get("/polls/99/integrity/").status_code == 404


def test_a_change_of_a_release_that_knows_no_sentences_is_written_and_told(client):
    poll = PollFactory()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO polls_change (poll_id, at, what, subject, before, voters)"
            " VALUES (%s, CURRENT_TIMESTAMP, 'Moved to the trash.', '', '', 3)",
            [poll.pk],
        )
    assert "at 3 voters: Moved to the trash.</li>" in page(client, poll)


def told_in(text):
    return re.findall("at 1 voter: (.*?)</li>", text)


@pytest.mark.parametrize("is_listed", [True, False])
def test_changes_come_in_pages_the_latest_first(client, is_listed, django_assert_max_num_queries):
    poll = PollFactory(is_listed=is_listed)
    Change.objects.bulk_create(Change(poll=poll, what=f"No. {n}", voters=1) for n in range(120))
    address, seen = poll.url("integrity"), []
    for _ in range(3):
        # Poll, count, figures, number of changes, a page of them; not one for each change.
        with django_assert_max_num_queries(7):
            text = " ".join(client.get(address).text.split())
        assert len(told_in(text)) <= 50
        seen += told_in(text)
        link = re.search('rel="next" href="(.*?)#changes"', text)
        address = f"{poll.url('integrity').partition('?')[0]}{unescape(link[1])}" if link else None
    assert seen == [f"No. {n}" for n in reversed(range(120))]
    assert address is None
    assert 'rel="prev"' in text


@pytest.mark.parametrize("number", ["0", "-1", "99", "x", "9" * 5000, "1%00", ""])
def test_an_odd_page_of_changes_is_one_of_them(client, number):
    poll = PollFactory()
    Change.objects.create(poll=poll, what="It changed.", voters=1)
    response = client.get(f"{poll.url('integrity')}?page={number}")
    assert response.status_code == 200
    assert told_in(" ".join(response.text.split())) == ["It changed."]


def test_changes_are_told_on_the_clocks_of_the_poll(client):
    poll = PollFactory(time_zone="Asia/Tokyo")
    Change.objects.create(poll=poll, what="It changed.", voters=1, at="2026-03-04T20:00:00Z")
    assert ">5 March 2026, 05:00 (Asia/Tokyo)</time>, at 1 voter: It" in page(client, poll)
