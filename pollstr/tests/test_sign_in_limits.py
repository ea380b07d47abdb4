import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse

from pollstr.accounts import (
    MOST_FAILED_SIGN_INS,
    MOST_MAILS,
    REGISTRATIONS_PER_CODE,
    SIGN_IN_WINDOW,
)
from two_factor.models import Limit

pytestmark = pytest.mark.django_db
MOST = MOST_FAILED_SIGN_INS["name and address"]
PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def clock(time_machine):
    time_machine.move_to("2026-06-01T12:00:00Z", tick=False)
    return time_machine


def sign_in(client, password, username="ada", **extra):
    data = {"username": username, "password": password}
    return client.post(reverse("login"), data, **extra)


@pytest.fixture
def guessed(client, user):
    for _ in range(MOST):
        assert sign_in(client, "wrong").status_code == 200
    return client


def test_after_many_wrong_passwords_even_the_right_one_must_wait(guessed):
    response = sign_in(guessed, PASSWORD)
    assert response.status_code == 429
    assert int(response["Retry-After"]) == SIGN_IN_WINDOW
    assert "Too many tries. Please try again in 10 minutes." in response.content.decode()
    assert "_auth_user_id" not in guessed.session


def test_meanwhile_nobody_learns_which_password_is_right(guessed, monkeypatch):
    monkeypatch.setattr("django.contrib.auth.forms.authenticate", pytest.fail)
    assert sign_in(guessed, PASSWORD).status_code == sign_in(guessed, "wrong").status_code == 429


def test_the_name_is_kept(guessed):
    assert 'value="ada"' in sign_in(guessed, PASSWORD).content.decode()


def test_capitals_do_not_begin_a_new_count(guessed):
    assert sign_in(guessed, PASSWORD, username="ADA").status_code == 429


@pytest.mark.parametrize(
    "username", [" ada", "ada" + " " * 200, "\N{FULLWIDTH LATIN SMALL LETTER A}da"]
)
def test_another_spelling_does_not_begin_a_new_count(guessed, username):
    assert sign_in(Client(), PASSWORD, username, REMOTE_ADDR="192.0.2.7").status_code == 302
    assert sign_in(guessed, PASSWORD, username).status_code == 429


def test_after_the_wait_the_right_one_works(guessed, clock):
    clock.shift(SIGN_IN_WINDOW)
    assert sign_in(guessed, PASSWORD).status_code == 302


def test_at_another_address_the_owner_gets_in(guessed):
    assert sign_in(Client(), PASSWORD, REMOTE_ADDR="192.0.2.7").status_code == 302


def test_others_at_the_same_address_get_in(guessed, django_user_model):
    django_user_model.objects.create_user("bob", password=PASSWORD)
    assert sign_in(Client(), PASSWORD, username="bob").status_code == 302


@pytest.mark.parametrize(
    ("by", "username", "address"),
    [("name", "ada", "192.0.2.{n}"), ("address", "ada{n}", "192.0.2.7")],
)
def test_guesses_spread_out_are_counted_too(client, user, monkeypatch, by, username, address):
    monkeypatch.setitem(MOST_FAILED_SIGN_INS, by, 3)
    statuses = [
        sign_in(client, "wrong", username.format(n=n), REMOTE_ADDR=address.format(n=n)).status_code
        for n in range(4)
    ]
    assert statuses == [200, 200, 200, 429]


def test_the_right_password_costs_nothing(client, user):
    for _ in range(MOST + 1):
        assert sign_in(Client(), PASSWORD).status_code == 302
    assert set(Limit.objects.values_list("count", flat=True)) == {0}


def test_one_address_gets_few_reset_links_an_hour(client, user):
    user.email = "ada@example.com"
    user.save()
    statuses = [
        client.post(reverse("password_reset"), {"email": user.email}).status_code
        for _ in range(MOST_MAILS + 1)
    ]
    assert statuses == [302] * MOST_MAILS + [429]
    assert len(mail.outbox) == MOST_MAILS


@pytest.mark.parametrize(
    "spelling", [" ada@example.com", "ada@example.com" + " " * 300, "Ada@Example.com"]
)
def test_another_spelling_gets_no_more_reset_links(client, user, spelling):
    user.email = "ada@example.com"
    user.save()
    for _ in range(MOST_MAILS):
        client.post(reverse("password_reset"), {"email": user.email})
    assert client.post(reverse("password_reset"), {"email": spelling}).status_code == 429


def register(name, **extra):
    data = {"username": name, "email": "", "password1": PASSWORD, "password2": PASSWORD}
    return Client().post(reverse("register"), data, **extra)


@pytest.fixture
def crowded(settings):
    """An address from which as many accounts came as it may make."""
    settings.VERIFY_SENDS_PER_IP = 1
    for n in range(REGISTRATIONS_PER_CODE):
        assert register(f"ada{n}").status_code == 302


def test_one_address_makes_so_many_accounts_an_hour(crowded, monkeypatch):
    monkeypatch.setattr("pollstr.forms.RegisterForm.save", pytest.fail)
    response = register("grace")
    assert (response.status_code, response["Retry-After"]) == (429, "3600")
    text = response.text
    assert "Too many accounts were made from your internet address." in text
    assert "Please try again in 60 minutes." in text
    assert 'value="grace"' in text
    assert PASSWORD not in text


def test_another_address_makes_its_own(crowded):
    assert register("grace", REMOTE_ADDR="192.0.2.7").status_code == 302


def test_an_hour_later_it_makes_more(crowded, clock):
    clock.shift(60 * 60 + 1)
    assert register("grace").status_code == 302


def test_what_is_refused_for_another_reason_is_not_counted(settings):
    settings.VERIFY_SENDS_PER_IP = 1
    for _ in range(REGISTRATIONS_PER_CODE + 1):
        assert register("no spaces").status_code == 200
    assert register("grace").status_code == 302


def test_where_no_code_goes_out_some_may_register_still(settings):
    settings.VERIFY_SENDS_PER_IP = 0
    assert register("grace").status_code == 302


def test_a_name_that_was_just_taken_has_cost_a_hash_and_counts(settings, monkeypatch):
    settings.VERIFY_SENDS_PER_IP = 1
    monkeypatch.setattr("pollstr.forms.RegisterForm.save", lambda form: None)
    statuses = [register("grace").status_code for _ in range(REGISTRATIONS_PER_CODE + 1)]
    assert statuses == [200] * REGISTRATIONS_PER_CODE + [429]
