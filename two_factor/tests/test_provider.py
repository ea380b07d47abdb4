"""Every way in which Vonage may answer, or not, on a real wire: what the person sees of it."""

import os
import socket
import struct
import time
from contextlib import contextmanager
from uuid import uuid4

import pytest
from django.urls import reverse

from two_factor.mixins import VERIFIED
from two_factor.models import Limit, TwoFactor, Verification
from two_factor.steps import EXPIRED
from two_factor.views import (
    BUSY_NUMBER,
    CALLED_ALREADY,
    ON_ITS_WAY,
    OWNERS_TROUBLE,
    OWNERS_TROUBLE_CHECKING,
    REFUSED_CALL,
    REFUSED_NUMBER,
    REFUSED_START,
    UNCHECKED,
    UNCLEAR_CALL,
    UNCLEAR_START,
    UNREACHABLE,
    VOID,
    WRONG_CODE,
)

from .pages import field_errors, page, sentences
from .vonage import PROVIDERS_WORDS, REQUEST_ID

pytest_plugins = ["two_factor.tests.fake_vonage"]
pytestmark = pytest.mark.django_db

NUMBER, CODE = "+12025550123", "482913"
PROBLEM = {"type": "about:blank", "title": "No", "detail": PROVIDERS_WORDS, "instance": "bf0c"}
SENT = "A text message with 6 digits goes to"
CALLING = "We are calling you now."
VERIFIED_NOW = "Your phone is verified in this browser."
ASKS_FOR_NUMBER = "Phone number"
# Seconds. What is QUICK waits neither for a timeout of 5 nor for a Retry-After of 60; what has its
# ONE_TIMEOUT of 1 waits for no answer that drips for 10. The rest is for a busy machine.
QUICK, ONE_TIMEOUT = 4.5, 4.5


def raw(head: str, *pieces: bytes, pause=0.0):
    """Answer these bytes as they stand, then close the connection."""

    def answer(request):
        request.connection.sendall(head.replace("\n", "\r\n").encode())
        for piece in pieces:
            time.sleep(pause)
            request.connection.sendall(piece)

    return answer


def status(code, body=PROBLEM):
    return lambda request: (code, body)


def text(code, body: str, extra=""):
    head = f"HTTP/1.1 {code} Whatever\nConnection: close\nContent-Length: {len(body)}\n{extra}\n"
    return raw(head, body.encode())


def reset(request):
    """End the connection as a crashed machine does."""
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(request.connection.detach())


def drop(request):
    """Close the connection without an answer."""


DRIP = 100 * [b" "]
OWNERS = {
    **{code: status(code) for code in [401, 402, 403]},
    "401 empty": text(401, ""),
}
REFUSALS = {
    **{code: status(code) for code in [418, 429]},
    "429, Retry-After": text(429, "{}", "Retry-After: 60\n"),
    "302 to nowhere": text(302, ""),
}
UNCLEAR = {
    **{code: status(code) for code in [500, 502, 503, 504]},
    "500 html": text(500, f"<h1>{PROVIDERS_WORDS}</h1>"),
    "503, Retry-After": text(503, "{}", "Retry-After: 60\n"),
    "dropped": drop,
    "reset": reset,
    "cut short": raw('HTTP/1.1 200 OK\nContent-Length: 500\n\n{"request_id": "c11'),
    "not HTTP": raw("SSH-2.0-OpenSSH_9.9\n"),
    "endless header": raw("HTTP/1.1 200 OK\nX-Junk: " + "x" * 70_000),
    "endless nesting": text(200, "[" * 100_000),
}
UNREADABLE = {
    "html": text(200, f"<h1>{PROVIDERS_WORDS}</h1>"),
    "empty": text(200, ""),
    "null": text(200, "null"),
    "list": text(200, "[]"),
    "text": text(200, '"completed"'),
    "204": raw("HTTP/1.1 204 No Content\nConnection: close\n\n"),
    "junk": text(200, '{"unexpected": true}'),
    "junk id": text(200, '{"request_id": "../x", "status": "failed"}'),
    "not UTF-8": raw("HTTP/1.1 200 OK\nContent-Length: 2\n\n", b"\xff\xfe"),
}
SLOW = {
    "hang": lambda request: time.sleep(10),
    "slow head": raw("HTTP/1.1 200 OK\nX: ", *DRIP, pause=0.1),
    "slow body": raw("HTTP/1.1 200 OK\nContent-Length: 99\n\n", *DRIP, pause=0.1),
}


def rows(answers, sentence):
    return [pytest.param(answer, sentence, id=str(name)) for name, answer in answers.items()]


