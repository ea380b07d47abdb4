import hashlib
import json
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from polls.models import Ballot, Poll, Snapshot
from polls.tally import canonical, snapshot, tally
from two_factor.tests.parallel import in_parallel

from .factories import PollFactory

pytestmark = pytest.mark.django_db
ADA = "+12025550123"


def close(poll):
    poll.closes_at = timezone.now() - timedelta(seconds=1)
    poll.save(update_fields=["closes_at"])


@pytest.fixture
def closed():
    poll = PollFactory(question="Größer als „Äpfel“?", results_for="everyone")
    Ballot.objects.cast(poll, ADA, [poll.choices.first().pk])
    close(poll)
    return poll


def download(client, poll):
    return client.get(reverse("polls:snapshot", args=[poll.pk]))


def test_it_is_made_once_at_the_first_request_after_the_close(client, closed):
    assert not Snapshot.objects.exists()
    bodies = {download(client, closed).content for _ in range(3)}
    assert bodies == {Snapshot.objects.get().body.encode()}


def test_it_says_what_the_ballots_say(client, closed):
    frozen = download(client, closed).json()
    yes, no = closed.choices.all()
    assert frozen["question"] == "Größer als „Äpfel“?"
    assert frozen["count"]["voters"] == 1
    assert frozen["count"]["choices"] == [
        {"id": yes.pk, "text": "Yes", "votes": 1},
        {"id": no.pk, "text": "No", "votes": 0},
    ]


def test_its_sha_256_on_the_integrity_page_is_that_of_the_bytes_served(client, closed):
    page = client.get(reverse("polls:integrity", args=[closed.pk])).text
    assert hashlib.sha256(download(client, closed).content).hexdigest() in page


def test_anybody_can_write_its_bytes_again(client, closed):
    served = download(client, closed).content
    again = json.dumps(
        json.loads(served), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    assert again.encode() == served
    assert "Größer" in served.decode()


def test_canonical_json_does_not_depend_on_the_order_of_keys():
    assert canonical({"b": 1, "a": "ü"}) == canonical({"a": "ü", "b": 1}) == '{"a":"ü","b":1}'


def test_after_the_close_every_page_shows_what_was_frozen(closed):
    frozen = tally(closed)
    Ballot.objects.create(poll=closed, mark="x", cast_at=timezone.now())
    assert tally(closed) == frozen


def test_an_open_poll_has_none(client):
    poll = PollFactory(results_for="everyone")
    assert download(client, poll).status_code == 404
    assert snapshot(poll) is None


def test_none_is_made_before_the_database_has_closed_the_poll(client, time_machine):
    poll = PollFactory(results_for="everyone", closes_at=timezone.now() + timedelta(minutes=1))
    # The site's clock is ahead: votes are still taken.
    time_machine.move_to(timezone.now() + timedelta(minutes=2))
    assert poll.is_closed
    assert download(client, poll).status_code == 404
    for name in ["results", "integrity"]:
        assert client.get(reverse(f"polls:{name}", args=[poll.pk])).status_code == 200
    Ballot.objects.cast(poll, ADA, [poll.choices.first().pk])
    assert tally(poll)["voters"] == 1
    assert not Snapshot.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_many_at_once_make_one(closed):
    made = in_parallel(16, lambda: snapshot(Poll.objects.get()).sha256)
    assert set(made) == {Snapshot.objects.get().sha256}
