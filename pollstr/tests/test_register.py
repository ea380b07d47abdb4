import re

import pytest
from django.contrib.auth import get_user
from django.contrib.auth.models import User
from django.db.models.signals import pre_save
from django.test import Client
from django.urls import reverse

from two_factor.passwords import MAX_PASSWORD_LENGTH
from two_factor.tests.parallel import in_parallel

pytestmark = pytest.mark.django_db
REGISTER = reverse("register")
GOOD = {
    "username": "grace",
    "email": "grace@example.com",
    "password1": "correct horse battery",
    "password2": "correct horse battery",
}
TAKEN = "A user with that username already exists."


def register(client, **fields):
    return client.post(REGISTER, GOOD | fields)


def test_it_asks_for_a_name_and_a_password(client):
    response = client.get(REGISTER)
    assert response.status_code == 200
    assert "<title>Register · Pollstr</title>" in response.text
    for name in GOOD:
        assert f'name="{name}"' in response.text


@pytest.mark.parametrize("page", [REGISTER, reverse("login")])
def test_password_managers_find_the_name_to_keep_and_phones_leave_it_alone(client, page):
    field = re.search(r'<input[^>]*name="username"[^>]*>', client.get(page).text)[0]
    for attribute in ["autocomplete", "autocapitalize", "autocorrect", "spellcheck"]:
        value = {"autocomplete": "username", "autocapitalize": "none", "autocorrect": "off"}
        assert f'{attribute}="{value.get(attribute, "false")}"' in field


def test_it_makes_an_account_and_signs_in(client):
    response = register(client)
    assert response.status_code == 302
    assert response["Location"] == "/polls/"
    user = User.objects.get()
    assert get_user(client) == user
    assert (user.username, user.email) == ("grace", "grace@example.com")
    assert user.check_password(GOOD["password1"])


def test_it_needs_no_email(client):
    assert register(client, email="").status_code == 302
    assert User.objects.get().email == ""


def test_nobody_makes_themselves_staff(client):
    register(client, is_staff="on", is_superuser="on")
    user = User.objects.get()
    assert not user.is_staff
    assert not user.is_superuser


@pytest.mark.parametrize("name", ["ada", "Ada", "ADA"])
def test_a_name_is_taken_in_any_case(client, user, name):
    response = register(client, username=name)
    assert response.status_code == 200
    assert TAKEN in response.text
    assert User.objects.get() == user


def test_a_name_taken_a_moment_ago_is_said(client):
    def another_is_faster(instance, **kwargs):
        User.objects.bulk_create([User(username=instance.username)])

    pre_save.connect(another_is_faster, User)
    try:
        response = register(client)
    finally:
        pre_save.disconnect(another_is_faster, User)
    assert response.status_code == 200
    assert TAKEN in response.text
    assert 'value="grace"' in response.text
    assert not get_user(client).is_authenticated


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_one_gets_the_name():
    answers = in_parallel(16, lambda: register(Client()).status_code)
    assert sorted(answers) == [200] * 15 + [302]
    assert User.objects.count() == 1


BAD = {
    "passwords differ": ({"password2": "another horse"}, "password fields didn’t match"),
    "common password": (
        {"password1": "password1", "password2": "password1"},
        "This password is too common.",
    ),
    "short password": ({"password1": "xq7", "password2": "xq7"}, "This password is too short."),
    "password like the name": (
        {"password1": "grace123", "password2": "grace123"},
        "The password is too similar to the username.",
    ),
    "nul in the password": (
        {"password1": "correct\0horse", "password2": "correct\0horse"},
        "Null characters are not allowed.",
    ),
    "no name": ({"username": ""}, "This field is required."),
    "no password": ({"password1": "", "password2": ""}, "This field is required."),
    "odd name": ({"username": "grace hopper"}, "Enter a valid username."),
    "nul in the name": ({"username": "gra\0ce"}, "Null characters are not allowed."),
    "long name": ({"username": "x" * 10_000}, "at most 150 characters"),
    "odd email": ({"email": "grace@"}, "Enter a valid email address."),
    "long email": ({"email": "x" * 10_000 + "@example.com"}, "at most 254 characters"),
    "nul in the email": ({"email": "\0@example.com"}, "Null characters are not allowed."),
}


@pytest.mark.parametrize(("fields", "sentence"), BAD.values(), ids=BAD)
def test_bad_input_gets_a_sentence_and_the_rest_is_kept(client, fields, sentence):
    response = register(client, **fields)
    assert response.status_code == 200
    assert "<title>Error: Register · Pollstr</title>" in response.text
    assert sentence in response.text
    for name in {"username", "email"} - fields.keys():
        assert f'value="{GOOD[name]}"' in response.text
    assert not User.objects.exists()


def test_without_fields_it_asks_again(client):
    response = client.post(REGISTER)
    assert response.status_code == 200
    assert "This field is required." in response.text


def test_a_long_password_is_taken_as_it_is(client):
    long = ("correct horse battery " * 50)[: MAX_PASSWORD_LENGTH - 6] + "staple"
    assert register(client, password1=long, password2=long).status_code == 302
    assert User.objects.get().check_password(long)


@pytest.mark.parametrize("letter", ["x", "é", "\N{ARABIC LIGATURE SALLALLAHOU ALAYHE WASALLAM}"])
def test_a_longer_one_gets_a_sentence(client, letter):
    # The last letter becomes 18 when it is normalized.
    long = letter * (MAX_PASSWORD_LENGTH + 1)
    response = register(client, password1=long, password2=long)
    assert "at most 1000 characters" in response.text
    assert not User.objects.exists()


def test_it_goes_on_to_next(client):
    response = register(client, next="/polls/1/?choice=2")
    assert response["Location"] == "/polls/1/?choice=2"


@pytest.mark.parametrize("next", ["https://evil.example/", "//evil.example", "/logout/", "\0"])
def test_it_goes_nowhere_else(client, next):
    assert register(client, next=next)["Location"] == "/polls/"


def test_next_is_kept_over_an_error_and_in_the_link_to_sign_in(client):
    for response in [
        client.get(REGISTER, {"next": "/polls/1/?choice=2"}),
        register(client, username="", next="/polls/1/?choice=2"),
    ]:
        assert 'name="next" value="/polls/1/?choice=2"' in response.text
        assert 'href="/login/?next=%2Fpolls%2F1%2F%3Fchoice%3D2"' in response.text


def test_whoever_is_signed_in_goes_on(signed_in, user):
    for response in [signed_in.get(REGISTER, {"next": "/polls/1/"}), register(signed_in)]:
        assert response.status_code == 302
    assert User.objects.get() == user


def test_other_methods_are_refused(client):
    response = client.put(REGISTER)
    assert response.status_code == 405
    assert response["Allow"] == "GET, POST, HEAD, OPTIONS"


def test_whoever_is_signed_in_is_refused_other_methods_too(signed_in):
    assert signed_in.put(REGISTER).status_code == 405
