import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from polls.models import Ballot
from polls.urls import urlpatterns

from .factories import PollFactory

pytestmark = pytest.mark.django_db
ADA = "+12025550123"


def len_of(value):
    return f"{len(str(value))} digits, {str(value)[-2:]}"


@pytest.fixture
def poll():
    return PollFactory(question="Tea or coffee?", choices=["Tea", "Coffee"])


def url(poll):
    return reverse("polls:ballot", args=[poll.pk])


def checked(response):
    """Return the text of each choice that is ticked on the page."""
    poll = response.context["poll"]
    return [c.text for c in poll.choices.all() if f'value="{c.pk}" checked' in response.text]


def test_it_asks_the_question(verified, poll):
    response = verified.get(url(poll))
    assert response.status_code == 200
    assert '<h1 dir="auto">Tea or coffee?</h1>' in response.text
    for choice in poll.choices.all():
        assert (
            f'<input class="form-check-input" type="radio" name="choice" value="{choice.pk}">'
            in (response.text)
        )
        assert f'<span dir="auto">{choice.text}</span>' in response.text
    assert f'action="/polls/{poll.pk}/vote/"' in response.text


def test_it_sends_the_anonymous_to_sign_in_and_back(client, poll):
    response = client.get(url(poll), {"choice": "7"})
    assert response.status_code == 302
    assert response["Location"] == f"/login/?next=/polls/{poll.pk}/"


def test_it_sends_whoever_has_not_proven_a_phone_to_do_so(signed_in, poll):
    response = signed_in.get(url(poll), {"choice": "7"})
    assert response.status_code == 302
    assert response["Location"] == f"/2fa/?next=%2Fpolls%2F{poll.pk}%2F"


def test_a_proven_number_alone_does_not_open_it(signed_in, two_factor, poll):
    assert signed_in.get(url(poll))["Location"].startswith("/2fa/?next=")


def test_what_a_link_picked_is_said_to_be_its_pick(verified, poll):
    coffee = poll.choices.get(text="Coffee")
    response = verified.get(url(poll), {"choice": coffee.pk})
    assert checked(response) == ["Coffee"]
    assert "The link that you followed picked this. Nothing is counted yet." in response.text
    assert not Ballot.objects.exists()


def test_it_ticks_the_earlier_vote(verified, poll):
    Ballot.objects.cast(poll, ADA, [poll.choices.get(text="Tea").pk])
    response = verified.get(url(poll))
    assert checked(response) == ["Tea"]
    assert "You have voted; another vote replaces it." in response.text


def test_it_ticks_nobody_elses_vote(verified, poll):
    Ballot.objects.cast(poll, "+12025550199", [poll.choices.first().pk])
    response = verified.get(url(poll))
    assert checked(response) == []
    assert "You have voted" not in response.text


@pytest.mark.parametrize("page", ["ballot", "share"])
def test_a_link_never_takes_the_place_of_an_own_vote(verified, poll, page):
    tea, coffee = poll.choices.all()
    Ballot.objects.cast(poll, ADA, [tea.pk])
    address = url(poll) if page == "ballot" else reverse("share", args=[poll.slug])
    response = verified.get(address, {"choice": coffee.pk})
    assert checked(response) == ["Tea"]
    assert "picked this" not in response.text


@pytest.mark.parametrize("choice", ["junk", "\0", "", "٣", "9" * 400, "x" * 10_000, "<script>"])
def test_it_ticks_nothing_for_junk(verified, poll, choice):
    response = verified.get(url(poll), {"choice": choice})
    assert response.status_code == 200
    assert checked(response) == []
    assert "<script>" not in response.text


def test_it_shows_the_description_escaped(verified):
    poll = PollFactory(description="First line.\n\n<script>x</script>")
    text = verified.get(url(poll)).text
    assert "<p>First line.</p>" in text
    assert "<p>&lt;script&gt;x&lt;/script&gt;</p>" in text


def test_before_the_opening_it_says_when_and_takes_no_vote(verified):
    poll = PollFactory(opens_at=timezone.now() + timedelta(days=1))
    text = verified.get(url(poll)).text
    assert f'Opens <time datetime="{poll.opens_at:%Y-%m-%dT%H:%M}' in text
    assert "<fieldset disabled>" in text
    assert ">Vote</button>" not in text
    assert "See the results" not in text


