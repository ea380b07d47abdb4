import pytest
from django.contrib.sessions.exceptions import SessionInterrupted
from django.db import InterfaceError, OperationalError
from django.test import RequestFactory
from django.urls import reverse

from polls.listing import PollListView
from pollstr.wsgi import application

pytestmark = pytest.mark.django_db
PAGES = ["polls:list", "login", "register", "account", "password_change", "password_reset"]


def is_in_the_sites_look(response, title):
    return (
        f"<title>{title} · Pollstr</title>" in response.text
        and 'href="/static/pollstr.css"' in response.text
        and 'href="/polls/">To the polls</a>' in response.text
    )


@pytest.mark.parametrize(
    "path", ["/nowhere/", "/polls/x/", "/polls/1/nowhere/", "/%00/", "/x" * 999]
)
def test_a_page_that_is_not_there(client, path):
    response = client.get(path)
    assert response.status_code == 404
    assert is_in_the_sites_look(response, "There is no such page")


def test_while_developing_a_404_is_the_same_page(client, settings):
    settings.DEBUG = True
    response = client.get("/nowhere/")
    assert response.status_code == 404
    assert is_in_the_sites_look(response, "There is no such page")


def test_a_method_that_a_page_does_not_take(client):
    response = client.get("/language/")
    assert response.status_code == 405
    assert response["Allow"] == "POST"
    assert is_in_the_sites_look(response, "That does not work this way")


def test_a_page_for_staff_only(signed_in):
    response = signed_in.get("/admin/", follow=True)
    assert response.status_code == 403
    assert is_in_the_sites_look(response, "This page is not for you")


def test_a_form_without_its_token(client):
    client.handler.enforce_csrf_checks = True
    response = client.post("/login/", {"username": "ada", "password": "x"})
    assert response.status_code == 403
    assert is_in_the_sites_look(response, "Please try that again")


def test_a_form_of_an_old_page_leads_on_to_where_it_would_have_led(client):
    client.handler.enforce_csrf_checks = True
    response = client.post("/2fa/confirm/", {"code": "1", "next": "/polls/1/?choice=2"})
    assert response.status_code == 403
    assert 'href="/polls/1/?choice=2">Go on from here</a>' in response.text


def test_a_form_of_an_old_page_leads_nowhere_else(client):
    client.handler.enforce_csrf_checks = True
    response = client.post("/2fa/confirm/", {"next": "https://elsewhere.example/"})
    assert "elsewhere" not in response.text


@pytest.mark.parametrize(
    ("headers", "sentence"),
    [
        ({}, "This form was open while you signed in or out"),
        ({"origin": "https://evil.example"}, "This form came from another site"),
        ({"referer": "https://evil.example/"}, "This form came from another site"),
        ({"referer": "http://testserver/login/"}, "This form was open while you signed in"),
    ],
    ids=str,
)
def test_a_refused_form_is_told_why(client, headers, sentence):
    client.handler.enforce_csrf_checks = True
    client.get("/login/")
    sent = {"csrfmiddlewaretoken": "x" * 64, "next": "/polls/1/"}
    response = client.post("/login/", sent, headers=headers)
    assert response.status_code == 403
    assert sentence in response.text
    assert ('href="/polls/1/"' in response.text) is ("another" not in sentence)


def test_over_https_a_page_that_hides_itself_is_told(client):
    client.handler.enforce_csrf_checks = True
    client.get("/login/", secure=True)
    response = client.post("/login/", {"csrfmiddlewaretoken": "x" * 64}, secure=True)
    assert "Your browser did not say which page this form came from" in response.text


def test_without_a_cookie_it_is_said(client):
    client.handler.enforce_csrf_checks = True
    response = client.post("/login/", {"username": "ada"})
    assert "Your browser sent no cookie with this form" in response.text


@pytest.mark.parametrize("path", ["/login/", "/register/"])
def test_an_old_form_to_sign_in_with_goes_on_where_that_is_done(signed_in, path):
    signed_in.handler.enforce_csrf_checks = True
    signed_in.get("/account/")
    sent = {"csrfmiddlewaretoken": "x" * 64, "next": "/polls/mine/"}
    assert signed_in.post(path, sent)["Location"] == "/polls/mine/"
    foreign = signed_in.post(path, sent, headers={"origin": "https://evil.example"})
    assert foreign.status_code == 403


@pytest.mark.parametrize("path", ["/login/", "/register/"])
@pytest.mark.parametrize(("name", "is_done"), [(" ADA", True), ("grace", False), ("ada2", False)])
def test_an_old_form_to_sign_another_person_in_is_not_ignored(signed_in, path, name, is_done):
    signed_in.handler.enforce_csrf_checks = True
    signed_in.get("/account/")
    sent = {"csrfmiddlewaretoken": "x" * 64, "next": "/polls/mine/", "username": name}
    response = signed_in.post(path, sent)
    assert response.status_code == (302 if is_done else 403)
    assert is_done or "we did not act on it" in response.text


