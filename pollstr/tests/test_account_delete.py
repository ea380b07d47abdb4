import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse

from conftest import verify
from polls.models import Ballot, Poll, Vote
from polls.tests.factories import PollFactory
from two_factor.history import Event, record
from two_factor.models import Channel, TwoFactor, Verification
from two_factor.recovery import RecoveryCode
from two_factor.tests.factories import TwoFactorFactory, UserFactory
from two_factor.tests.pages import field_errors, sentences
from two_factor.tests.parallel import in_parallel

pytestmark = pytest.mark.django_db
DELETE = reverse("account_delete")
PASSWORD = "correct horse battery"
NUMBER = "+12025550123"


def delete(client, password=PASSWORD):
    return client.post(DELETE, {"password": password})


def vote(client, poll, choice):
    url = reverse("polls:vote", args=[poll.pk])
    return client.post(url, {"choice": choice.pk}, follow=True)


def test_it_is_linked_from_the_account(signed_in):
    assert f'href="{DELETE}"' in signed_in.get(reverse("account")).text


def test_it_says_what_goes_and_what_stays(signed_in):
    response = signed_in.get(DELETE)
    assert response.status_code == 200
    assert "<title>Delete the account · Pollstr</title>" in response.text
    goes, stays = response.text.split("<h2>What goes</h2>")[1].split("<h2>What stays</h2>")
    for word in ["name", "email address", "phone number", "history", "every browser"]:
        assert word in goes
    assert "your votes. They hold neither your name nor your number" in stays
    assert "the polls you made, without your name" in stays


def test_looking_at_it_deletes_nothing(signed_in, user):
    signed_in.get(DELETE)
    signed_in.head(DELETE)
    assert get_user(signed_in) == user


def test_it_deletes_the_user_and_signs_out(signed_in):
    response = delete(signed_in)
    assert response.status_code == 302
    assert response["Location"] == reverse("polls:list")
    assert not User.objects.exists()
    page = signed_in.get(response["Location"])
    assert sentences(page) == "Your account is deleted. Thank you for voting with us."
    assert f'href="{reverse("login")}"' in page.text


def test_name_address_and_number_are_in_no_table_any_more(verified, user):
    user.email = "ada@example.com"
    user.save(update_fields=["email"])
    RecoveryCode.objects.renew(user)
    now = user.date_joined
    Verification.objects.create(
        user=user, number="+12025550124", channel=Channel.SMS, expires_at=now
    )
    delete(verified)
    for model in [User, TwoFactor, RecoveryCode, Verification, LogEntry]:
        assert not model.objects.exists()


def test_the_history_stays_without_a_link_to_the_user(verified, user, two_factor):
    record(Event.Kind.VERIFIED, user, number=two_factor.number)
    delete(verified)
    event = Event.objects.get()
    assert (event.user, event.number) == (None, "•••• ••23")


def test_every_session_of_the_user_is_over(verified, user, two_factor):
    other = Client()
    other.force_login(user)
    verify(other, two_factor)
    delete(verified)
    for browser in [verified, other]:
        assert not get_user(browser).is_authenticated
        response = browser.get(reverse("account"))
        assert response["Location"] == f"/login/?next={reverse('account')}"


def test_this_browsers_session_is_deleted(verified):
    [before] = Session.objects.values_list("pk", flat=True)
    delete(verified)
    assert not Session.objects.filter(pk=before).exists()


def test_other_accounts_stay(signed_in):
    other = TwoFactorFactory()
    delete(signed_in)
    assert User.objects.get() == other.user
    assert TwoFactor.objects.get() == other


def test_an_account_without_a_number_can_be_deleted(signed_in):
    assert not TwoFactor.objects.exists()
    delete(signed_in)
    assert not User.objects.exists()


def test_polls_stay_without_their_author(signed_in, user):
    poll = PollFactory(author=user)
    delete(signed_in)
    assert Poll.objects.get() == poll
    assert Poll.objects.get().author is None


def test_ballots_stay_as_they_are(verified):
    poll = PollFactory()
    vote(verified, poll, poll.choices.first())
    ballots, votes = list(Ballot.objects.values()), list(Vote.objects.values())
    delete(verified)
    assert list(Ballot.objects.values()) == ballots
    assert list(Vote.objects.values()) == votes != []


def test_the_number_finds_its_ballot_again_from_a_new_account(verified, client):
    poll = PollFactory()
    yes, no = poll.choices.all()
    vote(verified, poll, yes)
    delete(verified)
    again = UserFactory(username="grace")
    client.force_login(again)
    verify(client, TwoFactorFactory(user=again, number=NUMBER))
    assert "replaced your earlier one" in sentences(vote(client, poll, no))
    assert Ballot.objects.get().revision == 2
    assert Vote.objects.get().choice == no


def test_the_name_can_be_taken_again(signed_in, client):
    delete(signed_in)
    fields = {"username": "ada", "password1": PASSWORD, "password2": PASSWORD}
    assert client.post(reverse("register"), fields).status_code == 302
    assert User.objects.get().username == "ada"