def test_after_the_close_it_says_so_and_leads_to_the_results(verified):
    poll = PollFactory(closes_at=timezone.now())
    text = verified.get(url(poll)).text
    assert "Closed <time" in text
    assert "<fieldset disabled>" in text
    assert ">Vote</button>" not in text
    assert f'href="/polls/{poll.pk}/results/"' in text


@pytest.mark.parametrize(
    "pk",
    ["99", "0", 2**63 - 1, 2**63, 2**64, "99999999999999999999999", "1" + "0" * 400, "9" * 5000],
)
def test_a_poll_that_is_not_there_is_a_404(verified, pk):
    response = verified.get(f"/polls/{pk}/")
    assert response.status_code == 404
    assert "<title>There is no such page · Pollstr</title>" in response.text


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_other_methods_are_refused(verified, poll, method):
    response = getattr(verified, method)(url(poll))
    assert response.status_code == 405
    assert response["Allow"] == "GET, HEAD, OPTIONS"
    assert "That does not work this way" in response.text


def test_it_is_kept_out_of_caches(verified, poll):
    assert "no-store" in verified.get(url(poll))["Cache-Control"]


@pytest.mark.parametrize(("choices", "voters"), [(2, 1), (10, 1), (2, 20)])
def test_queries_do_not_grow(verified, django_assert_num_queries, choices, voters):
    poll = PollFactory(choices=[f"No. {n}" for n in range(choices)])
    for n in range(voters):
        Ballot.objects.cast(poll, f"+1202555{123 + n:04}", [poll.choices.first().pk])
    # Session, user with second factor; poll, choices; ballot with its votes.
    with django_assert_num_queries(5):
        verified.get(url(poll))


def test_the_present_vote_stays_named_beside_another_pick(verified, poll):
    yes, no = poll.choices.all()
    verified.post(reverse("polls:vote", args=[poll.pk]), {"choice": yes.pk})
    ballot = verified.post(reverse("polls:vote", args=[poll.pk]), {"choice": no.pk, "seen": "x"})
    assert f'{yes.text} <span class="badge">Your vote</span>' in ballot.text
    assert checked(ballot) == [no.text]
    assert ballot.text.count("Your vote<") == 1


def test_it_knows_when_it_will_not_be_true_any_more(verified):
    """A script shows the sentence then; nobody has to look at the clock."""
    soon = PollFactory(closes_at=timezone.now() + timedelta(seconds=90))
    text = verified.get(url(soon)).text
    assert re.search(r'data-after="(89|90)" hidden>\s+Voting has closed in the meantime', text)
    later = PollFactory(opens_at=timezone.now() + timedelta(seconds=90))
    text = verified.get(url(later)).text
    assert re.search(r'data-after="(89|90)" hidden>\s+Voting is open now', text)
    assert "data-after" not in verified.get(url(PollFactory())).text


# Each address that has an id of a poll, by its last part.
ADDRESSES = [
    str(route.pattern).removeprefix("<id:pk>/")
    for route in urlpatterns
    if "<id:pk>" in str(route.pattern)
]


@pytest.mark.parametrize("pk", [2**63 - 1, 2**63, 2**64, 10**25, "9" * 5000], ids=len_of)
@pytest.mark.parametrize("address", ADDRESSES)
def test_no_address_takes_a_number_that_the_database_cannot(verified, address, pk):
    for method in [verified.get, verified.post]:
        response = method(f"/polls/{pk}/{address}", {"choice": "1"})
        # POSTs of pages that take none are 405 wherever there may be a poll.
        assert response.status_code in ({404, 405} if pk == 2**63 - 1 else {404})


@pytest.mark.parametrize("link", ["9" * 30, "9" * 5000, "1e400", "\0", "٣", "a" * 65])
def test_no_link_opens_what_it_does_not_fit(verified, link):
    poll = PollFactory(is_listed=False)
    assert verified.get(f"/polls/{poll.pk}/", {"link": link}).status_code == 404
