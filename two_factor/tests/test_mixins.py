import uuid
from datetime import UTC, datetime

import pytest
from django.test import RequestFactory
from django.urls import reverse

from conftest import verify
from polls.models import Ballot, Vote
from polls.tests.factories import PollFactory
from polls.views import BallotView
from two_factor.mixins import LONGEST_NEXT, VERIFIED, is_safe_next, next_url
from two_factor.models import TwoFactor

from .factories import TwoFactorFactory
from .pages import page

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


@pytest.fixture
def poll():
    return PollFactory(opens_at=datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def ballot_url(poll):
    return reverse("polls:ballot", args=[poll.pk])


@pytest.fixture
def vote_url(poll):
    return reverse("polls:vote", args=[poll.pk])


def change_flag(client, **changes):
    session = client.session
    session[VERIFIED] = session[VERIFIED] | changes
    session.save()


def asks_for_phone(client, url) -> bool:
    response = client.get(url)
    return response.status_code == 302 and response["Location"].startswith("/2fa/?next=")


def test_the_verified_see_the_page(verified, ballot_url):
    assert verified.get(ballot_url).status_code == 200


def test_the_anonymous_are_sent_to_the_login(client, ballot_url):
    response = client.get(f"{ballot_url}?choice=1")
    assert response.status_code == 302
    assert response["Location"] == f"/login/?next={ballot_url}"


def test_the_unverified_are_sent_to_prove_their_phone(signed_in, ballot_url):
    response = signed_in.get(f"{ballot_url}?choice=1")
    assert response.status_code == 302
    assert response["Location"] == "/2fa/?next=" + ballot_url.replace("/", "%2F")


@pytest.mark.parametrize(("browser", "question"), [("client", "/login/"), ("signed_in", "/2fa/")])
def test_a_post_without_proof_does_nothing_and_comes_back_to_its_form(
    request, browser, question, poll, vote_url
):
    choice = poll.choices.first().pk
    response = request.getfixturevalue(browser).post(vote_url, {"choice": choice})
    assert response["Location"].startswith(f"{question}?next=")
    assert "choice" not in response["Location"]
    assert request.getfixturevalue(browser).session["picks"]
    assert not Ballot.objects.exists()
    assert not Vote.objects.exists()


def test_where_a_post_led_back_to_opens_with_the_choice_marked(verified, poll, ballot_url):
    choice = poll.choices.first().pk
    response = verified.get(f"{ballot_url}?choice={choice}")
    assert f'value="{choice}" checked' in page(response)


@pytest.mark.parametrize("browser", ["client", "signed_in", "verified"])
def test_a_wrong_method_is_refused_before_anything_is_asked(request, browser, vote_url, ballot_url):
    browser = request.getfixturevalue(browser)
    assert browser.get(vote_url).status_code == 405
    assert browser.delete(ballot_url).status_code == 405


@pytest.mark.parametrize("browser", ["client", "signed_in", "verified"])
def test_no_answer_is_kept_by_caches(request, browser, ballot_url):
    response = request.getfixturevalue(browser).get(ballot_url)
    assert "no-store" in response["Cache-Control"]
    assert "private" in response["Cache-Control"]


def test_each_browser_proves_the_phone_for_itself(verified, second_browser, ballot_url):
    assert asks_for_phone(second_browser, ballot_url)
    assert not asks_for_phone(verified, ballot_url)


def test_the_flag_is_worth_nothing_to_another_user(verified, ballot_url):
    other = TwoFactorFactory()
    session = verified.session
    flag = session[VERIFIED]
    verified.force_login(other.user)
    session = verified.session
    session[VERIFIED] = flag | {"generation": str(other.generation)}
    session.save()
    assert asks_for_phone(verified, ballot_url)


def test_signing_out_ends_it(verified, user, ballot_url):
    verified.post(reverse("logout"))
    verified.force_login(user)
    assert asks_for_phone(verified, ballot_url)


def test_a_change_of_generation_ends_it(verified, two_factor, ballot_url):
    two_factor.generation = uuid.uuid4()
    two_factor.save()
    assert asks_for_phone(verified, ballot_url)


def test_removing_the_number_ends_it(verified, two_factor, ballot_url):
    two_factor.number = None
    two_factor.save()
    assert asks_for_phone(verified, ballot_url)


def test_deleting_the_row_ends_it(verified, two_factor, ballot_url):
    two_factor.delete()
    assert asks_for_phone(verified, ballot_url)


def test_it_lasts_while_it_is_used(verified, clock, settings, ballot_url):
    settings.VERIFIED_SECONDS, settings.VERIFIED_IDLE_SECONDS = 1000, 100
    for _ in range(9):
        clock.shift(99)
        assert not asks_for_phone(verified, ballot_url)


def test_it_ends_when_it_is_not_used(verified, clock, settings, ballot_url):
    settings.VERIFIED_IDLE_SECONDS = 100
    clock.shift(100)
    assert asks_for_phone(verified, ballot_url)


def test_it_ends_where_a_clock_that_ran_ahead_noted_its_use(verified, clock, ballot_url):
    clock.shift(-3600)
    assert asks_for_phone(verified, ballot_url)


def test_it_lasts_where_another_machines_clock_is_a_little_ahead(verified, clock, ballot_url):
    clock.shift(-60)
    assert not asks_for_phone(verified, ballot_url)


def test_it_ends_after_a_while_however_much_it_is_used(verified, clock, settings, ballot_url):
    settings.VERIFIED_SECONDS, settings.VERIFIED_IDLE_SECONDS = 1000, 600
    clock.shift(500)
    assert not asks_for_phone(verified, ballot_url)
    clock.shift(500)
    assert asks_for_phone(verified, ballot_url)


def test_using_it_costs_a_write_at_most_once_a_minute(verified, clock, ballot_url):
    before = verified.session[VERIFIED]
    clock.shift(59)
    verified.get(ballot_url)
    assert verified.session[VERIFIED] == before
    clock.shift(1)
    verified.get(ballot_url)
    assert verified.session[VERIFIED]["seen"] == "2026-06-01T12:01:00+00:00"


def test_a_grave_page_asks_for_a_fresh_proof(verified, clock, monkeypatch, ballot_url):
    monkeypatch.setattr(BallotView, "max_age", 300)
    clock.shift(299)
    assert not asks_for_phone(verified, ballot_url)
    clock.shift(1)
    assert asks_for_phone(verified, ballot_url)


def test_who_is_asked_for_a_fresh_proof_can_give_it(
    verified, sandbox, clock, monkeypatch, ballot_url
):
    monkeypatch.setattr(BallotView, "max_age", 300)
    clock.shift(300)
    assert "Send me a code" in page(verified.get(ballot_url, follow=True))


def test_a_fresh_proof_is_never_older_than_any(verified, clock, monkeypatch, settings, ballot_url):
    monkeypatch.setattr(BallotView, "max_age", 10_000)
    settings.VERIFIED_SECONDS = 300
    clock.shift(300)
    assert asks_for_phone(verified, ballot_url)


@pytest.mark.parametrize(
    "flag", [True, False, None, "yes", 1, [], ["user"], {}, {"user": 1}, {"at": "x"}]
)
def test_junk_in_place_of_the_flag_verifies_nobody(verified, ballot_url, flag):
    session = verified.session
    session[VERIFIED] = flag
    session.save()
    assert asks_for_phone(verified, ballot_url)


@pytest.mark.parametrize("missing", ["user", "generation", "at", "seen"])
def test_a_flag_that_lacks_a_part_verifies_nobody(verified, ballot_url, missing):
    session = verified.session
    del session[VERIFIED][missing]
    session.save()
    assert asks_for_phone(verified, ballot_url)


@pytest.mark.parametrize("time", ["", "yesterday", "2026-06-01T12:00:00", None, 5, []])
@pytest.mark.parametrize("part", ["at", "seen"])
def test_a_flag_with_junk_for_a_time_verifies_nobody(verified, ballot_url, part, time):
    change_flag(verified, **{part: time})
    assert asks_for_phone(verified, ballot_url)


def test_a_flag_without_a_proven_number_verifies_nobody(signed_in, user, ballot_url):
    verify(signed_in, TwoFactorFactory(user=user, number=None))
    assert asks_for_phone(signed_in, ballot_url)


def test_a_flag_of_no_generation_verifies_nobody(verified, two_factor, ballot_url):
    two_factor.delete()
    change_flag(verified, generation=None)
    assert asks_for_phone(verified, ballot_url)


def is_safe(url, secure=False) -> bool:
    return is_safe_next(RequestFactory().get("/", secure=secure), url)


@pytest.mark.parametrize(
    "url",
    [
        "/",
        "/polls/",
        "/polls/?q=tea&page=2",
        "/polls/1/",
        "/polls/1/?choice=2",
        "/polls/1/?choice=2&choice=3#top",
        "/polls/1/?next=https://elsewhere.test/",
        "/polls/%31/",
        "/polls/1/results/",
        "/account/",
        "/password_change/",
        "/admin/",
        "/admin/polls/poll/1/change/",
        "http://testserver/polls/1/",
    ],
)
def test_next_may_be_a_page_of_the_site(url):
    assert is_safe(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://elsewhere.test/polls/",
        "http://testserver.elsewhere.test/polls/",
        "http://testserver@elsewhere.test/polls/",
        "http://[elsewhere/polls/",
        "//elsewhere.test/polls/",
        "///elsewhere.test/polls/",
        "http:///elsewhere.test/polls/",
        "/\\elsewhere.test/polls/",
        "\\\\elsewhere.test\\polls\\",
        "http:polls/",
        "javascript:alert(1)",
        "java\tscript:alert(1)",
        "data:text/html,hello",
        "ftp://testserver/polls/",
        "polls/",
        "?q=tea",
        "/nowhere/",
        "/polls/1",
        "/polls/99999999999999999999999/nowhere/",
        "/polls/../logout/",
        "/polls/\x00",
        "/polls/?q=\x00",
        "/polls/?q=\r\nSet-Cookie: a=b",
        "/\r\n/elsewhere.test/",
        "/\t/elsewhere.test/",
        "/po\nlls/",
        "/polls/?q=\u2028",
        "/polls/?q=" + "a" * 10_000,
    ],
)
def test_next_may_be_nothing_else(url):
    assert not is_safe(url)


