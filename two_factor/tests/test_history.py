import logging
from datetime import UTC, datetime, timedelta

import pytest
import requests
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from phonenumber_field.phonenumber import PhoneNumber

from two_factor.client import calling_vonage, places
from two_factor.history import Event, range_key, record
from two_factor.models import Verification

from .factories import TwoFactorFactory, UserFactory
from .pages import sentences
from .vonage import REQUEST_ID

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
NUMBER, NEIGHBOUR, ELSEWHERE = "+12025550123", "+12025550199", "+447400123456"
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
PAUSED = "Codes to numbers like this one are paused: hardly any were used."


def go(browser, step, **data):
    return browser.post(reverse(f"two_factor:{step}"), data)


def kinds() -> list[str]:
    return [event.kind for event in Event.objects.order_by("pk")]


def event(kind) -> Event:
    return Event.objects.get(kind=kind)


# What each step leaves


def test_a_start_is_recorded_with_who_when_from_where_and_how(signed_in, vonage, user):
    go(signed_in, "create", number=NUMBER)
    started = Event.objects.get()
    assert (started.kind, started.user, started.at) == ("started", user, NOON)
    assert (started.number, started.region, started.channel) == ("•••• ••23", "US", "sms")
    assert (started.address, started.seconds) == ("127.0.0.1", 0)


def test_the_address_is_the_one_that_limits_count(signed_in, vonage, settings):
    settings.TRUSTED_PROXIES = 1
    signed_in.post(
        reverse("two_factor:create"),
        {"number": NUMBER},
        headers={"X-Forwarded-For": "203.0.113.9, 2001:db8::1"},
    )
    assert Event.objects.get().address == "2001:db8::/64"


def test_the_longest_address_has_room(signed_in, vonage):
    address = "2001:db80:1234:5678:9abc:def0:1234:5678"
    signed_in.post(reverse("two_factor:create"), {"number": NUMBER}, REMOTE_ADDR=address)
    assert Event.objects.get().address == "2001:db80:1234:5678::/64"


def test_a_landlines_start_is_a_call(signed_in, vonage):
    go(signed_in, "create", number="+442079460123")
    assert (event("started").channel, event("started").region) == ("voice", "GB")


def test_a_second_code_is_recorded_with_its_own_age(awaiting_code, clock):
    clock.shift(40)
    go(awaiting_code, "resend")
    assert kinds() == ["started", "resent"]
    assert event("resent").seconds == 0


def test_a_call_is_recorded_as_one(awaiting_code, clock):
    clock.shift(40)
    go(awaiting_code, "call")
    assert kinds() == ["started", "called"]
    assert event("called").channel == "voice"


def test_the_right_code_is_recorded_with_the_time_it_took(awaiting_code, clock, user):
    clock.shift(25)
    go(awaiting_code, "confirm", code="482913")
    verified = event("verified")
    assert (verified.user, verified.number, verified.region) == (user, "•••• ••23", "US")
    assert (verified.seconds, verified.address, verified.channel) == (25, "127.0.0.1", "sms")


def test_a_wrong_code_is_recorded(awaiting_code, vonage, clock):
    vonage.check(400)
    clock.shift(9)
    go(awaiting_code, "confirm", code="111111")
    assert kinds() == ["started", "failed"]
    assert (event("failed").seconds, event("failed").number) == (9, "•••• ••23")


@pytest.fixture
def all_places_taken(settings, vonage):
    """Leave no place for another call to Vonage."""
    settings.VERIFY_CALLS_AT_ONCE = 1
    places.cache_clear()
    with calling_vonage("start"):
        yield
    places.cache_clear()


@pytest.fixture
def quarter_of_a_second(monkeypatch):
    """Have the call to Vonage that comes next take 250 ms."""
    monkeypatch.setattr("two_factor.steps.perf_counter", iter([7.0, 7.25]).__next__)


@pytest.mark.usefixtures("quarter_of_a_second")
def test_a_start_tells_how_long_vonage_took(signed_in, vonage):
    go(signed_in, "create", number=NUMBER)
    assert (event("started").provider_ms, event("started").provider_status) == (250, None)


@pytest.mark.usefixtures("quarter_of_a_second")
@pytest.mark.parametrize("status", [402, 429, 503])
def test_trouble_tells_what_vonage_answered_and_when(signed_in, vonage, status):
    vonage.start(status)
    go(signed_in, "create", number=NUMBER)
    assert (event("trouble").provider_ms, event("trouble").provider_status) == (250, status)


@pytest.mark.usefixtures("quarter_of_a_second")
def test_trouble_without_an_answer_tells_how_long_it_was_waited_for(signed_in, vonage):
    vonage.start(body=requests.ReadTimeout())
    go(signed_in, "create", number=NUMBER)
    assert (event("trouble").provider_ms, event("trouble").provider_status) == (250, None)


