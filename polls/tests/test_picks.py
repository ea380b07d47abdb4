"""What was picked before signing in waits in the session, and stands in no address."""

import re
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from conftest import verify
from polls import kept
from polls.models import Ballot, Figure, Poll, Vote
from polls.picks import MAX_PICKS, PICKS
from two_factor.tests.factories import TwoFactorFactory, UserFactory

from .factories import PollFactory

pytestmark = pytest.mark.django_db
ADA = "+12025550123"
PICKED = "This is what you picked before you signed in."
SEEN = re.compile('name="seen" value="([0-9a-f]{32})"')
HOST = "http://testserver"


@pytest.fixture
def poll():
    return PollFactory(question="Tea or coffee?", choices=["Tea", "Coffee", "Water"])


@pytest.fixture
def coffee(poll):
    return poll.choices.get(text="Coffee")


def vote(browser, poll, *picked, **fields):
    return browser.post(poll.url("vote"), {"choice": picked} | fields)


def checked(response, poll):
    return [c.text for c in poll.choices.all() if f'value="{c.pk}" checked' in response.text]


def next_of(response):
    [next_url] = parse_qs(urlsplit(response["Location"]).query)["next"]
    return next_url


def prove(browser, user=None):
    """Sign in with a password, as the page does, and prove the number."""
    user = user or UserFactory(password="test1234")
    sent = {"username": user.username, "password": "test1234"}
    assert browser.post(reverse("login"), sent).status_code == 302
    verify(browser, TwoFactorFactory(user=user, number=ADA))


@pytest.mark.parametrize("is_listed", [True, False])
@pytest.mark.parametrize("person", ["client", "signed_in"])
def test_the_way_back_is_the_plain_ballot(request, poll, coffee, person, is_listed):
    Poll.objects.update(is_listed=is_listed)
    poll.refresh_from_db()
    response = vote(request.getfixturevalue(person), poll, coffee.pk)
    assert next_of(response) == poll.url("ballot")
    assert "choice" not in response["Location"]


def test_a_pick_is_marked_after_signing_in_and_is_not_counted(client, poll, coffee):
    ballot = next_of(vote(client, poll, coffee.pk))
    prove(client)
    for _ in range(2):
        response = client.get(ballot)
        assert checked(response, poll) == ["Coffee"]
        assert f"{PICKED} Nothing is counted yet." in response.text
    assert not Ballot.objects.exists()
    assert vote(client, poll, coffee.pk).status_code == 302
    assert Vote.objects.get().choice == coffee
    assert PICKED not in client.get(ballot).text


def test_a_pick_outlives_registration(client, poll, coffee):
    ballot = next_of(vote(client, poll, coffee.pk))
    password = "several colourful umbrellas"
    fields = {"username": "grace", "password1": password, "password2": password, "next": ballot}
    assert client.post(reverse("register"), fields)["Location"] == ballot
    assert client.get(ballot)["Location"].startswith("/2fa/")
    assert client.session[PICKS]
    # As long as any other session of someone signed in.
    assert client.session.get_expiry_age() > 7 * 24 * 3600


def test_several_picks_are_kept(client, coffee):
    poll = PollFactory(max_choices=3, choices=["A", "B", "C"])
    a, _, c = (choice.pk for choice in poll.choices.all())
    vote(client, poll, a, c)
    prove(client)
    assert checked(client.get(poll.url("ballot")), poll) == ["A", "C"]


def test_a_later_pick_takes_the_place_of_an_earlier(client, poll, coffee):
    vote(client, poll, coffee.pk)
    vote(client, poll, poll.choices.last().pk)
    prove(client)
    assert checked(client.get(poll.url("ballot")), poll) == ["Water"]


def test_each_poll_has_its_own(client, poll, coffee):
    other = PollFactory()
    vote(client, poll, coffee.pk)
    vote(client, other, other.choices.first().pk)
    prove(client)
    assert checked(client.get(poll.url("ballot")), poll) == ["Coffee"]
    assert checked(client.get(other.url("ballot")), other) == ["Yes"]


