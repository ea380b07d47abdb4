"""A new code where Vonage holds a cancelled request for a while, through the real SDK and wire."""

import time

import pytest
from django.urls import reverse
from hypothesis import HealthCheck, given
from hypothesis import settings as given_settings
from hypothesis import strategies as st

from two_factor.models import Limit, TwoFactor, Verification
from two_factor.steps import WRONG_NUMBER

from .pages import page, sentences
from .simulator import Simulator

pytest_plugins = ["two_factor.tests.fake_vonage"]
pytestmark = pytest.mark.django_db
NUMBER, OTHER = "+12025550123", "+447400123456"
MISLEADING = ["from elsewhere", "has trouble", "no longer valid", "We sent you a code"]


@pytest.fixture
def simulator(fake_vonage, clock):
    fake_vonage.handler = Simulator(time.time, cancel_release_delay=12)
    return fake_vonage.handler


@pytest.fixture
def take(signed_in, simulator):
    def step(name, follow=True, **data):
        url = reverse(f"two_factor:{name}")
        return signed_in.post(url, {"next": "/polls/", **data}, follow=follow)

    return step


def press_until_sent(take, clock, simulator, name, **data):
    """Do as each page says, until another code is sent; return how many seconds that took."""
    sent, waited = len(simulator.codes), 0
    while len(simulator.codes) == sent:
        response = take(name, follow=False, **data)
        for words in MISLEADING:
            assert words not in page(response)
        if response.status_code == 429:
            wait = int(response["Retry-After"])
            clock.shift(wait)
            waited += wait
        assert waited < 60
    return waited


@pytest.mark.parametrize("delay", [0, 1, 9, 12, 25])
def test_a_new_code_is_sent_as_soon_as_vonage_takes_it(take, clock, simulator, delay):
    simulator.cancel_release_delay = delay
    take("create", number=NUMBER)
    clock.shift(30)
    assert press_until_sent(take, clock, simulator, "resend") < delay + 10
    assert take("confirm", code=simulator.codes[-1]).redirect_chain == [("/polls/", 302)]


@pytest.mark.parametrize("delay", [0, 5, 12, 25])
def test_the_same_number_typed_again_after_wrong_number_gets_a_code(take, clock, simulator, delay):
    simulator.cancel_release_delay = delay
    take("create", number=NUMBER)
    clock.shift(31)
    assert f'value="{NUMBER}"' in page(take("cancel"))
    assert press_until_sent(take, clock, simulator, "create", number=NUMBER) < delay + 10
    assert take("confirm", code=simulator.codes[-1]).redirect_chain == [("/polls/", 302)]


def test_a_corrected_number_gets_a_code_at_once(take, clock, simulator):
    take("create", number=NUMBER)
    clock.shift(31)
    take("cancel")
    assert press_until_sent(take, clock, simulator, "create", number=OTHER) == 0


def test_where_the_old_code_cannot_be_cancelled_yet_it_stays_good(take, clock, simulator, settings):
    settings.VERIFY_RESEND_WAITS = [1]
    take("create", number=NUMBER)
    clock.shift(2)
    response = take("resend")
    assert "A code is already on its way" in sentences(response)
    assert take("confirm", code=simulator.codes[0]).redirect_chain == [("/polls/", 302)]


def test_it_is_counted_as_the_codes_that_were_sent(take, clock, simulator):
    take("create", number=NUMBER)
    clock.shift(30)
    press_until_sent(take, clock, simulator, "resend")
    counts = dict(Limit.objects.values_list("name", "count"))
    assert [counts[name] for name in ("user", "number", "address", "prefix", "site")] == [2] * 5


def test_meanwhile_the_code_page_stays_and_says_so(signed_in, take, clock, simulator):
    take("create", number=NUMBER)
    clock.shift(30)
    take("resend")
    code_page = signed_in.get(reverse("two_factor:verify"))
    assert code_page.status_code == 200
    assert "no longer works" in page(code_page)
    assert 'data-wait-seconds="10"' in page(code_page)
    assert "Call me instead" not in page(code_page)
    assert WRONG_NUMBER not in signed_in.session


def test_a_number_given_up_is_forgotten_soon(take, clock, simulator):
    take("create", number=NUMBER)
    clock.shift(31)
    take("cancel")
    clock.shift(61)
    take("create", number=OTHER)
    assert [str(row.number) for row in Verification.objects.all()] == [OTHER]


STEPS = st.lists(
    st.sampled_from(["create", "resend", "call", "cancel", "confirm", "right", 5, 31, 200]),
    max_size=14,
)


@given(steps=STEPS)
@given_settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_order_of_steps_breaks_or_misleads(signed_in, user, clock, simulator, steps):
    signed_in.force_login(user)
    TwoFactor.objects.all().delete()
    for step in steps:
        if isinstance(step, int):
            clock.shift(step)
            continue
        code = simulator.codes[-1] if step == "right" and simulator.codes else "999999"
        name = "confirm" if step == "right" else step
        url = reverse(f"two_factor:{name}")
        response = signed_in.post(url, {"number": NUMBER, "code": code}, follow=True)
        assert response.status_code in {200, 429, 404}
        assert "from elsewhere" not in page(response)
    assert signed_in.get(reverse("two_factor:phone")).status_code == 200