@pytest.mark.usefixtures("all_places_taken")
def test_trouble_where_vonage_was_not_asked_tells_no_time(signed_in, vonage):
    go(signed_in, "create", number=NUMBER)
    assert event("trouble").provider_ms is None


def test_of_two_events_after_one_call_one_tells_its_time(awaiting_code, vonage):
    vonage.check(410)
    go(awaiting_code, "confirm", code="111111")
    assert event("failed").provider_status == 410
    assert event("void").provider_ms is None


def test_a_code_of_the_wrong_shape_is_no_event(awaiting_code):
    go(awaiting_code, "confirm", code="12")
    assert kinds() == ["started"]


def test_a_code_void_after_wrong_ones_is_recorded(awaiting_code, vonage):
    vonage.check(410)
    go(awaiting_code, "confirm", code="111111")
    assert kinds() == ["started", "failed", "void"]


def test_the_lock_is_recorded_once(awaiting_code, vonage, settings):
    settings.VERIFY_MAX_FAILURES = 2
    vonage.check(400)
    for _ in range(4):
        go(awaiting_code, "confirm", code="111111")
    assert kinds() == ["started", "failed", "failed", "locked"]


def test_giving_up_is_recorded(awaiting_code):
    go(awaiting_code, "cancel")
    assert kinds() == ["started", "cancelled"]


@pytest.mark.parametrize("answer", [{"status": 402}, {"status": 500}, {"status": 422}])
def test_a_start_that_failed_is_trouble_and_no_start(signed_in, vonage, answer):
    vonage.start(**answer)
    go(signed_in, "create", number=NUMBER)
    assert kinds() == ["trouble"]
    assert event("trouble").number == "•••• ••23"


@pytest.mark.parametrize("step", ["call", "resend"])
def test_trouble_with_another_code_is_recorded(awaiting_code, vonage, clock, step):
    vonage.start(500)
    vonage.next_step(500)
    clock.shift(40)
    go(awaiting_code, step)
    assert kinds() == ["started", "trouble"]


def test_trouble_with_a_check_is_recorded(awaiting_code, vonage):
    vonage.check(500)
    go(awaiting_code, "confirm", code="482913")
    assert kinds() == ["started", "trouble"]


def test_a_start_whose_answer_was_lost_is_recorded_once(signed_in, vonage, clock):
    vonage.start(body=requests.ReadTimeout("Read timed out."))
    go(signed_in, "create", number=NUMBER)
    vonage.start(409, json={"request_id": REQUEST_ID})
    for _ in range(3):
        clock.shift(40)
        go(signed_in, "create", number=NUMBER)
    # The second trouble is the 409 by which the start was found again.
    assert kinds() == ["trouble", "trouble", "started"]


def test_a_second_click_is_no_second_start(awaiting_code):
    go(awaiting_code, "create", number=NUMBER)
    assert kinds() == ["started"]


def test_what_a_limit_refuses_is_no_start(awaiting_code, vonage):
    assert go(awaiting_code, "resend").status_code == 429
    assert kinds() == ["started"]


def test_a_reset_is_recorded_with_the_number_taken_away(two_factor, user):
    two_factor.reset()
    reset = event("reset")
    assert (reset.user, reset.number) == (user, "•••• ••23")


# The table


def test_no_number_and_no_code_stands_in_the_table(awaiting_code, vonage, clock):
    vonage.check(400)
    go(awaiting_code, "confirm", code="111111")
    vonage.check()
    go(awaiting_code, "confirm", code="482913")
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM two_factor_event")
        rows = str(cursor.fetchall())
    assert "•••• ••23" in rows
    for secret in ["5550123", "202555", "482913", "111111", REQUEST_ID, REQUEST_ID[:8]]:
        assert secret not in rows


def test_a_range_cannot_be_found_without_our_key(settings):
    key = range_key(NUMBER)
    assert range_key(NEIGHBOUR) == key
    settings.SECRET_KEY = "another"
    assert range_key(NUMBER) != key


def test_a_country_is_named_in_no_more_than_its_column_holds(user):
    # Satellite phones belong to no country; the library calls it 001.
    two_factor = TwoFactorFactory(number="+881612345678")
    assert record(Event.Kind.STARTED, user, number=two_factor.number).region == "001"


@pytest.fixture
def an_event(user):
    return record(Event.Kind.RECOVERY_CODES, user)


