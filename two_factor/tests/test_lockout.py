"""What strangers can do to people who have verified their number, and what they cannot."""

from contextlib import suppress

import pytest
from django.test import Client
from django.urls import reverse

from two_factor.addresses import networks_of
from two_factor.models import FORGIVEN_PER_SEND, RESERVED_PART, Limit, Limited, TwoFactor

from .factories import TwoFactorFactory, UserFactory
from .parallel import in_parallel
from .vonage import PROBLEM

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
URL = reverse("two_factor:create")
NUMBER = "+12025550123"


@pytest.fixture
def owner(vonage):
    """A browser of someone whose verified number is known to the strangers."""
    browser = Client(REMOTE_ADDR="203.0.113.5")
    browser.force_login(TwoFactorFactory(number=NUMBER).user)
    return browser


def stranger(address="198.51.100.1"):
    browser = Client(REMOTE_ADDR=address)
    browser.force_login(UserFactory())
    return browser


def can_send(browser, number=NUMBER) -> bool:
    return browser.post(URL, {"number": number}).status_code == 302


@pytest.mark.parametrize("times", [1, 4, 9])
def test_refused_starts_to_a_number_keep_its_owner_from_nothing(owner, vonage, times):
    vonage.start(409, json=PROBLEM)
    for n in range(times):
        can_send(stranger(f"198.51.100.{n}"))
    vonage.start()
    assert can_send(owner)


def test_codes_that_strangers_had_sent_to_a_number_keep_its_owner_from_nothing(owner, settings):
    sent = [can_send(stranger(f"198.51.100.{n}")) for n in range(7)]
    assert sent == [True] * 5 + [False] * 2
    assert can_send(owner)


def test_a_range_that_is_used_up_keeps_its_owners_from_nothing(owner, settings):
    settings.VERIFY_SENDS_PER_PREFIX = 6
    numbers = [f"+1202555{n:04}" for n in range(1000, 1008)]
    sent = [can_send(stranger(f"198.51.100.{n}"), number) for n, number in enumerate(numbers)]
    assert sent == [True] * 6 + [False] * 2
    assert can_send(owner)


@pytest.mark.parametrize("most", [5, 10, 50])
def test_a_part_of_each_day_is_kept_for_verified_numbers(settings, most):
    settings.VERIFY_SENDS_PER_DAY = most
    addresses = (f"198.51.100.{n}" for n in range(250))

    def send(number):
        two_factor = TwoFactorFactory(number=number)
        two_factor.count_send(str(number or f"+1{202555 + len(sent)}1000"), next(addresses))
        sent.append(number)

    sent = []
    reserved = most // RESERVED_PART
    for _ in range(most - reserved):
        send(None)
    with pytest.raises(Limited):
        send(None)
    for n in range(reserved):
        send(f"+1202555{4000 + n}")
    with pytest.raises(Limited):
        send("+12025554999")
    assert Limit.objects.get(name="site").count == most


def test_an_owners_own_sends_are_limited_too(owner, clock):
    statuses = []
    for _ in range(7):
        statuses.append(owner.post(URL).status_code)
        owner.post(reverse("two_factor:cancel"))
        clock.shift(600)
    assert statuses.count(302) <= 6
    assert TwoFactor.objects.get(number=NUMBER).sends <= 6


@pytest.mark.parametrize(
    ("template", "most"),
    [
        # One /48, one /56 and one /64 of it; IPv4, and IPv4 written as IPv6.
        ("2001:db8:1:{n:x}00::1", 3),
        ("2001:db8:1:1{n:02x}::1", 2),
        ("2001:db8:1:1::{n:x}", 1),
        ("192.0.2.9", 1),
        ("::ffff:192.0.2.9", 1),
    ],
)
def test_a_host_with_many_addresses_has_one_limit(vonage, settings, template, most):
    settings.VERIFY_SENDS_PER_IP = 2
    settings.VERIFY_SENDS_PER_PREFIX = 100
    sent = [can_send(stranger(template.format(n=n)), f"+1202555{3000 + n}") for n in range(10)]
    assert sum(sent) == 2 * most


def test_other_networks_are_left_alone(vonage, settings):
    settings.VERIFY_SENDS_PER_IP = 1
    sent = [can_send(stranger(f"2001:db8:{n:x}::1"), f"+1202555{3000 + n}") for n in range(5)]
    assert sent == [True] * 5


@pytest.mark.parametrize("text", ["192.0.2.1", "junk", "", "unix:"])
def test_what_is_no_ipv6_has_one_network(text):
    assert networks_of(text) == [(text, 1)]


def test_ipv6_has_three_networks():
    assert networks_of("2001:db8:1:2ff::/64") == [
        ("2001:db8:1:2ff::/64", 1),
        ("2001:db8:1:200::/56", 2),
        ("2001:db8:1::/48", 3),
    ]


@pytest.mark.django_db(transaction=True)
def test_taking_back_at_once_loses_no_count(settings):
    settings.VERIFY_RESEND_WAITS = [0]
    settings.VERIFY_SENDS_PER_NUMBER = settings.VERIFY_SENDS_PER_IP = 1000
    users = [TwoFactorFactory(number=None) for _ in range(16)]

    def send_and_take_back():
        two_factor = users.pop()
        two_factor.count_send(NUMBER, "192.0.2.1")
        two_factor.uncount_send("192.0.2.1", was_asked=False)

    assert set(in_parallel(16, send_and_take_back)) == {None}
    assert not Limit.objects.exclude(count=0).exists()


@pytest.mark.parametrize(
    ("template", "kept"), [("2001:db8:1:{n:x}00::/64", 3), ("2001:db8:{n:x}::/64", 0)]
)
def test_refused_sends_of_one_host_are_forgiven_within_bounds(settings, template, kept):
    settings.VERIFY_SENDS_PER_IP = 1
    settings.VERIFY_SENDS_PER_PREFIX = 100
    for n in range(3 * FORGIVEN_PER_SEND + 10):
        two_factor = TwoFactorFactory(number=None)
        with suppress(Limited):
            two_factor.count_send(f"+1202555{3000 + n}", template.format(n=n))
            two_factor.uncount_send(template.format(n=n))
    assert Limit.objects.filter(name="address", count=1).count() == kept
