import re
from datetime import timedelta
from random import Random

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from polls.models import Ballot, Poll
from polls.receipts import read_receipt, receipt_for

from .factories import PollFactory

pytestmark = pytest.mark.django_db
ADA = "+12025550123"
RECEIPT = re.compile(r"/r/([^/]+)/")


@pytest.fixture
def poll():
    return PollFactory(question="Tea or coffee?", choices=["Tea", "Coffee"])


@pytest.fixture
def ballot(poll):
    return Ballot.objects.cast(poll, ADA, [poll.choices.first().pk])


def vote(client, poll, choice):
    data = {"choice": choice.pk}
    return client.post(reverse("polls:vote", args=[poll.pk]), data, follow=True).text


def test_it_is_shown_once_after_the_vote(verified, poll):
    text = vote(verified, poll, poll.choices.first())
    [code] = RECEIPT.findall(text)
    assert code == receipt_for(Ballot.objects.get())
    assert not RECEIPT.search(verified.get(reverse("polls:results", args=[poll.pk])).text)


def test_it_tells_everybody_that_the_vote_is_counted_unchanged(client, ballot):
    text = client.get(f"/r/{receipt_for(ballot)}/").text
    assert "<h1>Counted, unchanged</h1>" in text
    assert "Tea or coffee?" in text


def test_after_another_vote_it_says_replaced_and_when(client, poll, ballot, time_machine):
    later = Ballot.objects.cast(poll, ADA, [poll.choices.last().pk])
    Ballot.objects.update(cast_at="2026-03-04T05:06:00Z")
    text = client.get(f"/r/{receipt_for(ballot)}/").text
    assert "<h1>Replaced</h1>" in text
    assert ">4 March 2026, 05:06 UTC</time>. The newest one counts." in text
    assert "<h1>Counted, unchanged</h1>" in client.get(f"/r/{receipt_for(later)}/").text


def test_it_works_after_the_close(client, ballot):
    Poll.objects.update(closes_at=timezone.now() - timedelta(seconds=1))
    assert "Counted, unchanged" in client.get(f"/r/{receipt_for(ballot)}/").text


def test_it_never_tells_the_choice(client, ballot, poll):
    text = client.get(f"/r/{receipt_for(ballot)}/").text.replace(poll.question, "")
    assert not [choice.text for choice in poll.choices.all() if choice.text in text]


FORGED = {
    "cut": lambda code: code[:-1],
    "cut by a group": lambda code: code[:-7],
    "longer": lambda code: code + "a",
    "longer by a group": lambda code: code + "-aaaaaa",
    "without dashes": lambda code: code.replace("-", ""),
    "in capitals": str.upper,
    "in other letters": lambda code: "ſ" + code[1:],
    "another": lambda code: "-".join(["aaaaaa"] * 4),
    "junk": lambda code: "junk",
    "nul": lambda code: "%00" + code,
    "line feed": lambda code: code + "%0A",
    "long": lambda code: "a" * 10_000,
    "padding": lambda code: code[:-2] + "==",
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_another_code_is_a_404(client, ballot, forge):
    response = client.get(f"/r/{forge(receipt_for(ballot))}/")
    assert response.status_code == 404
    assert "<title>There is no such page · Pollstr</title>" in response.text


def test_no_code_with_another_letter_is_taken(ballot):
    code = receipt_for(ballot)
    alphabet = "abcdefghijklmnopqrstuvwxyz234567"
    others = [
        code[:i] + letter + code[i + 1 :]
        for i in range(len(code))
        for letter in alphabet
        if letter != code[i] != "-"
    ]
    assert len(others) == 24 * 31
    assert not [other for other in others if read_receipt(other)]


def test_no_code_at_random_is_taken(ballot):
    random = Random(1)  # noqa: S311
    for _ in range(1000):
        groups = ["".join(random.choices("abcdefghij234567", k=6)) for _ in range(4)]
        assert read_receipt("-".join(groups)) is None


def test_two_votes_have_two_receipts(poll, ballot):
    again = Ballot.objects.cast(poll, ADA, [poll.choices.first().pk])
    other = Ballot.objects.cast(poll, "+12025550124", [poll.choices.first().pk])
    assert len({receipt_for(ballot), receipt_for(again), receipt_for(other)}) == 3


def test_whoever_changes_a_vote_very_often_still_gets_one(poll, ballot):
    Ballot.objects.update(revision=2**16 - 1)
    often = Ballot.objects.cast(poll, ADA, [poll.choices.first().pk])
    assert read_receipt(receipt_for(often)) == (often, True)


def test_another_key_takes_no_receipt(ballot, settings):
    code = receipt_for(ballot)
    settings.VOTER_KEY = "another"
    assert read_receipt(code) is None


def test_nothing_of_it_is_stored(verified, poll):
    [code] = RECEIPT.findall(vote(verified, poll, poll.choices.first()))
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {table}")  # noqa: S608
            assert code[:6] not in str(cursor.fetchall())
