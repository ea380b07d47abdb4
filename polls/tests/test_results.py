import re
from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from polls import tally
from polls.models import Ballot, Poll

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
    for bar in ["2 votes · 66.7 %", "1 vote · 33.3 %", "0 votes · 0.0 %"]:
        assert f'<span class="bar-number">{bar}</span>' in text
    assert '<progress value="2" max="3"' in text
    assert "3 voters, one verified phone number each." in text


def test_shares_without_a_fraction_are_whole(verified, poll):
    cast(poll, [1, 1])
    assert verified.get(url(poll)).text.count("1 vote · 50 %") == 2


def test_rounding_denies_no_vote(verified, poll, monkeypatch):
    counted = tally.count(poll)
    for choice, votes in zip(counted["choices"], [2999, 1, 0], strict=True):
        choice["votes"] = votes
    monkeypatch.setattr("polls.tally.count", lambda poll: counted | {"voters": 3000})
    text = verified.get(url(poll)).text
    assert re.findall('"bar-number">(.*?)<', text) == [
        "2,999 votes · &gt; 99.9 %",
        "1 vote · &lt; 0.1 %",
        "0 votes · 0.0 %",
    ]


ROUNDED = "Shares are rounded, so they may not add up to exactly 100 %."


@pytest.mark.parametrize(
    ("votes", "closes_at", "shown"),
    [
        ([1, 2], None, f'<p class="meta" data-rounded> {ROUNDED}'),
        # The line is kept free, for the numbers of an open poll move.
        ([2, 2], None, f'<p class="meta invisible" data-rounded> {ROUNDED}'),
        ([1, 2], "2026-11-01T12:00:00Z", f'<p class="meta" data-rounded> {ROUNDED}'),
        ([2, 2], "2026-11-01T12:00:00Z", None),
    ],
)
def test_it_says_that_rounded_shares_may_not_add_up(verified, poll, votes, closes_at, shown):
    cast(poll, votes)
    Poll.objects.update(closes_at=closes_at)
    text = " ".join(verified.get(url(poll)).text.split())
    assert shown in text if shown else ROUNDED not in text


def test_after_a_close_without_votes_it_says_that_no_one_voted(verified, poll):
    Poll.objects.update(closes_at=timezone.now() - timedelta(days=1))
    text = verified.get(url(poll)).text
    assert "No one voted." in text
    assert "Nobody has voted yet." not in text
    assert "one verified phone number each" not in text


def test_without_votes_every_share_is_0(verified, poll):
    text = verified.get(url(poll)).text
    assert "0 voters." in text
    assert "one verified phone number each" not in text.partition("data-texts")[2].partition(">")[2]
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
    # Session, user with second factor; poll with the own ballot; the count with the hours.
    with django_assert_num_queries(4):
        verified.get(url(poll))


@pytest.mark.parametrize(
    ("votes", "sentence"),
    [
        ([0, 0, 0], "Nobody has voted yet."),
        ([2, 1, 0], "“Tea” has the most votes: 2."),
        ([1, 1, 0], "It is a tie: “Tea” and “Coffee” have 1 vote each."),
        ([2, 2, 2], "It is a tie: “Tea”, “Coffee” and “Water” have 2 votes each."),
    ],
)
def test_it_says_who_is_ahead_or_that_it_is_a_tie(verified, poll, votes, sentence):
    cast(poll, votes)
    assert f'<p class="summary" data-summary>{sentence}</p>' in verified.get(url(poll)).text


def test_it_names_no_more_answers_and_no_longer_ones_than_can_be_read(verified):
    poll = PollFactory(choices=["A", "B", "C", "D"])
    cast(poll, [1, 1, 1, 1])
    assert "It is a tie: 4 answers have 1 vote each." in verified.get(url(poll)).text
    endless = PollFactory(choices=["x" * 200, "B"])
    cast(endless, [1, 0])
    assert f"“{'x' * 39}…” has the most votes: 1." in verified.get(url(endless)).text


def turnout(page):
    [(box, bars)] = re.findall(r'viewBox="([^"]*)" preserve.*?</title>(.*?)</svg>', page, re.DOTALL)
    return box, re.findall('x="(.*?)" y="(.*?)" width="(.*?)" height="(.*?)"/>', bars)


