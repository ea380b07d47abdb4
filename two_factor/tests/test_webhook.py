import hashlib
import json
import logging
from threading import Barrier
from uuid import uuid4

import jwt
import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from two_factor import webhooks
from two_factor.history import Event
from two_factor.models import CHANNEL_TIMEOUT, Verification, WebhookToken
from two_factor.webhooks import MAX_BODY

from .pages import page, sentences
from .parallel import in_parallel
from .vonage import OTHER_REQUEST_ID, REQUEST_ID

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
URL = reverse("two_factor:webhook")
SECRET = "the signature secret of the account"
NOT_DELIVERED = "The message could not be delivered. Let us call you instead."
CALL_FAILED = "The call did not get through. Try a new code, or another number."
OUTCOMES = (Event.Kind.DELIVERED, Event.Kind.UNDELIVERED)


@pytest.fixture(autouse=True)
def signature_secret(settings):
    settings.VONAGE_SIGNATURE_SECRET = SECRET


def event(status="failed", **values):
    return {
        "request_id": REQUEST_ID,
        "triggered_at": "2026-06-01T12:00:01.000Z",
        "type": "event",
        "channel": "sms",
        "status": status,
        "finalized_at": "2026-06-01T12:00:02.000Z",
        "client_ref": "my-personal-ref",
        **values,
    }


def summary(status="failed", steps=(("sms", "failed"), ("voice", "unused")), **values):
    times = {"initiated_at": "2026-06-01T12:00:01.000Z"}
    return {
        "request_id": REQUEST_ID,
        "submitted_at": "2026-06-01T12:00:00.000Z",
        "status": status,
        "type": "summary",
        "channel_timeout": CHANNEL_TIMEOUT,
        "workflow": [{"channel": channel, "status": how} | times for channel, how in steps],
        "price": "0.10000000",
        "client_ref": "my-personal-ref",
        **values,
    }


def as_bytes(news) -> bytes:
    return news if isinstance(news, bytes) else json.dumps(news).encode()


def claims(body: bytes, **changed) -> dict:
    """Return what Vonage signs; a claim that is changed to None is left out."""
    values = {
        "iat": int(timezone.now().timestamp()),
        "jti": str(uuid4()),
        "iss": "Vonage",
        "payload_hash": hashlib.sha256(body).hexdigest(),
        "api_key": "abcd1234",
        "application_id": str(uuid4()),
    }
    return {name: value for name, value in (values | changed).items() if value is not None}


def signed(body: bytes, **changed) -> str:
    # Not jwt.encode, which would refuse to sign some of the junk.
    payload = json.dumps(claims(body, **changed)).encode()
    return f"Bearer {jwt.api_jws.encode(payload, SECRET, headers={'typ': 'JWT'})}"


def post(body: bytes, authorization=None, url=URL):
    # A browser of its own: without cookies, and as strict about CSRF as the site is.
    headers = {} if authorization is None else {"Authorization": authorization}
    vonage = Client(enforce_csrf_checks=True)
    return vonage.post(url, body, content_type="application/json", headers=headers)


def tell(news, **changed):
    body = as_bytes(news)
    return post(body, signed(body, **changed))


def test_an_address_without_its_slash_is_no_redirect(awaiting_code):
    body = as_bytes(event())
    assert post(body, signed(body), url=URL.rstrip("/")).status_code == 204
    assert post(body, url=URL.rstrip("/")).status_code == 401


def delivery_of(browser) -> str:
    return browser.get(reverse("two_factor:delivery")).content.decode()


def outcomes() -> list:
    found = Event.objects.filter(kind__in=OUTCOMES).order_by("pk")
    return list(found.values_list("kind", "channel"))


@pytest.mark.parametrize("news", [event(), summary()], ids=["event", "summary"])
def test_a_message_that_failed_is_told_on_the_code_page(awaiting_code, news):
    assert tell(news).status_code == 204
    assert NOT_DELIVERED in sentences(awaiting_code.get(reverse("two_factor:verify")))


def test_the_delivery_can_be_asked_for_alone(awaiting_code):
    assert delivery_of(awaiting_code).strip() == ""
    tell(event())
    fragment = delivery_of(awaiting_code)
    assert NOT_DELIVERED in fragment
    assert fragment.strip().startswith("<p")
    assert fragment.count("<") == 2


@pytest.mark.parametrize("status", ["failed", "rejected", "user_rejected", "blocked"])
def test_each_way_to_fail_counts_as_not_delivered(awaiting_code, status):
    tell(event(status))
    assert NOT_DELIVERED in delivery_of(awaiting_code)
    assert outcomes() == [("undelivered", "sms")]


