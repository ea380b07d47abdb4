"""Every ballot of a closed poll, to count again: what is in it, what is not, and when."""

import csv
import json
import re
import tracemalloc
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone

from polls.models import Ballot, Change, Poll
from polls.tally import tally
from two_factor.tests.factories import UserFactory

from . import people
from .factories import PollFactory
from .test_visibility import SEES, Rule

pytestmark = pytest.mark.django_db
KINDS = pytest.mark.parametrize("kind", ["csv", "json"])
MANY, FEW = 100_000, 2_000


@pytest.fixture
def poll():
    return PollFactory(
        author=UserFactory(), results_for="everyone", max_choices=2, choices=["Tea", "Coffee", "-1"]
    )


def close(poll):
    Poll.objects.filter(pk=poll.pk).update(closes_at=timezone.now() - timedelta(seconds=1))
    poll.refresh_from_db()


def cast(poll, *ballots):
    """Cast ballots that name choices by their place."""
    ids = [choice.pk for choice in poll.choices.all()]
    for n, picked in enumerate(ballots):
        Ballot.objects.cast(poll, f"+1202555{n:04}", [ids[place] for place in picked])


def get(browser, poll, kind):
    return browser.get(reverse(f"polls:ballots_{kind}", args=[poll.pk]))


def text(response):
    return response.getvalue().decode("utf-8-sig")


def ballots_of(browser, poll) -> list[list[int]]:
    return json.loads(text(get(browser, poll, "json")))["ballots"]


# Of one kind each, as places of choices.
TWENTY = [[0]] * 9 + [[1, 2]] * 7 + [[1]] * 4


def test_csv_has_a_line_a_ballot_and_a_column_a_choice(client, poll):
    cast(poll, *TWENTY)
    close(poll)
    header, *lines = csv.reader(text(get(client, poll, "csv")).splitlines())
    assert header == ["Tea", "Coffee", "-1"]
    expected = [[str(int(place in picked)) for place in range(3)] for picked in TWENTY]
    assert sorted(lines) == sorted(expected)


def test_json_has_the_ids_of_the_choices_on_each_ballot(client, poll):
    cast(poll, *TWENTY)
    close(poll)
    answer = json.loads(text(get(client, poll, "json")))
    ids = [choice.pk for choice in poll.choices.all()]
    assert answer["choices"] == ids
    assert sorted(answer["ballots"]) == sorted([ids[place] for place in each] for each in TWENTY)


def test_whoever_counts_again_gets_what_the_results_say(client, poll):
    cast(poll, *[[n % 3, (n + 1) % 3][: 1 + n % 2] for n in range(20)])
    close(poll)
    ballots = ballots_of(client, poll)
    votes = Counter(pk for picked in ballots for pk in picked)
    counted = tally(poll)
    assert len(ballots) == counted["voters"] == 20
    assert votes == {choice["id"]: choice["votes"] for choice in counted["choices"]}


@KINDS
def test_nothing_in_it_can_be_matched_with_a_voter(client, poll, kind):
    cast(poll, *TWENTY)
    Ballot.objects.update(cast_at="2031-05-06T07:08:09Z")
    close(poll)
    content = text(get(client, poll, kind))
    for ballot in Ballot.objects.all():
        assert ballot.mark[:8] not in content
        assert ballot.nonce[:8] not in content
        assert f"{ballot.cast_at:%H:%M}" not in content
    assert set(re.findall(r"\w{2,}", content)) <= {"Tea", "Coffee", "choices", "ballots"} | {
        str(choice.pk) for choice in poll.choices.all()
    }


def test_a_ballot_that_was_changed_stands_once_as_it_is_now(client, poll):
    cast(poll, *[[0]] * 20)
    cast(poll, [1])
    close(poll)
    tea, coffee, _ = [choice.pk for choice in poll.choices.all()]
    assert Counter(map(tuple, ballots_of(client, poll))) == {(tea,): 19, (coffee,): 1}


@KINDS
@pytest.mark.parametrize("voters", [0, 1, 19])
def test_fewer_than_20_are_shown_to_nobody(client, poll, kind, voters):
    cast(poll, *[[n % 3] for n in range(voters)])
    close(poll)
    for browser in [client, people.verified(poll), people.author(poll)]:
        assert get(browser, poll, kind).status_code == 404
        assert "ballots." not in browser.get(poll.url("results")).text