@pytest.mark.parametrize(
    ("password", "sentence"),
    [
        ("wrong", "That is not your password."),
        (PASSWORD.upper(), "That is not your password."),
        (f" {PASSWORD}", "That is not your password."),
        ("", "Type your password."),
        ("\0", "Null characters are not allowed."),
        ("x" * 1001, "That is not your password."),
        ("x" * 100_000, "That is not your password."),
    ],
)
def test_without_the_password_nothing_happens(signed_in, user, password, sentence):
    response = delete(signed_in, password)
    assert response.status_code == 200
    assert sentence in field_errors(response)
    assert "<title>Error: Delete the account · Pollstr</title>" in response.text
    assert get_user(signed_in) == user


def test_a_post_without_fields_gets_a_sentence(signed_in, user):
    assert "Type your password." in field_errors(signed_in.post(DELETE))
    assert get_user(signed_in) == user


def test_the_password_is_not_sent_back(signed_in):
    assert "guess-of-mine" not in delete(signed_in, "guess-of-mine").text


def test_guesses_of_the_password_are_limited(signed_in, user, settings, time_machine):
    time_machine.move_to(user.date_joined, tick=False)
    settings.VERIFY_MAX_FAILURES, settings.VERIFY_LOCK_SECONDS = 2, 600
    delete(signed_in, "wrong")
    delete(signed_in, "wrong")
    response = delete(signed_in)
    assert (response.status_code, response["Retry-After"]) == (429, "600")
    assert "Please try again in 10 minutes." in sentences(response)
    assert get_user(signed_in) == user


def test_wrong_codes_and_wrong_passwords_count_together(verified, two_factor, settings):
    settings.VERIFY_MAX_FAILURES = 2
    two_factor.count_guess()
    delete(verified, "wrong")
    assert delete(verified).status_code == 429


def test_a_password_left_out_is_no_guess(verified, two_factor):
    delete(verified, "")
    two_factor.refresh_from_db()
    assert two_factor.failures == 0


def test_the_last_superuser_is_refused(signed_in, user):
    User.objects.filter(pk=user.pk).update(is_superuser=True)
    UserFactory(is_superuser=True, is_active=False)
    response = delete(signed_in)
    assert response.status_code == 200
    assert "You are the last administrator of this site." in sentences(response)
    assert get_user(signed_in) == user
    assert TwoFactor.objects.get().failures == 0


def test_a_superuser_who_is_not_the_last_may_go(signed_in, user):
    User.objects.filter(pk=user.pk).update(is_superuser=True)
    other = UserFactory(is_superuser=True)
    delete(signed_in)
    assert User.objects.get() == other


def test_a_user_may_go_where_there_is_one_superuser(signed_in):
    other = UserFactory(is_superuser=True)
    delete(signed_in)
    assert User.objects.get() == other


@pytest.mark.parametrize("method", ["get", "post"])
def test_the_anonymous_sign_in_first(client, user, method):
    response = getattr(client, method)(DELETE, {"password": PASSWORD})
    assert response.status_code == 302
    assert response["Location"].startswith(f"/login/?next={DELETE}")
    assert User.objects.get() == user


@pytest.mark.parametrize("method", ["get", "post"])
def test_with_a_proven_phone_the_password_alone_deletes_nothing(
    signed_in, two_factor, user, method
):
    response = getattr(signed_in, method)(DELETE, {"password": PASSWORD})
    assert response["Location"] == f"/2fa/?next={DELETE.replace('/', '%2F')}"
    assert User.objects.get() == user


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_other_methods_are_refused(signed_in, user, method):
    assert getattr(signed_in, method)(DELETE).status_code == 405
    assert get_user(signed_in) == user


def test_another_site_cannot_delete_an_account(user):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user)
    assert delete(browser).status_code == 403
    assert User.objects.get() == user


def test_it_is_kept_out_of_caches(signed_in):
    assert "no-store" in signed_in.get(DELETE)["Cache-Control"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("has_number", [True, False])
def test_clicks_at_once_all_get_an_answer(signed_in, user, has_number):
    if has_number:
        verify(signed_in, TwoFactorFactory(user=user))

    def click():
        browser = Client()
        browser.cookies = signed_in.cookies
        return delete(browser).status_code

    assert in_parallel(8, click) == [302] * 8
    assert not User.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_the_last_two_superusers_one_stays():
    def browser_of_a_superuser():
        browser = Client()
        browser.force_login(UserFactory(is_superuser=True))
        return browser

    browsers = iter([browser_of_a_superuser(), browser_of_a_superuser()])
    assert sorted(in_parallel(2, lambda: delete(next(browsers)).status_code)) == [200, 302]
    assert User.objects.filter(is_superuser=True).count() == 1


def test_a_wrong_password_stands_in_the_history(signed_in, user):
    delete(signed_in, password="wrong")
    assert user.event_set.get().kind == Event.Kind.FAILED
