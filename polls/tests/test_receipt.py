import re
from datetime import timedelta
from random import Random
from urllib.parse import quote

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from polls.models import Ballot, Poll, Vote
from polls.receipts import CONTENT_BYTES, read_receipt, receipt_for

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
    "cut to the length of an old one": lambda code: code[:27],
    "longer": lambda code: code + "a",
    "longer by a group": lambda code: code + "-aaaaaa",
    "in other letters": lambda code: "ſ" + code[1:],
    "another": lambda code: "-".join(["aaaaaa"] * 8),
    "another old one": lambda code: "-".join(["aaaaaa"] * 4),
    "junk": lambda code: "junk",
    "nul": lambda code: "%00" + code,
    "long": lambda code: "a" * 10_000,
    "padding": lambda code: code[:-2] + "==",
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_another_code_is_a_404(client, ballot, forge):
    response = client.get(f"/r/{forge(receipt_for(ballot))}/")
    assert response.status_code == 404
    assert "<h1>We do not know this receipt</h1>" in response.text
    assert "48 letters and digits" in response.text


TYPED = {
    "without dashes": lambda code: code.replace("-", ""),
    "in capitals": str.upper,
    "with blanks": lambda code: code.replace("-", "%20"),
    "in other groups": lambda code: "-".join(re.findall("..", code.replace("-", ""))),
    "with dashes of a word processor": lambda code: quote(code.replace("-", "–")),
    "with the full stop behind it": lambda code: f"{code}.",
    "with a zero, a one and an eight": lambda code: code.translate(str.maketrans("olb", "018")),
}


@pytest.mark.parametrize("spell", TYPED.values(), ids=TYPED)
def test_a_code_that_was_typed_differently_leads_to_its_page(client, ballot, spell):
    code = receipt_for(ballot)
    typed = spell(code)
    response = client.get(f"/r/{typed}/", follow=True)
    assert "<h1>Counted, unchanged</h1>" in response.text
    if typed != code:
        assert response.redirect_chain == [(f"/r/{code}/", 302)]


def test_no_code_with_another_letter_is_taken(ballot):
    code = receipt_for(ballot)
    alphabet = "abcdefghijklmnopqrstuvwxyz234567"
    others = [
        code[:i] + letter + code[i + 1 :]
        for i in range(len(code))
        for letter in alphabet
        if letter != code[i] != "-"
    ]
    assert len(others) == 48 * 31
    assert {read_receipt(other).state for other in others} == {"unknown"}


@pytest.mark.parametrize("groups", [4, 8])
def test_no_code_at_random_is_taken(ballot, groups):
    random = Random(1)  # noqa: S311
    for _ in range(1000):
        code = ["".join(random.choices("abcdefghij234567", k=6)) for _ in range(groups)]
        assert read_receipt("-".join(code)).state == "unknown"


def test_two_votes_have_two_receipts(poll, ballot):
    again = Ballot.objects.cast(poll, ADA, [poll.choices.first().pk])
    other = Ballot.objects.cast(poll, "+12025550124", [poll.choices.first().pk])
    assert len({receipt_for(ballot), receipt_for(again), receipt_for(other)}) == 3


def test_whoever_changes_a_vote_very_often_still_gets_one(poll, ballot):
    Ballot.objects.update(revision=2**16 - 1)
    often = Ballot.objects.cast(poll, ADA, [poll.choices.first().pk])
    assert read_receipt(receipt_for(often)).state == "counted"


def test_another_key_takes_no_receipt(ballot, settings):
    code = receipt_for(ballot)
    settings.VOTER_KEY = "another"
    assert read_receipt(code).state == "unknown"


def test_nothing_of_it_is_stored(verified, poll):
    [code] = RECEIPT.findall(vote(verified, poll, poll.choices.first()))
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {table}")  # noqa: S608
            assert code[:6] not in str(cursor.fetchall())


def restore(before):
    """Bring back the ballots of a backup; ids that were given since are given again."""
    Vote.objects.all().delete()
    Ballot.objects.all().delete()
    Ballot.objects.bulk_create(before)


def recast(poll, ballot, number):
    """Cast a vote that gets the id of a ballot that was lost."""
    other = Ballot.objects.cast(poll, number, [poll.choices.last().pk])
    Vote.objects.filter(ballot=other).delete()
    Ballot.objects.filter(pk=other.pk).update(id=ballot.pk)


def heading(client, code):
    response = client.get(f"/r/{code}/")
    assert response.status_code == 200
    return re.search("<h1>(.*)</h1>", response.text)[1]


def test_after_a_restore_it_does_not_prove_a_lost_vote(client, ballot):
    restore([])
    assert heading(client, receipt_for(ballot)) == "Not counted"


@pytest.mark.parametrize("number", ["+12025550124", "+12025550177", "+12025550199"])
def test_after_a_restore_it_does_not_prove_the_vote_that_got_its_id(client, poll, ballot, number):
    code = receipt_for(ballot)
    restore([])
    recast(poll, ballot, number)
    assert Ballot.objects.get().pk == ballot.pk
    assert heading(client, code) in {"Not counted", "Replaced"}
    assert heading(client, receipt_for(Ballot.objects.get())) == "Counted, unchanged"


def test_after_a_restore_a_vote_cast_again_has_another_receipt(client, poll, ballot):
    restore([])
    recast(poll, ballot, ADA)
    assert heading(client, receipt_for(ballot)) == "Replaced"


def test_a_change_that_a_restore_took_back_is_not_counted(client, poll, ballot):
    backup = [Ballot.objects.get()]
    changed = Ballot.objects.cast(poll, ADA, [poll.choices.last().pk])
    restore(backup)
    assert heading(client, receipt_for(changed)) == "Not counted"
    assert heading(client, receipt_for(ballot)) == "Counted, unchanged"


def test_a_ballot_in_another_poll_is_not_the_receipts(client, ballot):
    Ballot.objects.update(poll=PollFactory())
    assert heading(client, receipt_for(ballot)) == "Not counted"


def old(ballot):
    """Return the receipt that an earlier release made."""
    return receipt_for(Ballot(pk=ballot.pk, revision=ballot.revision))


def test_a_receipt_of_an_earlier_release_keeps_working(client, poll, ballot):
    Ballot.objects.update(nonce="")
    assert re.fullmatch("[a-z2-7]{6}(-[a-z2-7]{6}){3}", old(ballot))
    assert heading(client, old(ballot)) == "Counted, unchanged"
    Ballot.objects.update(revision=2)
    assert heading(client, old(ballot)) == "Replaced"
    Ballot.objects.update(revision=0)
    assert heading(client, old(ballot)) == "Not counted"


def test_a_receipt_of_an_earlier_release_says_nothing_of_a_ballot_of_this_one(client, ballot):
    assert heading(client, old(ballot)) == "Too old to check"


def test_a_change_by_an_earlier_release_is_told_though_the_nonce_stays(client, ballot):
    Ballot.objects.update(revision=2)
    assert heading(client, receipt_for(ballot)) == "Replaced"


def test_its_seal_has_128_bits(ballot):
    assert len(receipt_for(ballot).replace("-", "")) * 5 == 8 * (CONTENT_BYTES + 16)


def test_the_account_page_leads_to_the_receipt_of_each_vote(verified, ballot):
    text = verified.get(reverse("account")).text
    assert RECEIPT.findall(text) == [receipt_for(Ballot.objects.get())]
