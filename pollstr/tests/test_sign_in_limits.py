from base64 import b64decode

import pytest
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.sessions.models import Session
from django.core import mail
from django.test import Client
from django.urls import reverse

from pollstr.accounts import (
    MOST_FAILED_BY_DEVICE,
    MOST_FAILED_SIGN_INS,
    MOST_MAILS,
    MOST_REFUSED_REGISTRATIONS,
    MOST_SIGN_INS,
    REGISTRATIONS_PER_CODE,
    SIGN_IN_WINDOW,
)
from pollstr.devices import MAX_ACCOUNTS
from pollstr.models import AccountEvent
from pollstr.password_reset import MOST_RESETS_BY_ADDRESS
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


def test_the_right_password_is_no_failure(client, user):
    for _ in range(MOST + 1):
        assert sign_in(Client(), PASSWORD).status_code == 302
    assert not Limit.objects.filter(name__startswith="sign-in by").exists()


def counts():
    return Session.objects.count(), Limit.objects.count(), AccountEvent.objects.count()


@pytest.fixture
def hashes(monkeypatch):
    """Count the passwords that are hashed."""
    made, check_password = [], AbstractBaseUser.check_password

    def counted(self, password):
        made.append(password)
        return check_password(self, password)

    monkeypatch.setattr(AbstractBaseUser, "check_password", counted)
    return made


@pytest.mark.parametrize(
    ("by", "most", "address"),
    [
        ("name and address", MOST_SIGN_INS["name and address"][0], "192.0.2.1"),
        ("name", 7, "192.0.2.{n}"),
        ("address", 7, "192.0.2.1"),
    ],
)
def test_right_passwords_are_limited_too(user, monkeypatch, hashes, by, most, address):
    monkeypatch.setitem(MOST_SIGN_INS, by, (most, SIGN_IN_WINDOW))
    for n in range(most):
        assert sign_in(Client(), PASSWORD, REMOTE_ADDR=address.format(n=n)).status_code == 302
    assert len(hashes) == most
    before = counts()
    for n in range(30):
        response = sign_in(Client(), PASSWORD, REMOTE_ADDR=address.format(n=n))
        assert response.status_code == 429
    assert int(response["Retry-After"]) == SIGN_IN_WINDOW
    assert (len(hashes), counts()) == (most, before)
    assert Session.objects.count() == most


def test_no_stranger_uses_up_the_right_sign_ins_of_an_account(user, monkeypatch):
    monkeypatch.setitem(MOST_SIGN_INS, "name", (2, SIGN_IN_WINDOW))
    for n in range(5):
        sign_in(Client(), "wrong", REMOTE_ADDR=f"192.0.2.{n}")
    assert sign_in(Client(), PASSWORD).status_code == 302


def test_tries_that_are_refused_write_nothing(client, user, monkeypatch, hashes):
    monkeypatch.setitem(MOST_FAILED_SIGN_INS, "address", 3)
    for n in range(3):
        sign_in(client, "wrong", f"eve{n}")
    before, hashed = counts(), len(hashes)
    for n in range(50):
        assert sign_in(client, "wrong", f"mallory{n}").status_code == 429
    assert (counts(), len(hashes)) == (before, hashed)


def test_resets_that_are_refused_write_nothing(client):
    statuses = [
        client.post(reverse("password_reset"), {"email": f"eve{n}@example.com"}).status_code
        for n in range(MOST_RESETS_BY_ADDRESS + 20)
    ]
    assert statuses == [302] * MOST_RESETS_BY_ADDRESS + [429] * 20
    assert Limit.objects.count() == MOST_RESETS_BY_ADDRESS + 1


@pytest.fixture
def lock_out(monkeypatch):
    """Use up the failures of a name from many addresses, as somebody with an IPv6 /60 can."""

    def lock_out(username="ada"):
        monkeypatch.setitem(MOST_FAILED_SIGN_INS, "name", 12)
        for n in range(12):
            response = sign_in(Client(), "wrong", username, REMOTE_ADDR=f"2001:db8:0:{n:x}::1")
            assert response.status_code == 200

    return lock_out


def test_strangers_do_not_lock_the_owner_out(user, lock_out):
    known = Client()
    assert sign_in(known, PASSWORD).status_code == 302
    known.post(reverse("logout"))
    lock_out()
    assert sign_in(Client(), PASSWORD, REMOTE_ADDR="192.0.2.7").status_code == 429
    for spelling in ["ada", " ADA"]:
        response = sign_in(known, PASSWORD, spelling, REMOTE_ADDR="192.0.2.7")
        assert response.status_code == 302
        known.post(reverse("logout"))