def test_a_few_polls_are_remembered_and_no_more(client):
    polls = [PollFactory() for _ in range(MAX_PICKS + 3)]
    for each in polls:
        vote(client, each, each.choices.first().pk)
    assert list(client.session[PICKS]) == [str(each.pk) for each in polls[3:]]


@pytest.mark.parametrize(
    "values", [[], [""], ["junk"], ["\0"], ["9" * 20], ["x" * 10_000], ["-1"], ["٣"], ["1.5"]]
)
def test_what_is_no_id_is_not_kept(client, poll, values):
    assert next_of(vote(client, poll, *values, seen="x" * 10_000)) == poll.url("ballot")
    assert not Session.objects.exists()


def test_what_is_kept_is_small(client, poll, coffee):
    vote(client, poll, *["1" * 19] * 390, seen="x" * 10_000)
    assert len(str(client.session[PICKS])) < 1500


def test_a_strangers_session_is_short(client, poll, coffee):
    vote(client, poll, coffee.pk)
    [session] = Session.objects.all()
    assert session.expire_date <= timezone.now() + timedelta(hours=1, seconds=1)


def test_a_pick_is_forgotten_after_an_hour(client, poll, coffee, time_machine):
    vote(client, poll, coffee.pk)
    prove(client)
    time_machine.move_to(timezone.now() + timedelta(minutes=61))
    verify(client, client_two_factor())
    assert checked(client.get(poll.url("ballot")), poll) == []


def client_two_factor():
    from two_factor.models import TwoFactor

    return TwoFactor.objects.get()


def test_a_pick_stands_beside_an_own_vote(client, poll, coffee):
    Ballot.objects.cast(poll, ADA, [poll.choices.first().pk])
    vote(client, poll, coffee.pk)
    prove(client)
    response = client.get(poll.url("ballot"))
    assert checked(response, poll) == ["Coffee"]
    assert "your earlier vote counts" in response.text
    assert 'Tea <span class="badge">Your vote</span>' in response.text


def test_a_pick_never_covers_a_vote_that_is_final(client, poll, coffee):
    Poll.objects.update(may_change=False)
    Ballot.objects.cast(poll, ADA, [poll.choices.first().pk])
    vote(client, poll, coffee.pk)
    prove(client)
    response = client.get(poll.url("ballot"))
    assert checked(response, poll) == ["Tea"]
    assert PICKED not in response.text


def test_who_picked_something_else_than_is_asked_now_is_told(client, poll, coffee):
    (seen,) = SEEN.findall(client.get(reverse("share", args=[poll.slug])).text)
    vote(client, poll, coffee.pk, seen=seen)
    Poll.objects.update(question="Tea or death?")
    prove(client)
    response = client.get(poll.url("ballot"))
    assert checked(response, poll) == ["Coffee"]
    assert "This poll has changed since you picked this." in response.text


def test_a_pick_that_went_is_not_spoken_of(client, poll, coffee):
    vote(client, poll, coffee.pk)
    coffee.delete()
    prove(client)
    response = client.get(poll.url("ballot"))
    assert PICKED not in response.text
    assert checked(response, poll) == []


def test_the_public_page_shows_the_pick_to_the_one_who_picked(client, poll, coffee):
    share = reverse("share", args=[poll.slug])
    vote(client, poll, coffee.pk)
    assert checked(client.get(share), poll) == ["Coffee"]
    assert checked(Client().get(share), poll) == []


@pytest.mark.parametrize("page", ["ballot", "share"])
@pytest.mark.parametrize("person", ["client", "signed_in"])
def test_a_link_picks_nothing_for_strangers(request, poll, coffee, person, page):
    browser = request.getfixturevalue(person)
    url = poll.url("ballot") if page == "ballot" else reverse("share", args=[poll.slug])
    response = browser.get(url, {"choice": coffee.pk}, headers={"referer": "https://evil.example/"})
    if page == "ballot":
        assert next_of(response) == url
    else:
        assert checked(response, poll) == []
    assert PICKS not in browser.session