def test_the_order_tells_neither_when_nor_by_whom(client, poll):
    cast(poll, *[[0]] * 30, *[[1]] * 30)
    tea = poll.choices.first().pk
    close(poll)
    first = ballots_of(client, poll)
    assert first == ballots_of(client, poll)
    by_mark = Ballot.objects.order_by("mark").values_list("votes__choice", flat=True)
    by_id = Ballot.objects.order_by("pk").values_list("votes__choice", flat=True)
    for order in [by_mark, by_id]:
        assert [pk == tea for pk in order] != [picked == [tea] for picked in first]


def reopen(poll):
    poll.refresh_from_db()
    with transaction.atomic():
        poll.reopen(timezone.now() + timedelta(days=1), "Some could not vote.")


def test_the_order_is_another_for_each_close(client, poll):
    """A place in one export is no place in the next, so nobody sees which ballot changed."""
    cast(poll, *[[n % 3] for n in range(60)])
    close(poll)
    before = ballots_of(client, poll)
    reopen(poll)
    cast(poll, *[[n % 3] for n in range(60)])
    close(poll)
    after = ballots_of(client, poll)
    assert sorted(before) == sorted(after)
    assert before != after


@KINDS
@pytest.mark.parametrize(
    ("changed", "new", "is_shared"),
    [
        (0, 0, False),
        (1, 1, False),
        (19, 0, False),
        (10, 9, False),
        (20, 0, True),
        (0, 20, True),
        (15, 5, True),
    ],
)
def test_after_a_reopening_it_takes_20_ballots_more(client, poll, kind, changed, new, is_shared):
    cast(poll, *[[0]] * 25)
    close(poll)
    assert get(client, poll, kind).status_code == 200
    reopen(poll)
    for n in [*range(changed), *range(100, 100 + new)]:
        Ballot.objects.cast(poll, f"+1202555{n:04}", [poll.choices.last().pk])
    close(poll)
    assert (get(client, poll, kind).status_code == 200) is is_shared
    assert ("ballots." in client.get(poll.url("results")).text) is is_shared


def test_ballots_of_the_millisecond_of_the_reopening_count(client, poll):
    cast(poll, *[[0]] * 25)
    close(poll)
    reopen(poll)
    at = timezone.now().replace(microsecond=123_456)
    Change.objects.update(at=at)
    Ballot.objects.update(cast_at=at - timedelta(minutes=1))
    early = list(Ballot.objects.values_list("pk", flat=True))
    for n in range(20):
        Ballot.objects.cast(poll, f"+1202555{100 + n:04}", [poll.choices.last().pk])
    Ballot.objects.exclude(pk__in=early).update(cast_at=at.replace(microsecond=123_000))
    close(poll)
    assert get(client, poll, "json").status_code == 200


def test_each_reopening_takes_20_of_its_own(client, poll):
    cast(poll, *[[0]] * 25)
    for numbers in [range(100, 120), range(200, 203)]:
        close(poll)
        reopen(poll)
        for n in numbers:
            Ballot.objects.cast(poll, f"+1202555{n:04}", [poll.choices.last().pk])
    close(poll)
    assert get(client, poll, "json").status_code == 404


def test_a_reopening_that_an_earlier_release_noted_counts_too(client, poll):
    cast(poll, *[[0]] * 25)
    close(poll)
    reopen(poll)
    Change.objects.update(subject="")
    close(poll)
    assert get(client, poll, "json").status_code == 404


def test_the_two_exports_of_the_attack_are_not_there(client, poll):
    """Close, download, reopen, one late vote and one change, close, download, compare."""
    cast(poll, *[[0]] * 20)
    close(poll)
    before = ballots_of(client, poll)
    reopen(poll)
    Ballot.objects.cast(poll, "+12025550000", [poll.choices.last().pk])
    Ballot.objects.cast(poll, "+12025559999", [poll.choices.last().pk])
    close(poll)
    assert len(before) == 20
    for kind in ["csv", "json"]:
        assert get(client, poll, kind).status_code == 404


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_a_download_that_a_reopening_overtakes_has_no_ballots(client, poll, kind):
    cast(poll, *TWENTY)
    close(poll)
    response = get(client, poll, kind)
    reopen(poll)
    content = text(response)
    assert not re.search(r'\d"?,"?\d|\[\d', content.replace(str(choices_of(poll)), ""))


def choices_of(poll):
    return json.dumps([choice.pk for choice in poll.choices.all()])


