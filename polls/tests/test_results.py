import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from polls.models import Ballot

from .factories import PollFactory

pytestmark = pytest.mark.django_db
ADA = "+12025550123"


@pytest.fixture
def poll():
    return PollFactory(question="Tea or coffee?", choices=["Tea", "Coffee", "Water"])


def url(poll):
    return reverse("polls:results", args=[poll.pk])


def cast(poll, votes):
    """Let so many others vote for each choice, in their order."""
    numbers = iter(range(1000))
    for choice, count in zip(poll.choices.all(), votes, strict=False):
        for _ in range(count):
            Ballot.objects.cast(poll, f"+1202555{next(numbers):04}", [choice.pk])


def leaders(html):
    rows = re.findall(
        r'<li data-choice="\d+"( class="leads")?>.*?<span id=[^>]*>(\w+)', html, re.DOTALL
    )
    return [text for leads, text in rows if leads]


@pytest.mark.parametrize(
    ("votes", "ahead"),
    [([1, 3, 2], ["Coffee"]), ([2, 0, 2], ["Tea", "Water"]), ([0, 0, 0], [])],
)
def test_it_marks_the_bars_that_are_ahead(verified, poll, votes, ahead):
    cast(poll, votes)
    assert leaders(verified.get(url(poll)).text) == ahead


def test_it_shows_votes_and_shares(verified, poll):
    cast(poll, [2, 1, 0])
    text = verified.get(url(poll)).text
    assert '<h1 dir="auto">Tea or coffee?</h1>' in text
    for bar in ["2 votes · 66.7 %", "1 vote · 33.3 %", "0 votes · 0 %"]:
        assert f'<span class="bar-number">{bar}</span>' in text
    assert '<progress value="2" max="3"' in text
    assert "3 voters, one proven phone number each." in text


def test_shares_without_a_fraction_are_whole(verified, poll):
    cast(poll, [1, 1])
    assert verified.get(url(poll)).text.count("1 vote · 50 %") == 2


def test_without_votes_every_share_is_0(verified, poll):
    text = verified.get(url(poll)).text
    assert text.count("0 votes · 0 %") == 3
    assert "Nobody has voted yet." in text
    assert '<progress value="0" max="1"' in text


def test_it_marks_the_own_vote(verified, poll):
    Ballot.objects.cast(poll, ADA, [poll.choices.get(text="Coffee").pk])
    text = verified.get(url(poll)).text
    assert 'Coffee <span class="badge">Your vote</span>' in text
    assert text.count("Your vote") == 1
    assert "Change my vote" in text


def test_it_marks_nobody_elses_vote(verified, poll):
    cast(poll, [1, 1, 1])
    text = verified.get(url(poll)).text
    assert "Your vote" not in text
    assert "Change my vote" not in text


def test_it_counts_no_vote_of_another_poll(verified, poll):
    cast(PollFactory(), [1])
    assert "Nobody has voted yet." in verified.get(url(poll)).text


def test_it_works_for_a_poll_with_a_description(verified):
    poll = PollFactory(description="A long story.\n\nTwo paragraphs.")
    assert verified.get(url(poll)).status_code == 200


def test_it_escapes_question_and_choices(verified):
    poll = PollFactory(question="<script>1</script>", choices=["<b>1</b>", "2"])
    text = verified.get(url(poll)).text
    assert '<h1 dir="auto">&lt;script&gt;1&lt;/script&gt;</h1>' in text
    assert "&lt;b&gt;1&lt;/b&gt;" in text
    assert "<script>" not in text


@pytest.mark.parametrize("days", [{"opens_at": 1}, {"closes_at": -1}])
def test_it_offers_no_ballot_while_the_poll_is_not_open(verified, days):
    poll = PollFactory(**{key: timezone.now() + timedelta(days=n) for key, n in days.items()})
    assert f'href="/polls/{poll.pk}/"' not in verified.get(url(poll)).text


def test_it_offers_the_ballot_while_the_poll_is_open(verified, poll):
    assert f'href="/polls/{poll.pk}/">Vote</a>' in verified.get(url(poll)).text


def test_it_sends_the_anonymous_to_sign_in_and_back(client, poll):
    response = client.get(url(poll))
    assert response.status_code == 302
    assert response["Location"] == f"/login/?next=/polls/{poll.pk}/results/"


def test_it_sends_whoever_has_not_proven_a_phone_to_do_so(signed_in, poll):
    response = signed_in.get(url(poll))
    assert response.status_code == 302
    assert response["Location"] == f"/2fa/?next=%2Fpolls%2F{poll.pk}%2Fresults%2F"