@pytest.mark.parametrize(
    "url",
    [
        "/2fa/",
        "/2fa/?next=/polls/",
        "/2fa/verify/",
        "/2fa/confirm/",
        "/2fa/cancel/",
        "/2fa/webhook/",
        "/2fa%2Fverify/",
        "/%32fa/verify/",
        "http://testserver/2fa/",
        "/login/",
        "/login/?next=/polls/",
        "/logout/",
        "/%6Cogout/",
        "/%256Cogout/",
        "/register/",
        "/admin/login/",
        "/admin/logout/",
        "/polls/1/vote/",
    ],
)
def test_next_is_no_step_of_signing_in_or_out_and_no_form_target(url):
    assert not is_safe(url)


def test_over_https_next_is_not_plain_http():
    assert is_safe("https://testserver/polls/", secure=True)
    assert not is_safe("http://testserver/polls/", secure=True)


def test_next_is_taken_from_the_form_before_the_address():
    request = RequestFactory().post("/?next=/polls/1/", {"next": "/polls/2/"})
    assert next_url(request) == "/polls/2/"


def test_next_is_taken_from_the_address():
    assert next_url(RequestFactory().get("/", {"next": "/polls/1/?choice=2"})) == (
        "/polls/1/?choice=2"
    )


def test_of_several_nexts_the_last_is_judged():
    request = RequestFactory().get("/?next=/polls/1/&next=//elsewhere.test/")
    assert next_url(request) == "/polls/"