def test_authors_and_readers_are_told_what_a_reopening_shows(client, poll):
    cast(poll, *TWENTY)
    close(poll)
    assert "was reopened" not in client.get(poll.url("integrity")).text
    asked = people.author(poll).get(reverse("polls:reopen", args=[poll.pk])).text
    assert "can show how they voted" in asked
    assert "at least 20 people" in asked
    reopen(poll)
    assert "This poll was reopened after it had closed." in client.get(poll.url("integrity")).text


@KINDS
@pytest.mark.parametrize("rule", Rule)
@pytest.mark.parametrize("column", range(len(people.ALL)))
def test_after_the_close_it_is_for_whoever_sees_the_results(poll, rule, column, kind):
    Poll.objects.update(results_for=rule)
    browser = people.ALL[column](poll)
    cast(poll, *TWENTY)
    close(poll)
    sees = SEES[rule, "closed"][column]
    response = get(browser, poll, kind)
    assert (response.status_code == 200) is sees
    if sees:
        assert "no-store" in response["Cache-Control"]
    else:
        assert response.status_code in {302, 403}


@KINDS
def test_before_the_close_it_is_for_nobody(poll, kind):
    cast(poll, *TWENTY)
    for browser in [people.anonymous(poll), people.voter(poll), people.author(poll)]:
        assert get(browser, poll, kind).status_code == 404
        assert "ballots." not in browser.get(poll.url("results")).text


@KINDS
def test_it_is_not_there_before_the_database_has_closed_the_poll(client, poll, kind, time_machine):
    cast(poll, *TWENTY)
    Poll.objects.update(closes_at=timezone.now() + timedelta(minutes=1))
    time_machine.move_to(timezone.now() + timedelta(minutes=2))
    assert get(client, poll, kind).status_code == 404


@KINDS
def test_a_poll_by_link_needs_its_link(client, poll, kind):
    cast(poll, *TWENTY)
    close(poll)
    Poll.objects.update(is_listed=False)
    poll.refresh_from_db()
    assert get(client, poll, kind).status_code == 404
    assert client.get(poll.url(f"ballots_{kind}")).status_code == 200


@KINDS
def test_it_can_only_be_read(client, poll, kind):
    close(poll)
    assert client.post(reverse(f"polls:ballots_{kind}", args=[poll.pk])).status_code == 405


@KINDS
def test_a_poll_that_is_not_there_is_a_404(client, kind):
    assert client.get(f"/polls/99/ballots.{kind}").status_code == 404


def test_the_results_page_leads_to_it_after_the_close(client, poll):
    cast(poll, *TWENTY)
    close(poll)
    page = client.get(poll.url("results")).text
    for kind in ["csv", "json"]:
        assert f'href="/polls/{poll.pk}/ballots.{kind}"' in page


def fill(poll, ballots):
    """Make so many ballots quickly, each with one tick."""
    choices = [choice.pk for choice in poll.choices.all()]
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH RECURSIVE numbers (n) AS"
            " (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < %s)"
            " INSERT INTO polls_ballot (poll_id, mark, key_version, cast_at, revision)"
            " SELECT %s, CAST(n AS varchar(64)), 1, CURRENT_TIMESTAMP, 1 FROM numbers",
            [ballots, poll.pk],
        )
        cursor.execute(
            "INSERT INTO polls_vote (ballot_id, choice_id)"
            " SELECT id, CASE id %% 2 WHEN 0 THEN %s ELSE %s END FROM polls_ballot"
            " WHERE poll_id = %s",
            [*choices[:2], poll.pk],
        )
        # Else PostgreSQL takes the tables for empty, and looks all rows through for each reference.
        cursor.execute("ANALYZE")


def read_through(client, poll, kind):
    """Return how many bytes it has, and the most memory that took."""
    tracemalloc.start()
    try:
        size = sum(map(len, get(client, poll, kind)))
        return size, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_100_000_ballots_take_no_more_memory_than_2_000(client):
    few, many = PollFactory(results_for="everyone"), PollFactory(results_for="everyone")
    for poll, ballots in [(few, FEW), (many, MANY)]:
        fill(poll, ballots)
        close(poll)
        tally(poll)
    for kind in ["csv", "json"]:
        # What is loaded and compiled once.
        read_through(client, few, kind)
        few_bytes, few_peak = read_through(client, few, kind)
        many_bytes, many_peak = read_through(client, many, kind)
        assert many_bytes > 45 * few_bytes
        assert many_peak < 1.5 * few_peak