STARTS = [
    *rows({"202": lambda request: (202, {"request_id": str(uuid4())})}, SENT),
    *rows(OWNERS, OWNERS_TROUBLE),
    *rows(REFUSALS | {name: status(name) for name in [400, 404, 410]}, REFUSED_START),
    *rows({422: status(422)}, REFUSED_NUMBER),
    *rows(
        {409: status(409), "409 of another": status(409, PROBLEM | {"request_id": REQUEST_ID})},
        BUSY_NUMBER,
    ),
    *rows(UNCLEAR | UNREADABLE, UNCLEAR_START),
]
CHECKS = [
    *rows({"200": status(200, {"request_id": REQUEST_ID, "status": "completed"})}, VERIFIED_NOW),
    *rows({400: status(400), "400 empty": text(400, "")}, WRONG_CODE),
    *rows({404: status(404)}, EXPIRED),
    *rows({410: status(410)}, VOID),
    *rows(OWNERS, OWNERS_TROUBLE_CHECKING),
    *rows(REFUSALS | {name: status(name) for name in [409, 422]}, UNCHECKED),
    *rows(UNCLEAR | UNREADABLE, UNCHECKED),
    *rows({"failed": status(200, {"request_id": REQUEST_ID, "status": "failed"})}, UNCHECKED),
]
CALLS = [
    # The API documents no body of this answer: any will do.
    *rows({"200": text(200, "")} | UNREADABLE, CALLING),
    *rows({404: status(404)}, EXPIRED),
    *rows({409: status(409)}, CALLED_ALREADY),
    *rows(OWNERS, OWNERS_TROUBLE),
    *rows(REFUSALS, REFUSED_CALL),
    *rows(UNCLEAR, UNCLEAR_CALL),
]
CANCELS = [
    *rows({"204": raw("HTTP/1.1 204 No Content\nConnection: close\n\n")}, ASKS_FOR_NUMBER),
    *rows(
        OWNERS | REFUSALS | UNCLEAR | {name: status(name) for name in [404, 409]}, ASKS_FOR_NUMBER
    ),
]
RESENDS = [*rows({404: status(404)} | OWNERS | REFUSALS | UNCLEAR, "A new code is on its way.")]


@pytest.fixture
def impatient(settings):
    """Give up each call after a second; whatever else is quick, even on a busy machine."""
    settings.VONAGE_TIMEOUT = 1


@pytest.fixture
def start(signed_in, fake_vonage):
    return lambda: signed_in.post(
        reverse("two_factor:create"), {"number": NUMBER, "next": "/polls/"}, follow=True
    )


@pytest.fixture
def step(signed_in, fake_vonage, start):
    """Take a step with a code under way; the server's requests of the start do not count."""
    start()
    Verification.objects.update(request_id=REQUEST_ID)
    TwoFactor.objects.update(next_send_at=None)
    fake_vonage.requests.clear()

    def take(name, **data):
        url = reverse(f"two_factor:{name}")
        return signed_in.post(url, data | {"next": "/polls/"}, follow=True)

    return take


@contextmanager
def within(seconds):
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


def assert_told(response, sentence, browser):
    assert response.status_code == 200
    assert sentence in sentences(response) + field_errors(response) + page(response)
    assert browser.get(reverse("account")).status_code == 200
    assert (VERIFIED in browser.session) == (sentence == VERIFIED_NOW)
    for secret in [PROVIDERS_WORDS, REQUEST_ID, "shared-secret"]:
        assert secret not in page(response)


@pytest.mark.parametrize(("answer", "sentence"), STARTS)
def test_a_start_is_made_once_and_told(start, signed_in, fake_vonage, answer, sentence, request):
    if "of another" in request.node.callspec.id:
        request.getfixturevalue("code_of_another_user")(request_id=REQUEST_ID)
    fake_vonage.handler = answer
    with within(QUICK):
        response = start()
    assert_told(response, sentence, signed_in)
    assert len(fake_vonage.requests) == 1


@pytest.mark.parametrize(("answer", "sentence"), CHECKS)
def test_a_check_is_made_once_and_told(step, signed_in, fake_vonage, answer, sentence):
    fake_vonage.handler = answer
    with within(QUICK):
        response = step("confirm", code=CODE)
    assert_told(response, sentence, signed_in)
    assert [request.body for request in fake_vonage.requests] == [{"code": CODE}]


@pytest.mark.parametrize(("answer", "sentence"), CALLS)
def test_a_call_is_asked_for_once_and_told(step, signed_in, fake_vonage, answer, sentence):
    fake_vonage.handler = answer
    with within(QUICK):
        response = step("call")
    assert_told(response, sentence, signed_in)
    paths = [request.path for request in fake_vonage.requests]
    assert paths == [f"/v2/verify/{REQUEST_ID}/next_workflow"]


@pytest.mark.parametrize(("answer", "sentence"), CANCELS)
def test_a_cancellation_is_made_once_and_told(step, signed_in, fake_vonage, answer, sentence):
    fake_vonage.handler = answer
    with within(QUICK):
        response = step("cancel")
    assert_told(response, sentence, signed_in)
    assert [request.method for request in fake_vonage.requests] == ["DELETE"]