OWN = {
    "the browser": {"sec-fetch-site": "same-origin", "referer": f"{HOST}/polls/"},
    "the referrer": {"referer": f"{HOST}/polls/"},
}
FOREIGN = {
    "nothing": {},
    "another site": {"referer": "https://evil.example/"},
    "a site whose name begins alike": {"referer": f"{HOST}.evil.example/"},
    "another scheme": {"referer": "https://testserver/polls/"},
    "a cross-site request": {"sec-fetch-site": "cross-site", "referer": f"{HOST}/polls/"},
    "a sister site": {"sec-fetch-site": "same-site", "referer": f"{HOST}/polls/"},
    "an address that was typed": {"sec-fetch-site": "none"},
    "another origin": {"origin": "https://evil.example", "referer": f"{HOST}/polls/"},
    "an origin kept secret": {"origin": "null", "referer": f"{HOST}/polls/"},
}


@pytest.mark.parametrize("headers", OWN.values(), ids=OWN)
def test_a_link_of_our_own_list_picks(client, poll, coffee, headers):
    response = client.get(poll.url("ballot"), {"choice": coffee.pk}, headers=headers)
    assert next_of(response) == poll.url("ballot")
    prove(client)
    assert checked(client.get(poll.url("ballot")), poll) == ["Coffee"]


STEP = {"sec-fetch-site": "same-origin", "referer": f"{HOST}/login/?next=/polls/"}


@pytest.mark.parametrize("headers", [*FOREIGN.values(), STEP], ids=[*FOREIGN, "a step"])
def test_a_link_of_elsewhere_does_not(client, poll, coffee, headers):
    client.get(poll.url("ballot"), {"choice": coffee.pk}, headers=headers)
    assert PICKS not in client.session


def test_a_link_that_leads_through_the_login_picks_nothing(client, poll, coffee):
    user = UserFactory(password="test1234")
    planted = f"{poll.url('ballot')}?choice={coffee.pk}"
    sent = {"username": user.username, "password": "test1234", "next": planted}
    came = client.post(reverse("login"), sent)["Location"]
    client.get(came, headers={"sec-fetch-site": "same-origin", "referer": f"{HOST}/login/"})
    assert PICKS not in client.session


@pytest.mark.parametrize("name", ["login", "register"])
def test_the_steps_are_shown_to_the_one_who_picked(client, poll, coffee, name):
    ballot = next_of(vote(client, poll, coffee.pk))
    assert "Your answer is kept" in client.get(reverse(name), {"next": ballot}).text
    assert "Your answer is kept" not in client.get(reverse(name), {"next": "/polls/"}).text
    assert "Your answer is kept" not in Client().get(reverse(name), {"next": ballot}).text


@pytest.mark.django_db(transaction=True)
def test_kept_pages_are_those_without_a_pick(client, poll, coffee, monkeypatch):
    monkeypatch.setattr("polls.kept.KEPT", 60)
    kept.pages.clear()
    share = reverse("share", args=[poll.slug])
    login = f"{reverse('login')}?next={poll.url('ballot')}"
    picked = Client()
    vote(picked, poll, coffee.pk)
    for url in [share, login]:
        for first, second in [(client, picked), (picked, client)]:
            first.get(url), second.get(url)
        assert "Your answer is kept" not in Client().get(url).text
        assert checked(Client().get(url), poll) == []
    assert checked(picked.get(share), poll) == ["Coffee"]
    assert "Your answer is kept" in picked.get(login).text
    prove(picked)
    other = Client()
    verify_other(other)
    for _ in range(2):
        assert checked(picked.get(poll.url("ballot")), poll) == ["Coffee"]
        assert checked(other.get(poll.url("ballot")), poll) == []
    kept.pages.clear()


def verify_other(browser):
    two_factor = TwoFactorFactory(number="+12025550177")
    browser.force_login(two_factor.user)
    verify(browser, two_factor)


def test_a_later_click_in_our_list_takes_the_place_of_a_pick(client, poll, coffee):
    vote(client, poll, coffee.pk)
    prove(client)
    water = {"choice": poll.choices.last().pk}
    foreign = client.get(poll.url("ballot"), water)
    assert checked(foreign, poll) == ["Coffee"]
    own = client.get(poll.url("ballot"), water, headers=OWN["the browser"])
    assert checked(own, poll) == ["Water"]