@pytest.mark.parametrize(
    "change",
    [
        lambda event: event.save(),
        lambda event: Event(pk=event.pk, kind="verified").save(),
        lambda event: event.delete(),
        lambda event: Event.objects.update(kind="verified"),
        lambda event: Event.objects.filter(pk=event.pk).update(kind="verified"),
        lambda event: Event.objects.bulk_update([event], ["kind"]),
        lambda event: Event.objects.update_or_create(pk=event.pk, defaults={"kind": "verified"}),
        lambda event: Event.objects.all().delete(),
        lambda event: event.user.event_set.all().delete(),
    ],
    ids=[
        "save",
        "save over",
        "delete",
        "update all",
        "update",
        "bulk_update",
        "update_or_create",
        "delete all",
        "delete a user's",
    ],
)
def test_what_was_written_stays(an_event, change):
    an_event.kind = "verified"
    with pytest.raises((TypeError, IntegrityError)), transaction.atomic():
        change(an_event)
    assert kinds() == ["recovery_codes"]


def test_when_an_account_goes_its_events_stay_without_it(awaiting_code, user):
    user.delete()
    started = event("started")
    assert (started.user, started.number) == (None, "•••• ••23")


# Conversion


def happened(kind, number=NUMBER, at=NOON, times=1):
    region = "US" if number.startswith("+1") else "GB"
    for _ in range(times):
        Event.objects.create(kind=kind, region=region, range_key=range_key(number), at=at)


def rows(since=NOON - timedelta(days=1)) -> list[tuple]:
    found = Event.objects.conversion_by_hour(since)
    return [(f"{r['hour']:%H}", r["region"], r["started"], r["verified"]) for r in found]


def test_conversion_is_counted_by_hour_and_country():
    happened("started", at=NOON.replace(minute=1), times=3)
    happened("verified", at=NOON.replace(minute=59))
    happened("started", ELSEWHERE, at=NOON.replace(minute=30))
    happened("started", at=NOON - timedelta(seconds=1))
    assert rows() == [("12", "GB", 1, 0), ("12", "US", 3, 1), ("11", "US", 1, 0)]


def test_another_code_counts_as_one_more_but_a_call_does_not():
    for kind in ["started", "resent", "called", "failed", "trouble", "cancelled"]:
        happened(kind)
    assert rows() == [("12", "US", 2, 0)]


def test_an_hour_in_which_no_code_was_sent_has_no_conversion():
    happened("verified", at=NOON)
    happened("started", ELSEWHERE, at=NOON)
    assert rows() == [("12", "GB", 1, 0)]


def test_conversion_looks_back_no_further_than_asked():
    happened("started", at=NOON - timedelta(hours=2))
    assert rows(since=NOON - timedelta(hours=1)) == []


# The brake


@pytest.fixture
def pumped():
    """Ten codes of one range, sent ten minutes ago, none of them used."""
    happened("started", NEIGHBOUR, at=NOON - timedelta(minutes=10), times=10)


def is_paused(response) -> bool:
    return response.status_code == 429 and PAUSED in sentences(response)


def test_a_range_whose_codes_nobody_uses_gets_no_more(signed_in, vonage, pumped):
    response = go(signed_in, "create", number=NUMBER)
    assert is_paused(response)
    assert response["Retry-After"] == "3600"
    assert "Please try again in 60 minutes." in sentences(response)
    assert vonage.calls == []


def test_what_the_brake_refuses_leaves_nothing_behind(signed_in, vonage, pumped, user):
    go(signed_in, "create", number=NUMBER)
    assert not Verification.objects.exists()
    assert user.two_factor.sends == 0


@pytest.mark.parametrize("step", ["resend", "call"])
def test_a_braked_range_gets_no_second_code_either(awaiting_code, vonage, pumped, clock, step):
    clock.shift(40)
    assert is_paused(go(awaiting_code, step))
    assert vonage.calls == []


def test_the_brake_is_logged_once_an_hour_and_without_the_number(signed_in, vonage, pumped, caplog):
    for last in range(3):
        assert is_paused(go(signed_in, "create", number=f"{NUMBER[:-1]}{last}"))
    errors = [entry.getMessage() for entry in caplog.records if entry.levelno == logging.ERROR]
    assert errors == ["Codes to a range of numbers in US are paused: hardly any are used"]


def test_the_brake_is_logged_again_in_the_next_hour(signed_in, vonage, clock, caplog):
    for _ in range(2):
        happened("started", NEIGHBOUR, at=timezone.now() - timedelta(minutes=10), times=10)
        go(signed_in, "create", number=NUMBER)
        clock.shift(3600)
    assert caplog.text.count("are paused") == 2