@pytest.mark.parametrize(("answer", "sentence"), RESENDS)
def test_a_code_is_sent_again_though_the_old_one_stays(
    step, signed_in, fake_vonage, answer, sentence
):
    fake_vonage.handlers[f"/v2/verify/{REQUEST_ID}"] = answer
    with within(QUICK):
        response = step("resend")
    assert_told(response, sentence, signed_in)
    assert [request.method for request in fake_vonage.requests] == ["DELETE", "POST"]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("answer", SLOW.values(), ids=SLOW)
@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("confirm", {"code": CODE}, UNCHECKED),
        ("call", {}, UNCLEAR_CALL),
        ("cancel", {}, ASKS_FOR_NUMBER),
    ],
    ids=["check", "call", "cancel"],
)
def test_a_slow_answer_is_given_up(step, signed_in, fake_vonage, answer, name, data, sentence):
    fake_vonage.handler = answer
    with within(ONE_TIMEOUT):
        response = step(name, **data)
    assert_told(response, sentence, signed_in)
    assert len(fake_vonage.requests) == 1


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("answer", SLOW.values(), ids=SLOW)
def test_a_slow_answer_to_a_start_is_given_up(start, signed_in, fake_vonage, answer):
    fake_vonage.handler = answer
    with within(ONE_TIMEOUT):
        response = start()
    assert_told(response, UNCLEAR_START, signed_in)
    assert len(fake_vonage.requests) == 1


def test_an_answer_within_its_time_may_come_in_pieces(start, signed_in, fake_vonage):
    body = f'{{"request_id": "{REQUEST_ID}"}}'
    pieces = [body[:20].encode(), body[20:].encode()]
    fake_vonage.handler = raw(
        f"HTTP/1.1 202 Accepted\nContent-Length: {len(body)}\n\n", *pieces, pause=0.2
    )
    assert_told(start(), SENT, signed_in)


def test_after_an_unanswered_start_its_own_verification_goes_on(start, signed_in, fake_vonage):
    fake_vonage.handler = drop
    start()
    Verification.objects.update(started_at="2026-01-01T00:00Z")
    TwoFactor.objects.update(next_send_at=None)
    fake_vonage.handler = status(409, PROBLEM | {"request_id": REQUEST_ID})
    assert_told(start(), ON_ITS_WAY, signed_in)
    assert str(Verification.objects.get().request_id) == REQUEST_ID


def test_after_wrong_codes_the_right_one_counts_on_the_same_connection(
    step, signed_in, fake_vonage
):
    answers = iter([400, 400])
    completed = {"request_id": REQUEST_ID, "status": "completed"}
    fake_vonage.handler = lambda request: (next(answers, 200), completed)
    told = [WRONG_CODE, WRONG_CODE, VERIFIED_NOW]
    for sentence in told:
        assert_told(step("confirm", code=CODE), sentence, signed_in)
    assert len({request.client for request in fake_vonage.requests}) == 1


def nobody_listens(settings, monkeypatch):
    with socket.create_server(("localhost", 0)) as spare:
        settings.VONAGE_API_HOST = f"localhost:{spare.getsockname()[1]}"


def no_such_host(settings, monkeypatch):
    settings.VONAGE_API_HOST = "vonage.invalid"


def certificate_of_a_stranger(settings, monkeypatch):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")


def missing_certificates(settings, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/missing.pem")


def dead_proxy(settings, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://localhost:9")


def spaces_in_the_host(settings, monkeypatch):
    settings.VONAGE_API_HOST = "not a host"


TROUBLES_ON_THE_WAY = [
    nobody_listens,
    no_such_host,
    certificate_of_a_stranger,
    missing_certificates,
    dead_proxy,
    spaces_in_the_host,
]


@pytest.mark.parametrize("trouble", TROUBLES_ON_THE_WAY)
def test_a_start_that_does_not_reach_vonage_is_told(
    start, signed_in, fake_vonage, settings, monkeypatch, trouble
):
    trouble(settings, monkeypatch)
    with within(ONE_TIMEOUT):
        response = start()
    assert_told(response, UNREACHABLE, signed_in)
    assert fake_vonage.requests == []
    assert not Verification.objects.exists()
    assert not Limit.objects.filter(count__gt=0).exists()
    assert TwoFactor.objects.get().seconds_to_next_send == 0


@pytest.mark.parametrize("trouble", TROUBLES_ON_THE_WAY)
def test_a_check_that_does_not_reach_vonage_is_told(
    step, signed_in, fake_vonage, settings, monkeypatch, trouble
):
    trouble(settings, monkeypatch)
    with within(ONE_TIMEOUT):
        response = step("confirm", code=CODE)
    assert_told(response, UNCHECKED, signed_in)
    assert fake_vonage.requests == []


@pytest.mark.usefixtures("impatient")
def test_a_handshake_that_is_never_answered_is_given_up(start, signed_in, settings):
    with socket.create_server(("localhost", 0)) as silent, within(ONE_TIMEOUT):
        settings.VONAGE_API_HOST = f"localhost:{silent.getsockname()[1]}"
        assert_told(start(), UNREACHABLE, signed_in)
