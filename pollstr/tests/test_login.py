import pytest
from django.contrib.auth import get_user
from django.urls import reverse

from pollstr.sessions import SessionStore
from two_factor.mixins import VERIFIED
from two_factor.tests.factories import UserFactory

pytestmark = pytest.mark.django_db
LOGIN = reverse("login")
RIGHT = {"username": "ada", "password": "correct horse battery"}


def is_signed_in(client):
    return get_user(client).is_authenticated


def test_it_asks_for_name_and_password(client):
    response = client.get(LOGIN)
    assert response.status_code == 200
    assert "<title>Sign in · Pollstr</title>" in response.text
    for field in ["username", "password"]:
        assert f'name="{field}"' in response.text


def test_it_signs_in(client, user):
    response = client.post(LOGIN, RIGHT)
    assert response.status_code == 302
    assert response["Location"] == "/polls/"
    assert get_user(client) == user


def test_signing_in_verifies_nothing(client, user, two_factor):
    client.post(LOGIN, RIGHT)
    assert client.get("/polls/1/")["Location"].startswith("/2fa/?next=")


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"password": "wrong"}, "Please enter a correct username and password."),
        ({"password": "x" * 10_000}, "Please enter a correct username and password."),
        ({"password": ""}, "This field is required."),
        ({"password": "\0"}, "Null characters are not allowed."),
    ],
)
def test_what_is_wrong_is_said_and_the_name_kept(client, user, wrong, sentence):
    response = client.post(LOGIN, RIGHT | wrong)
    assert response.status_code == 200
    assert "<title>Error: Sign in · Pollstr</title>" in response.text
    assert sentence in response.text
    assert f'value="{wrong.get("username", "ada")}"' in response.text
    assert RIGHT["password"] not in response.text
    assert not is_signed_in(client)


@pytest.mark.parametrize("name", ["nobody", "", "\0", "x" * 10_000, "<script>"])
def test_an_unknown_name_is_said(client, name):
    response = client.post(LOGIN, RIGHT | {"username": name})
    assert response.status_code == 200
    assert "<title>Error: Sign in · Pollstr</title>" in response.text
    assert "<script>" not in response.text


def test_an_unknown_name_reads_as_a_wrong_password(client, user):
    sentence = "Please enter a correct username and password."
    for wrong in [{"username": "nobody"}, {"password": "wrong"}]:
        assert sentence in client.post(LOGIN, RIGHT | wrong).text


def test_without_fields_it_asks_again(client):
    response = client.post(LOGIN)
    assert response.status_code == 200
    assert response.text.count("This field is required.") >= 2


SAFE = [
    "/polls/1/?choice=2",
    "/polls/?q=tea&page=2",
    "/account/",
    "/admin/polls/poll/",
    "http://testserver/polls/1/",
    "/polls/?q=%00",
]
UNSAFE = {
    "empty": "",
    "other host": "https://evil.example/",
    "other host, same path": "https://evil.example/polls/",
    "no scheme": "//evil.example/polls/",
    "three slashes": "///evil.example/polls/",
    "backslashes": "/\\evil.example/polls/",
    "user": "http://testserver@evil.example/polls/",
    "javascript": "javascript:alert(1)",
    "data": "data:text/html,x",
    "logout": "/logout/",
    "admin logout": "/admin/logout/",
    "login": "/login/?next=/login/",
    "register": "/register/",
    "2fa": "/2fa/",
    "create": "/2fa/create/",
    "verify": "/2fa/verify/",
    "POST only": "/polls/1/vote/",
    "unknown": "/nowhere/",
    "relative": "polls/",
    "long": "/polls/?q=" + "x" * 10_000,
    "nul": "\0/polls/1/",
    "nul in the path": "/polls/1\0/",
    "broken": "http://[::1/polls/",
}


@pytest.mark.parametrize("next", SAFE)
def test_it_goes_on_to_a_page_of_this_site(client, user, next):
    response = client.post(LOGIN, RIGHT | {"next": next})
    assert response.status_code == 302
    assert response["Location"] == next


@pytest.mark.parametrize("next", UNSAFE.values(), ids=UNSAFE)
def test_it_goes_nowhere_else(client, user, next):
    response = client.post(LOGIN, RIGHT | {"next": next})
    assert response.status_code == 302
    assert response["Location"] == "/polls/"
    assert is_signed_in(client)


def test_a_line_break_in_next_starts_no_header(client, user):
    response = client.post(LOGIN, RIGHT | {"next": "/polls/?q=\r\nSet-Cookie: evil=1"})
    assert response["Location"].startswith("/polls/")
    assert "\n" not in response["Location"]


def test_a_wrong_password_keeps_next(client, user):
    text = client.post(LOGIN, RIGHT | {"password": "x", "next": "/polls/1/?choice=2"}).text
    assert '<input type="hidden" name="next" value="/polls/1/?choice=2">' in text


def test_next_reaches_the_link_to_register(client):
    text = client.get(LOGIN, {"next": "/polls/1/?choice=2"}).text
    assert 'href="/register/?next=%2Fpolls%2F1%2F%3Fchoice%3D2"' in text


def test_an_unsafe_next_does_not_reach_the_page(client):
    assert "evil" not in client.get(LOGIN, {"next": "https://evil.example/"}).text


def test_a_kept_answer_is_told(client):
    sentence = "Your answer is kept"
    assert sentence in client.get(LOGIN, {"next": "/polls/1/?choice=2"}).text
    assert sentence not in client.get(LOGIN).text


@pytest.fixture
def grace(db):
    return UserFactory(username="grace")


def test_whoever_is_signed_in_can_sign_in_as_another_person(verified, grace):
    before = verified.session.session_key
    response = verified.post(LOGIN, RIGHT | {"username": "grace", "next": "/account/"})
    assert (response.status_code, response["Location"]) == (302, "/account/")
    assert get_user(verified) == grace
    assert VERIFIED not in verified.session
    assert not SessionStore(before).keys()


@pytest.mark.parametrize("wrong", [{"password": "wrong"}, {"username": "nobody"}, {"password": ""}])
def test_junk_of_whoever_is_signed_in_gets_the_form_and_ends_nothing(verified, user, wrong):
    response = verified.post(LOGIN, RIGHT | wrong)
    assert response.status_code == 200
    assert "<title>Error: Sign in · Pollstr</title>" in response.text
    assert get_user(verified) == user
    assert VERIFIED in verified.session


def test_ones_own_password_keeps_the_proof_of_the_phone(verified, user):
    assert verified.post(LOGIN, RIGHT).status_code == 302
    assert get_user(verified) == user
    assert VERIFIED in verified.session


@pytest.mark.parametrize(
    ("next", "location"), [("/polls/1/", "/polls/1/"), ("//evil.example", "/polls/")]
)
def test_whoever_is_signed_in_goes_on(signed_in, next, location):
    response = signed_in.get(LOGIN, {"next": next})
    assert response.status_code == 302
    assert response["Location"] == location


def test_an_account_switched_off_stays_out(client, user):
    user.is_active = False
    user.save(update_fields=["is_active"])
    assert client.post(LOGIN, RIGHT).status_code == 200
    assert not is_signed_in(client)


def test_other_methods_are_refused(client):
    response = client.put(LOGIN)
    assert response.status_code == 405
    assert response["Allow"] == "GET, POST, HEAD, OPTIONS"


def test_whoever_is_signed_in_is_refused_other_methods_too(signed_in):
    assert signed_in.put(LOGIN).status_code == 405
