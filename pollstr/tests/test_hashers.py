"""How many passwords one process hashes at once, and that the others get a sentence."""

import unicodedata
from contextlib import ExitStack
from threading import Thread

import pytest
from django.contrib.auth import get_user
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from conftest import verify
from pollstr import hashers
from pollstr.accounts import MOST_WRONG_PASSWORDS
from pollstr.hashers import MAX_HASHES_AT_ONCE, MAX_HASHES_WAITING, HashingBusy, hashing
from pollstr.models import AccountEvent
from two_factor.models import Limit
from two_factor.tests.factories import TwoFactorFactory, UserFactory
from two_factor.tests.pages import sentences

pytestmark = pytest.mark.django_db
PASSWORD, NEW = "correct horse battery", "staple of another kind"
SENTENCE = "Many people are signing in right now. Please try again in a few seconds."
NFC = unicodedata.normalize("NFC", "früher war mehr Lametta")
NFD = unicodedata.normalize("NFD", NFC)


@pytest.fixture(autouse=True)
def argon2(settings):
    settings.PASSWORD_HASHERS = ["pollstr.hashers.Argon2id"]


@pytest.fixture
def user(db):
    user = User(username="ada")
    user.set_password(PASSWORD)
    user.save()
    return user


@pytest.fixture
def rush():
    """As many hashes under way and waiting as there may be."""
    places = MAX_HASHES_AT_ONCE + MAX_HASHES_WAITING
    for _ in range(places):
        assert hashers.places.acquire(blocking=False)
    yield
    hashers.places.release(places)


def assert_calm(response):
    assert response.status_code == 429
    assert int(response["Retry-After"]) > 0
    assert SENTENCE in response.text
    assert PASSWORD not in response.text


def hash_once():
    with hashing():
        pass


def test_so_many_hash_at_once_and_the_rest_wait_their_turn():
    with ExitStack() as stack:
        for _ in range(MAX_HASHES_AT_ONCE):
            stack.enter_context(hashing())
        waiting = Thread(target=hash_once)
        waiting.start()
        waiting.join(0.1)
        assert waiting.is_alive()
    waiting.join(5)
    assert not waiting.is_alive()


def test_one_too_many_is_refused_at_once(rush):
    with pytest.raises(HashingBusy), hashing():
        pytest.fail("hashed")


def test_a_hash_that_fails_gives_its_place_back():
    for _ in range(2 * (MAX_HASHES_AT_ONCE + MAX_HASHES_WAITING)):
        with pytest.raises(ZeroDivisionError), hashing():
            raise ZeroDivisionError


def test_whoever_signs_in_in_a_rush_is_told_and_it_counts_nowhere(client, user, rush):
    response = client.post(reverse("login"), {"username": "ada", "password": PASSWORD})
    assert_calm(response)
    assert 'value="ada"' in response.text
    assert not get_user(client).is_authenticated
    assert not Limit.objects.exists()
    assert not AccountEvent.objects.exists()


def test_whoever_registers_in_a_rush_is_told_and_it_counts_nowhere(client, rush):
    fields = {"username": "grace", "email": "", "password1": NEW, "password2": NEW}
    response = client.post(reverse("register"), fields)
    assert_calm(response)
    assert 'value="grace"' in response.text
    assert not User.objects.exists()
    assert set(Limit.objects.values_list("count", flat=True)) == {0}


@pytest.mark.parametrize(
    ("page", "fields"),
    [
        (
            "password_change",
            {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW},
        ),
        ("account_email", {"email": "new@example.com", "password": PASSWORD}),
        ("account_sign_out_others", {"password": PASSWORD}),
        ("account_delete", {"password": PASSWORD}),
    ],
)
def test_no_form_counts_a_password_that_was_not_looked_at(client, user, rush, page, fields):
    client.force_login(user)
    for _ in range(MOST_WRONG_PASSWORDS + 3):
        assert_calm(client.post(reverse(page), fields))
    assert User.objects.get().password == user.password


def test_a_new_password_behind_a_mailed_link_may_be_sent_again(client, user, mailoutbox):
    User.objects.update(email="ada@example.com")
    client.post(reverse("password_reset"), {"email": "ada@example.com"})
    link = mailoutbox[0].body.partition("http://testserver")[2].split()[0]
    form = client.get(link, follow=True).request["PATH_INFO"]
    new = {"new_password1": NEW, "new_password2": NEW}
    places = MAX_HASHES_AT_ONCE + MAX_HASHES_WAITING
    for _ in range(places):
        hashers.places.acquire()
    try:
        response = client.post(form, new)
    finally:
        hashers.places.release(places)
    assert (response.status_code, SENTENCE in sentences(response)) == (429, True)
    assert client.post(form, new).status_code == 302
    assert User.objects.get().check_password(NEW)


@pytest.mark.parametrize(
    ("registered", "typed"), [(NFC, NFD), (NFD, NFC), ("ﬁve ｘ horses", "five x horses")]
)
def test_a_password_is_the_same_however_a_keyboard_encodes_it(registered, typed):
    fields = {"username": "grace", "password1": registered, "password2": registered}
    assert Client().post(reverse("register"), fields).status_code == 302
    signed_in = Client().post(reverse("login"), {"username": "grace", "password": typed})
    assert signed_in.status_code == 302


def old_account(password):
    """An account whose password was hashed as it was typed."""
    encoded = super(hashers.Argon2id, hashers.Argon2id()).encode(password, "saltsaltsalt")
    return User.objects.create(username="old", password=encoded)


@pytest.mark.parametrize("page", ["login", "account_delete", "password_change"])
def test_a_password_of_before_still_works(client, page):
    user = old_account(NFD)
    if page == "login":
        response = client.post(reverse(page), {"username": "old", "password": NFD})
    else:
        client.force_login(user)
        fields = {"password": NFD, "old_password": NFD}
        fields |= {"new_password1": NEW, "new_password2": NEW}
        response = client.post(reverse(page), fields)
    assert response.status_code == 302


@pytest.mark.parametrize(
    ("typed", "hashes"), [("wrong horse", 1), (NFC, 1), (NFD + "x", 2), ("x" * 50_000, 0)]
)
@pytest.mark.parametrize("name", ["old", "nobody"])
def test_a_wrong_password_costs_no_more_than_it_must_and_the_same_for_any_name(
    client, monkeypatch, name, typed, hashes
):
    old_account("quite another horse")
    made = []
    places = hashers.places
    monkeypatch.setattr(places, "acquire", lambda blocking: made.append(1) or True)
    monkeypatch.setattr(places, "release", lambda: None)
    response = client.post(reverse("login"), {"username": name, "password": typed})
    assert response.status_code == 200
    assert len(made) == hashes


def test_what_staff_set_is_normalized_too():
    user = UserFactory()
    user.set_password(NFD)
    assert user.check_password(NFC)


def test_staff_who_set_a_password_in_a_rush_may_try_again(client, user, rush):
    User.objects.update(is_staff=True, is_superuser=True)
    client.force_login(user)
    verify(client, TwoFactorFactory(user=user))
    client.raise_request_exception = False
    new = {"username": "grace", "password1": NEW, "password2": NEW, "usable_password": "true"}
    response = client.post(reverse("admin:auth_user_add"), new)
    assert (response.status_code, "Retry-After" in response) == (503, True)
    assert not User.objects.filter(username="grace").exists()