def cast_at(poll, *moments):
    """Let one number vote at each moment."""
    choice = poll.choices.first().pk
    for n, at in enumerate(moments):
        ballot = Ballot.objects.cast(poll, f"+1303555{n:04}", [choice])
        Ballot.objects.filter(pk=ballot.pk).update(cast_at=at)


def test_it_draws_the_turnout_by_hour(verified, poll):
    cast_at(poll, "2026-03-04T05:10:00Z", "2026-03-04T05:59:59.9Z", "2026-03-04T15:00:00Z")
    page = verified.get(url(poll)).text
    assert turnout(page) == ("0 0 10.8 2", [("10", "1", "0.8", "1"), ("0", "0", "0.8", "2")])
    assert "<span>4 Mar 2026, 05:00</span> <span>4 Mar 2026, 15:00</span>" in page
    most = '<time datetime="2026-03-04T05:00:00+00:00">4 March 2026, 05:00 UTC</time>'
    assert f"Most in one hour: 2, from {most}." in page
    assert table(page) == [("4 Mar 2026, 15:00", "1"), ("4 Mar 2026, 05:00", "2")]


def table(page):
    return re.findall("<td><time [^>]*>(.*?)</time></td>\\s*<td>(.*?)</td>", page)


def test_the_turnout_is_shown_on_the_clocks_of_the_poll(verified, poll):
    Poll.objects.update(time_zone="America/New_York")
    cast_at(poll, "2026-03-04T03:10:00Z")
    page = verified.get(url(poll)).text
    assert "Hour (America/New_York)" in page
    assert table(page) == [("3 Mar 2026, 22:00", "1")]
    assert "3 March 2026, 22:00 (America/New_York)</time>" in page
    assert "UTC" not in page


def test_hours_that_clocks_show_twice_can_be_told_apart(verified, poll):
    Poll.objects.update(time_zone="Europe/Berlin")
    cast_at(poll, "2026-10-25T00:10:00Z", "2026-10-25T01:10:00Z", "2026-10-25T02:10:00Z")
    assert table(verified.get(url(poll)).text) == [
        ("25 Oct 2026, 03:00", "1"),
        ("25 Oct 2026, 02:00 (+01:00)", "1"),
        ("25 Oct 2026, 02:00 (+02:00)", "1"),
    ]


def test_the_turnout_of_a_young_poll_spans_a_few_hours(verified, poll):
    cast_at(poll, "2026-03-04T05:10:00Z")
    page = verified.get(url(poll)).text
    assert turnout(page) == ("0 0 5.8 1", [("5", "0", "0.8", "1")])


def test_it_says_where_not_all_hours_are_shown(verified, poll):
    hours = [datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=2 * n) for n in range(50)]
    # The busiest is the first, which is not shown.
    cast_at(poll, *hours, hours[0])
    for name in ["results", "integrity"]:
        page = verified.get(poll.url(name)).text
        assert len(table(page)) == 48
        assert "Only the latest 48 hours with votes are shown here." in page
    page = verified.get(url(poll)).text
    assert turnout(page)[0].endswith(" 1")
    assert "Most in one hour: 2, from" in page
    assert "1 March 2026, 00:00 UTC</time>" in page
    Ballot.objects.filter(cast_at__gte=hours[40]).update(cast_at=hours[40])
    assert "Only the latest" not in verified.get(url(poll)).text


@pytest.mark.parametrize("name", ["results", "integrity"])
@pytest.mark.parametrize("is_dear", [False, True])
@pytest.mark.parametrize("is_closed", [False, True])
def test_two_counts_on_one_page_agree(verified, poll, monkeypatch, name, is_dear, is_closed):
    if is_dear:
        monkeypatch.setattr("polls.tally.FEW", -1)
        monkeypatch.setattr("polls.tally.MOST_OF_A_PROCESSOR", 1e-9)
    for n in range(3):
        if is_closed and n == 2:
            Poll.objects.update(closes_at=timezone.now() - timedelta(seconds=1))
        else:
            Ballot.objects.cast(poll, f"+1202555{n:04}", [poll.choices.first().pk])
        page = " ".join(verified.get(poll.url(name)).text.split())
        voters = re.search(r"<dd>(\d+)</dd>|data-voters>(\d+) voter", page)
        assert sum(int(number) for _, number in table(page)) == int(voters[1] or voters[2])


def test_a_lone_hour_in_a_long_time_is_drawn_wide_enough(verified, poll):
    cast_at(poll, "2026-03-01T00:00:00Z", "2026-05-01T00:00:00Z")
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