@pytest.mark.parametrize("name", ["confirm", "create", "resend", "call", "recover"])
def test_an_old_form_for_a_code_goes_on_where_that_is_done(verified, name):
    verified.handler.enforce_csrf_checks = True
    verified.get("/account/")
    sent = {"csrfmiddlewaretoken": "x" * 64, "next": "/polls/mine/", "code": "123456"}
    response = verified.post(reverse(f"two_factor:{name}"), sent)
    assert response["Location"] == "/polls/mine/"


def test_an_old_form_that_does_something_else_does_nothing(verified, user):
    verified.handler.enforce_csrf_checks = True
    verified.get("/account/")
    sent = {"csrfmiddlewaretoken": "x" * 64}
    for path in ["/logout/", "/account/delete/", "/2fa/change/"]:
        assert verified.post(path, sent).status_code == 403
    assert type(user).objects.filter(pk=user.pk).exists()
    assert "_auth_user_id" in verified.session


@pytest.mark.parametrize("path", ["/nowhere/", "/login/"])
def test_a_body_that_cannot_be_read(client, path):
    client.raise_request_exception = False
    client.cookies["csrftoken"] = "a" * 32
    response = client.generic("POST", path, b"x", content_type="multipart/form-data")
    assert response.status_code in {400, 404}
    assert 'href="/static/pollstr.css"' in response.text


@pytest.mark.parametrize("key", ['"\\000aaaaaaaaaaaa"', "a" * 10_000, "ü" * 32, "' OR 1=1 --"])
def test_a_session_cookie_that_is_none(client, key):
    assert client.get("/account/", headers={"cookie": f"sessionid={key}"}).status_code == 302


@pytest.mark.parametrize("charset", ["hex", "rot13", "utf-16", "nowhere"])
def test_a_charset_that_is_none_of_ours(charset):
    environ = RequestFactory().get("/healthz").environ
    environ["CONTENT_TYPE"] = f"application/x-www-form-urlencoded; Charset={charset}"
    statuses = []
    application(environ, lambda status, headers: statuses.append(status))
    assert statuses == ["200 OK"]


def test_the_second_of_two_clicks_that_ended_the_session(client, monkeypatch):
    def interrupt(*args, **kwargs):
        raise SessionInterrupted

    monkeypatch.setattr(PollListView, "get", interrupt)
    response = client.get("/polls/?next=/polls/1/")
    assert response["Location"] == "/login/?next=/polls/1/"


def test_browsers_find_the_icon_by_themselves(client):
    assert client.get("/favicon.ico")["Location"] == "/static/icon.svg"


def test_a_request_to_another_host(client):
    response = client.get("/polls/", headers={"host": "evil.example"})
    assert response.status_code == 400
    assert is_in_the_sites_look(response, "That request made no sense")
    assert "evil" not in response.text


@pytest.fixture
def broken(monkeypatch, client):
    """A site whose list of polls raises an exception."""

    def fail(self):
        raise RuntimeError("secret trouble")

    monkeypatch.setattr(PollListView, "rows", fail)
    client.raise_request_exception = False


@pytest.mark.usefixtures("broken")
def test_a_fault_of_ours(client, signed_in):
    response = client.get("/polls/")
    assert response.status_code == 500
    assert is_in_the_sites_look(response, "Something broke on our side")
    assert "secret trouble" not in response.text


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_a_database_that_is_away(client, monkeypatch, error):
    def fail(self):
        raise error("connection to server at 10.0.0.7 failed")

    monkeypatch.setattr(PollListView, "rows", fail)
    client.raise_request_exception = False
    response = client.get("/polls/")
    assert (response.status_code, response["Retry-After"]) == (503, "10")
    assert is_in_the_sites_look(response, "Please try again in a moment")
    assert "10.0.0.7" not in response.text


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize("path", ["/polls/", "/nowhere/", "/logout/", "/login/"])
def test_every_answer_bounds_what_a_page_may_load(client, path):
    policy = client.get(path)["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("name", PAGES)
def test_every_page_bounds_what_it_may_load(signed_in, name):
    response = signed_in.get(reverse(name), follow=True)
    assert response.status_code == 200
    assert "default-src 'none'" in response["Content-Security-Policy"]
    assert response["X-Frame-Options"] == "DENY"
    assert response["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("name", PAGES)
def test_no_page_says_django(signed_in, name):
    assert "Django" not in signed_in.get(reverse(name), follow=True).text


@pytest.mark.parametrize("name", ["login", "register"])
def test_forms_for_passwords_are_kept_out_of_caches(client, name):
    assert "no-store" in client.get(reverse(name))["Cache-Control"]


@pytest.mark.parametrize("name", ["password_change", "password_change_done"])
def test_djangos_own_pages_behind_login_are_kept_out_of_caches(signed_in, name):
    assert "no-store" in signed_in.get(reverse(name))["Cache-Control"]


@pytest.mark.parametrize("name", ["password_change", "password_reset"])
def test_djangos_own_forms_take_no_put(signed_in, name):
    assert signed_in.put(reverse(name)).status_code == 405


def test_the_first_page_takes_no_post(client):
    assert client.post("/").status_code == 405