@pytest.mark.parametrize("pk", ["99", "99999999999999999999999", "1" + "0" * 400, "9" * 5000])
def test_a_poll_that_is_not_there_is_a_404(verified, pk):
    response = verified.get(f"/polls/{pk}/results/")
    assert response.status_code == 404
    assert "<title>There is no such page · Pollstr</title>" in response.text


def test_it_can_only_be_read(verified, poll):
    response = verified.post(url(poll))
    assert response.status_code == 405
    assert response["Allow"] == "GET, HEAD, OPTIONS"


def test_it_is_kept_out_of_caches(verified, poll):
    assert "no-store" in verified.get(url(poll))["Cache-Control"]


@pytest.mark.parametrize(("choices", "voters"), [(2, 1), (10, 1), (2, 20)])
def test_queries_do_not_grow(verified, django_assert_num_queries, choices, voters):
    poll = PollFactory(choices=[f"No. {n}" for n in range(choices)])
    Ballot.objects.cast(poll, ADA, [poll.choices.first().pk])
    cast(poll, [voters - 1])
    # Session, user with second factor; poll with the own ballot; the count; the hours.
    with django_assert_num_queries(5):
        verified.get(url(poll))


@pytest.mark.parametrize(
    ("votes", "sentence"),
    [
        ([0, 0, 0], "Nobody has voted yet."),
        ([2, 1, 0], "“Tea” has the most votes: 2."),
        ([1, 1, 0], "“Tea” and “Coffee” are level, with 1 vote each."),
        ([2, 2, 2], "“Tea”, “Coffee” and “Water” are level, with 2 votes each."),
    ],
)
def test_it_says_who_is_ahead_or_level(verified, poll, votes, sentence):
    cast(poll, votes)
    assert f'<p class="summary" data-summary>{sentence}</p>' in verified.get(url(poll)).text


def test_it_names_no_more_answers_and_no_longer_ones_than_can_be_read(verified):
    poll = PollFactory(choices=["A", "B", "C", "D"])
    cast(poll, [1, 1, 1, 1])
    assert "4 answers are level, with 1 vote each." in verified.get(url(poll)).text
    endless = PollFactory(choices=["x" * 200, "B"])
    cast(endless, [1, 0])
    assert f"“{'x' * 39}…” has the most votes: 1." in verified.get(url(endless)).text


def turnout(page):
    [(box, bars)] = re.findall(r'viewBox="([^"]*)" preserve.*?</title>(.*?)</svg>', page, re.DOTALL)
    return box, re.findall('x="(.*?)" y="(.*?)" width="(.*?)" height="(.*?)"/>', bars)


def test_it_draws_the_turnout_by_hour(verified, poll):
    cast(poll, [3])
    hours = ["2026-03-04T05:10:00Z", "2026-03-04T05:59:59Z", "2026-03-04T07:00:00Z"]
    for ballot, at in zip(Ballot.objects.all(), hours, strict=True):
        Ballot.objects.filter(pk=ballot.pk).update(cast_at=at)
    page = verified.get(url(poll)).text
    assert turnout(page) == ("0 0 23.8 2", [("23", "1", "0.8", "1"), ("21", "0", "0.8", "2")])
    assert "<span>3 Mar 2026, 08:00</span> <span>4 Mar 2026, 07:00</span>" in page
    assert "Most in one hour: 2, from 4 March 2026, 05:00 UTC." in page
    assert "<tr><td>4 Mar 2026, 07:00</td><td>1</td></tr>" in page


def test_a_lone_hour_in_a_long_time_is_drawn_wide_enough(verified, poll):
    cast(poll, [2])
    for ballot, at in zip(Ballot.objects.all(), ["2026-03-01", "2026-05-01"], strict=True):
        Ballot.objects.filter(pk=ballot.pk).update(cast_at=f"{at}T00:00:00Z")
    box, bars = turnout(verified.get(url(poll)).text)
    assert box == f"0 0 {61 * 24 + 9.8} 1"
    assert bars == [(str(61 * 24), "0", "9.8", "1"), ("0", "0", "9.8", "1")]


def test_the_first_vote_begins_the_turnout(verified, poll):
    assert "Turn-out" not in verified.get(url(poll)).text
    cast(poll, [1])
    assert "Most in one hour: 1, from" in verified.get(url(poll)).text


def test_the_turnout_is_for_those_too_who_do_not_see_the_results(verified):
    poll = PollFactory(results_for="after_close")
    cast(poll, [2, 1])
    page = verified.get(url(poll)).text
    assert "Most in one hour: 3, from" in page
    assert "<progress" not in page
