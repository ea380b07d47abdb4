"""An outage of the provider uses up nobody's codes, and is told as what it is."""

import pytest
import requests
from django.urls import reverse
from hypothesis import HealthCheck, given
from hypothesis import settings as given_settings
from hypothesis import strategies as st

from two_factor.models import FORGIVEN_UNCLEAR, Limit, Verification
from two_factor.views import UNREACHABLE

from .factories import TwoFactorFactory
from .pages import page, sentences
from .vonage import PROBLEM, UNCLEAR

pytest_plugins = ["two_factor.tests.fake_vonage"]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
URL = reverse("two_factor:create")
NUMBER = "+12025550123"


def create(browser, **data):
    return browser.post(URL, {"number": NUMBER} | data, follow=True)


@pytest.mark.parametrize("times", [3, 6])
def test_an_unreachable_provider_sent_nothing_however_often(
    signed_in, fake_vonage, settings, times
):
    settings.VONAGE_API_HOST = "vonage.invalid"
    for _ in range(times):
        response = create(signed_in)
        assert response.status_code == 200
        assert UNREACHABLE in sentences(response)
        assert "data-wait-seconds" not in page(response)
    assert not Verification.objects.exists()
    assert not Limit.objects.filter(count__gt=0).exists()


def test_after_it_is_back_the_first_click_sends(signed_in, fake_vonage, settings):
    host = settings.VONAGE_API_HOST
    settings.VONAGE_API_HOST = "localhost:9"
    for _ in range(7):
        create(signed_in)
    settings.VONAGE_API_HOST = host
    assert "A text message with 6 digits" in page(create(signed_in))


@pytest.mark.parametrize("answer", UNCLEAR.values(), ids=map(str, UNCLEAR))
def test_an_hour_of_unclear_answers_uses_up_no_code(signed_in, vonage, clock, answer):
    vonage.start(**answer)
    for _ in range(FORGIVEN_UNCLEAR):
        assert create(signed_in).status_code == 200
        clock.shift(300)
    vonage.start()
    assert "A text message with 6 digits" in page(create(signed_in))


def test_unclear_starts_are_forgiven_so_often_only(signed_in, vonage, clock):
    vonage.start(body=requests.ReadTimeout("Read timed out."))
    statuses = []
    for _ in range(FORGIVEN_UNCLEAR + 7):
        statuses.append(create(signed_in).status_code)
        clock.shift(31)
    assert statuses[:FORGIVEN_UNCLEAR] == [200] * FORGIVEN_UNCLEAR
    assert statuses[-1] == 429


@pytest.mark.parametrize("status", [401, 402, 403])
def test_the_owners_trouble_uses_up_no_code(signed_in, vonage, clock, status):
    vonage.start(status, json=PROBLEM)
    for _ in range(8):
        response = create(signed_in)
        assert "The owner of this site has to fix it" in sentences(response)
        assert "in a few minutes" not in sentences(response)
        clock.shift(600)
    vonage.start()
    assert "A text message with 6 digits" in page(create(signed_in))


EVENTS = st.lists(
    st.sampled_from(["sent", "refused", "conflict", "unclear", "unreachable"]), max_size=12
)


@given(events=EVENTS)
@given_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_order_of_outcomes_counts_what_was_not_sent(settings, events):
    settings.VERIFY_RESEND_WAITS, settings.VERIFY_SENDS_PER_USER = [0], 100
    settings.VERIFY_SENDS_PER_NUMBER = 100
    Limit.objects.all().delete()
    two_factor = TwoFactorFactory(number=None)
    for event in events:
        two_factor.count_send(NUMBER, "192.0.2.1")
        if event == "unclear":
            two_factor.uncount_unclear(NUMBER)
        elif event != "sent":
            two_factor.uncount_send("192.0.2.1", was_asked=event != "unreachable")
    counts = dict(Limit.objects.values_list("name", "count"))
    known, unclear = events.count("sent"), events.count("unclear")
    late = max(0, unclear - FORGIVEN_UNCLEAR)
    assert counts.get("number", 0) == counts.get("user", 0) == known + late
    assert counts.get("site", 0) == known + unclear