def test_without_a_next_it_is_the_list_of_polls():
    assert next_url(RequestFactory().get("/")) == reverse("polls:list")


def test_an_endless_address_is_cut_to_its_path(client, db):
    response = client.get(f"/polls/1/?x={'%26' * LONGEST_NEXT}")
    assert response["Location"] == "/login/?next=/polls/1/"


@pytest.mark.parametrize("idle", [4, 65, 600, 3600])
def test_the_idle_time_counts_from_the_last_use(verified, clock, settings, idle):
    settings.VERIFIED_IDLE_SECONDS = idle
    for _ in range(9):
        clock.shift(0.6 * idle)
        assert is_let_through(verified)
    # It ends at most a sixtieth of the idle time early, and never late.
    clock.shift(0.98 * idle)
    assert is_let_through(verified)
    clock.shift(idle)
    assert not is_let_through(verified)


def test_a_use_each_second_keeps_a_short_idle_time_from_ending(verified, clock, settings):
    settings.VERIFIED_IDLE_SECONDS = 4
    for _ in range(20):
        clock.shift(1)
        assert is_let_through(verified)


@pytest.mark.parametrize("number", ["+12025550199", "+447400123456", None])
def test_a_number_changed_in_the_row_was_verified_by_no_one(verified, two_factor, number):
    TwoFactor.objects.filter(pk=two_factor.pk).update(number=number)
    assert not is_let_through(verified)


def test_a_flag_of_the_release_before_still_counts(verified, two_factor):
    session = verified.session
    flag = session[VERIFIED]
    del flag["number"]
    session[VERIFIED] = flag
    session.save()
    assert is_let_through(verified)


def test_the_flag_does_not_tell_the_number(verified):
    assert "5550123" not in str(dict(verified.session))


def is_let_through(browser) -> bool:
    return "Your phone is verified" in page(browser.get(reverse("two_factor:phone")))