# --- A vote whose token is too old ---


@pytest.fixture
def strict(verified):
    verified.handler.enforce_csrf_checks = True
    return verified


def test_a_vote_with_a_stale_token_shows_the_ballot_with_its_pick(strict, poll, coffee):
    response = strict.post(poll.url("vote"), {"choice": coffee.pk}, headers={"origin": HOST})
    assert response.status_code == 403
    assert "your vote is not counted" in response.text
    assert checked(response, poll) == ["Coffee"]
    assert not Ballot.objects.exists()
    token = re.findall('name="csrfmiddlewaretoken" value="([^"]+)"', response.text)[-1]
    again = {"choice": coffee.pk, "csrfmiddlewaretoken": token}
    assert strict.post(poll.url("vote"), again, headers={"origin": HOST}).status_code == 302
    assert Vote.objects.get().choice == coffee


def test_a_strangers_vote_with_a_stale_token_is_kept(poll, coffee):
    browser = Client(enforce_csrf_checks=True)
    response = browser.post(poll.url("vote"), {"choice": coffee.pk}, headers={"origin": HOST})
    assert response.status_code == 403
    assert f'href="{poll.url("ballot")}"' in response.text
    assert browser.session[PICKS][str(poll.pk)]["choice"] == [str(coffee.pk)]
    assert not Ballot.objects.exists()


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize("is_verified", [True, False])
def test_a_form_of_another_site_picks_nothing(request, poll, coffee, headers, is_verified):
    browser = Client(enforce_csrf_checks=True)
    if is_verified:
        browser = request.getfixturevalue("strict")
    response = browser.post(poll.url("vote"), {"choice": coffee.pk}, headers=headers)
    assert response.status_code == 403
    assert "Please try that again" in response.text
    assert PICKS not in browser.session
    assert not Ballot.objects.exists()


@pytest.mark.parametrize("pk", [99, 2**63, "9" * 30])
def test_a_stale_vote_in_no_poll_is_a_404(strict, pk):
    response = strict.post(f"/polls/{pk}/vote/", {"choice": "1"}, headers={"origin": HOST})
    assert response.status_code in {403, 404}


# --- The same vote sent twice ---


@pytest.fixture
def final(poll):
    Poll.objects.update(may_change=False)
    return poll


def receipts(browser, response):
    return re.findall(r"/r/([^/]+)/", browser.get(response["Location"]).text)


def test_the_same_vote_sent_again_at_once_has_the_same_answer(verified, final, coffee):
    answers = [vote(verified, final, coffee.pk) for _ in range(2)]
    assert [answer["Location"] for answer in answers] == [final.url("results")] * 2
    first, second = receipts(verified, answers[-1])
    assert first == second
    assert not Figure.objects.exists()
    assert Ballot.objects.get().revision == 1


def test_another_vote_is_refused(verified, final, coffee):
    vote(verified, final, coffee.pk)
    assert vote(verified, final, final.choices.first().pk).status_code == 409
    assert Figure.objects.get().count == 1
    # Who was told so and tries again means it.
    assert vote(verified, final, coffee.pk).status_code == 409
    assert Figure.objects.get().count == 2


def test_the_same_vote_sent_much_later_is_refused(verified, final, coffee):
    vote(verified, final, coffee.pk)
    Ballot.objects.update(cast_at=timezone.now() - timedelta(minutes=2))
    assert vote(verified, final, coffee.pk).status_code == 409
    assert Figure.objects.get().count == 1


def test_another_number_gets_no_receipt_of_it(verified, final, coffee):
    vote(verified, final, coffee.pk)
    other = Client()
    verify_other(other)
    mine, other_receipts = Ballot.objects.get(), receipts(other, vote(other, final, coffee.pk))
    assert len(other_receipts) == 1
    assert Ballot.objects.count() == 2
    assert Ballot.objects.get(pk=mine.pk).revision == 1
