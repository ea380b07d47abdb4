"""The headers of every kind of answer, and the cookies."""

from contextlib import closing

import pytest
from django.urls import reverse

from polls.tests.factories import PollFactory
from pollstr.tests.production import PRODUCTION
from pollstr.tests.test_settings import settings_with

pytestmark = pytest.mark.django_db
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
OPEN = ["/polls/", "/login/", "/register/", "/password_reset/", "/2fa/limits/", "/healthz"]
SIGNED_IN = [
    "/account/",
    "/account/email/",
    "/account/email/x/",
    "/account/sign-out-others/",
    "/logout/",
    "/account/delete/",
    "/password_change/",
    "/2fa/",
]
SIGNED_IN += ["/2fa/recovery-codes/"]
FAILING = {"/nowhere/": 404, "/2fa/webhook/": 405, "/r/x/": 404, "/polls/999/integrity/": 404}


def assert_fenced(response):
    told = {name: response.get(name) for name in HEADERS}
    assert told == HEADERS
    for device in ["camera", "geolocation", "microphone", "payment"]:
        assert f"{device}=()" in response["Permissions-Policy"]
    for banner in ["Server", "X-Powered-By"]:
        assert banner not in response


@pytest.mark.parametrize("path", OPEN)
def test_pages_for_everybody(client, path):
    response = client.get(path)
    assert response.status_code == 200
    assert_fenced(response)


@pytest.mark.parametrize("path", SIGNED_IN)
def test_pages_behind_the_login(verified, path):
    response = verified.get(path)
    assert response.status_code == 200
    assert_fenced(response)
    assert "no-store" in response["Cache-Control"]


@pytest.mark.parametrize("page", ["ballot", "results", "results_json", "results_csv", "integrity"])
def test_pages_of_a_poll(verified, page):
    response = verified.get(PollFactory().url(page))
    assert response.status_code == 200
    assert_fenced(response)


@pytest.mark.parametrize("path", FAILING)
def test_answers_that_are_errors(signed_in, path):
    response = signed_in.get(path)
    assert response.status_code == FAILING[path]
    assert_fenced(response)


@pytest.mark.parametrize("path", ["/", "/account/", "/polls/1/", "/admin/", "/favicon.ico"])
def test_redirects(client, path):
    response = client.get(path)
    assert response.status_code == 302
    assert_fenced(response)


def test_the_admin(verified, user):
    user.is_staff = user.is_superuser = True
    user.save()
    response = verified.get(reverse("admin:index"))
    assert response.status_code == 200
    assert_fenced(response)


def test_a_page_that_breaks(client, monkeypatch):
    monkeypatch.setattr("polls.listing.PollListView.rows", lambda self: 1 / 0)
    client.raise_request_exception = False
    response = client.get("/polls/")
    assert response.status_code == 500
    assert_fenced(response)


def test_static_files_are_fenced_too(client, settings):
    settings.WHITENOISE_USE_FINDERS = True
    with closing(client.get("/static/pollstr.css")) as response:
        assert response.status_code == 200
        assert response["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "camera=()" in response["Permissions-Policy"]


def test_over_https_browsers_are_told_to_stay_there(client, settings):
    settings.SECURE_HSTS_SECONDS = 31536000
    response = client.get("/polls/", secure=True)
    assert response["Strict-Transport-Security"].startswith("max-age=31536000")


def test_in_production_cookies_are_of_this_host_and_https_alone():
    production = settings_with(**PRODUCTION)
    for kind, name in [("SESSION", "sessionid"), ("CSRF", "csrftoken")]:
        assert production[f"{kind}_COOKIE_NAME"] == f"__Host-{name}"
        assert production[f"{kind}_COOKIE_SECURE"] is True
    assert production["MESSAGES_COOKIE_NAME"] == "__Host-messages"


def test_without_https_cookies_have_names_that_browsers_take():
    plain = settings_with(**PRODUCTION | {"SECURE_SSL_REDIRECT": "False"})
    names = [plain[f"{kind}_COOKIE_NAME"] for kind in ["SESSION", "CSRF", "MESSAGES"]]
    assert names == ["sessionid", "csrftoken", "messages"]


def test_no_script_reads_the_token_of_forms(client):
    assert client.get("/login/").cookies["csrftoken"]["httponly"] is True


def test_a_session_cookie_is_kept_from_scripts_and_other_sites(client, user):
    user.set_password("correct horse battery")
    user.save()
    client.post("/login/", {"username": "ada", "password": "correct horse battery"})
    cookie = client.cookies["sessionid"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"], cookie["domain"]) == (
        True,
        "Lax",
        "/",
        "",
    )