def test_a_known_browser_has_a_count_of_its_own(user):
    known = Client()
    sign_in(known, PASSWORD)
    known.post(reverse("logout"))
    for _ in range(MOST_FAILED_BY_DEVICE):
        assert sign_in(known, "wrong").status_code == 200
    assert sign_in(known, PASSWORD).status_code == 429
    # And what is typed there keeps nobody else out.
    assert sign_in(Client(), PASSWORD).status_code == 302


@pytest.mark.parametrize("cookie", ["", "x", "x:y:z", "x" * 5000, "ImEi:1x:1"])
def test_a_made_up_mark_of_a_browser_is_none(user, cookie, lock_out):
    lock_out()
    browser = Client()
    browser.cookies["device"] = cookie
    assert sign_in(browser, PASSWORD, REMOTE_ADDR="192.0.2.7").status_code == 429


def test_a_browser_known_to_one_account_is_not_known_to_another(user, django_user_model, lock_out):
    django_user_model.objects.create_user("eve", password=PASSWORD)
    known = Client()
    sign_in(known, PASSWORD, "eve")
    known.post(reverse("logout"))
    lock_out()
    assert sign_in(known, PASSWORD, REMOTE_ADDR="192.0.2.7").status_code == 429


def test_a_browser_is_known_to_all_who_share_it(user, django_user_model, lock_out):
    browser = Client()
    for n in range(MAX_ACCOUNTS - 1):
        django_user_model.objects.create_user(f"bob{n}", password=PASSWORD)
    for name in ["ada", *(f"bob{n}" for n in range(MAX_ACCOUNTS - 1))]:
        sign_in(browser, PASSWORD, name)
        browser.post(reverse("logout"))
    lock_out()
    assert sign_in(browser, PASSWORD, REMOTE_ADDR="192.0.2.7").status_code == 302


def test_the_mark_of_a_browser_names_nobody_and_is_kept_from_scripts(client, user):
    sign_in(client, PASSWORD)
    cookie = client.cookies["device"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
    assert cookie["max-age"] == 365 * 24 * 3600
    text = b64decode(cookie.value.partition(":")[0] + "==", "-_").decode()
    assert "ada" not in text


def test_whoever_sets_a_password_by_mail_gets_in_while_strangers_guess(user, lock_out):
    user.email = "ada@example.com"
    user.save()
    lock_out()
    browser = Client(REMOTE_ADDR="192.0.2.7")
    browser.post(reverse("password_reset"), {"email": user.email})
    link = mail.outbox[0].body.partition("http://testserver")[2].split()[0]
    form = browser.get(link, follow=True).request["PATH_INFO"]
    new = {"new_password1": "staple of another", "new_password2": "staple of another"}
    browser.post(form, new)
    assert sign_in(browser, "staple of another").status_code == 302


def test_whoever_registers_is_known_in_that_browser(db, lock_out):
    browser = Client()
    data = {"username": "grace", "password1": PASSWORD, "password2": PASSWORD}
    browser.post(reverse("register"), data)
    browser.post(reverse("logout"))
    lock_out("grace")
    assert sign_in(browser, PASSWORD, "grace").status_code == 302


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
    "spelling",
    [
        " ada@example.com",
        "ada@example.com" + " " * 300,
        "Ada@Example.com",
        "ada+1@example.com",
        "ADA+a+b@example.com",
    ],
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


def test_names_cannot_be_probed_without_limit(user, monkeypatch):
    statuses = []
    for n in range(MOST_REFUSED_REGISTRATIONS):
        fields = {"username": "ada" if n % 2 else f"free{n}", "password1": PASSWORD}
        statuses.append(Client().post(reverse("register"), fields).status_code)
    assert statuses == [200] * MOST_REFUSED_REGISTRATIONS
    monkeypatch.setattr("pollstr.forms.RegisterForm.is_valid", pytest.fail)
    response = register("ada")
    assert (response.status_code, response["Retry-After"]) == (429, "3600")
    assert "already exists" not in response.text
    assert "Too many tries." in response.text
    assert "Too many accounts" not in response.text


def test_where_no_code_goes_out_some_may_register_still(settings):
    settings.VERIFY_SENDS_PER_IP = 0
    assert register("grace").status_code == 302


def test_a_name_that_was_just_taken_has_cost_a_hash_and_counts(settings, monkeypatch):
    settings.VERIFY_SENDS_PER_IP = 1
    monkeypatch.setattr("pollstr.forms.RegisterForm.save", lambda form: None)
    statuses = [register("grace").status_code for _ in range(REGISTRATIONS_PER_CODE + 1)]
    assert statuses == [200] * REGISTRATIONS_PER_CODE + [429]