@pytest.mark.parametrize(("used", "paused"), [(0, True), (1, True), (2, False), (9, False)])
def test_it_takes_a_fifth_of_the_codes_used_to_go_on(signed_in, vonage, pumped, used, paused):
    happened("verified", NEIGHBOUR, at=NOON - timedelta(minutes=9), times=used)
    assert is_paused(go(signed_in, "create", number=NUMBER)) == paused
    assert vonage.calls == ([] if paused else ["start"])


def test_nine_codes_say_nothing_yet(signed_in, vonage):
    happened("started", NEIGHBOUR, at=NOON - timedelta(minutes=10), times=9)
    assert not is_paused(go(signed_in, "create", number=NUMBER))


def test_second_codes_count_too(signed_in, vonage):
    happened("resent", NEIGHBOUR, at=NOON - timedelta(minutes=10), times=10)
    assert is_paused(go(signed_in, "create", number=NUMBER))


@pytest.mark.parametrize(("seconds", "paused"), [(179, False), (180, True)])
def test_a_code_younger_than_three_minutes_may_yet_be_used(signed_in, vonage, seconds, paused):
    happened("started", NEIGHBOUR, at=NOON - timedelta(seconds=seconds), times=10)
    assert is_paused(go(signed_in, "create", number=NUMBER)) == paused


@pytest.mark.parametrize("number", [ELSEWHERE, "+12025560123"])
def test_another_range_goes_on(signed_in, vonage, pumped, number):
    go(signed_in, "create", number=number)
    assert vonage.calls == ["start"]


def test_whoever_has_proven_a_number_of_the_range_still_gets_codes(
    signed_in, two_factor, vonage, pumped, clock
):
    go(signed_in, "create")
    clock.shift(40)
    go(signed_in, "call")
    assert vonage.calls == ["start", "next_step"]


def test_a_proven_number_opens_no_other_of_a_braked_range(verified, vonage, pumped):
    data = {"number": NEIGHBOUR, "password": "correct horse battery"}
    assert is_paused(go(verified, "change", **data))
    assert vonage.calls == []


def test_the_brake_ends_when_it_said(signed_in, vonage, pumped, clock):
    response = go(signed_in, "create", number=NUMBER)
    clock.shift(int(response["Retry-After"]))
    go(signed_in, "create", number=NUMBER)
    assert vonage.calls == ["start"]


def test_ten_strangers_who_type_no_code_brake_their_range(vonage, clock, settings, caplog):
    settings.VERIFY_SENDS_PER_PREFIX = 100
    for n in range(11):
        browser = Client()
        browser.force_login(UserFactory())
        response = go(browser, "create", number=f"+120255501{n:02}")
        clock.shift(180)
    assert is_paused(response)
    assert vonage.calls == ["start"] * 10
    assert "+1202" not in caplog.text


# Forgetting


DAY = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize("kind", Event.TO_A_PROOF)
def test_a_proof_that_is_unlinked_tells_neither_who_nor_when(user, kind):
    at = DAY + timedelta(hours=9, minutes=7)
    facts = {"address": "192.0.2.7", "number": PhoneNumber.from_string("+12025550123")}
    event = record(kind, user, at=at, **facts)
    assert Event.objects.unlink_proofs(DAY, DAY + timedelta(days=1)) == 1
    event.refresh_from_db()
    assert (event.user, event.at) == (None, DAY)
    assert (event.address, event.number, event.range_key) == ("", "", "")
    assert event.region == "US"


@pytest.mark.parametrize(
    "kind", [Event.Kind.CHANGED, Event.Kind.RESET, Event.Kind.RECOVERY_CODES, Event.Kind.LOCKED]
)
def test_what_happened_to_the_account_itself_stays(user, kind):
    record(kind, user, at=DAY + timedelta(hours=9), address="192.0.2.7")
    assert Event.objects.unlink_proofs(DAY, DAY + timedelta(days=1)) == 0
    assert Event.objects.get().user == user


def test_proofs_of_other_times_stay(user):
    for hours in (-1, 25):
        record(Event.Kind.VERIFIED, user, at=DAY + timedelta(hours=hours))
    assert Event.objects.unlink_proofs(DAY, DAY + timedelta(days=1)) == 0


def test_with_the_account_go_addresses_and_ranges(user):
    number = PhoneNumber.from_string("+12025550123")
    other = UserFactory()
    for whose in (user, other):
        record(Event.Kind.STARTED, whose, number=number, address="192.0.2.7")
    user.delete()
    gone, kept = Event.objects.order_by("pk")
    assert (gone.user, gone.address, gone.range_key) == (None, "", "")
    assert (kept.user, kept.address) == (other, "192.0.2.7")


def test_so_they_do_where_many_accounts_are_deleted_at_once(user):
    record(Event.Kind.STARTED, user, address="192.0.2.7")
    type(user).objects.all().delete()
    assert Event.objects.get().address == ""