@pytest.mark.parametrize("status", ["completed", "expired", "action_pending", "something new"])
def test_other_news_does_not_say_that_it_failed(awaiting_code, status):
    assert tell(event(status)).status_code == 204
    assert NOT_DELIVERED not in delivery_of(awaiting_code)


def test_a_delivery_is_recorded(awaiting_code, user):
    tell(event("completed"))
    recorded = Event.objects.get(kind=Event.Kind.DELIVERED)
    assert (recorded.user, recorded.channel, recorded.number) == (user, "sms", "•••• ••23")


def test_a_delivery_after_all_takes_the_failure_back(awaiting_code):
    tell(event())
    tell(event("completed"))
    assert NOT_DELIVERED not in delivery_of(awaiting_code)
    assert outcomes() == [("undelivered", "sms"), ("delivered", "sms")]


@pytest.mark.parametrize("status", ["failed", "completed"])
def test_the_same_news_under_a_new_token_is_recorded_once(awaiting_code, status):
    statuses = [tell(event(status)).status_code for _ in range(3)]
    assert statuses == [204] * 3
    assert len(outcomes()) == 1


def test_a_summary_repeats_what_an_event_told(awaiting_code):
    tell(event())
    tell(summary())
    assert outcomes() == [("undelivered", "sms")]


def test_of_a_summary_the_last_channel_that_was_used_counts(awaiting_code):
    tell(summary("completed", [("sms", "failed"), ("voice", "completed")]))
    assert outcomes() == [("delivered", "voice")]
    assert NOT_DELIVERED not in delivery_of(awaiting_code)


def test_a_code_that_nobody_typed_was_not_undelivered(awaiting_code):
    tell(summary("expired", [("sms", "expired"), ("voice", "expired")]))
    assert outcomes() == []


def test_a_new_code_is_not_held_for_undelivered(awaiting_code, clock):
    tell(event())
    clock.shift(30)
    awaiting_code.post(reverse("two_factor:resend"))
    assert NOT_DELIVERED not in delivery_of(awaiting_code)
    tell(event())
    assert outcomes() == [("undelivered", "sms")] * 2


def test_a_message_that_failed_before_the_call_was_asked_for_changes_nothing(awaiting_code, clock):
    clock.shift(30)
    awaiting_code.post(reverse("two_factor:call"))
    assert tell(event()).status_code == 204
    assert delivery_of(awaiting_code).strip() == ""
    assert outcomes() == []


def test_a_message_that_failed_is_old_news_once_vonage_calls_by_itself(awaiting_code, clock):
    clock.shift(CHANNEL_TIMEOUT)
    tell(event())
    assert delivery_of(awaiting_code).strip() == ""


@pytest.mark.parametrize("seconds", [20, CHANNEL_TIMEOUT])
def test_a_call_that_vonage_made_by_itself_may_fail_too(awaiting_code, clock, seconds):
    clock.shift(seconds)
    tell(event(channel="voice"))
    assert CALL_FAILED in delivery_of(awaiting_code)
    assert outcomes() == [("undelivered", "voice")]


def test_message_and_call_may_both_fail(awaiting_code):
    tell(event())
    tell(event(channel="voice"))
    assert outcomes() == [("undelivered", "sms"), ("undelivered", "voice")]


def test_it_changes_nothing_for_others(awaiting_code, code_of_another_user):
    theirs = code_of_another_user(request_id=OTHER_REQUEST_ID)
    tell(event())
    theirs.refresh_from_db()
    assert not theirs.is_undelivered


@pytest.mark.parametrize("status", ["failed", "completed", "blocked"])
def test_a_request_that_nobody_knows_is_no_trouble(db, status):
    assert tell(event(status)).status_code == 204
    assert not Event.objects.exists()


@pytest.mark.parametrize(
    "news",
    [event("blocked"), summary("blocked", [("sms", "blocked"), ("voice", "unused")])],
    ids=["event", "summary"],
)
def test_a_blocked_network_is_the_owners_to_mend(awaiting_code, caplog, news):
    tell(news)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "blocks messages" in caplog.text
    assert NOT_DELIVERED in delivery_of(awaiting_code)


def test_a_blocked_request_may_list_no_channel_as_used(awaiting_code):
    tell(summary("blocked", [("sms", "unused"), ("voice", "unused")]))
    assert NOT_DELIVERED in delivery_of(awaiting_code)


def assert_refused(response):
    assert response.status_code == 401
    assert "cannot be trusted" in page(response)
    assert not Event.objects.filter(kind__in=OUTCOMES).exists()
    assert not WebhookToken.objects.exists()
    assert not Verification.objects.filter(is_undelivered=True).exists()


def test_a_token_counts_once(awaiting_code):
    body = as_bytes(event())
    authorization = signed(body)
    assert post(body, authorization).status_code == 204
    assert post(body, authorization).status_code == 401


