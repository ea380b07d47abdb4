"""The pages that the law asks for say what is true of this site."""

import pytest
from django.urls import reverse

from conftest import verify
from polls.models import Ballot
from polls.tests.factories import PollFactory
from pollstr.devices import COOKIE_NAME

pytestmark = pytest.mark.django_db
PAGES = ["privacy", "terms", "imprint", "accessibility"]
OPERATOR = {
    "name": "Poll Office <Ltd>",
    "address": "1 Poll Street\nLondon",
    "email": "office@polls.example.com",
    "details": "Registered in London\nVAT 123",
    "hosting": "Example Hosting, Ireland",
}
# Each of them is necessary for what the person asks for, so no banner is needed (ePrivacy 5 (3)).
NECESSARY = {"sessionid", "csrftoken", "messages", "language", "device"}


def get(client, name):
    response = client.get(reverse(name))
    assert response.status_code == 200
    return response


@pytest.mark.parametrize("name", PAGES)
def test_every_page_leads_there(client, name):
    for page in [reverse("polls:list"), reverse("login"), "/no-such-page/"]:
        assert f'href="{reverse(name)}"' in client.get(page).text


@pytest.mark.parametrize("name", PAGES)
def test_a_stranger_reads_it_without_a_cookie(client, name):
    assert not get(client, name).cookies


@pytest.mark.parametrize("name", PAGES)
def test_it_takes_no_post(client, name):
    assert client.post(reverse(name)).status_code == 405


@pytest.mark.parametrize("name", ["privacy", "terms", "imprint"])
def test_it_names_the_operator(client, settings, name):
    settings.OPERATOR = OPERATOR
    text = get(client, name).text
    assert "Poll Office &lt;Ltd&gt;" in text
    assert "1 Poll Street<br>London" in text
    assert 'href="mailto:office@polls.example.com"' in text


@pytest.mark.parametrize("name", ["privacy", "imprint"])
def test_it_admits_that_nobody_is_named(client, name):
    assert "has not yet said here who they are" in get(client, name).text


def test_the_imprint_says_what_else_the_operator_must_say(client, settings):
    settings.OPERATOR = OPERATOR
    assert "<p>Registered in London<br>VAT 123</p>" in get(client, "imprint").text


def test_privacy_tells_the_days_that_settings_say(client, settings):
    settings.VERIFY_HISTORY_DAYS = 77
    settings.SESSION_COOKIE_AGE = 5 * 24 * 60 * 60
    text = get(client, "privacy").text
    assert (
        "internet address. It shows fraud, and lets you see what happened in your name. 77 days."
        in text
    )
    assert "typed before that. 5 days." in text


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("SENDS_MAIL", True, "The mail server gets your email address"),
        ("SENTRY_DSN", "https://key@sentry.example.com/1", "Sentry gets reports about faults"),
        ("OPERATOR", OPERATOR, "Example Hosting, Ireland"),
    ],
)
def test_privacy_tells_who_else_gets_something(client, settings, setting, value, words):
    settings.SENDS_MAIL, settings.SENTRY_DSN = False, ""
    assert words not in get(client, "privacy").text
    setattr(settings, setting, value)
    assert words in get(client, "privacy").text


def test_privacy_names_each_cookie(client, settings):
    names = [settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME]
    names += [settings.MESSAGES_COOKIE_NAME, settings.LANGUAGE_COOKIE_NAME, COOKIE_NAME]
    text = get(client, "privacy").text
    assert all(f"<code>{name}</code>" in text for name in names)


def test_the_whole_way_sets_necessary_cookies_only(client, two_factor):
    """From the list over an account to a vote and the account's end; a browser's own: conftest."""
    poll, seen = PollFactory(), set()

    def note(response):
        seen.update(response.cookies)
        return response

    note(client.get("/polls/"))
    note(client.get(reverse("share", args=[poll.slug])))
    note(client.get("/login/"))
    client.force_login(two_factor.user)
    seen.update(client.cookies)
    verify(client, two_factor)
    note(client.get(poll.get_absolute_url()))
    choice = poll.choices.first().pk
    note(client.post(reverse("polls:vote", args=[poll.pk]), {"choice": choice}))
    assert Ballot.objects.count() == 1
    note(client.get(poll.url("results")))
    note(client.get("/account/"))
    note(client.post("/logout/"))
    assert {"sessionid", "csrftoken", "messages"} <= seen <= NECESSARY
