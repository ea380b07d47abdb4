"""Limits by internet address hold for hosts with many IPv6 addresses, too."""

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from polls.listing import SEARCHES
from polls.typed_forms import TYPED_POLLS
from polls.views import FAILED_LOOKUPS
from pollstr import accounts, password_reset
from pollstr.accounts import MOST_FAILED_SIGN_INS, MOST_SIGN_INS, SIGN_IN_WINDOW

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"
MOST = 2
# Addresses of one host, and how many times the limit of one address they share.
HOSTS = [
    pytest.param("2001:db8:1:{n:x}00::1", 3, id="48"),
    pytest.param("2001:db8:1:1{n:02x}::1", 2, id="56"),
    pytest.param("2001:db8:1:1::{n:x}", 1, id="64"),
    pytest.param("192.0.2.9", 1, id="4"),
    pytest.param("::ffff:192.0.2.9", 1, id="4-in-6"),
]
STRANGERS = "2001:db8:{n:x}::1"


@pytest.fixture(autouse=True)
def limits(monkeypatch, time_machine):
    time_machine.move_to("2026-06-01T12:00:00Z", tick=False)
    cache.clear()
    monkeypatch.setattr(SEARCHES, "most", MOST)
    monkeypatch.setattr(FAILED_LOOKUPS, "most", MOST)
    monkeypatch.setattr(TYPED_POLLS, "most", MOST)
    monkeypatch.setattr(accounts, "MOST_REFUSED_REGISTRATIONS", MOST)
    monkeypatch.setattr(accounts, "most_registrations", lambda: MOST)
    monkeypatch.setattr(password_reset, "MOST_RESETS_BY_ADDRESS", MOST)
    yield
    cache.clear()


def post(name, data, address):
    return Client().post(reverse(name), data, REMOTE_ADDR=address).status_code


def search(n, address):
    return Client().get("/polls/", {"q": "tea"}, REMOTE_ADDR=address).status_code


def look_up(n, address):
    return Client().get(f"/p/nosuchpoll{n}/", REMOTE_ADDR=address).status_code


def register(n, address):
    passwords = {"password1": PASSWORD, "password2": PASSWORD}
    return post("register", {"username": f"eve{n}"} | passwords, address)


def register_badly(n, address):
    return post("register", {"username": f"eve{n}"}, address)


def ask_for_link(n, address):
    return post("password_reset", {"email": f"eve{n}@example.com"}, address)


def keep_typed(n, address):
    """Return 429 where what was typed is not kept, which the page tells in words."""
    client = Client()
    client.post("/polls/new/", {"question": "Tea?"}, REMOTE_ADDR=address)
    return 200 if client.session.get("typed_polls") else 429


def guess(n, address):
    return post("login", {"username": f"eve{n}", "password": "wrong"}, address)


def guess_one(n, address):
    return post("login", {"username": "ada", "password": "wrong"}, address)


def sign_in(n, address):
    return post("login", {"username": "ada", "password": PASSWORD}, address)


USES = [search, look_up, register, register_badly, ask_for_link, keep_typed]


def passed(use, template):
    return sum(use(n, template.format(n=n)) != 429 for n in range(3 * MOST + 3))


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(("template", "multiple"), HOSTS)
def test_a_host_with_many_addresses_has_one_limit(use, template, multiple):
    assert passed(use, template) == MOST * multiple


@pytest.mark.parametrize("use", USES)
def test_other_networks_are_left_alone(use):
    assert passed(use, STRANGERS) == 3 * MOST + 3


@pytest.mark.parametrize(("template", "multiple"), HOSTS)
@pytest.mark.parametrize(
    ("use", "by"), [(guess, "address"), (guess_one, "name and address"), (sign_in, "address")]
)
def test_a_host_has_one_limit_of_sign_ins(user, monkeypatch, use, by, template, multiple):
    monkeypatch.setitem(MOST_FAILED_SIGN_INS, by, MOST)
    monkeypatch.setitem(MOST_SIGN_INS, by, (MOST, SIGN_IN_WINDOW))
    assert passed(use, template) == MOST * multiple


def test_one_host_does_not_lock_a_name(user, monkeypatch):
    monkeypatch.setitem(MOST_FAILED_SIGN_INS, "name and address", MOST)
    monkeypatch.setitem(MOST_FAILED_SIGN_INS, "name", 3 * MOST + 1)
    passed(guess_one, "2001:db8:1:{n:x}00::1")
    assert sign_in(0, "192.0.2.7") == 302