def test_a_token_is_remembered_as_long_as_it_is_young(awaiting_code, clock):
    now = int(timezone.now().timestamp())
    tell(event(), jti="one", iat=now + 300)
    clock.shift(600)
    tell(event(), jti="two")
    assert tell(event(), jti="one", iat=now + 300).status_code == 401


def test_a_token_is_known_again_by_its_id(awaiting_code):
    assert tell(event(), jti="one").status_code == 204
    assert tell(event("completed"), jti="one").status_code == 401
    assert outcomes() == [("undelivered", "sms")]


@pytest.mark.django_db(transaction=True)
def test_of_the_same_token_twice_at_once_one_counts(awaiting_code):
    body = as_bytes(event())
    authorization = signed(body)
    statuses = in_parallel(8, lambda: post(body, authorization).status_code)
    assert sorted(statuses) == [204] + [401] * 7
    assert len(outcomes()) == 1


@pytest.mark.django_db(transaction=True)
def test_the_same_news_twice_at_once_is_recorded_once(awaiting_code):
    body = as_bytes(event())
    barrier = Barrier(8)

    def tell_together():
        authorization = signed(body)
        barrier.wait()
        return post(body, authorization).status_code

    assert in_parallel(8, tell_together) == [204] * 8
    assert len(outcomes()) == 1


def test_a_changed_body_is_refused(awaiting_code):
    body = as_bytes(event())
    assert_refused(post(body.replace(b"failed", b"passed"), signed(body)))


def test_a_body_is_hashed_as_it_came(awaiting_code):
    body = json.dumps(event(), indent=4).encode()
    assert_refused(post(as_bytes(json.loads(body)), signed(body)))
    assert post(body, signed(body)).status_code == 204


def authorization_of(key, algorithm="HS256"):
    body = as_bytes(event())
    return f"Bearer {jwt.encode(claims(body), key, algorithm)}"


@pytest.mark.parametrize(
    "make",
    [
        lambda: None,
        lambda: "",
        lambda: "Bearer",
        lambda: "Bearer ",
        lambda: "Bearer a.b.c",
        lambda: "Bearer " + "[" * 10_000,
        lambda: "Bearer ¼.½.¾",
        lambda: signed(as_bytes(event())).removeprefix("Bearer "),
        lambda: signed(as_bytes(event())).replace("Bearer", "Basic"),
        lambda: signed(as_bytes(event())).rpartition(".")[0] + ".",
        lambda: authorization_of("another secret, of somebody else's account"),
        lambda: authorization_of(None, "none"),
        lambda: authorization_of(SECRET * 2, "HS512"),
    ],
    ids=[
        *["missing", "empty", "no token", "blank token", "no JWT", "long", "not ASCII"],
        *["no scheme", "other scheme", "no signature", "wrong secret", "alg none", "HS512"],
    ],
)
def test_what_is_not_signed_by_vonage_is_refused(awaiting_code, make):
    assert_refused(post(as_bytes(event()), make()))


def test_another_algorithm_is_refused_with_the_right_secret_too(awaiting_code, settings):
    settings.VONAGE_SIGNATURE_SECRET = SECRET * 2
    assert_refused(post(as_bytes(event()), authorization_of(SECRET * 2, "HS512")))


def test_without_a_secret_all_are_refused(awaiting_code, settings):
    settings.VONAGE_SIGNATURE_SECRET = ""
    unsigned = jwt.api_jws.encode(json.dumps(claims(as_bytes(event()))).encode(), None, "none")
    assert_refused(post(as_bytes(event()), f"Bearer {unsigned}"))
    assert_refused(tell(event()))


@pytest.mark.parametrize("seconds", [-301, 301, -86_400, 86_400, -(10**400), 10**400])
def test_a_token_of_another_time_is_refused(awaiting_code, seconds):
    assert_refused(tell(event(), iat=int(timezone.now().timestamp()) + seconds))


@pytest.mark.parametrize("seconds", [-300, 300])
def test_clocks_may_differ_by_five_minutes(awaiting_code, seconds):
    assert tell(event(), iat=int(timezone.now().timestamp()) + seconds).status_code == 204


def test_an_old_token_is_refused_after_it_was_forgotten(awaiting_code, clock):
    body = as_bytes(event())
    authorization = signed(body)
    post(body, authorization)
    clock.shift(16 * 60)
    assert tell(event()).status_code == 204
    assert WebhookToken.objects.count() == 1
    assert post(body, authorization).status_code == 401


@pytest.mark.parametrize("claim", ["iat", "jti", "payload_hash"])
def test_a_token_needs_all_that_is_checked(awaiting_code, claim):
    assert_refused(tell(event(), **{claim: None}))


