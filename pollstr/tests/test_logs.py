"""The log of a site in production: one line of JSON a request, without personal data."""

import json
import logging

import pytest
from django.db import IntegrityError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from polls.tests.factories import PollFactory
from pollstr.log_format import JsonFormatter
from pollstr.tests.production import PRODUCTION
from pollstr.tests.test_settings import settings_with

pytestmark = pytest.mark.django_db


@pytest.fixture
def lines(caplog):
    """Return the lines that the log has now."""
    caplog.set_level(logging.INFO, "pollstr.requests")
    caplog.handler.setFormatter(JsonFormatter())
    # A request's id is known while it lasts, so a line is made as it is logged.
    written = []
    emit = caplog.handler.emit

    def write(record):
        written.append(json.loads(caplog.handler.format(record)))
        emit(record)

    caplog.handler.emit = write
    yield lambda: written
    del caplog.handler.emit


def test_a_request_is_one_line(client, lines):
    PollFactory(question="Is it hidden?")
    with CaptureQueriesContext(connection) as queries:
        client.get(reverse("polls:list"), {"q": "hidden"})
    [line] = lines()
    assert line["message"] == "request"
    assert (line["method"], line["route"], line["status"]) == ("GET", "polls/", 200)
    assert line["queries"] == len(queries) > 1
    assert 0 < line["queries_ms"] < line["ms"]
    assert "hidden" not in json.dumps(line)


@pytest.mark.parametrize(
    ("path", "route", "status"),
    [
        ("/nowhere/hidden/", None, 404),
        ("/r/hidden/", "r/<str:code>/", 404),
        ("/reset/hidden/hidden/", "reset/<uidb64>/<token>/", 200),
        ("/polls/1/?link=hidden", "polls/<id:pk>/", 302),
    ],
)
def test_a_path_is_told_by_its_route_alone(client, lines, path, route, status):
    client.get(path)
    assert [(line["route"], line["status"]) for line in lines()] == [(route, status)]
    assert "hidden" not in json.dumps(lines())


def test_lines_of_one_request_have_one_id_which_the_answer_tells(client, lines):
    responses = [client.get("/polls/") for _ in range(2)]
    assert [line["request_id"] for line in lines()] == [r["X-Request-ID"] for r in responses]
    assert len({line["request_id"] for line in lines()}) == 2


@pytest.mark.parametrize(
    ("proxies", "given", "is_logged"),
    [
        (1, "01234567-89ab-cdef-0123-456789abcdef", True),
        (0, "01234567-89ab-cdef-0123-456789abcdef", False),
        (1, 'x"} {"level": "ERROR"', False),
        (1, "x" * 65, False),
    ],
)
def test_the_id_of_a_proxy_is_logged_beside_our_own(
    client, settings, lines, proxies, given, is_logged
):
    settings.TRUSTED_PROXIES = proxies
    response = client.get("/polls/", headers={"X-Request-ID": given})
    [line] = lines()
    assert (line.get("proxy_request_id") == given) is is_logged
    # Clients can send the header, too: what belongs together is known by an id of our own.
    assert response["X-Request-ID"] == line["request_id"] != given


@pytest.mark.parametrize(
    "headers",
    [
        {"Referer": "https://www.testserver/reset/hidden/hidden/"},
        {"Referer": "https://www.testserver/p/hidden/ (: x) hidden"},
        {"Origin": "https://hidden.example"},
        {"Origin": "hidden: hidden"},
    ],
)
def test_a_form_of_another_site_is_told_without_its_address(lines, headers):
    client = Client(enforce_csrf_checks=True)
    response = client.post(reverse("login"), headers=headers, secure=True)
    assert response.status_code == 403
    refused, request = lines()
    assert "checking failed - it does not match any trusted origins" in refused["message"]
    assert refused["request_id"] == request["request_id"]
    assert "hidden" not in json.dumps(lines())


def test_what_breaks_is_told_without_what_it_says(client, lines, monkeypatch):
    def breaks(self):
        raise IntegrityError("Key (number)=(+12025550123) already exists")

    monkeypatch.setattr("polls.listing.PollListView.rows", breaks)
    client.raise_request_exception = False
    client.get("/polls/", {"q": "hidden"})
    broken, request = lines()
    assert broken["message"] == "Internal Server Error"
    assert broken["exception"]["type"] == "IntegrityError"
    assert broken["exception"]["frames"][-1].endswith(" breaks")
    assert broken["request_id"] == request["request_id"]
    assert request["status"] == 500
    for secret in ["5550123", "hidden"]:
        assert secret not in json.dumps(lines())


def test_other_records_name_the_request_they_belong_to(client, lines, monkeypatch):
    def speak(self):
        logging.getLogger("polls").warning("Something %s", "odd")
        return []

    monkeypatch.setattr("polls.listing.PollListView.rows", speak)
    client.get("/polls/")
    odd, request = lines()
    assert (odd["message"], odd["level"]) == ("Something odd", "WARNING")
    assert odd["request_id"] == request["request_id"]


def test_outside_of_requests_there_is_no_id(lines):
    logging.getLogger("polls").warning("Something odd")
    assert lines()[0]["request_id"] is None


@pytest.mark.parametrize("method", ['X"}', "WORDS", "A" * 30_000])
def test_a_method_that_is_made_up_writes_nothing_into_the_log(client, lines, method):
    client.generic(method, "/polls/")
    assert [line["method"] for line in lines()] == ["?"]


def test_in_production_the_log_is_json_and_in_development_for_people():
    def formatter(**variables):
        return settings_with(**variables)["LOGGING"]["handlers"]["console"]["formatter"]

    assert formatter(**PRODUCTION) == "json"
    assert formatter(DEBUG="True") == "plain"
