"""At most VERIFY_CALLS_AT_ONCE calls to Vonage at once: a dead provider leaves the polls alone."""

from contextlib import ExitStack

import pytest
import requests
from django.urls import reverse

from two_factor.client import ProviderBusy, ProviderError, calling_vonage, places
from two_factor.mixins import VERIFIED
from two_factor.models import Limit, TwoFactor, Verification
from two_factor.views import BUSY

from .pages import sentences
from .vonage import PROBLEM, REFUSALS, UNCLEAR, UNREADABLE

NUMBER, CODE = "+12025550123", "482913"


@pytest.fixture(autouse=True)
def two_places(settings):
    settings.VERIFY_CALLS_AT_ONCE = 2
    places.cache_clear()
    yield
    places.cache_clear()


@pytest.fixture
def take_places(vonage):
    """Leave no place for another call, until the test is over."""
    with ExitStack() as calls:

        def take():
            for _ in range(2):
                calls.enter_context(calling_vonage("start"))

        yield take


def free_places() -> int:
    with ExitStack() as calls:
        for taken in range(10):
            try:
                calls.enter_context(calling_vonage("start"))
            except ProviderBusy:
                return taken


def test_so_many_calls_are_made_at_once_and_no_more(vonage):
    assert free_places() == 2


def test_a_call_that_ended_gives_its_place_back(vonage):
    assert [free_places() for _ in range(3)] == [2] * 3


ANSWERS = {**REFUSALS, **UNCLEAR, **UNREADABLE, 400: {"status": 400, "json": PROBLEM}}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=map(str, ANSWERS))
def test_a_call_that_fails_gives_its_place_back(vonage, answer):
    vonage.check(**answer)
    with pytest.raises(ProviderError), calling_vonage("check") as verify:
        verify.check_code("c11236f4-00bf-4b89-84ba-88b25df97315", CODE)
    assert free_places() == 2


@pytest.mark.parametrize(
    "failure",
    [
        ProviderError(),
        ProviderError(400),
        ZeroDivisionError(),
        KeyError("ours"),
        KeyboardInterrupt(),
        SystemExit(),
        GeneratorExit(),
        requests.Timeout(),
        MemoryError(),
    ],
    ids=repr,
)
def test_any_exception_gives_the_place_back(vonage, failure):
    with pytest.raises((type(failure), ProviderError)), calling_vonage("check"):
        raise failure
    assert free_places() == 2


def test_a_client_that_cannot_be_made_gives_its_place_back(vonage, settings):
    settings.VONAGE_TIMEOUT = "junk"
    for _ in range(3):
        with pytest.raises(ProviderError) as caught, calling_vonage("check"):
            pass
        assert not isinstance(caught.value, ProviderBusy)


def test_one_that_was_refused_a_place_gives_none_back(vonage):
    for _ in range(3):
        assert free_places() == 2


@pytest.mark.django_db
def test_a_start_without_a_place_is_told_and_counts_nothing(
    clock, signed_in, vonage, user, take_places
):
    take_places()
    response = signed_in.post(reverse("two_factor:create"), {"number": NUMBER}, follow=True)
    assert response.status_code == 200
    assert BUSY in sentences(response)
    assert vonage.calls == []
    assert TwoFactor.objects.get(user=user).seconds_to_next_send == 0
    assert not Limit.objects.filter(count__gt=0).exclude(count=1).exists()
    assert not Verification.objects.exists()


@pytest.mark.django_db
def test_a_moment_later_the_start_has_a_place(clock, signed_in, vonage):
    with calling_vonage("start"), calling_vonage("start"):
        signed_in.post(reverse("two_factor:create"), {"number": NUMBER})
    signed_in.post(reverse("two_factor:create"), {"number": NUMBER})
    assert vonage.calls == ["start"]
    assert TwoFactor.objects.get().sends == 1


@pytest.mark.django_db
@pytest.mark.parametrize("step", ["confirm", "call"])
def test_a_step_without_a_place_is_told_and_counts_nothing(
    clock, awaiting_code, vonage, user, take_places, step
):
    clock.shift(30)
    before = TwoFactor.objects.values("failures", "locked_until", "sends").get(user=user)
    take_places()
    response = awaiting_code.post(reverse(f"two_factor:{step}"), {"code": CODE}, follow=True)
    assert BUSY in sentences(response)
    assert vonage.calls == []
    assert TwoFactor.objects.values("failures", "locked_until", "sends").get(user=user) == before
    assert Verification.objects.exists()


@pytest.mark.django_db
def test_a_resend_without_a_place_leaves_the_code_under_way(
    clock, awaiting_code, vonage, take_places
):
    clock.shift(30)
    take_places()
    response = awaiting_code.post(reverse("two_factor:resend"), follow=True)
    assert BUSY in sentences(response)
    assert vonage.calls == []
    assert Verification.objects.exists()


@pytest.mark.django_db
def test_without_a_place_one_stays_signed_in_and_unverified(awaiting_code, vonage, take_places):
    take_places()
    awaiting_code.post(reverse("two_factor:confirm"), {"code": CODE})
    assert VERIFIED not in awaiting_code.session
    assert awaiting_code.get(reverse("account")).status_code == 200