@pytest.mark.parametrize("jti", [7, 1.5, True, [], ["a"], {}, {"a": 1}], ids=repr)
def test_the_id_of_a_token_is_a_text(awaiting_code, jti):
    assert_refused(tell(event(), jti=jti))


@pytest.mark.parametrize("iat", ["yesterday", [], {}, float("nan"), float("inf")], ids=repr)
def test_the_time_of_a_token_is_a_number(awaiting_code, iat):
    assert_refused(tell(event(), iat=iat))


def test_a_time_that_is_written_as_text_is_judged_too(awaiting_code):
    assert_refused(tell(event(), iat="1"))


@pytest.mark.parametrize(
    "payload_hash", ["", "é", 7, [], {}, "0" * 10_000], ids=lambda x: str(x)[:5]
)
def test_the_hash_is_that_of_the_body(awaiting_code, payload_hash):
    assert_refused(tell(event(), payload_hash=payload_hash))


@pytest.mark.parametrize("jti", ["", "\0", "\ud800", "x" * 10_000], ids=ascii)
def test_the_id_of_a_token_may_be_any_text(awaiting_code, jti):
    assert tell(event(), jti=jti).status_code in {204, 400}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"\xff",
        b"null",
        b"[]",
        b"7",
        b'"failed"',
        b"{}",
        b"[" * 10_000,
        b'{"a":' * 100 + b"1" + b"}" * 100,
        as_bytes([event()]),
        *(
            as_bytes(event() | changed)
            for changed in [
                {"request_id": None},
                {"request_id": 7},
                {"request_id": ["a"]},
                {"request_id": "../next_workflow"},
                {"request_id": "\0"},
                {"request_id": "x" * 10_000},
                {"status": ["failed"]},
                {"status": {}},
            ]
        ),
        as_bytes({key: value for key, value in event().items() if key != "channel"}),
        *(as_bytes(event() | {"workflow": junk}) for junk in [[], [7], None, [[]], "sms", [{}]]),
    ],
    ids=lambda body: f"{body[:24]}…{len(body)}",
)
def test_signed_junk_is_answered_with_400(awaiting_code, body):
    response = tell(body)
    assert response.status_code == 400
    assert "cannot be read" in page(response)
    assert outcomes() == []
    assert not WebhookToken.objects.exists()


@pytest.mark.parametrize("value", ["\0", "x" * 10_000, [], {}, None, 7], ids=lambda x: repr(x)[:9])
@pytest.mark.parametrize("field", ["channel", "type", "client_ref", "triggered_at"])
def test_no_value_of_a_field_breaks_it(awaiting_code, field, value):
    assert tell(event(**{field: value})).status_code in {204, 400}


def test_after_junk_the_same_token_may_bring_its_news(awaiting_code):
    assert tell(b"nonsense", jti="one").status_code == 400
    assert tell(event(), jti="one").status_code == 204


def test_a_body_of_3_megabytes_is_refused(awaiting_code):
    response = tell(event(client_ref="x" * 3_000_000))
    assert 400 <= response.status_code < 500
    assert outcomes() == []


def test_a_long_body_without_signature_is_not_even_read(awaiting_code):
    assert_refused(post(b"x" * 250_000))
    # The site takes no request as large as this, wherever it goes.
    assert post(b"x" * 3_000_000).status_code == 413


def test_a_crash_does_not_use_up_the_token(awaiting_code, monkeypatch):
    body = as_bytes(event())
    authorization = signed(body)
    with monkeypatch.context() as broken:
        broken.setattr(webhooks, "record", lambda *args, **kwargs: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            post(body, authorization)
    assert not Verification.objects.get().is_undelivered
    assert post(body, authorization).status_code == 204
    assert outcomes() == [("undelivered", "sms")]


@pytest.mark.parametrize("method", ["get", "head", "put", "patch", "delete", "options"])
def test_it_only_takes_posts(db, method):
    assert getattr(Client(), method)(URL).status_code == 405


def test_nothing_personal_stands_in_the_log(awaiting_code, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(logging.getLogger("django"), "propagate", True)
    body = as_bytes(event("blocked"))
    for authorization in [signed(body), None, "Bearer a.b.c", authorization_of("x" * 40)]:
        post(body, authorization)
    tell(b"nonsense +12025550123")
    assert "A webhook was refused" in caplog.text
    for secret in ["5550123", REQUEST_ID, SECRET, "nonsense", "ada", signed(body)[7:40]]:
        assert secret not in caplog.text


@pytest.mark.parametrize("length", [MAX_BODY + 1, 1_000_000])
def test_a_body_that_is_too_long_is_neither_hashed_nor_read(awaiting_code, length, monkeypatch):
    monkeypatch.setattr("two_factor.webhooks.hashlib", None)
    response = tell(b"[" * length)
    assert response.status_code == 413
    assert not WebhookToken.objects.exists()
    assert outcomes() == []
