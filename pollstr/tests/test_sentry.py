"""What a fault tells Sentry: where it was, and nothing of whom it happened to."""

import json
import logging

import pytest
import sentry_sdk
from django.core.exceptions import ImproperlyConfigured
from django.urls import reverse
from sentry_sdk.transport import Transport

from polls.listing import PollListView
from pollstr.sentry import start
from pollstr.tests.production import PRODUCTION, UNSET, run
from two_factor.views import CreateView

pytestmark = pytest.mark.django_db
NUMBER = "+12025550123"
LOADED = "import pollstr.wsgi, sys; print('sentry_sdk' in sys.modules)"


@pytest.fixture
def told():
    """Return all that is sent to Sentry, as it goes over the wire."""
    sent = []

    class Wire(Transport):
        def capture_envelope(self, envelope):
            sent.append(envelope.serialize().decode())

    start("https://key@sentry.example/1", transport=Wire)
    yield sent
    sentry_sdk.get_global_scope().set_client(None)


def event(sent) -> dict:
    return json.loads(sent.splitlines()[2])


@pytest.fixture
def broken(monkeypatch, settings, client):
    """A site that fails with a number in its hands."""
    settings.VONAGE_API_KEY, settings.VONAGE_API_SECRET = "key", "secret-key"

    def fail(self, form):
        number = str(form.cleaned_data["number"])
        raise RuntimeError(f"no way to {number}")

    monkeypatch.setattr(CreateView, "form_valid", fail)
    client.raise_request_exception = False


def fail_at_create(browser):
    url = reverse("two_factor:create")
    headers = {"user-agent": "A browser of hers", "x-forwarded-for": "10.9.8.7"}
    answer = browser.post(
        f"{url}?q=hidden", {"number": NUMBER, "next": "/r/secret/"}, headers=headers
    )
    assert answer.status_code == 500
    return answer


@pytest.mark.usefixtures("broken")
def test_a_fault_is_told_with_its_kind_its_place_and_its_request(signed_in, told):
    answer = fail_at_create(signed_in)
    [sent] = told
    [error] = event(sent)["exception"]["values"]
    assert error["type"] == "RuntimeError"
    assert error["stacktrace"]["frames"][-1]["function"] == "fail"
    assert event(sent)["transaction"] == "2fa/create/"
    assert event(sent)["tags"]["request_id"] == answer["X-Request-ID"]


@pytest.mark.usefixtures("broken")
def test_it_tells_nothing_of_the_person(signed_in, told, user):
    fail_at_create(signed_in)
    [sent] = told
    secrets = [NUMBER[1:], "no way to", "hidden", "secret", "hers", "10.9.8.7", "sessionid"]
    assert [secret for secret in secrets if secret in sent] == []
    assert {"request", "user", "breadcrumbs", "server_name", "modules", "extra"} & set(
        event(sent)
    ) == set()
    frames = event(sent)["exception"]["values"][0]["stacktrace"]["frames"]
    assert {key for frame in frames for key in frame} == {
        "filename",
        "function",
        "module",
        "lineno",
        "in_app",
    }


def test_a_path_that_is_a_secret_is_told_by_its_route(client, told, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError

    monkeypatch.setattr("pollstr.urls.ReceiptView.get", fail)
    client.raise_request_exception = False
    client.get("/r/a-receipt/?q=hidden")
    [sent] = told
    assert event(sent)["transaction"] == "r/<str:code>/"
    assert "a-receipt" not in sent
    assert "hidden" not in sent


@pytest.mark.parametrize("words", [("Sent to %s", NUMBER), (f"Sent to {NUMBER}",)])
def test_an_error_in_the_log_is_told_without_its_words(told, words):
    logging.getLogger("two_factor.client").error(*words)
    [sent] = told
    assert "two_factor.client: test_an_error_in_the_log_is_told" in event(sent)["message"]
    assert "Sent to" not in sent
    assert NUMBER[1:] not in sent


def test_an_error_in_the_wake_of_another_is_told_without_the_words_of_either(
    client, told, monkeypatch
):
    def fail(self):
        try:
            raise ValueError(NUMBER)
        except ValueError as error:
            raise RuntimeError(NUMBER) from error

    monkeypatch.setattr(PollListView, "rows", fail)
    client.raise_request_exception = False
    client.get(reverse("polls:list"))
    [sent] = told
    assert [e["type"] for e in event(sent)["exception"]["values"]] == ["ValueError", "RuntimeError"]
    assert NUMBER[1:] not in sent


def test_a_warning_is_not_told(client, told):
    logging.getLogger("two_factor.client").warning("Vonage is slow")
    client.get("/nowhere/")
    assert told == []


def test_what_strangers_send_is_not_told(client, told):
    for host in ["evil.example", "testserver:99999", "a b"]:
        client.get("/polls/", headers={"Host": host})
    client.post("/login/", {"username": "x" * 300_000})
    client.get("/polls/?" + "a=&" * 500)
    client.get("/admin/?__proto__[a]=b")
    logging.getLogger("django.security.SuspiciousOperation").warning("odd")
    assert told == []


def test_without_a_dsn_it_is_not_even_loaded():
    assert run("python", "-c", LOADED, env=UNSET | {"DEBUG": "True"}).stdout == "False\n"


def test_with_a_dsn_it_is():
    env = PRODUCTION | {"SENTRY_DSN": "https://key@127.0.0.1:9/1"}
    assert run("python", "-c", LOADED, env=env).stdout == "True\n"


def test_a_dsn_that_is_none_is_refused():
    with pytest.raises(ImproperlyConfigured, match="SENTRY_DSN cannot be read"):
        start("https://sentry.example")
